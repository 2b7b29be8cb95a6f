"""The incident energies on which passes of one sample are added or compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.maps import binning, combine
from rixs_pipeline.types import FloatArray


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
            return combine.group_points(incident, self.energy)
        return binning.bin_index(incident, self.edges)


def axis_of_bins(limits: tuple[float, float], step: float) -> IncidentAxis:
    """Return the axis of equal bins from the lower to the upper limit, eV."""
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
    grid = combine.common_grid(passes)
    if grid is None:
        edges = combine.midpoint_bins(max(passes, key=len))
        return IncidentAxis(bin_centres(edges), edges, is_common=False)
    if has_moved:
        return IncidentAxis(grid, combine.midpoint_bins(grid))
    return IncidentAxis(grid)


def shared_rows(passes: Sequence[FloatArray]) -> list[NDArray[np.intp]]:
    """Return the rows (shared point,) of each pass at the points that all have.

    The points come in the order of the first pass.
    """
    grid = passes[0]
    indices = [combine.group_points(energy, grid) for energy in passes]
    is_shared = [np.isin(np.arange(len(grid)), index) for index in indices]
    shared = np.flatnonzero(np.all(is_shared, axis=0))
    return [_first_rows(index, shared) for index in indices]


def bin_centres(edges: FloatArray) -> FloatArray:
    """Return the middles (bin,) of bins with the given edges (bin + 1,)."""
    return np.asarray((edges[1:] + edges[:-1]) / 2)


def _first_rows(index: NDArray[np.intp], shared: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first row at which each shared point stands in an index."""
    rows = [np.flatnonzero(index == point)[0] for point in shared]
    return np.array(rows, dtype=np.intp)
