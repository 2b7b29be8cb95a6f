"""Scans of one sample and edge -> one map: counts and exposures add, then divide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import REFERENCE_ATTRIBUTES, MapConfig, NormaliseConfig
from rixs_pipeline.core.maps import combine, i0_noise, incident_axis
from rixs_pipeline.core.maps.incident_axis import IncidentAxis
from rixs_pipeline.core.stats import energy_scale_offset, weighted_mean
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import COADDED_MAP, POINT_USED, Variables, check, labelled
from rixs_pipeline.stages.scan.response_tail import average_tail_over_scans
from rixs_pipeline.stages.scan.scan_map import intensity_variables, label_readings
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr


# coordinate of scans whose incident energies were shifted: the energies as measured
MEASURED_ENERGY = "measured_energy"
# variables of scans that the sums replace; they are as large as the counts
NOT_ADDED = ("intensity", "intensity_errors")
ERRORS_TEXT = (
    "sqrt(counts) over exposure and bin width; "
    "noise of I0 apart, as exposure_errors where known"
)


@dataclass(frozen=True)
class CombinedMap:
    """A co-added map as `schema.COADDED_MAP`, and warnings."""

    dataset: xr.Dataset
    warnings: list[str]


def combine_scans(
    scans: Sequence[xr.Dataset],
    config: MapConfig,
    name: str,
    normalise: NormaliseConfig | None = None,
) -> CombinedMap:
    """Add the passes of one sample and edge.

    Equal incident grids are matched exactly. Different ones go into the incident bins
    of the config or, without these, into bins around the points of the longest pass,
    with a warning. Passes that were shifted onto one scale go into bins around the
    points at which they were measured, so that the maps of all samples share them.
    Counts are never interpolated.

    Parameters
    ----------
    scans
        Maps of the passes as `schema.SCAN_MAP`; `NOT_ADDED` is not needed.
    config, normalise
        Bins of the map; noise of I0.
    name
        Name of the map, for messages.

    Returns
    -------
    CombinedMap

    Raises
    ------
    RunFailed
        The passes have different points, and no bins follow from these.
    """
    axis = _map_axis(scans, config, name)
    warnings = _axis_warnings(axis, name)
    dataset = _added(scans, axis)
    noise = normalise or NormaliseConfig()
    if noise.i0_noise and all("i0" in scan for scan in scans):
        dataset = dataset.assign(exposure_errors=_exposure_errors(scans, axis, noise))
    elif noise.i0_noise:
        warnings.append(f"{name}: i0_noise ignored: a pass has no I0")
    dataset = dataset.assign_attrs(_map_attributes(scans, axis))
    if config.elastic_offset == "apply":
        moved = _shift_to_emission_scale(dataset, scans)
        if moved is None:
            warnings.append(
                f"{name}: elastic_offset not applied: "
                "no pass has an elastic line clear of emission lines"
            )
        dataset = dataset if moved is None else moved
    check(dataset, COADDED_MAP, name)
    return CombinedMap(dataset, warnings)


def measured_energy(scan: xr.Dataset) -> FloatArray:
    """Return the incident energies (point,) at which a scan was measured, eV."""
    is_shifted = MEASURED_ENERGY in scan.coords
    name = MEASURED_ENERGY if is_shifted else "incident_energy"
    return np.asarray(scan[name].values)


def axis_of_passes(scans: Sequence[xr.Dataset], name: str) -> IncidentAxis:
    """Return the incident axis that the passes share: see `incident_axis.shared_axis`.

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
        advice = "set map.incident and map.incident_step"
        raise RunFailed(f"{name}: {error}; {advice}") from error


def point_index(scan: xr.Dataset, axis: IncidentAxis) -> NDArray[np.intp]:
    """Return the place of each point (point,) on the axis; -1: not used."""
    index = axis.index(scan["incident_energy"].values)
    return np.where(scan["point_status"].values == POINT_USED, index, -1)


def _map_axis(
    scans: Sequence[xr.Dataset], config: MapConfig, name: str
) -> IncidentAxis:
    """Return the incident axis of the map: the config's bins, or that of the passes."""
    if config.incident is not None and config.incident_step is not None:
        return incident_axis.axis_of_bins(config.incident, config.incident_step)
    axis = axis_of_passes(scans, name)
    if axis.is_common:
        return axis
    # the map shows the points of the longest pass; the middles of its bins only
    # where the points lie too close to be distinguished
    longest = max((measured_energy(scan) for scan in scans), key=len)
    points = incident_axis.common_grid([longest])
    return axis if points is None else replace(axis, energy=points)


def _axis_warnings(axis: IncidentAxis, name: str) -> list[str]:
    """Return a warning where the bins of the map follow from one of the passes."""
    if axis.is_common:
        return []
    return [
        f"{name}: passes have different incident points; "
        "binned around the points of the longest pass "
        "(set map.incident and map.incident_step to choose the bins)"
    ]


def _added(scans: Sequence[xr.Dataset], axis: IncidentAxis) -> xr.Dataset:
    """Return the sums of the passes, their intensity, and means of their readings."""
    indices = [point_index(scan, axis) for scan in scans]
    n_points = len(axis.energy)

    def total(name: str) -> NDArray[Any]:
        return combine.add([scan[name].values for scan in scans], indices, n_points)

    counts, exposure = total("counts"), total("exposure")
    point, emission = ("incident_energy",), ("emission_energy",)
    emission_edges = scans[0]["emission_energy_edges"].values
    variables: Variables = {
        "incident_energy": (point, axis.energy),
        "emission_energy": (emission, scans[0]["emission_energy"].values),
        "emission_energy_edges": (("emission_energy_edge",), emission_edges),
        "counts": ((*point, *emission), counts),
        "exposure": (point, exposure),
        "live_time": (point, total("live_time")),
    }
    variables |= intensity_variables(counts, exposure, emission_edges)
    if axis.edges is not None:
        variables["incident_energy_edges"] = (("incident_energy_edge",), axis.edges)
    variables |= _mean_readings(scans, indices, n_points)
    variables |= _mean_misalignment(scans)
    dataset = labelled(variables, COADDED_MAP)
    label_readings(dataset)
    return dataset


def _map_attributes(
    scans: Sequence[xr.Dataset], axis: IncidentAxis
) -> dict[str, object]:
    """Return the attributes of the map."""
    first = scans[0].attrs
    normalisations = {str(scan.attrs["normalisation"]) for scan in scans}
    attributes: dict[str, object] = {
        "sample": first["sample"],
        "edge": first["edge"],
        "scans": [str(scan.attrs["run"]) for scan in scans],
        "normalisation": " / ".join(sorted(normalisations)),
        "incident_binning": "scan points" if axis.edges is None else "bins",
        "errors": ERRORS_TEXT,
    }
    attributes |= {key: first[key] for key in REFERENCE_ATTRIBUTES if key in first}
    return attributes | average_tail_over_scans(scans)


def _exposure_errors(
    scans: Sequence[xr.Dataset], axis: IncidentAxis, config: NormaliseConfig
) -> xr.DataArray:
    """Return the standard deviation of the exposure (point,) from the noise of I0, s.

    It is common to all emission bins of a point, and independent from point to point
    and from pass to pass.
    """
    variances = []
    for scan in scans:
        if isinstance(config.i0_noise, float):
            relative: float | FloatArray = config.i0_noise
        else:
            i0 = scan["i0"].values
            relative = i0_noise.counter_noise(i0, config.i0_offset)
        variances.append((scan["exposure"].values * relative) ** 2)
    indices = [point_index(scan, axis) for scan in scans]
    variance = combine.add(variances, indices, len(axis.energy))
    values: Variables = {"exposure_errors": (("incident_energy",), np.sqrt(variance))}
    return labelled(values, COADDED_MAP)["exposure_errors"]


def _mean_readings(
    scans: Sequence[xr.Dataset], indices: list[NDArray[np.intp]], n_points: int
) -> Variables:
    """Return the means of I0 and of the log's readings that every pass has.

    They are weighted by live time.
    """
    live_time = [scan["live_time"].values for scan in scans]
    variables: Variables = {}
    for name in map(str, scans[0].data_vars):
        is_reading = name.startswith("reading_") or name == "i0"
        if is_reading and all(name in scan for scan in scans):
            readings = [scan[name].values for scan in scans]
            mean = combine.weighted_mean(readings, live_time, indices, n_points)
            variables[name] = (("incident_energy",), mean)
    return variables


def _mean_misalignment(scans: Sequence[xr.Dataset]) -> Variables:
    """Return how far the pixels of aligned scans differed: means by photons."""
    aligned = [scan for scan in scans if "misalignment" in scan]
    if not aligned:
        return {}
    names = ("pixel", "misalignment", "pixel_counts")
    columns = [[scan[name].values for scan in aligned] for name in names]
    means = energy_scale_offset.pixel_means(*columns)
    pixel = ("pixel",)
    return {name: (pixel, mean) for name, mean in zip(names, means, strict=True)}


def _shift_to_emission_scale(
    dataset: xr.Dataset, scans: Sequence[xr.Dataset]
) -> xr.Dataset | None:
    """Return the map with the offset of its elastic line added to incident energies.

    The offset is the weighted mean of those of the passes; None where none has one.
    """
    names = ("elastic_offset", "elastic_offset_errors")
    rows = [[scan.attrs[name] for name in names] for scan in scans]
    measured = [row for row in rows if np.isfinite(row).all()]
    if not measured:
        return None
    offset = weighted_mean.weighted_mean(*np.array(measured).T)
    for name in ("incident_energy", "incident_energy_edges"):
        if name in dataset.variables:
            axis = dataset[name]
            shifted = {name: (axis.dims, axis.values + offset.value, axis.attrs)}
            is_coordinate = name in dataset.coords
            assign = dataset.assign_coords if is_coordinate else dataset.assign
            dataset = assign(shifted)
    return dataset.assign_attrs(
        elastic_offset_applied=offset.value, elastic_offset_errors=offset.error
    )
