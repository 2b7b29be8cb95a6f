"""Passes of a reading, normalised together."""

import numpy as np

from rixs_pipeline.core.spectra.absorption_passes import normalise_passes
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.regions import Scale

ENERGY = np.linspace(770.0, 800.0, 61)
WINDOWS = EdgeWindows(pre_edge=(770, 776), post_edge=(790, 801), position=780.5)
PEAK = np.exp(-0.5 * ((ENERGY - 780.5) / 1.0) ** 2)
STEP = 1.0 * (ENERGY >= 780.5)


def test_passes_of_different_size_and_slope_agree_after_normalisation():
    passes = [2 * PEAK + 1, 5 * PEAK + 0.1 * ENERGY]
    normalised = normalise_passes(ENERGY, passes, Scale.MAX, WINDOWS, is_sloped=True)
    assert normalised.sign == 1
    assert normalised.has_linear_pre_edge
    np.testing.assert_allclose(normalised.values[0], normalised.values[1], atol=1e-2)
    np.testing.assert_allclose(normalised.average().mean, PEAK, atol=1e-2)
    np.testing.assert_allclose(normalised.divisor, 5, rtol=1e-2)


def test_a_constant_is_subtracted_where_there_is_no_slope():
    normalised = normalise_passes(
        ENERGY, [PEAK + 3], Scale.MAX, WINDOWS, is_sloped=False
    )
    assert not normalised.has_linear_pre_edge
    np.testing.assert_allclose(normalised.values[0], PEAK, atol=1e-5)


def test_all_passes_have_the_sign_of_their_mean():
    passes = [3 - PEAK, 3 - 2 * PEAK]
    normalised = normalise_passes(ENERGY, passes, Scale.MAX, WINDOWS, is_sloped=False)
    assert normalised.sign == -1
    for values in normalised.values:
        np.testing.assert_allclose(values.min(), -1.0)


def test_an_edge_jump_always_has_a_line_before_it():
    normalised = normalise_passes(
        ENERGY, [4 * STEP + 1], Scale.EDGE, WINDOWS, is_sloped=False
    )
    assert normalised.has_linear_pre_edge
    np.testing.assert_allclose(normalised.values[0], STEP, atol=1e-9)
