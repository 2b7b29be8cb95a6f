"""The incident energies on which passes of one sample are added or compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.maps import binning
from rixs_pipeline.types import FloatArray

TOLERANCE_EV = 1e-3  # of the monochromator's readings: points within it are the same


@dataclass(frozen=True)
class IncidentAxis:
    """Incident energies that several passes share.

    Attributes
    ----------
    energy : (point,) f8
        Incident energies, ascending, eV.
    edges : (point + 1,) f8 or None
        Edges of the bins around them, eV; None where all passes have these very points.
    is_common : bool
        Whether all passes were measured at the same points.
    """

    energy: FloatArray
    edges: FloatArray | None = None
    is_common: bool = True

    def index(self, incident: FloatArray) -> NDArray[np.intp]:
        """Return the place of each incident energy (point,) on the axis; -1: none."""
        if self.edges is None:
            return grid_index(incident, self.energy)
        return binning.bin_index(incident, self.edges)


@dataclass(frozen=True)
class PassesOnAxis:
    """Passes on a shared axis.

    Attributes
    ----------
    axis : IncidentAxis
        The axis, of n points or bins.
    indices : (point,) int of each pass
        The place of each point on the axis; -1 leaves it out.
    """

    axis: IncidentAxis
    indices: Sequence[NDArray[np.intp]]


def axis_of_bins(limits: tuple[float, float], step: float) -> IncidentAxis:
    """Return the axis of equal bins.

    Parameters
    ----------
    limits
        Lowest and highest edge, eV.
    step
        Width of a bin, eV.

    Returns
    -------
    IncidentAxis
        Bin centres and edges.
    """
    edges = binning.emission_edges(limits, step)
    return IncidentAxis(bin_centres(edges), edges)


def shared_axis(
    passes: Sequence[FloatArray], *, has_moved: bool = False
) -> IncidentAxis:
    """Return the axis of several passes.

    Parameters
    ----------
    passes : (point,) f8 of each pass
        Incident energies as they were measured, eV.
    has_moved : bool
        Whether the passes were shifted onto one scale since: they then lie in bins
        around the points at which they were measured.

    Returns
    -------
    IncidentAxis
        The points themselves where all passes have them; else the bins around the
        points of the longest pass.

    Raises
    ------
    ValueError
        The bins need two different points at least.
    """
    grid = common_grid(passes)
    if grid is None:
        edges = midpoint_edges(max(passes, key=len))
        return IncidentAxis(bin_centres(edges), edges, is_common=False)
    if has_moved:
        return IncidentAxis(grid, midpoint_edges(grid))
    return IncidentAxis(grid)


def shared_rows(passes: Sequence[FloatArray]) -> list[NDArray[np.intp]]:
    """Return the rows (shared point,) of each pass at the points that all have.

    The points come in the order of the first pass.
    """
    grid = passes[0]
    indices = [grid_index(energy, grid) for energy in passes]
    places = np.arange(len(grid))
    has_place = [np.isin(places, index) for index in indices]
    is_shared = np.all(has_place, axis=0)
    shared = np.flatnonzero(is_shared)
    return [_first_rows(index, shared) for index in indices]


def common_grid(
    passes: Sequence[FloatArray], tolerance: float = TOLERANCE_EV
) -> FloatArray | None:
    """Return the incident energies that passes share, or None where they differ.

    A pass may cover a part of the range (an aborted one), but it must have every point
    of the others within its range. A pass that has all points settles it: the others
    add nothing to the points that they lack.

    Parameters
    ----------
    passes
        Incident energies (point,) of each pass, in any direction, eV; repeated energies
        are one point, NaN is none.
    tolerance
        Points within it are the same, eV.

    Returns
    -------
    FloatArray or None
        f8 (point,), ascending, eV; None where a pass lacks a point within its range, or
        points chain into a cluster wider than the tolerance.
    """
    clusters = _cluster(np.concatenate(passes), tolerance)
    if np.any(clusters.width > tolerance):
        return None
    grid = clusters.middle
    longest = max(passes, key=len)
    places = np.unique(grid_index(longest, grid, tolerance))
    if len(places) == len(grid):
        return grid
    for energy in passes:
        finite = energy[np.isfinite(energy)]
        places = np.unique(grid_index(finite, grid, tolerance))
        if np.any(np.diff(places) != 1):
            return None
    return grid


def midpoint_edges(incident: FloatArray, tolerance: float = TOLERANCE_EV) -> FloatArray:
    """Return the edges of bins around the points of a pass.

    Parameters
    ----------
    incident
        (point,) in any direction, eV; repeated energies are one point.
    tolerance
        Points within it are the same, eV.

    Returns
    -------
    FloatArray
        (bin + 1,), eV: halfway between the points, symmetric at the ends.

    Raises
    ------
    ValueError
        There are fewer than two different points.
    """
    grid = _cluster(incident, tolerance).middle
    if len(grid) < 2:
        raise ValueError("no bins: fewer than two different incident energies")
    middle = bin_centres(grid)
    lowest = 2 * grid[0] - middle[0]
    highest = 2 * grid[-1] - middle[-1]
    return np.concatenate([[lowest], middle, [highest]])


def grid_index(
    incident: FloatArray, grid: FloatArray, tolerance: float = TOLERANCE_EV
) -> NDArray[np.intp]:
    """Return the place of incident energies on a grid.

    Parameters
    ----------
    incident
        (point,), eV.
    grid
        Ascending, from `common_grid`, eV.
    tolerance
        Energies within it are the same, eV.

    Returns
    -------
    integer array
        (point,); -1 where no grid point is within the tolerance.
    """
    if not len(grid):
        return np.full(len(incident), -1, np.intp)
    last = len(grid) - 1
    above = np.minimum(np.searchsorted(grid, incident), last)
    below = np.maximum(above - 1, 0)
    distance_below = np.abs(incident - grid[below])
    index = np.where(distance_below <= tolerance, below, above)
    distance = np.abs(incident - grid[index])
    return np.where(distance <= tolerance, index, -1)


def bin_centres(edges: FloatArray) -> FloatArray:
    """Return the middles (bin,) of bins with the given edges (bin + 1,)."""
    lower, upper = edges[:-1], edges[1:]
    return np.asarray((upper + lower) / 2)


@dataclass(frozen=True)
class _Clusters:
    """Middle value and width of clusters of values, (cluster,)."""

    middle: FloatArray
    width: FloatArray


def _cluster(values: FloatArray, tolerance: float) -> _Clusters:
    """Group finite values whose gaps are within the tolerance."""
    ordered = np.sort(values[np.isfinite(values)])
    gaps = np.diff(ordered, prepend=-np.inf)
    first = np.flatnonzero(gaps > tolerance)
    last = first
    if len(first):
        ends = np.append(first[1:], len(ordered))
        last = ends - 1
    middle = (first + last) // 2
    width = ordered[last] - ordered[first]
    return _Clusters(ordered[middle], width)


def _first_rows(index: NDArray[np.intp], shared: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first row at which each shared point stands in an index."""
    rows = [np.flatnonzero(index == point)[0] for point in shared]
    return np.array(rows, dtype=np.intp)
