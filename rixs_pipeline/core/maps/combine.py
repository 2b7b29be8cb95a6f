"""Passes of one sample and edge become one map: sums of counts and of exposures on shared incident points."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def common_grid(
    scans: Sequence[NDArray[np.float64]], tolerance: float = 1e-3
) -> NDArray[np.float64] | None:
    """The incident energies that the scans share, f8 ascending in eV; None where their grids differ.

    `scans`: the points (point,) of each pass, in any direction; repeated energies are one point. Points within
    `tolerance` eV are the same. A pass may cover a part of the range (an aborted one), but it must have every point
    of the others within its own range: where it lacks one, or points chain into a cluster wider than the tolerance,
    the grids differ and the passes want bins (`midpoint_bins`).
    """
    grid, width = _merge(np.concatenate(scans), tolerance)
    if np.any(width > tolerance):
        return None
    longest = max(scans, key=len)
    if len(np.unique(group_points(longest, grid, tolerance))) == len(grid):
        return grid  # one pass has all the points; what others lack they just do not add to
    for scan in scans:
        index = np.unique(group_points(scan[np.isfinite(scan)], grid, tolerance))
        if np.any(np.diff(index) != 1):
            return None
    return grid


def midpoint_bins(
    incident: NDArray[np.float64], tolerance: float = 1e-3
) -> NDArray[np.float64]:
    """Edges (point + 1,) in eV of bins around the points of one pass: halfway between, symmetric at the ends.

    `incident` (point,) in any direction, repeats allowed. Take the pass with the most points; then `binning.bin_index`
    puts the points of all passes into these bins.

    Raises:
        ValueError: fewer than two different points, which have no width.
    """
    grid, _ = _merge(incident, tolerance)
    if len(grid) < 2:
        raise ValueError(
            "bins around the points of a pass need two different points at least"
        )
    middle = (grid[1:] + grid[:-1]) / 2
    return np.concatenate(
        [[2 * grid[0] - middle[0]], middle, [2 * grid[-1] - middle[-1]]]
    )


def group_points(
    incident: NDArray[np.float64], grid: NDArray[np.float64], tolerance: float = 1e-3
) -> NDArray[np.intp]:
    """The place of each point on a grid of `common_grid`, int (point,); -1 farther than `tolerance` eV from all."""
    if not len(grid):
        return np.full(len(incident), -1, np.intp)
    right = np.minimum(np.searchsorted(grid, incident), len(grid) - 1)
    left = np.maximum(right - 1, 0)
    index = np.where(np.abs(incident - grid[left]) <= tolerance, left, right)
    return np.where(np.abs(incident - grid[index]) <= tolerance, index, -1)


def add(
    values: Sequence[NDArray[Any]], indices: Sequence[NDArray[np.intp]], n: int
) -> NDArray[Any]:
    """Sum of the passes on `n` incident points, (n, ...): integers as i8, exactly; floats as f8.

    Nothing is interpolated. `values` (point, ...) and `indices` (point,) of each pass; an index of -1 (off the grid,
    no beam, excluded) leaves the point out.
    """
    kind = np.result_type(np.int64, *values)
    total = np.zeros((n, *values[0].shape[1:]), kind)
    for value, index in zip(values, indices, strict=True):
        np.add.at(total, index[index >= 0], value[index >= 0])
    return total


def weighted_mean(
    values: Sequence[NDArray[np.float64]],
    live_time_s: Sequence[NDArray[np.float64]],
    indices: Sequence[NDArray[np.intp]],
    n: int,
) -> NDArray[np.float64]:
    """Mean of a reading such as I0 over the passes, weighted by live time, f8 (n,); NaN where there is none.

    `values`, `live_time_s`, `indices` (point,) of each pass; a missing reading (NaN) is left out with its weight.
    """
    weights = [
        np.where(np.isnan(value), 0.0, live)
        for value, live in zip(values, live_time_s, strict=True)
    ]
    weighted = [
        np.nan_to_num(value) * weight
        for value, weight in zip(values, weights, strict=True)
    ]
    total, weight = add(weighted, indices, n), add(weights, indices, n)
    return np.asarray(
        np.divide(total, weight, out=np.full(n, np.nan), where=weight > 0)
    )


def _merge(
    values: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Clusters of values whose gaps are within the tolerance: the middle value of each and its width, (cluster,)."""
    ordered = np.sort(values[np.isfinite(values)])
    first = np.flatnonzero(np.diff(ordered, prepend=-np.inf) > tolerance)
    last = np.append(first[1:], len(ordered)) - 1 if len(first) else first
    return ordered[(first + last) // 2], ordered[last] - ordered[first]
