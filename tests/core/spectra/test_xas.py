"""Absorption from readings: pre-edge line, unit edge jump, average of passes."""

import numpy as np
import pytest

from rixs_pipeline.core.spectra import xas
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.regions import Limits, Scale

ENERGY = np.arange(760.0, 830.0, 0.5)
WINDOWS = EdgeWindows(Limits(755, 774), Limits(800, 840), 780.0)
EDGE = np.exp(-0.5 * ((ENERGY - 780.5) / 1.0) ** 2) + 0.5 * (ENERGY > 780)
LINE = 2.0 + 0.01 * (ENERGY - 700)


@pytest.mark.parametrize("factor", [1.0, 7.0])
def test_pre_edge_line_is_subtracted_and_maximum_is_one(factor):
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


def test_nothing_is_subtracted_without_pre_edge_points():
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


def test_signal_decreasing_at_the_edge_is_reported() -> None:
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


PASS_ENERGY = np.linspace(770.0, 800.0, 61)
PASS_WINDOWS = EdgeWindows(Limits(770, 776), Limits(790, 801), position=780.5)
PEAK = np.exp(-0.5 * ((PASS_ENERGY - 780.5) / 1.0) ** 2)
STEP = 1.0 * (PASS_ENERGY >= 780.5)


def test_passes_of_different_size_and_slope_agree_after_normalisation():
    passes = [2 * PEAK + 1, 5 * PEAK + 0.1 * PASS_ENERGY]
    normalised = xas.normalise_passes(
        PASS_ENERGY, passes, Scale.MAX, PASS_WINDOWS, is_sloped=True
    )
    assert normalised.sign == 1
    assert normalised.has_linear_pre_edge
    np.testing.assert_allclose(normalised.values[0], normalised.values[1], atol=1e-2)
    np.testing.assert_allclose(normalised.average().mean, PEAK, atol=1e-2)
    np.testing.assert_allclose(normalised.divisor, 5, rtol=1e-2)


def test_a_constant_is_subtracted_where_there_is_no_slope():
    normalised = xas.normalise_passes(
        PASS_ENERGY, [PEAK + 3], Scale.MAX, PASS_WINDOWS, is_sloped=False
    )
    assert not normalised.has_linear_pre_edge
    np.testing.assert_allclose(normalised.values[0], PEAK, atol=1e-5)


def test_all_passes_have_the_sign_of_their_mean():
    passes = [3 - PEAK, 3 - 2 * PEAK]
    normalised = xas.normalise_passes(
        PASS_ENERGY, passes, Scale.MAX, PASS_WINDOWS, is_sloped=False
    )
    assert normalised.sign == -1
    for values in normalised.values:
        np.testing.assert_allclose(values.min(), -1.0)


def test_an_edge_jump_always_has_a_line_before_it():
    normalised = xas.normalise_passes(
        PASS_ENERGY, [4 * STEP + 1], Scale.EDGE, PASS_WINDOWS, is_sloped=False
    )
    assert normalised.has_linear_pre_edge
    np.testing.assert_allclose(normalised.values[0], STEP, atol=1e-9)
