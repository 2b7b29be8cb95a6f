"""How strong a feature is in a spectrum, and in another one relative to it, with errors."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SIGMAS_95 = 1.959964


@dataclass(frozen=True)
class Measured:
    """A spectrum at the points that count: f8 (point,), all finite."""

    intensity: Floats
    errors: Floats

    def mean(self, where: Mask) -> tuple[float, float]:
        """Mean over points and its variance: each point counts alike, so that exposures do not move it."""
        return float(self.intensity[where].mean()), float(
            (self.errors[where] ** 2).sum() / where.sum() ** 2
        )


def amplitude(
    spectrum: Measured, window: Mask, baseline: Mask | None, rest: Measured | None
) -> tuple[float, float]:
    """Mean intensity of a feature in a window and its standard deviation, in the unit of the spectrum.

    - alone: a = m(window)
    - with a `baseline`, points where the feature is absent: a = m(window) - m(baseline)
    - with the `rest` as well, a spectrum that shows everything but the feature (the same points of another region),
      brought to this one's height where the feature is absent:
      a = m(window) - k m_rest(window),  k = m(baseline) / m_rest(baseline)

    m: means over the points, variances propagated to first order.

    Raises:
        ValueError: a window without points, or a rest without intensity in the baseline.
    """
    value, variance = spectrum.mean(_some(window, "window"))
    if baseline is None:
        return value, float(np.sqrt(variance))
    height, height_variance = spectrum.mean(_some(baseline, "baseline"))
    if rest is None:
        return value - height, float(np.sqrt(variance + height_variance))
    below, below_variance = rest.mean(window)
    level, level_variance = rest.mean(baseline)
    if level <= 0 or height <= 0:
        raise ValueError("no intensity in the baseline")
    factor = height / level
    relative = height_variance / height**2 + level_variance / level**2
    variance += factor**2 * (below_variance + below**2 * relative)
    return value - factor * below, float(np.sqrt(variance))


def _some(where: Mask, what: str) -> Mask:
    if not where.any():
        raise ValueError(f"no point in the {what}")
    return where


def ratio(
    numerator: tuple[float, float],
    denominator: tuple[float, float],
    level: float = _SIGMAS_95,
) -> tuple[float, float, float]:
    """Ratio of two independent amplitudes (value, standard deviation) and the ends of its interval (95 %).

    r = a b / (b^2 + sigma_b^2), which lacks the bias +sigma_b^2 / b^2 of a / b (for counts it is a / (b + 1));
    interval: E. C. Fieller, J. R. Stat. Soc. B 16, 175 (1954). It has no ends (-inf, inf) where the denominator is not
    told from zero.
    """
    (a, sigma_a), (b, sigma_b) = numerator, denominator
    value = a * b / (b**2 + sigma_b**2) if b or sigma_b else np.nan
    g = (level * sigma_b / b) ** 2 if b else np.inf
    if g >= 1:
        return value, -np.inf, np.inf
    plain = a / b
    half = level / abs(b) * np.sqrt(sigma_a**2 * (1 - g) + plain**2 * sigma_b**2)
    return (
        float(value),
        float((plain - half) / (1 - g)),
        float((plain + half) / (1 - g)),
    )


def equal(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Chance of such a difference of two independent amplitudes (value, standard deviation), or a larger one, if they
    are equal: two-sided, normal; NaN where neither has an error."""
    spread = math.hypot(first[1], second[1])
    return (
        math.erfc(abs(first[0] - second[0]) / spread / math.sqrt(2))
        if spread > 0
        else math.nan
    )
