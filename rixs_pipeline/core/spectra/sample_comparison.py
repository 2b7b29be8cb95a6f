"""Spectra of several samples relative to the first: differences, strength of a feature.

Arrays of samples have the first sample in row 0; what is `compared` with it follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.spectra.amplitudes import (
    Amplitude,
    SpectrumPoints,
    amplitude_ratio,
    equality_p,
    feature_amplitude,
)
from rixs_pipeline.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class SampleIntensities:
    """Intensity of a region in several samples, and its standard deviation `errors`.

    Both (sample, point) f8 on shared energies; NaN where a sample has no such point.
    """

    intensity: FloatArray
    errors: FloatArray

    def divide(self, divisor: FloatArray) -> "SampleIntensities":
        """Return the intensities over a number for each sample (sample,)."""
        column = divisor[:, None]
        return SampleIntensities(self.intensity / column, self.errors / column)

    def select(self, points: BoolArray) -> "SampleIntensities":
        """Return the intensities at some points (point,)."""
        intensity = self.intensity[:, points]
        errors = self.errors[:, points]
        return SampleIntensities(intensity, errors)

    def differences(self) -> "SampleIntensities":
        """Return each sample less the first one, (compared, point)."""
        difference = self.intensity[1:] - self.intensity[0]
        errors = np.hypot(self.errors[1:], self.errors[0])
        return SampleIntensities(difference, errors)


@dataclass(frozen=True)
class IntensityScale:
    """What the intensity of each sample is divided by to be comparable.

    `divisors` (sample,), 1 for the first one, and their `relative_errors` (sample,).
    """

    divisors: FloatArray
    relative_errors: FloatArray


@dataclass(frozen=True)
class FeatureWindows:
    """Points (point,) of a feature, and those of a baseline without it, if any."""

    feature: BoolArray
    baseline: BoolArray | None = None


@dataclass(frozen=True)
class FeatureSpectra:
    """Spectra of one sample that show how strong a feature is.

    Attributes
    ----------
    region : SpectrumPoints
        The spectrum with the feature.
    rest : SpectrumPoints or None
        The spectrum that shows everything else, on the same points.
    """

    region: SpectrumPoints
    rest: SpectrumPoints | None = None

    def change(self, changes: "FeatureChanges", sign: int) -> "FeatureSpectra":
        """Return the spectra after a relative change, up (1) or down (-1)."""
        region = _scaled(self.region, 1 + sign * changes.region)
        if self.rest is None or changes.rest is None:
            return FeatureSpectra(region)
        return FeatureSpectra(region, _scaled(self.rest, 1 + sign * changes.rest))


@dataclass(frozen=True)
class FeatureChanges:
    """Relative changes (point,) of `FeatureSpectra` by the energy-scale offset.

    They are for one standard deviation of the offset; 0 where that is unknown.
    """

    region: FloatArray
    rest: FloatArray | None = None


@dataclass(frozen=True)
class ComparedAmplitudes:
    """Strength of a feature in several samples.

    Attributes
    ----------
    amplitude, errors : (sample,) f8
        Mean intensity and its standard deviation, in the unit of each spectrum.
    ratio, lower, upper : (compared,) f8
        Ratio to the first sample and the ends of its 95 % interval.
    p : (compared,) f8
        Chance of such a ratio, or one farther from 1, if it is 1.
    """

    amplitude: FloatArray
    errors: FloatArray
    ratio: FloatArray
    lower: FloatArray
    upper: FloatArray
    p: FloatArray


def compare_amplitudes(
    samples: Sequence[FeatureSpectra],
    windows: FeatureWindows,
    scale: IntensityScale,
    changes: Sequence[FeatureChanges],
) -> ComparedAmplitudes:
    """Compare the strength of a feature in several samples with the first one.

    Parameters
    ----------
    samples
        Spectra of each sample, all finite, on the same points.
    windows
        Where the feature is, and where it is absent.
    scale
        What the intensities are divided by.
    changes
        For each compared sample: how its spectra change with the energy-scale offset.

    Returns
    -------
    ComparedAmplitudes
        The error of a ratio includes the common factor and the energy-scale offset.

    Raises
    ------
    ValueError
        No point in a window, or no intensity in the baseline.
    """
    measured = [_amplitude(spectra, windows) for spectra in samples]
    errors = np.array([amplitude.error for amplitude in measured])
    ratios, p_values = [], []
    for row, change in enumerate(changes, start=1):
        raised_spectra = samples[row].change(change, 1)
        lowered_spectra = samples[row].change(change, -1)
        raised = _amplitude(raised_spectra, windows)
        lowered = _amplitude(lowered_spectra, windows)
        offset_error = (raised.value - lowered.value) / 2
        value = measured[row].value
        factor_error = value * scale.relative_errors[row]
        variance = errors[row] ** 2 + factor_error**2 + offset_error**2
        divisor = scale.divisors[row]
        error = float(np.sqrt(variance))
        scaled = Amplitude(value / divisor, error / divisor)
        ratios.append(amplitude_ratio(scaled, measured[0]))
        p_values.append(equality_p(scaled, measured[0]))
    return ComparedAmplitudes(
        amplitude=np.array([amplitude.value for amplitude in measured]),
        errors=errors,
        ratio=np.array([ratio.value for ratio in ratios]),
        lower=np.array([ratio.lower for ratio in ratios]),
        upper=np.array([ratio.upper for ratio in ratios]),
        p=np.array(p_values),
    )


def mean_emission_energy(
    counts: IntArray, weights: FloatArray, emission: FloatArray
) -> float:
    """Return the mean emission energy of the counts in a region, eV.

    Parameters
    ----------
    counts : (point, bin) i8
    weights : (point, bin) f8
        Share of each bin in the region.
    emission : (bin,) f8
        Centres of the bins, eV.

    Returns
    -------
    float
        0 where the region has no counts.
    """
    spectrum = (weights * counts).sum(axis=0)
    moment = float(spectrum @ emission)
    total = max(float(spectrum.sum()), 1.0)
    return moment / total


def _scaled(spectrum: SpectrumPoints, factor: FloatArray) -> SpectrumPoints:
    return replace(spectrum, intensity=spectrum.intensity * factor)


def _amplitude(spectra: FeatureSpectra, windows: FeatureWindows) -> Amplitude:
    return feature_amplitude(
        spectra.region, windows.feature, windows.baseline, spectra.rest
    )
