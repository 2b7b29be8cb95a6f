"""Scans of one sample and edge -> one map: counts and exposures add, then divide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import REFERENCE_ATTRIBUTES, MapConfig, NormaliseConfig
from rixs_pipeline.core.maps import combine
from rixs_pipeline.core.maps.incident_axis import PassesOnAxis
from rixs_pipeline.core.stats import energy_scale_offset, weighted_mean
from rixs_pipeline.schema import (
    COADDED_MAP,
    POINT_REASONS,
    POINT_USED,
    Variables,
    check,
    labelled,
)
from rixs_pipeline.stages.flux import flux_errors
from rixs_pipeline.stages.interval.resolution import average_resolution_over_scans
from rixs_pipeline.stages.interval.response_tail import average_tail_over_scans
from rixs_pipeline.stages.sample.map_limits import points_outside
from rixs_pipeline.stages.sample.pass_axis import passes_on_map_axis
from rixs_pipeline.stages.scan.scale_variables import (
    average_scale_errors,
    with_scale_errors,
)
from rixs_pipeline.stages.scan.scan_map import intensity_variables

if TYPE_CHECKING:
    import xarray as xr


DIMENSIONS = {  # of the variables that are added
    "counts": ("incident_energy", "emission_energy"),
    "exposure": ("incident_energy",),
    "live_time": ("incident_energy",),
}
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
        Maps of the passes as `schema.SCAN_MAP`; their intensity is not needed.
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
        The passes have different points, and no bins follow from these; or no point is
        in a bin of the config.
    """
    used = [
        scan["incident_energy"].values[scan["point_status"].values == POINT_USED]
        for scan in scans
    ]
    warnings = points_outside(np.concatenate(used), config, name)
    passes = passes_on_map_axis(scans, config, name)
    if not passes.axis.is_common:
        warnings.append(
            f"{name}: passes have different incident points; "
            "binned around the points of the longest pass "
            "(set `map.incident` and `map.incident_step` to choose the bins)"
        )
    dataset = _add_passes(scans, passes)
    noise = normalise or NormaliseConfig()
    has_i0 = all("i0" in scan for scan in scans)
    has_blank = any("blank_errors" in scan for scan in scans)
    if has_i0 and (noise.i0_noise or has_blank):
        errors = flux_errors.exposure_errors(scans, passes, noise)
        dataset = dataset.assign(exposure_errors=errors)
    elif noise.i0_noise:
        warnings.append(f"{name}: `i0_noise` ignored: a pass has no I0")
    if config.elastic_offset == "apply":
        moved = _shift_to_emission_scale(dataset, scans)
        if moved is None:
            warnings.append(
                f"{name}: `elastic_offset` not applied: "
                "no pass has an elastic line separated from the emission lines"
            )
        else:
            dataset = moved
    scale_errors = average_scale_errors(scans)
    if scale_errors is not None:
        dataset = with_scale_errors(dataset, scale_errors)
    check(dataset, COADDED_MAP, name)
    return CombinedMap(dataset, warnings)


def _add_passes(scans: Sequence[xr.Dataset], passes: PassesOnAxis) -> xr.Dataset:
    """Return the sums of the passes, their intensity, and means of their readings."""
    energy = passes.axis.energy
    n_points = len(energy)
    incident_edges = passes.axis.edges
    emission_energy = scans[0]["emission_energy"].values
    emission_edges = scans[0]["emission_energy_edges"].values
    variables: Variables = {
        "incident_energy": (("incident_energy",), energy),
        "emission_energy": (("emission_energy",), emission_energy),
        "emission_energy_edges": (("emission_energy_edge",), emission_edges),
    }
    if incident_edges is not None:
        variables["incident_energy_edges"] = (("incident_energy_edge",), incident_edges)
    sums: dict[str, NDArray[Any]] = {}
    for name in DIMENSIONS:
        values = [scan[name].values for scan in scans]
        total = combine.add(values, passes.indices, n_points)
        sums[name] = total
        variables[name] = (DIMENSIONS[name], total)
    variables |= intensity_variables(sums["counts"], sums["exposure"], emission_edges)
    variables |= _average_passes(scans, passes)
    dataset = labelled(variables, COADDED_MAP)
    first = scans[0].attrs
    normalisations = {str(scan.attrs["normalisation"]) for scan in scans}
    dataset.attrs = {
        "sample": first["sample"],
        "edge": first["edge"],
        "scans": [str(scan.attrs["run"]) for scan in scans],
        "normalisation": " / ".join(sorted(normalisations)),
        "incident_binning": "scan points" if incident_edges is None else "bins",
        "errors": ERRORS_TEXT,
    }
    unused = _unused_points(scans)
    if unused:
        dataset.attrs["points_not_used"] = unused
    for key in REFERENCE_ATTRIBUTES:
        if key in first:
            dataset.attrs[key] = first[key]
    dataset.attrs |= average_tail_over_scans(scans)
    dataset.attrs |= average_resolution_over_scans(scans)
    return dataset


def _unused_points(scans: Sequence[xr.Dataset]) -> dict[str, dict[str, int]]:
    """Return how many points of each scan are not used, by reason."""
    unused = {}
    for scan in scans:
        status = scan["point_status"].values
        numbers = {
            reason: int((status == code).sum())
            for code, reason in POINT_REASONS.items()
            if (status == code).any()
        }
        if numbers:
            unused[str(scan.attrs["run"])] = numbers
    return unused


def _average_passes(scans: Sequence[xr.Dataset], passes: PassesOnAxis) -> Variables:
    """Return the means of I0, of the log's readings, and of the pixels' misalignment.

    Readings that every pass has are weighted by live time; how far the pixels of
    aligned scans differed is weighted by photons.
    """
    live_time = [scan["live_time"].values for scan in scans]
    n_points = len(passes.axis.energy)
    variables: Variables = {}
    for name in map(str, scans[0].data_vars):
        is_reading = name.startswith("reading_") or name == "i0"
        if is_reading and all(name in scan for scan in scans):
            values = [scan[name].values for scan in scans]
            mean = combine.weighted_mean(values, live_time, passes.indices, n_points)
            variables[name] = (("incident_energy",), mean)
    aligned = [scan for scan in scans if "misalignment" in scan]
    if aligned:
        pixels = energy_scale_offset.mean_gains(
            [scan["pixel"].values for scan in aligned],
            [scan["misalignment"].values for scan in aligned],
            [scan["pixel_counts"].values for scan in aligned],
        )
        variables["pixel"] = (("pixel",), pixels.pixel)
        variables["misalignment"] = (("pixel",), pixels.gain)
        variables["pixel_counts"] = (("pixel",), pixels.photons)
    return variables


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
            energy = axis.values + offset.value
            shifted = {name: (axis.dims, energy, axis.attrs)}
            is_coordinate = name in dataset.coords
            assign = dataset.assign_coords if is_coordinate else dataset.assign
            dataset = assign(shifted)
    return dataset.assign_attrs(
        elastic_offset_applied=offset.value, elastic_offset_errors=offset.error
    )
