"""RIXS map of a scan: counts, exposure and intensity, the product `scans/*.nxs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.maps.live_time import EffectiveLiveTime, effective_live_time
from rixs_pipeline.schema import (
    POINT_USED,
    READING,
    SCAN_MAP,
    Variables,
    check,
    labelled,
)
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.exposure_scale import ExposureScale
from rixs_pipeline.stages.scan.incident_flux import (
    IncidentFlux,
    describe_missing,
    read_flux,
)
from rixs_pipeline.stages.scan.pixel_warnings import pixel_warnings
from rixs_pipeline.stages.scan.point_status import find_point_status
from rixs_pipeline.stages.scan.rejected_pulses import rejection_warnings
from rixs_pipeline.types import FloatArray, IntArray

if TYPE_CHECKING:
    import xarray as xr

POINT = ("incident_energy",)
PIXEL = ("pixel",)
MAP = ("incident_energy", "emission_energy")


@dataclass(frozen=True)
class ScanMap:
    """The map of a scan, and what a user should know about it."""

    dataset: xr.Dataset  # as `schema.SCAN_MAP`
    warnings: list[str]  # one line each


def make_scan_map(
    counted: CountedScan,
    emission_edges: FloatArray,
    config: NormaliseConfig,
    scale: ExposureScale,
    excluded_points: Sequence[int],
) -> ScanMap:
    """Make the map of a scan.

    Points without beam and excluded points keep their counts here, with exposure 0;
    the co-added map does not contain them.

    Parameters
    ----------
    counted
        The scan with its counts.
    emission_edges
        Edges of the emission bins, f8 (bin + 1,), eV.
    config
        How the exposure is computed.
    scale
        What is common to all scans.
    excluded_points
        Numbers of the points that the config excludes.

    Returns
    -------
    ScanMap
        The dataset and the warnings.
    """
    scan = counted.scan
    counts = counted.counts
    is_used = counted.is_used
    flux = read_flux(scan, config, scale.blanks)
    i0 = None if flux is None else flux.values
    live = effective_live_time(counts, is_used, config.pile_up_time)
    throughput = is_used.astype(np.float64)
    if config.throughput:
        pixel_live_time = live.seconds.sum(axis=1)
        throughput = scale.complete_throughput(counted, pixel_live_time)
    points = find_point_status(counted, flux, config, excluded_points)
    weight = throughput * is_used
    seconds = scale.exposure(live.seconds, weight, i0)
    is_point_used = points.status == POINT_USED
    seconds = np.where(is_point_used, seconds, 0.0)

    variables = _count_variables(counted, live, emission_edges)
    variables |= intensity_variables(counts.map_counts, seconds, emission_edges)
    variables["exposure"] = (POINT, seconds)
    variables["point_status"] = (POINT, points.status)
    variables["throughput"] = (PIXEL, throughput)
    if flux is not None:
        variables["i0"] = (POINT, flux.values)
        if flux.blank_errors is not None:
            variables["blank_errors"] = (POINT, flux.blank_errors)
    if points.has_range_change:
        variables["i0_range"] = (POINT, np.exp(points.log_steps))
    dataset = labelled(variables, SCAN_MAP)
    dataset.attrs = {
        "run": scan.name,
        "number": scan.number,
        "sample": scan.sample,
        "edge": scan.edge or "",
        "complete": scan.complete,
        "i0_ref": scale.i0_ref,
        "pile_up_time": live.spoiling_time.seconds,
        "pile_up_time_errors": live.spoiling_time.error,
        "normalisation": _normalisation(flux, config),
    }
    if flux is not None:
        dataset.attrs["flux_levels"] = _flux_levels(dataset)
    check(dataset, SCAN_MAP, scan.name)
    warnings = list(points.warnings)
    if config.i0 is not None and flux is None:
        warnings.append(describe_missing(scan, config))
    warnings += pixel_warnings(counted, live, is_point_used)
    warnings += rejection_warnings(scan, live)
    return ScanMap(dataset, warnings)


def _flux_levels(dataset: xr.Dataset) -> dict[str, float]:
    """Return medians over the used points: I0, photons/s, and the log's readings."""
    is_used = dataset["point_status"].values == POINT_USED
    if not is_used.any():
        return {}
    counts = dataset["counts"].values[is_used].sum(axis=1)
    levels = {}
    for name in map(str, dataset.data_vars):
        if name.startswith(READING):
            levels[name.removeprefix(READING)] = dataset[name].values[is_used]
    levels["i0"] = dataset["i0"].values[is_used]
    levels["photons"] = counts / dataset["live_time"].values[is_used]
    medians = {name: float(np.nanmedian(values)) for name, values in levels.items()}
    return {name: value for name, value in medians.items() if np.isfinite(value)}


def _normalisation(flux: IncidentFlux | None, config: NormaliseConfig) -> str:
    """Return what the counts are divided by, in words."""
    if flux is None:
        return "live time"
    channel = config.second_monitor or config.i0
    by_blank = "" if flux.blank_errors is None else " (double normalisation)"
    return f"{channel} and live time{by_blank}"


def _count_variables(
    counted: CountedScan, live: EffectiveLiveTime, emission_edges: FloatArray
) -> Variables:
    """Return what was counted and read in points and pixels, and for how long."""
    scan = counted.scan
    counts = counted.counts
    energies = counted.energies
    emission_centres = (emission_edges[1:] + emission_edges[:-1]) / 2
    status = [str(energy.status) for energy in energies]
    gain = [energy.alignment for energy in energies]
    gain_error = [energy.alignment_error for energy in energies]
    measured_gain = [energy.misalignment for energy in energies]
    displacement = [energy.displacement for energy in energies]
    group_shift = [energy.group_shift for energy in energies]
    variables: Variables = {
        "incident_energy": (POINT, scan.points.incident_energy),
        "emission_energy": (("emission_energy",), emission_centres),
        "emission_energy_edges": (("emission_energy_edge",), emission_edges),
        "counts": (MAP, counts.map_counts),
        "live_time": (POINT, live.seconds.sum(axis=0)),
        "dwell": (POINT, scan.points.duration),
        "pixel": (PIXEL, counts.pixel),
        "pixel_counts": (PIXEL, counts.pixel_counts),
        "pixel_live_time": (PIXEL, live.seconds.sum(axis=1)),
        "pixel_away_time": (PIXEL, counts.away_time.sum(axis=1)),
        "pixel_away_time_errors": (PIXEL, counts.away_error),
        "alignment": (PIXEL, np.array(gain)),
        "alignment_errors": (PIXEL, np.array(gain_error)),
        "misalignment": (PIXEL, np.array(measured_gain)),
        "displacement": (PIXEL, np.array(displacement)),
        "group_shift": (PIXEL, np.array(group_shift)),
        "pixel_status": (PIXEL, np.array(status, dtype=object)),
        "cut": (("cut",), np.array(CUT_NAMES, dtype=object)),
        "cut_counts": (("pixel", "cut"), counts.cut_counts),
        "cut_limits": (("pixel", "cut_quantity", "limit"), counts.cut_limits),
    }
    for channel, reading in scan.readings.items():
        finite = np.where(np.isfinite(reading), reading, np.nan)
        # a slash in a name would make a group of the product
        variables[READING + channel.replace("/", "_")] = (POINT, finite)
    return variables


def intensity_variables(
    counts: IntArray, seconds: FloatArray, emission_edges: FloatArray
) -> Variables:
    """Return the intensity of a map and its standard deviation as variables.

    Parameters
    ----------
    counts
        i8 (point, bin).
    seconds
        Exposure, f8 (point,), s.
    emission_edges
        f8 (bin + 1,), eV.

    Returns
    -------
    dict
        `intensity` = counts / exposure / bin width, 1/(s eV), and `intensity_errors`,
        the same of sqrt(counts); NaN where there is no exposure.
    """
    exposed = np.where(seconds > 0, seconds, np.nan)
    divisor = exposed[:, None] * np.diff(emission_edges)[None, :]
    return {
        "intensity": (MAP, counts / divisor),
        "intensity_errors": (MAP, np.sqrt(counts) / divisor),
    }
