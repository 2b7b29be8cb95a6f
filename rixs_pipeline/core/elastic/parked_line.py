"""The elastic line of reference runs: the monochromator is parked, its reading logged.

The line never carries the emission scale. Where it moves between two reference runs
while the emission lines do not, the incident scale has moved.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray

SIGNIFICANT = 5.0  # standard deviations from which on a move is reported
LEAST_MOVE_EV = 0.3  # below, the incident scale is as good as its steps


@dataclass(frozen=True)
class ParkedLine:
    """Mean over pixels and its standard deviation, eV; NaN without a line."""

    value: float
    error: float

    @property
    def is_significant(self) -> bool:
        """Whether, as a move, it is to be reported."""
        is_large = abs(self.value) > LEAST_MOVE_EV
        return bool(is_large and abs(self.value) > SIGNIFICANT * self.error)


NO_LINE = ParkedLine(np.nan, np.nan)


def average_over_pixels(values: FloatArray, errors: FloatArray) -> ParkedLine:
    """Return the mean of what pixels measure.

    Parameters
    ----------
    values, errors : f8 (pixel,)
        Of each pixel, eV; NaN where it has none.

    Returns
    -------
    ParkedLine
        Weighted by 1 / (error^2 + scatter^2), the scatter that of the pixels beyond
        their errors.
    """
    is_known = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    if not is_known.any():
        return NO_LINE
    values, variances = values[is_known], errors[is_known] ** 2
    scatter = 0.0
    if len(values) > 1:
        scatter = max(float(np.var(values, ddof=1) - variances.mean()), 0.0)
    weights = 1 / (variances + scatter)
    weights /= weights.sum()
    mean = float(weights @ values)
    error = float(np.sqrt(weights**2 @ (variances + scatter)))
    n_pixels = len(values)
    if n_pixels > 1:  # the scatter has an error of its own
        deviations = float(np.sqrt(weights**2 @ (values - mean) ** 2))
        error = max(error, deviations * np.sqrt(n_pixels / (n_pixels - 1)))
    return ParkedLine(mean, error)


def move_between(
    first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray]
) -> ParkedLine:
    """Return how far the line moved from one reference run to another.

    Parameters
    ----------
    first, second : pair of f8 (pixel,)
        Values and errors of the same pixels: position - reading, eV.

    Returns
    -------
    ParkedLine
        The mean of the pixels' differences: what their scales share is left out.
    """
    difference = second[0] - first[0]
    return average_over_pixels(difference, np.hypot(first[1], second[1]))
