"""Strength of a feature in a spectrum, and relative to that in another, with errors."""

import math
from dataclasses import dataclass

from rixs_pipeline.types import BoolArray, FloatArray

DEVIATIONS_95 = 1.959964  # standard deviations of a two-sided 95 % interval


@dataclass(frozen=True)
class Amplitude:
    """Strength of a feature and one standard deviation, in units of the spectrum."""

    value: float
    error: float


@dataclass(frozen=True)
class AmplitudeRatio:
    """Ratio of two amplitudes and the ends of its 95 % interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class _Mean:
    """Mean intensity over points and its variance."""

    value: float
    variance: float


@dataclass(frozen=True)
class SpectrumPoints:
    """The points of a spectrum that are used: f8 (point,), all finite."""

    intensity: FloatArray
    errors: FloatArray

    def mean(self, points: BoolArray) -> _Mean:
        """Return the mean of points: unweighted, so that exposures do not move it."""
        mean = self.intensity[points].mean()
        sum_variance = (self.errors[points] ** 2).sum()
        return _Mean(float(mean), float(sum_variance / points.sum() ** 2))


def feature_amplitude(
    spectrum: SpectrumPoints,
    window: BoolArray,
    baseline: BoolArray | None = None,
    rest: SpectrumPoints | None = None,
) -> Amplitude:
    """Return the amplitude of a feature of a spectrum.

    Parameters
    ----------
    spectrum : SpectrumPoints
        Of n points.
    window : bool (n,)
        Where the feature is.
    baseline : bool (n,) or None
        Where it is absent.
    rest : SpectrumPoints or None
        Everything but the feature, at the same points: another region's spectrum.
        Used with a baseline only.

    Returns
    -------
    Amplitude
        Its error by first-order propagation.

    Raises
    ------
    ValueError
        No points in a window, or no intensity in the baseline.

    Notes
    -----
    With m the mean over points:

    - without baseline: a = m(window)
    - with a baseline: a = m(window) - m(baseline)
    - with the rest as well, scaled so that both agree in the baseline:
      a = m(window) - k m_rest(window),  k = m(baseline) / m_rest(baseline)
    """
    if not window.any():
        raise ValueError("no points in the feature's window; widen `window`")
    signal = spectrum.mean(window)
    if baseline is None:
        return Amplitude(signal.value, math.sqrt(signal.variance))
    if not baseline.any():
        raise ValueError("no points in the feature's baseline window; widen `baseline`")
    level = spectrum.mean(baseline)
    if rest is None:
        error = math.sqrt(signal.variance + level.variance)
        return Amplitude(signal.value - level.value, error)
    rest_signal = rest.mean(window)
    rest_level = rest.mean(baseline)
    if rest_level.value <= 0 or level.value <= 0:
        raise ValueError("no counts in the feature's baseline window; widen `baseline`")
    factor = level.value / rest_level.value
    relative_variance = level.variance / level.value**2
    relative_variance += rest_level.variance / rest_level.value**2
    factor_variance = rest_signal.value**2 * relative_variance
    variance = signal.variance
    variance += factor**2 * (rest_signal.variance + factor_variance)
    value = signal.value - factor * rest_signal.value
    return Amplitude(value, math.sqrt(variance))


def amplitude_ratio(numerator: Amplitude, denominator: Amplitude) -> AmplitudeRatio:
    """Return the ratio of two independent amplitudes.

    Parameters
    ----------
    numerator, denominator : Amplitude
        a +- sigma_a and b +- sigma_b.

    Returns
    -------
    AmplitudeRatio
        The interval is (-inf, inf) where the denominator is consistent with 0.

    Notes
    -----
    r = a b / (b^2 + sigma_b^2), which lacks the bias +sigma_b^2 / b^2 of a / b (for
    counts it is a / (b + 1)). Interval: E. C. Fieller, J. R. Stat. Soc. B 16, 175
    (1954).
    """
    a, b = numerator.value, denominator.value
    sigma_a, sigma_b = numerator.error, denominator.error
    value = math.nan
    if b or sigma_b:
        value = a * b / (b**2 + sigma_b**2)
    g = (DEVIATIONS_95 * sigma_b / b) ** 2 if b else math.inf
    if g >= 1:
        return AmplitudeRatio(value, -math.inf, math.inf)
    plain = a / b
    spread = sigma_a**2 * (1 - g) + plain**2 * sigma_b**2
    half_width = DEVIATIONS_95 / abs(b) * math.sqrt(spread)
    return AmplitudeRatio(
        value=value,
        lower=(plain - half_width) / (1 - g),
        upper=(plain + half_width) / (1 - g),
    )


def equality_p(first: Amplitude, second: Amplitude) -> float:
    """Return the p value of two independent amplitudes being equal.

    Parameters
    ----------
    first, second : Amplitude
        With normal errors.

    Returns
    -------
    float
        Two-sided; NaN where neither has an error.
    """
    spread = math.hypot(first.error, second.error)
    if not spread > 0:
        return math.nan
    deviations = abs(first.value - second.value) / spread
    return math.erfc(deviations / math.sqrt(2))
