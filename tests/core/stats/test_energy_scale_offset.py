"""Difference of the scales of two samples."""

import numpy as np
import pytest

from rixs_pipeline.core.stats.energy_scale_offset import mean_gains, scale_difference


def test_deviation_is_that_of_the_mean_of_drifting_pixels():
    rng = np.random.default_rng(1)
    photons = rng.uniform(500, 2000, 12)
    weight = photons / photons.sum()
    deviations, shifts = [], []
    for _ in range(600):
        drift = rng.normal(0, 2e-4, 12)
        shifts.append(weight @ drift)
        relative = drift - weight @ drift  # the shift of the mean is not observed
        difference = scale_difference(relative + 1e-3, np.full(12, 1e-3), photons)
        deviations.append(difference.deviation)
    rms = np.sqrt(np.mean(np.square(deviations)))
    assert rms == pytest.approx(np.std(shifts), rel=0.12)
    assert difference.freedom == 11


def test_few_pixels_have_no_deviation():
    few = np.arange(3.0)
    difference = scale_difference(few, 2 * few, np.ones(3))
    assert difference.freedom == 0
    assert np.isnan(difference.deviation)


def test_gains_of_passes_are_weighted_by_photons_and_unknown_ones_left_out():
    pixels = [np.array([1, 3, 5]), np.array([3, 1])]
    gains = [np.array([1e-4, 2e-4, np.nan]), np.array([4e-4, np.nan])]
    means = mean_gains(pixels, gains, [np.array([10, 30, 7]), np.array([10, 20])])
    assert means.pixel.tolist() == [1, 3]
    assert means.gain == pytest.approx([1e-4, 2.5e-4])
    assert means.photons.tolist() == [10, 40]
