"""Amplitudes of a feature against what they were made from."""

import numpy as np
import pytest

from rixs_pipeline.core.spectra.amplitudes import (
    Amplitude,
    AmplitudeRatio,
    SpectrumPoints,
    amplitude_ratio,
    equality_p,
    feature_amplitude,
)

ENERGY = np.arange(526.0, 550.0, 0.25)
WINDOW, BASELINE = (ENERGY >= 530) & (ENERGY < 532), ENERGY >= 534
REST = 0.3 + 1 / (1 + np.exp(534 - ENERGY))
FEATURE = np.where(WINDOW, 0.4, 0.0)


def measured(truth, exposure, rng):
    counts = rng.poisson(truth * exposure)
    return SpectrumPoints(counts / exposure, np.sqrt(counts) / exposure)


def amplitude(rng, strength, exposure):
    spectrum = measured(REST + strength * FEATURE, exposure, rng)
    return feature_amplitude(
        spectrum, WINDOW, BASELINE, measured(2 * REST, exposure, rng)
    )


def test_the_rest_is_taken_out_and_the_error_holds():
    rng = np.random.default_rng(1)
    found = [amplitude(rng, 1.0, 300.0) for _ in range(400)]
    pulls = np.array([(a.value - 0.4) / a.error for a in found])
    assert abs(pulls.mean()) < 4 / 20
    assert pulls.std() == pytest.approx(1, abs=4 / np.sqrt(800))


def test_the_ratio_of_amplitudes_is_unbiased_and_its_interval_covers():
    rng = np.random.default_rng(2)
    found = [
        amplitude_ratio(amplitude(rng, 1.4, 60.0), amplitude(rng, 1.0, 60.0))
        for _ in range(600)
    ]
    value, lower, upper = np.array([(r.value, r.lower, r.upper) for r in found]).T
    assert value.mean() == pytest.approx(
        1.4, abs=0.02 * 1.4 + 4 * value.std() / np.sqrt(600)
    )
    assert np.mean((lower < 1.4) & (upper > 1.4)) == pytest.approx(
        0.95, abs=4 * np.sqrt(0.95 * 0.05 / 600)
    )


def test_a_window_alone_and_with_a_flat_baseline():
    spectrum = SpectrumPoints(1 + FEATURE, np.full(len(ENERGY), 0.1))
    alone = feature_amplitude(spectrum, WINDOW)
    assert alone.value == pytest.approx(1.4)
    assert alone.error == pytest.approx(0.1 / np.sqrt(WINDOW.sum()))
    assert feature_amplitude(spectrum, WINDOW, BASELINE).value == pytest.approx(0.4)


def test_a_denominator_that_may_be_zero_has_no_interval():
    uncertain = amplitude_ratio(Amplitude(1.0, 0.1), Amplitude(0.1, 0.1))
    assert (uncertain.lower, uncertain.upper) == (-np.inf, np.inf)
    exact = amplitude_ratio(Amplitude(3.0, 0.0), Amplitude(2.0, 0.0))
    assert exact == AmplitudeRatio(1.5, 1.5, 1.5)


def test_windows_without_points_are_refused():
    spectrum, none = (SpectrumPoints(1 + FEATURE, FEATURE), np.zeros(len(ENERGY), bool))
    with pytest.raises(ValueError, match="no points in the feature's window"):
        feature_amplitude(spectrum, none)
    with pytest.raises(ValueError, match="no counts in the feature's baseline window"):
        feature_amplitude(
            spectrum, WINDOW, BASELINE, SpectrumPoints(0 * FEATURE, FEATURE)
        )


def test_equal_amplitudes_have_uniform_p():
    from scipy import stats

    rng = np.random.default_rng(4)
    pairs = [
        (amplitude(rng, 1.0, 200.0), amplitude(rng, 1.0, 400.0)) for _ in range(300)
    ]
    p = np.array([equality_p(first, second) for first, second in pairs])
    assert np.sum(p < 0.05) <= 25
    assert stats.kstest(p, "uniform").pvalue > 0.005
    assert equality_p(Amplitude(2.0, 0.1), Amplitude(1.0, 0.1)) < 1e-10
