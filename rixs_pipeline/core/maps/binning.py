"""Bins: exact indices, scan points as slices of events, counts of point and energy."""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.maps.kernel_arguments import PointSlices, UniformBins
from rixs_pipeline.errors import ConfigError
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

EVENTS_AT_ONCE = 1 << 15  # binned at a time: the temporaries stay in the cache


def emission_edges(limits: tuple[float, float], step: float) -> FloatArray:
    """Return the edges of uniform bins.

    Parameters
    ----------
    limits
        Lowest and highest edge, eV.
    step
        Width of a bin, eV.

    Returns
    -------
    FloatArray
        `low + (high - low) / n * k`, f8 (bin + 1,), eV; the last is exactly `high`.

    Raises
    ------
    ConfigError
        The range is no multiple of the bin width.
    """
    low, high = limits
    ratio = (high - low) / step
    number = round(ratio)
    if number < 1 or abs(ratio - number) > 1e-6:
        raise ConfigError(
            f"emission range [{low:g}, {high:g}] is not a whole number of bins of "
            f"{step:g} eV; change the range or the bin width"
        )
    width = np.float64((high - low) / number)
    edges: FloatArray = low + width * np.arange(number + 1)
    edges[-1] = high
    return edges


def uniform_bins(edges: FloatArray) -> UniformBins:
    """Return the bins of `emission_edges`, bit by bit as the edges are computed."""
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    lowest = float(edges[0])
    highest = float(edges[-1])
    return UniformBins(lowest, float(width), highest)


def bin_index(values: NDArray[np.floating], edges: FloatArray) -> IntArray:
    """Return the bin of every value: `edges[i] <= value < edges[i + 1]`.

    Exact for every float: the bin guessed from the mean width is compared with the
    edges themselves and corrected by one where rounding put it wrong. Edges that are
    not uniform are searched instead.

    Parameters
    ----------
    values
        (value,)
    edges
        Ascending, f8 (bin + 1,).

    Returns
    -------
    IntArray
        Bin of each value, (value,); -1 below, above and for NaN.
    """
    low = edges[0]
    high = edges[-1]
    number = len(edges) - 1
    is_inside = (values >= low) & (values < high)
    value = values[is_inside].astype(np.float64, copy=False)
    step = (high - low) / number
    uniform_edges = low + step * np.arange(number + 1)
    if np.abs(edges - uniform_edges).max() < 0.25 * step:
        guess = ((value - low) / step).astype(np.intp)
        guess = np.minimum(guess, number - 1)
        guess += value >= edges[1:][guess]
        guess -= value < edges[guess]
        inside_index = guess
    else:
        inside_index = np.searchsorted(edges, value, side="right") - 1
    index = np.full(len(values), -1, np.intp)
    index[is_inside] = inside_index
    return index


def find_point_slices(
    time_ns: IntArray, start_ns: IntArray, end_ns: IntArray
) -> PointSlices:
    """Return the events of each scan point as slices of the events.

    For records mapped from a file `bin_kernel.find_point_slices` reads fewer of them.

    Parameters
    ----------
    time_ns
        Times of the events, i8 (event,), ascending, ns since 1970.
    start_ns, end_ns
        Half-open windows of the points, i8 (point,): start <= time < end.

    Returns
    -------
    PointSlices
        First event of each point and the one after its last.
    """
    first = np.searchsorted(time_ns, start_ns, side="left")
    stop = np.searchsorted(time_ns, end_ns, side="left")
    stop = np.maximum(first, stop)
    return PointSlices(first.astype(np.int64), stop.astype(np.int64))


def is_in_points(points: PointSlices, n_events: int) -> BoolArray:
    """Return which events lie in any scan point.

    Parameters
    ----------
    points
        Events of each point.
    n_events
        Number of events.

    Returns
    -------
    BoolArray
        bool (event,).
    """
    change = np.zeros(n_events + 1, np.int64)
    np.add.at(change, points.first, 1)
    np.add.at(change, points.stop, -1)
    return np.asarray(np.cumsum(change[:-1]) > 0)


def histogram_points(
    energy: NDArray[np.floating],
    points: PointSlices,
    edges: FloatArray,
    out: IntArray | None = None,
) -> IntArray:
    """Return the counts of every scan point and bin.

    Parameters
    ----------
    energy
        Energies (event,) in order of time, eV; NaN for events that a cut rejects.
    points
        Events of each point.
    edges
        Emission bins, f8 (bin + 1,), eV.
    out
        Counts i8 (point, bin) in C order, added to where given.

    Returns
    -------
    IntArray
        Counts i8 (point, bin): `out` where given.

    Raises
    ------
    ValueError
        `out` has the wrong shape or order.
    """
    shape = len(points.first), len(edges) - 1
    counts = np.zeros(shape, np.int64) if out is None else out
    if counts.shape != shape or not counts.flags.c_contiguous:
        raise ValueError(f"`out` has shape {counts.shape}, not {shape} in C order")
    # Events of all points in turn: where each point ends in that row, and how far an
    # event lies from its place in the row.
    end = np.cumsum(points.stop - points.first)
    shift = points.stop - end
    total = int(end[-1]) if len(end) else 0
    for begin in range(0, total, EVENTS_AT_ONCE):
        row = np.arange(begin, min(begin + EVENTS_AT_ONCE, total))
        point = np.searchsorted(end, row, side="right")
        index = bin_index(energy[row + shift[point]], edges)
        is_inside = index >= 0
        cell = point[is_inside] * shape[1] + index[is_inside]
        np.add.at(counts.reshape(-1), cell, 1)
    return counts
