"""Compiled kernels alone; `test_function.py` tests the energy function made of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.energy import (
    correction_derivatives,
    energy_at_any_time,
    kernels,
    layout,
)
from tests.core.energy.test_function import PRETRIGGER_REF, toy_params

few_examples = settings(max_examples=30, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def draw_pulses(seed, number=600):
    """Pulse heights, pretrigger means and arrival phases, more than one block."""
    rng = np.random.default_rng(seed)
    height = rng.uniform(-500, 14000, number)
    base = rng.normal(PRETRIGGER_REF, 40, number)
    return height, base, rng.normal(-0.2, 0.3, number)


@given(st.floats(), st.floats(-10, 10), st.floats(0, 10))
def test_clipped_values_are_within_the_limits(x, low, width):
    high = low + width
    expected = low if math.isnan(x) else min(max(x, low), high)
    assert kernels.clip(x, low, high) == expected


@few_examples
@given(SEEDS)
def test_neighbouring_polynomials_join_smoothly(seed):
    rows = kernels.spline_polynomials(toy_params(seed))
    assert rows.shape == (kernels.N_INTERVALS + 2, 4)
    powers = np.arange(4)
    value_at_end = rows.sum(axis=1)
    slope_at_end = (rows * powers).sum(axis=1)
    curvature_at_end = (rows * powers * (powers - 1)).sum(axis=1)
    np.testing.assert_allclose(value_at_end[:-1], rows[1:, 0], atol=1e-9)
    np.testing.assert_allclose(slope_at_end[:-1], rows[1:, 1], atol=1e-9)
    inside = slice(1, -1)
    curvature = 2 * rows[inside, 2]
    np.testing.assert_allclose(curvature_at_end[inside][:-1], curvature[1:], atol=1e-9)
    assert not rows[[0, -1], 2:].any()  # straight lines beyond the spline


@few_examples
@given(SEEDS)
def test_energies_may_replace_the_heights(seed):
    params = toy_params(seed)
    heights, *_ = draw_pulses(seed)
    expected = kernels.curve_energies(heights, params)
    polynomials = kernels.spline_polynomials(params)
    lowest, step = params[layout.CURVE_GRID]
    kernels.evaluate_curve(heights, lowest, step, polynomials, heights)
    np.testing.assert_array_equal(heights, expected)


@few_examples
@given(SEEDS)
def test_slopes_are_those_of_the_energies(seed):
    params = toy_params(seed)
    heights, *_ = draw_pulses(seed)
    width = 1e-2
    rise = kernels.curve_energies(heights + width, params)
    rise -= kernels.curve_energies(heights - width, params)
    slopes = kernels.curve_slopes(heights, params)
    np.testing.assert_allclose(slopes, rise / (2 * width), rtol=1e-4)


@few_examples
@given(SEEDS)
def test_heights_of_energies_and_back(seed):
    params = toy_params(seed)
    heights, *_ = draw_pulses(seed)
    energies = kernels.curve_energies(heights, params)
    np.testing.assert_allclose(
        kernels.curve_heights(energies, params), heights, atol=1e-6
    )


def test_without_corrections_heights_stay_whatever_the_phase():
    height, base, _ = draw_pulses(1)
    corrected = np.empty(len(height))
    missing = np.full(len(height), np.nan)
    kernels.correct_heights(height, base, missing, toy_params(), corrected)
    np.testing.assert_array_equal(corrected, height)


@few_examples
@given(SEEDS)
def test_at_the_time_of_a_calibration_its_energies_are_used(seed):
    before = toy_params(seed, drift=5e-5, phase=3e-3)
    after = toy_params(seed + 1, drift=5e-5, phase=3e-3)
    pulses = draw_pulses(seed, 50)
    pair = np.stack([before, after])
    for share, params in ((0.0, before), (1.0, after)):
        later_share = np.full(50, share)
        energies = kernels.interpolated_energies(*pulses, later_share, pair)
        expected = energy_at_any_time(*pulses, params)
        np.testing.assert_allclose(energies, expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_interpolation_is_linear(weight):
    before = np.arange(6.0).reshape(2, 3)
    after = before**2
    out = np.empty((2, 3))
    kernels.interpolate(before, after, weight, out)
    np.testing.assert_allclose(out, (1 - weight) * before + weight * after)


@few_examples
@given(SEEDS)
def test_corrections_are_linear_in_their_parameters_for_a_straight_curve(seed):
    """The energy then is that without the correction plus parameters x derivatives."""
    params = toy_params(seed, drift=5e-5, phase=3e-3)
    params[layout.CURVE] = 25.0 * np.arange(layout.N_COEFFICIENTS)
    pulses = draw_pulses(seed)
    for block in (layout.PHASE, layout.DRIFT):
        result = correction_derivatives(*pulses, params, block)
        linear = result.energy + params[block] @ result.derivatives
        expected = energy_at_any_time(*pulses, params)
        np.testing.assert_allclose(linear, expected, rtol=1e-9, atol=1e-7)
