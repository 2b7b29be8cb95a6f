"""The incident axis of passes that are tested, averaged, or added to a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import MapConfig
from rixs_pipeline.core.maps import incident_axis
from rixs_pipeline.core.maps.incident_axis import IncidentAxis, PassesOnAxis
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import POINT_USED, READING
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

# coordinate of scans whose incident energies were shifted: the energies as measured
MEASURED_ENERGY = "measured_energy"


def measured_energy(scan: xr.Dataset) -> FloatArray:
    """Return the incident energies (point,) at which a scan was measured, eV."""
    is_shifted = MEASURED_ENERGY in scan.coords
    name = MEASURED_ENERGY if is_shifted else "incident_energy"
    return np.asarray(scan.variables[name].values)


def axis_of_passes(scans: Sequence[xr.Dataset], name: str) -> IncidentAxis:
    """Return the incident axis that passes share: see `incident_axis.shared_axis`.

    Parameters
    ----------
    scans
        Maps of the passes.
    name
        Name of the map, for messages.

    Returns
    -------
    IncidentAxis

    Raises
    ------
    RunFailed
        The passes have different points, and no bins follow from these.
    """
    measured = [measured_energy(scan) for scan in scans]
    has_moved = any(MEASURED_ENERGY in scan.coords for scan in scans)
    try:
        return incident_axis.shared_axis(measured, has_moved=has_moved)
    except ValueError as error:
        advice = "set `map.incident` and `map.incident_step`"
        raise RunFailed(f"{name}: {error}; {advice}") from error


def point_index(scan: xr.Dataset, axis: IncidentAxis) -> NDArray[np.intp]:
    """Return the place of the points of a scan on an axis.

    Parameters
    ----------
    scan
        Map of a pass.
    axis
        The axis.

    Returns
    -------
    (point,) int
        -1 for points outside the axis, and for points that are not used.
    """
    incident = scan.variables["incident_energy"].values
    is_used = scan.variables["point_status"].values == POINT_USED
    return np.where(is_used, axis.index(incident), -1)


def reading_over_i0(scan: xr.Dataset, channel: str) -> FloatArray:
    """Return a reading of the log over I0, NaN where I0 is not positive.

    Parameters
    ----------
    scan
        Map of a pass. Without I0 the reading itself is returned.
    channel
        Channel of the log.

    Returns
    -------
    FloatArray
        f8 (point,).
    """
    reading = np.asarray(scan.variables[READING + channel].values, dtype=np.float64)
    if "i0" not in scan:
        return reading
    i0 = scan.variables["i0"].values
    ratio = np.full(len(reading), np.nan)
    np.divide(reading, i0, out=ratio, where=i0 > 0)
    return ratio


def passes_on_map_axis(
    scans: Sequence[xr.Dataset], config: MapConfig, name: str
) -> PassesOnAxis:
    """Return the passes on the incident axis of their map.

    Parameters
    ----------
    scans
        Maps of the passes.
    config
        Its incident bins, where it has some, are the axis.
    name
        Name of the map, for messages.

    Returns
    -------
    PassesOnAxis

    Raises
    ------
    RunFailed
        The passes have different points, and no bins follow from these.
    """
    first_energy = scans[0]["incident_energy"].values
    gaps = np.diff(first_energy, prepend=-np.inf)
    is_ascending = np.all(gaps > incident_axis.TOLERANCE_EV)
    is_shifted = MEASURED_ENERGY in scans[0].coords
    if config.incident is not None and config.incident_step is not None:
        axis = incident_axis.axis_of_bins(config.incident, config.incident_step)
    elif len(scans) == 1 and is_ascending and not is_shifted:
        # the points of a single pass are the axis themselves
        is_used = scans[0]["point_status"].values == POINT_USED
        places = np.arange(len(first_energy))
        index = np.where(is_used, places, -1)
        return PassesOnAxis(IncidentAxis(first_energy), [index])
    else:
        axis = axis_of_passes(scans, name)
    if not axis.is_common:
        # the map shows the points of the longest pass; the middles of its bins only
        # where the points lie too close to be distinguished
        measured = [measured_energy(scan) for scan in scans]
        longest = max(measured, key=len)
        points = incident_axis.common_grid([longest])
        if points is not None:
            axis = replace(axis, energy=points)
    indices = [point_index(scan, axis) for scan in scans]
    return PassesOnAxis(axis, indices)
