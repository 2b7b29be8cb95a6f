"""Lags of the clocks of pixels, from rates that they share."""

import numpy as np
import pytest

from rixs_pipeline.core.timing.pixel_lags import fit_lags

MARGIN = 40
N_BINS = 400


def windows(lags, seed=0, rate=3.0, n_windows=3):
    """Counts of scans: beam in the middle, with a step within it."""
    rng = np.random.default_rng(seed)
    time = np.arange(N_BINS + 4 * MARGIN) - 2 * MARGIN
    is_on = (time >= 0) & (time < N_BINS)
    shape = np.where(is_on, 1 + 0.5 * (time > N_BINS / 2), 0.02)
    rates = [rate * np.roll(shape, lag) for lag in lags]
    return [rng.poisson(rates).astype(float) for _ in range(n_windows)]


@pytest.mark.parametrize("late", [[3], [1, 5], [0, 2, 4]])
@pytest.mark.parametrize("lag", [-12, -4, 4, 12])
def test_lags_are_found(late, lag):
    lags = [lag if pixel in late else 0 for pixel in range(6)]
    fit = fit_lags(windows(lags), MARGIN)
    difference = fit.lag[late].mean() - np.delete(fit.lag, late).mean()
    assert difference == pytest.approx(lag, abs=1.0)
    assert (fit.log_ratio > 18).any()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rate", [0.3, 1.0, 5.0])
def test_one_clock(seed, rate):
    fit = fit_lags(windows([0] * 8, seed, rate), MARGIN)
    assert not ((fit.log_ratio > 18) & (np.abs(fit.lag) >= 2)).any()


def test_without_photons_nothing_is_said():
    fit = fit_lags([np.zeros((3, 200))], MARGIN)
    assert not fit.lag.any()
    assert not fit.log_ratio.any()


def test_a_pixel_without_photons_in_one_window_has_no_lag():
    counts = windows([0, 0, 12, 0])
    counts[1][2] = 0
    fit = fit_lags(counts, MARGIN)
    assert fit.log_ratio[2] == 0
