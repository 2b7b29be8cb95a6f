"""The compiled fit of a correction; `test_corrections.py` applies it to pulses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.energy.correction_kernels import (
    GaussianPrior,
    LineTables,
    ShiftedPulses,
    cross_validate,
    every_second,
    fit_correction,
    look_up,
    subtract_line_means,
)

BINS, SIGMA = 401, 20.0  # of the table of a line, in bins
CENTRE = (BINS - 1) / 2
DISTANCE = np.arange(BINS) - CENTRE
TABLES = LineTables(
    score=-DISTANCE[None] / SIGMA**2,
    log_density=-0.5 * (DISTANCE[None] / SIGMA) ** 2,
    information=np.array([1 / SIGMA**2]),
)
NO_PRIOR = GaussianPrior(np.zeros(1), 0.0)
ZERO = np.zeros(1)


def shifted_pulses(shift, number=4000, seed=1):
    """Pulses of one line whose position falls by `shift` bins per unit of the lever."""
    rng = np.random.default_rng(seed)
    lever = rng.normal(0, 1, (1, number))
    position = CENTRE + rng.normal(0, SIGMA, number) - shift * lever[0]
    return ShiftedPulses(np.zeros(number, np.int64), position, lever)


@given(st.floats(0, BINS - 1.002))
def test_a_table_is_interpolated_linearly(position):
    table = np.stack([DISTANCE**2, np.sin(DISTANCE)])
    for row in range(2):
        value = look_up(table, np.array([row]), np.array([position]))
        expected = np.interp(position, np.arange(BINS), table[row])
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)


def test_places_beyond_a_table_have_the_values_of_its_ends():
    line, position = np.zeros(3, np.int64), np.array([-50.0, 1e9, np.nan])
    low, high, missing = look_up(DISTANCE[None].copy(), line, position)
    assert low == missing == DISTANCE[0]
    assert high == pytest.approx(DISTANCE[-1], abs=0.01)


def test_the_fit_is_the_least_squares_solution_for_a_gaussian_line():
    pulses = shifted_pulses(shift=3.0)
    lever = pulses.lever[0]
    least_squares = -np.sum(lever * (pulses.position - CENTRE)) / np.sum(lever**2)
    fitted = fit_correction(pulses, TABLES, NO_PRIOR, ZERO)
    np.testing.assert_allclose(fitted, [least_squares], rtol=1e-6)
    np.testing.assert_allclose(fitted, [3.0], atol=5 * SIGMA / np.sqrt(4000))


@settings(max_examples=20)
@given(st.floats(-20, 20))
def test_a_strong_prior_keeps_its_centre(centre):
    prior = GaussianPrior(np.array([centre]), 1e9)
    fitted = fit_correction(shifted_pulses(shift=3.0), TABLES, prior, ZERO)
    np.testing.assert_allclose(fitted, [centre], atol=1e-3)


def test_halves_share_no_pulse_and_leave_none_out():
    pulses = shifted_pulses(shift=0.0, number=101)
    halves = [every_second(pulses, first) for first in (0, 1)]
    assert [len(half.line) for half in halves] == [51, 50]
    both = np.concatenate([half.position for half in halves])
    np.testing.assert_array_equal(np.sort(both), np.sort(pulses.position))
    np.testing.assert_array_equal(halves[1].lever, pulses.lever[:, 1::2])


def test_an_effect_raises_the_likelihood_of_the_other_half():
    result = cross_validate(shifted_pulses(shift=8.0), TABLES, NO_PRIOR, ZERO)
    np.testing.assert_allclose(result.parameters, [8.0], atol=2.0)
    # expected: half the sum of (shift x lever / sigma)^2
    assert result.gain == pytest.approx(0.5 * 4000 * (8.0 / SIGMA) ** 2, rel=0.2)


def test_without_an_effect_the_other_half_gains_nothing():
    gains = [
        cross_validate(shifted_pulses(0.0, seed=seed), TABLES, NO_PRIOR, ZERO).gain
        for seed in range(20)
    ]
    assert np.mean(gains) < 0  # on average each parameter costs one half a fit
    assert max(gains) < 5.0


def test_values_less_their_mean_over_each_line():
    rng = np.random.default_rng(2)
    line = rng.integers(0, 3, 50)
    values = rng.normal(1.0, 1.0, (2, 50))
    expected = values.copy()
    for k in range(3):
        expected[:, line == k] -= expected[:, line == k].mean(axis=1, keepdims=True)
    subtract_line_means(values, line, 5)  # two lines without pulses
    np.testing.assert_allclose(values, expected, atol=1e-14)
