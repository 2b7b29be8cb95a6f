"""Differences of samples, and the strength of a feature in each."""

import numpy as np
import pytest

from rixs_pipeline.core.spectra.amplitudes import SpectrumPoints
from rixs_pipeline.core.spectra.sample_comparison import (
    FeatureChanges,
    FeatureSpectra,
    FeatureWindows,
    IntensityScale,
    SampleIntensities,
    compare_amplitudes,
    mean_emission_energy,
)

WINDOWS = FeatureWindows(np.array([True, True, False, False]))
NO_CHANGE = FeatureChanges(np.zeros(4))


def spectra(height, error=0.1):
    intensity = np.array([height, height, 1.0, 1.0])
    return FeatureSpectra(SpectrumPoints(intensity, np.full(4, error)))


def scale(divisor=1.0, relative_error=0.0):
    return IntensityScale(np.array([1.0, divisor]), np.array([0.0, relative_error]))


def test_intensities_are_divided_before_they_are_subtracted():
    intensities = SampleIntensities(
        np.array([[1.0, 2.0], [4.0, 8.0]]), np.array([[0.3, 0.3], [0.8, 0.8]])
    )
    difference = intensities.divide(np.array([1.0, 2.0])).differences()
    np.testing.assert_allclose(difference.intensity, [[1.0, 2.0]])
    np.testing.assert_allclose(difference.errors, [[0.5, 0.5]])


def test_the_ratio_is_that_of_the_scaled_amplitudes():
    samples = [spectra(2.0), spectra(8.0)]
    compared = compare_amplitudes(samples, WINDOWS, scale(divisor=2.0), [NO_CHANGE])
    np.testing.assert_allclose(compared.amplitude, [2.0, 8.0])
    np.testing.assert_allclose(compared.errors, 0.1 / np.sqrt(2))
    assert compared.ratio[0] == pytest.approx(2.0, rel=0.01)
    assert compared.lower[0] < 2.0 < compared.upper[0]


@pytest.mark.parametrize(
    ("options", "change"),
    [({"relative_error": 0.2}, 0.0), ({}, 0.2)],
    ids=["common factor", "energy-scale offset"],
)
def test_common_errors_widen_the_interval(options, change):
    samples = [spectra(2.0), spectra(2.0)]
    plain = compare_amplitudes(samples, WINDOWS, scale(), [NO_CHANGE])
    changes = [FeatureChanges(np.full(4, change))]
    wide = compare_amplitudes(samples, WINDOWS, scale(**options), changes)
    assert wide.upper[0] - wide.lower[0] > 3 * (plain.upper[0] - plain.lower[0])
    np.testing.assert_allclose(wide.amplitude, plain.amplitude)


def test_the_rest_is_subtracted_at_equal_baseline():
    region = SpectrumPoints(np.array([5.0, 5.0, 2.0, 2.0]), np.full(4, 0.1))
    rest = SpectrumPoints(np.array([1.5, 1.5, 1.0, 1.0]), np.full(4, 0.1))
    samples = [FeatureSpectra(region, rest)] * 2
    windows = FeatureWindows(WINDOWS.feature, ~WINDOWS.feature)
    changes = [FeatureChanges(np.zeros(4), np.zeros(4))]
    compared = compare_amplitudes(samples, windows, scale(), changes)
    np.testing.assert_allclose(compared.amplitude, 5.0 - 2.0 * 1.5)


def test_the_mean_emission_energy_is_weighted_by_counts_in_the_region():
    counts, weights = np.array([[1, 3, 9], [0, 0, 9]]), np.array([[1.0, 1.0, 0.0]] * 2)
    energy = mean_emission_energy(counts, weights, np.array([500.0, 504.0, 600.0]))
    assert energy == pytest.approx(503.0)
    assert mean_emission_energy(0 * counts, weights, np.ones(3)) == 0.0
