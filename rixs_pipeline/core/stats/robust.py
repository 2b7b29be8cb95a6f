"""Centre and spread of values, unchanged by a few outliers."""

from typing import NamedTuple

import numpy as np

from rixs_pipeline.types import FloatArray

# Standard deviation of a Gaussian over its median absolute deviation, 1 / Phi^-1(3/4):
# P. J. Rousseeuw, C. Croux, J. Am. Stat. Assoc. 88, 1273 (1993).
SIGMA_PER_MAD = 1.4826


class Range(NamedTuple):
    """A closed interval of values."""

    low: float
    high: float


def robust_sigma(values: FloatArray) -> float:
    """Return the standard deviation of the bulk of finite values (n,); NaN without any.

    It is the median absolute deviation from the median, scaled to that of a Gaussian.
    """
    if not len(values):
        return np.nan
    deviations = np.abs(values - np.median(values))
    return SIGMA_PER_MAD * float(np.median(deviations))
