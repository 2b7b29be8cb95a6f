"""Passes of one sample and edge become one map: sums on shared incident points."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import FloatArray


def add(
    values: Sequence[NDArray[Any]], indices: Sequence[NDArray[np.intp]], n_points: int
) -> NDArray[Any]:
    """Return the sum of passes on shared incident points; nothing is interpolated.

    Parameters
    ----------
    values
        (point, ...) of each pass.
    indices
        Place of each point of a pass on the shared points, (point,); -1 leaves the
        point out (off the grid, no beam, excluded).
    n_points
        Number of shared points.

    Returns
    -------
    array
        (n_points, ...): integers as i8, exactly; floats as f8.
    """
    kind = np.result_type(np.int64, *values)
    shape = (n_points, *values[0].shape[1:])
    total = np.zeros(shape, kind)
    all_places = np.arange(n_points)
    for value, index in zip(values, indices, strict=True):
        if np.array_equal(index, all_places):  # most passes: no copies
            total += value
            continue
        is_placed = index >= 0
        places = index[is_placed]
        np.add.at(total, places, value[is_placed])
    return total


def weighted_mean(
    values: Sequence[FloatArray],
    live_time: Sequence[FloatArray],
    indices: Sequence[NDArray[np.intp]],
    n_points: int,
) -> FloatArray:
    """Return the mean of a reading such as I0 over passes, weighted by live time.

    Parameters
    ----------
    values
        Readings of each pass, (point,); NaN has no weight.
    live_time
        Of each pass, (point,), s.
    indices, n_points
        As in `add`.

    Returns
    -------
    FloatArray
        f8 (n_points,); NaN where there is no reading.
    """
    weights = []
    weighted = []
    for value, seconds in zip(values, live_time, strict=True):
        is_missing = np.isnan(value)
        weight = np.where(is_missing, 0.0, seconds)
        finite = np.nan_to_num(value)
        weights.append(weight)
        weighted.append(finite * weight)
    total = add(weighted, indices, n_points)
    total_weight = add(weights, indices, n_points)
    mean = np.full(n_points, np.nan)
    np.divide(total, total_weight, out=mean, where=total_weight > 0)
    return mean
