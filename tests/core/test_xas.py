"""Absorption from readings: the line before the edge goes, the height becomes one, passes are averaged."""

import numpy as np
import pytest

from rixs_pipeline.core import xas
from rixs_pipeline.core.scaling import EdgeWindows

ENERGY = np.arange(760.0, 830.0, 0.5)
WINDOWS = EdgeWindows((755, 774), (800, 840), 780.0)
EDGE = np.exp(-0.5 * ((ENERGY - 780.5) / 1.0) ** 2) + 0.5 * (ENERGY > 780)
LINE = 2.0 + 0.01 * (ENERGY - 700)


@pytest.mark.parametrize("factor", [1.0, 7.0])
def test_the_line_goes_and_the_maximum_is_one(factor):
    values, divisor = xas.normalised(ENERGY, factor * (LINE + EDGE), "max", WINDOWS)
    assert values == pytest.approx(EDGE / EDGE.max(), abs=1e-9)
    assert divisor == pytest.approx(factor * EDGE.max())


def test_the_jump_is_one():
    values, divisor = xas.normalised(ENERGY, 3 * (LINE + EDGE), "edge", WINDOWS)
    assert divisor == pytest.approx(1.5)
    assert values == pytest.approx(EDGE / 0.5, abs=1e-9)


def test_without_points_before_the_edge_nothing_is_subtracted():
    values, _ = xas.normalised(ENERGY[40:], (LINE + EDGE)[40:], "max", WINDOWS)
    assert values == pytest.approx((LINE + EDGE)[40:] / (LINE + EDGE)[40:].max())


def test_missing_points_stay_missing():
    broken = np.where(ENERGY == 790, np.nan, LINE + EDGE)
    values, _ = xas.normalised(ENERGY, broken, "max", WINDOWS)
    assert np.isnan(values).sum() == 1


def test_passes_are_averaged_with_the_error_of_their_scatter():
    rng = np.random.default_rng(1)
    passes = [EDGE + rng.normal(0, 0.02, len(ENERGY)) for _ in range(4)]
    passes[0][3] = np.nan
    mean, errors = xas.averaged(passes)
    assert np.sum(((mean - EDGE) / errors) ** 2) == pytest.approx(len(ENERGY), abs=5 * np.sqrt(2 * len(ENERGY)))
    assert errors[3] > errors[2]
    assert np.isnan(xas.averaged(passes[:1])[1]).all()
