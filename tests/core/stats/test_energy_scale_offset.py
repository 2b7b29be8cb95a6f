"""Difference of the scales of two samples, and its effect on the counts of a region."""

import numpy as np
import pytest

from rixs_pipeline.core.stats.energy_scale_offset import (
    mean_gains,
    relative_slope,
    scale_difference,
)
from tests.core.spectra.builders import make_region

EDGES = np.arange(500.0, 545.1, 0.5)
INCIDENT = np.array([530.0, 540.0])


def line(centre, counts=1e6, sigma=1.5):
    """Counts (point, bin) of a Gaussian line at both points."""
    density = np.exp(-0.5 * (((EDGES[1:] + EDGES[:-1]) / 2 - centre) / sigma) ** 2)
    return np.round(counts * density / density.sum() * np.ones((2, 1))).astype(np.int64)


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


def test_a_window_on_a_flank_gains_what_the_line_brings():
    region = make_region(kind="spfy", emission=(522.0, 523.0))
    slope = relative_slope(line(525.0), region, INCIDENT, EDGES, along_emission=False)
    inside = [
        (line(525.0 + s)[0] * ((EDGES[:-1] >= 522) & (EDGES[1:] <= 523))).sum()
        for s in (-0.5, 0.0, 0.5)
    ]
    assert inside[0] > inside[2]
    assert slope == pytest.approx((inside[2] - inside[0]) / inside[1], rel=0.02)


def test_along_the_emission_a_line_falls_before_it_and_rises_behind():
    region = make_region(kind="xes", emission=(515.0, 535.0))
    slope = relative_slope(line(525.0), region, INCIDENT, EDGES, along_emission=True)
    energy = (EDGES[1:] + EDGES[:-1]) / 2
    near = np.abs(energy - 525) < 2
    assert slope[near] == pytest.approx((energy[near] - 525) / 1.5**2, abs=0.05)
    assert not slope[(energy < 515) | (energy > 535)].any()


def test_few_counts_make_no_steep_slope():
    counts = np.zeros((2, len(EDGES) - 1), np.int64)
    counts[0, 50] = 1
    region = make_region(kind="xes", emission=(515.0, 535.0))
    slope = relative_slope(counts, region, INCIDENT, EDGES, along_emission=True)
    assert np.abs(slope).max() <= 1.0
