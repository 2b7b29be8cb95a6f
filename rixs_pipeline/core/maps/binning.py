"""Bins: exact indices, time windows as slices, and the two-dimensional histogram of scan point and energy."""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import ConfigError

_BLOCK = 1 << 15  # events binned at a time: the temporaries stay in the cache


def emission_edges(limits: tuple[float, float], step: float) -> NDArray[np.float64]:
    """Edges of uniform bins, f8 (bin + 1,): `low + (high - low) / n * k`, the last exactly `high`; all in eV.

    Raises:
        ConfigError: the limits do not hold a whole number of bins.
    """
    low, high = limits
    number = round((high - low) / step)
    if number < 1 or abs((high - low) / step - number) > 1e-6:
        raise ConfigError(
            f"[{low:g}, {high:g}] does not hold a whole number of bins of {step:g} eV: change one of them"
        )
    edges: NDArray[np.float64] = low + np.float64((high - low) / number) * np.arange(
        number + 1
    )
    edges[-1] = high
    return edges


def uniform(edges: NDArray[np.float64]) -> tuple[float, float, float]:
    """Lowest edge, step and highest edge of `emission_edges`, eV: bit by bit those that the edges are made of."""
    return (
        float(edges[0]),
        float((edges[-1] - edges[0]) / (len(edges) - 1)),
        float(edges[-1]),
    )


def bin_index(
    values: NDArray[np.floating], edges: NDArray[np.float64]
) -> NDArray[np.intp]:
    """The bin of every value, int (value,): `edges[i] <= value < edges[i + 1]`; -1 below, above and for NaN.

    Exact for every float: the bin guessed from the mean step is compared with the edges themselves and moved by one
    where rounding put it wrong. `edges` f8 (bin + 1,) ascend; where they are not uniform they are searched instead.
    """
    low, high, number = edges[0], edges[-1], len(edges) - 1
    inside = (values >= low) & (values < high)
    value = values[inside].astype(np.float64, copy=False)
    step = (high - low) / number
    if np.abs(edges - (low + step * np.arange(number + 1))).max() < 0.25 * step:
        found = np.minimum(((value - low) / step).astype(np.intp), number - 1)
        found += value >= edges[1:][found]
        found -= value < edges[found]
    else:
        found = np.searchsorted(edges, value, side="right") - 1
    index = np.full(len(values), -1, np.intp)
    index[inside] = found
    return index


def point_slices(
    time_ns: NDArray[np.int64], start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The events of each point as slices `first:stop` of the events, i8 (point,) each.

    `time_ns` i8 (event,) ascends; windows `start_ns`, `end_ns` i8 (point,) are half open: `start <= time < end`.
    All are integer ns since 1970, so that nothing is lost to rounding.
    """
    first = np.searchsorted(time_ns, start_ns, side="left")
    stop = np.searchsorted(time_ns, end_ns, side="left")
    return first.astype(np.int64), np.maximum(first, stop).astype(np.int64)


def inside(
    first: NDArray[np.int64], stop: NDArray[np.int64], n: int
) -> NDArray[np.bool_]:
    """Which of `n` events lie in any point, bool (event,); points as slices `first:stop`, i8 (point,) each."""
    change = np.zeros(n + 1, np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, stop, -1)
    return np.asarray(np.cumsum(change[:-1]) > 0)


def histogram_points(
    energy: NDArray[np.floating],
    first: NDArray[np.int64],
    stop: NDArray[np.int64],
    edges: NDArray[np.float64],
    out: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Counts of every point and bin, i8 (point, bin).

    `energy` (event,) in order of time, NaN where a cut took the event; point j holds the events `first[j]:stop[j]`
    (from `point_slices`); `edges` f8 (bin + 1,). The incident axis is the number of the point, never a float.
    `out`, i8 (point, bin), C order, is added to where given (pixel after pixel into one map) and returned.
    """
    shape = len(first), len(edges) - 1
    counts = np.zeros(shape, np.int64) if out is None else out
    if counts.shape != shape or not counts.flags.c_contiguous:
        raise ValueError(f"out has shape {counts.shape}: needs {shape}, in C order")
    end = np.cumsum(
        stop - first
    )  # where each point ends in the row of all events that lie in a point
    shift = stop - end
    total = int(end[-1]) if len(end) else 0
    for begin in range(0, total, _BLOCK):
        row = np.arange(begin, min(begin + _BLOCK, total))
        point = np.searchsorted(end, row, side="right")
        found = bin_index(energy[row + shift[point]], edges)
        inside = found >= 0
        np.add.at(counts.reshape(-1), point[inside] * shape[1] + found[inside], 1)
    return counts
