"""Scans of one sample and edge -> one map: counts add, exposures add, then divide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import REFERENCE_ATTRIBUTES, MapConfig, NormaliseConfig
from rixs_pipeline.core.maps import binning, combine
from rixs_pipeline.core.stats import energy_scale_offset as scale_shifts
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import COADDED_MAP, POINT_USED, check, labelled
from rixs_pipeline.stages.scan.response import map_response
from rixs_pipeline.stages.scan.scan_map import intensities, label_readings

if TYPE_CHECKING:
    import xarray as xr

MEASURED = (
    "measured_energy"  # of a scan whose incident energies were moved: as they were
)

Float = NDArray[np.float64]
Index = NDArray[np.intp]

NOT_ADDED = (
    "intensity",
    "intensity_errors",
)  # of scans: they follow from the sums, and are as large as the counts


def combine_scans(
    scans: Sequence[xr.Dataset],
    config: MapConfig,
    name: str,
    normalise: NormaliseConfig | None = None,
) -> tuple[xr.Dataset, list[str]]:
    """Co-add the passes; returns the map as `schema.COADDED_MAP` and warnings.

    Equal incident grids are matched exactly. Differing ones go into the config's incident bins or, without them,
    into bins around the points of the longest pass, with a warning; passes that were moved onto one scale, into bins
    around the points that they were measured at, so that maps of all samples share them. Counts are never interpolated.

    Raises:
        RunFailed: the passes differ and no bins follow from their points.
    """
    incident = [measured_energy(scan) for scan in scans]
    energy, edges, warnings = _incident_axis(
        incident, config, name, any(MEASURED in s.coords for s in scans)
    )
    places = [_places(scan, energy, edges) for scan in scans]
    n, first = len(energy), scans[0]
    counts = combine.add([s["counts"].values for s in scans], places, n)
    seconds = combine.add([s["exposure"].values for s in scans], places, n)
    live = combine.add([s["live_time"].values for s in scans], places, n)
    emission_edges = first["emission_energy_edges"].values
    values = {
        "incident_energy": (("incident_energy",), energy),
        "emission_energy": (("emission_energy",), first["emission_energy"].values),
        "emission_energy_edges": (("emission_energy_edge",), emission_edges),
        "counts": (("incident_energy", "emission_energy"), counts),
        "exposure": (("incident_energy",), seconds),
        "live_time": (("incident_energy",), live),
    }
    values |= intensities(counts, seconds, emission_edges)
    noise, more = _exposure_errors(scans, normalise or NormaliseConfig())
    warnings += [f"{name}: {line}" for line in more]
    if noise is not None:
        squares = combine.add([error**2 for error in noise], places, n)
        values["exposure_errors"] = (("incident_energy",), np.sqrt(squares))
    if edges is not None:
        values["incident_energy_edges"] = (("incident_energy_edge",), edges)
    values |= _readings(scans, places, n) | _pixels(scans)
    dataset = labelled(values, COADDED_MAP)
    label_readings(dataset)
    dataset.attrs = {
        "sample": first.attrs["sample"],
        "edge": first.attrs["edge"],
        "scans": [str(scan.attrs["run"]) for scan in scans],
        "normalisation": " / ".join(
            sorted({str(scan.attrs["normalisation"]) for scan in scans})
        ),
        "incident_binning": "scan points" if edges is None else "bins",
        "errors": "sqrt(counts) over exposure and bin width; noise of I0 apart, as exposure_errors where known",
    }
    dataset.attrs |= {
        key: first.attrs[key] for key in REFERENCE_ATTRIBUTES if key in first.attrs
    }
    dataset.attrs |= map_response(scans)
    if config.elastic_offset == "apply":
        dataset, more = _on_the_emission_scale(dataset, scans, name)
        warnings += more
    check(dataset, COADDED_MAP, name)
    return dataset, warnings


def measured_energy(scan: xr.Dataset) -> Float:
    """The incident energies (point,) of a scan as they were before it was moved, eV."""
    return np.asarray(
        (scan[MEASURED] if MEASURED in scan.coords else scan["incident_energy"]).values
    )


def _on_the_emission_scale(
    dataset: xr.Dataset, scans: Sequence[xr.Dataset], name: str
) -> tuple[xr.Dataset, list[str]]:
    """The map with the offset of the elastic line, the passes' weighted mean, added to its incident energies."""
    told = [
        (s.attrs["elastic_offset"], s.attrs["elastic_offset_errors"]) for s in scans
    ]
    offsets, errors = (
        np.array([pair for pair in told if np.isfinite(pair).all()]).reshape(-1, 2).T
    )
    if not len(offsets):
        return dataset, [
            f"{name}: no pass shows an elastic line clear of others: elastic_offset is not applied"
        ]
    offset, error = (
        float(np.average(offsets, weights=errors**-2)),
        float((errors**-2).sum() ** -0.5),
    )
    for axis in ("incident_energy", "incident_energy_edges"):
        if axis in dataset.variables:
            old = dataset[axis]
            moved = {axis: (old.dims, old.values + offset, old.attrs)}
            dataset = (
                dataset.assign_coords(moved)
                if axis in dataset.coords
                else dataset.assign(moved)
            )
    return dataset.assign_attrs(
        elastic_offset_applied=offset, elastic_offset_errors=error
    ), []


def _incident_axis(
    incident: list[Float], config: MapConfig, name: str, moved: bool
) -> tuple[Float, Float | None, list[str]]:
    """Centres, edges (None: the points themselves) and warnings; `moved`: the passes do not stand at these points."""
    if config.incident is not None and config.incident_step is not None:
        edges = binning.emission_edges(config.incident, config.incident_step)
        return (edges[1:] + edges[:-1]) / 2, edges, []
    grid = combine.common_grid(incident)
    if grid is not None and not moved:
        return grid, None, []
    if grid is not None and len(grid) > 1:
        return grid, combine.midpoint_bins(grid), []
    longest = max(incident, key=len)
    points = combine.common_grid([longest])
    try:
        edges = combine.midpoint_bins(longest)
    except ValueError as error:
        raise RunFailed(
            f"{name}: {error}; set map.incident and map.incident_step"
        ) from error
    warning = (
        f"{name}: its passes have different incident points: binned around the points of the longest pass; "
        "set map.incident and map.incident_step to choose the bins"
    )
    # the points themselves, each in its bin; centres only where points lie too close to be told apart
    return (edges[1:] + edges[:-1]) / 2 if points is None else points, edges, [warning]


def _exposure_errors(
    scans: Sequence[xr.Dataset], config: NormaliseConfig
) -> tuple[list[Float] | None, list[str]]:
    """The noise of I0 in each point's exposure (point,) of each pass, s, and what to tell; None without any.

    It is common to all emission bins of a point, and independent from point to point and from pass to pass.
    """
    if not config.i0_noise:
        return None, []
    if any("i0" not in scan for scan in scans):
        return None, ["i0_noise: a pass has no I0: its noise is not part of the errors"]
    return [
        scan["exposure"].values * _i0_noise(scan["i0"].values, config) for scan in scans
    ], []


def _i0_noise(i0: Float, config: NormaliseConfig) -> Float:
    """Relative standard deviation of I0 (point,): a number, or that of a counter, sqrt(i0 + offset) / i0."""
    if isinstance(config.i0_noise, float):
        return np.full(len(i0), config.i0_noise)
    counted = np.sqrt(np.maximum(np.nan_to_num(i0) + config.i0_offset, 0.0))
    return np.asarray(np.divide(counted, i0, out=np.zeros(len(i0)), where=i0 > 0))


def _places(scan: xr.Dataset, energy: Float, edges: Float | None) -> Index:
    """Where each point of a scan goes; -1 for points that are left out."""
    incident = scan["incident_energy"].values
    place = (
        combine.group_points(incident, energy)
        if edges is None
        else binning.bin_index(incident, edges)
    )
    return np.where(scan["point_status"].values == POINT_USED, place, -1)


def _pixels(scans: Sequence[xr.Dataset]) -> dict[str, tuple[tuple[str, ...], Any]]:
    """How far the pixels stood from each other, of scans that were aligned: their means over the passes, by photons."""
    told = [s for s in scans if "misalignment" in s]
    columns = [
        [s[name].values for s in told]
        for name in ("pixel", "misalignment", "pixel_counts")
    ]
    if not told:
        return {}
    pixel, gain, photons = scale_shifts.pixel_means(*columns)
    return {
        "pixel": (("pixel",), pixel),
        "misalignment": (("pixel",), gain),
        "pixel_counts": (("pixel",), photons),
    }


def _readings(
    scans: Sequence[xr.Dataset], places: list[Index], n: int
) -> dict[str, tuple[tuple[str, ...], Float]]:
    """Means of the log's readings and of I0, weighted by live time, for channels that every pass has."""
    names = [
        v for v in scans[0].data_vars if str(v).startswith("reading_") or v == "i0"
    ]
    live = [s["live_time"].values for s in scans]
    return {
        str(name): (
            ("incident_energy",),
            combine.weighted_mean([s[name].values for s in scans], live, places, n),
        )
        for name in names
        if all(name in scan for scan in scans)
    }
