"""Mean of measurements of different precision."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray


@dataclass(frozen=True)
class WeightedMean:
    """A mean value and its standard deviation `error`."""

    value: float
    error: float


def weighted_mean(values: FloatArray, errors: FloatArray) -> WeightedMean:
    """Return the mean of independent measurements, weighted by 1 / error^2.

    Parameters
    ----------
    values, errors : (n,) f8
        Measurements and their standard deviations, all finite, errors positive.

    Returns
    -------
    WeightedMean
        sum(w x) / sum(w) with w = 1 / error^2, and its error 1 / sqrt(sum(w)).
    """
    weights = errors**-2
    mean = np.average(values, weights=weights)
    return WeightedMean(float(mean), float(weights.sum() ** -0.5))
