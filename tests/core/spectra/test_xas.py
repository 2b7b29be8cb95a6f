"""Absorption from readings: the line before the edge goes, the height becomes one, passes are averaged."""

import numpy as np
import pytest

from rixs_pipeline.core.spectra import xas
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.regions import Scale

ENERGY = np.arange(760.0, 830.0, 0.5)
WINDOWS = EdgeWindows((755, 774), (800, 840), 780.0)
EDGE = np.exp(-0.5 * ((ENERGY - 780.5) / 1.0) ** 2) + 0.5 * (ENERGY > 780)
LINE = 2.0 + 0.01 * (ENERGY - 700)


@pytest.mark.parametrize("factor", [1.0, 7.0])
def test_the_line_goes_and_the_maximum_is_one(factor):
    normalised = xas.normalise_absorption(
        ENERGY, factor * (LINE + EDGE), Scale.MAX, WINDOWS
    )
    assert normalised.values == pytest.approx(EDGE / EDGE.max(), abs=1e-9)
    assert normalised.divisor == pytest.approx(factor * EDGE.max())


def test_the_jump_is_one():
    normalised = xas.normalise_absorption(
        ENERGY, 3 * (LINE + EDGE), Scale.EDGE, WINDOWS
    )
    assert normalised.divisor == pytest.approx(1.5)
    assert normalised.values == pytest.approx(EDGE / 0.5, abs=1e-9)


def test_without_points_before_the_edge_nothing_is_subtracted():
    normalised = xas.normalise_absorption(
        ENERGY[40:], (LINE + EDGE)[40:], Scale.MAX, WINDOWS
    )
    assert normalised.values == pytest.approx(
        (LINE + EDGE)[40:] / (LINE + EDGE)[40:].max()
    )


def test_missing_points_stay_missing():
    broken = np.where(ENERGY == 790, np.nan, LINE + EDGE)
    normalised = xas.normalise_absorption(ENERGY, broken, Scale.MAX, WINDOWS)
    assert np.isnan(normalised.values).sum() == 1


def test_passes_are_averaged_with_the_error_of_their_scatter():
    rng = np.random.default_rng(1)
    passes = [EDGE + rng.normal(0, 0.02, len(ENERGY)) for _ in range(4)]
    passes[0][3] = np.nan
    average = xas.average_passes(passes)
    errors = average.errors
    assert np.sum(((average.mean - EDGE) / errors) ** 2) == pytest.approx(
        len(ENERGY), abs=5 * np.sqrt(2 * len(ENERGY))
    )
    assert errors[3] > errors[2]
    assert np.isnan(xas.average_passes(passes[:1]).errors).all()


def test_what_drops_at_the_edge_is_told() -> None:
    assert not xas.decreases_at_edge(ENERGY, LINE + EDGE, Scale.MAX, WINDOWS)
    assert xas.decreases_at_edge(ENERGY, LINE - EDGE, Scale.MAX, WINDOWS)
    assert xas.decreases_at_edge(ENERGY, LINE - EDGE, Scale.EDGE, WINDOWS)


def test_a_slope_is_taken_where_the_points_before_the_edge_tell_it() -> None:
    noise = np.random.default_rng(3).normal(0, 1, len(ENERGY))
    assert xas.has_pre_edge_slope(ENERGY, LINE + EDGE + 1e-3 * noise, WINDOWS)
    assert not xas.has_pre_edge_slope(ENERGY, LINE + EDGE + 0.5 * noise, WINDOWS), (
        "noise"
    )
    first = int(np.searchsorted(ENERGY, WINDOWS.pre_edge[1])) - 3
    assert not xas.has_pre_edge_slope(ENERGY[first:], (LINE + EDGE)[first:], WINDOWS), (
        "the foot of the edge"
    )
    flat = xas.normalise_absorption(
        ENERGY, LINE + EDGE, Scale.MAX, WINDOWS, is_sloped=False
    ).values
    before = WINDOWS.pre_edge[1] > ENERGY
    assert flat[before].mean() == pytest.approx(0, abs=1e-9)
    assert np.ptp(flat[before]) > 0
