"""I0 of the passes of one sample and edge: those with another range are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.flux.evidence import LEAST_FACTOR
from rixs_pipeline.core.flux.level_steps import LevelSteps
from rixs_pipeline.core.flux.pass_levels import (
    UNKNOWN_FLUX,
    PassFlux,
    UsualFlux,
    find_pass_levels,
    find_pass_steps,
    find_unlike_yields,
)
from rixs_pipeline.core.flux.suggestion import factors_of_steps, suggest_scale
from rixs_pipeline.core.maps import combine
from rixs_pipeline.core.maps.incident_axis import IncidentAxis
from rixs_pipeline.schema import POINT_I0_UNUSABLE, POINT_USED, READING
from rixs_pipeline.stages.flux.flux_comparison import FluxComparison
from rixs_pipeline.stages.flux.suspect_channel import check_channels
from rixs_pipeline.stages.sample.pass_axis import axis_of_passes, point_index
from rixs_pipeline.types import FloatArray, IntArray

if TYPE_CHECKING:
    import xarray as xr


def compare_pass_flux(
    scans: Sequence[xr.Dataset],
    config: NormaliseConfig,
    channels: Sequence[str],
    name: str,
    usual: UsualFlux = UNKNOWN_FLUX,
) -> FluxComparison:
    """Compare the I0 of passes at equal photons, and leave out those that differ.

    Parameters
    ----------
    scans
        Maps of the passes as `schema.SCAN_MAP`.
    config
        Scales of I0 that are set already.
    channels
        Further readings that follow the flux, such as TEY and TFY.
    name
        Name of the map, for messages.
    usual
        Flux of other scans, which decides which of two passes is the odd one.

    Returns
    -------
    FluxComparison
        Empty if no pass is usable.
    """
    with_i0 = [scan for scan in scans if "i0" in scan]
    if not with_i0:
        return FluxComparison(list(scans))
    checked = check_channels(with_i0, channels, config.i0, name)
    with_i0 = checked.scans
    left_out = dict(checked.left_out)
    losses = list(checked.losses)
    without_i0 = [str(scan.attrs["run"]) for scan in scans if "i0" not in scan]
    if without_i0:
        left_out |= dict.fromkeys(without_i0, "no I0, which other passes have")
        losses.append(
            f"{name}: {', '.join(without_i0)} left out: no reading '{config.i0}', "
            "which other passes have (`normalise.i0: null` normalises all passes by "
            "live time)"
        )
    ranges = _find_ranges(with_i0, channels, name, usual)
    kept, changed, suggestions = [], [], []
    points_left_out = {}
    warnings = list(checked.warnings)
    for scan, log_range in zip(with_i0, ranges, strict=True):
        run = str(scan.attrs["run"])
        steps = LevelSteps(log_range)
        if steps.is_outage:
            points_left_out[run] = np.flatnonzero(steps.is_off).tolist()
            kept.append(mark_unusable(scan, points_left_out[run]))
            warnings.append(_outage_warning(scan, steps))
        elif steps.is_off.any():
            changed.append(run)
            present = config.scale_of(run, int(scan.attrs["number"]))
            suggestions.append(suggest_scan_scale(scan, log_range, present))
        else:
            kept.append(scan)
    warnings += _unlike_yields(kept, channels, name)
    if changed:
        left_out |= dict.fromkeys(changed, "range of I0 changed")
        losses.append(
            f"{name}: {', '.join(changed)} left out: I0 has another range or unit than "
            "in the other passes, for the same photons; set `normalise.i0_scale: "
            f"{{{', '.join(suggestions)}}}`"
        )
    return FluxComparison(kept, left_out, points_left_out, losses, warnings)


def _find_ranges(
    scans: Sequence[xr.Dataset], channels: Sequence[str], name: str, usual: UsualFlux
) -> list[FloatArray]:
    """Return the logarithm of each pass's I0 over the sound range, f8 (point,) each."""
    ranges = [_range_in_scan(scan) for scan in scans]
    if len(scans) < 2:
        return ranges
    axis = axis_of_passes(scans, name)
    flux = [pass_flux(scan, axis, channels) for scan in scans]
    for number, scan in enumerate(scans):
        other_passes = flux[:number] + flux[number + 1 :]
        steps = find_pass_steps(flux[number], other_passes, LEAST_FACTOR)
        at_points = at_points_of(steps.log_factor, scan, axis)
        ranges[number] = np.where(ranges[number] != 0, ranges[number], at_points)
    is_sound = [not log_range.any() or is_outage(log_range) for log_range in ranges]
    usable = [
        main_level(pass_, log_range, scan, axis)
        for pass_, log_range, scan in zip(flux, ranges, scans, strict=True)
    ]
    levels = find_pass_levels(usable, np.array(is_sound), usual)
    log_factor = np.where(levels.is_odd, levels.log_factor, 0.0)
    return [log_range + f for log_range, f in zip(ranges, log_factor, strict=True)]


def _unlike_yields(
    scans: Sequence[xr.Dataset], channels: Sequence[str], name: str
) -> list[str]:
    """Return a line for each pass with other photons per I0 than the other passes."""
    if len(scans) < 2:
        return []
    axis = axis_of_passes(scans, name)
    unlike = find_unlike_yields([pass_flux(scan, axis, channels) for scan in scans])
    return [
        f"{name}: {scan.attrs['run']}: photons per I0 are {np.exp(log_ratio):.2f} "
        "times those of the other passes: another spot or position of the sample, or "
        "another range of I0 (`normalise.i0_scale`)"
        for scan, log_ratio in zip(scans, unlike, strict=True)
        if log_ratio
    ]


def is_outage(log_range: FloatArray) -> bool:
    """Whether a few points (point,) have another range; see `LevelSteps`."""
    return LevelSteps(log_range).is_outage


def _range_in_scan(scan: xr.Dataset) -> FloatArray:
    """Return the logarithm of I0 over its main range, as the scan alone shows it."""
    if "i0_range" not in scan:
        return np.zeros(scan.sizes["incident_energy"])
    return np.asarray(np.log(scan["i0_range"].values))


def pass_flux(
    scan: xr.Dataset, axis: IncidentAxis, channels: Sequence[str]
) -> PassFlux:
    """Return the flux of a pass on shared points."""
    index = point_index(scan, axis)
    n_points = len(axis.energy)
    is_placed = index >= 0
    i0 = np.where(is_placed, scan.variables["i0"].values, np.nan)
    # the exposure without I0: throughput x live time
    exposure = scan.variables["exposure"].values
    seconds = np.divide(exposure, i0, out=np.zeros(len(i0)), where=i0 > 0)
    counts = scan.variables["counts"].values.sum(axis=1)

    def mean(values: FloatArray) -> FloatArray:
        return combine.weighted_mean([values], [seconds], [index], n_points)

    readings = []
    for channel in channels:
        reading = READING + channel
        no_reading = np.full(n_points, np.nan)
        readings.append(
            mean(scan.variables[reading].values) if reading in scan else no_reading
        )
    return PassFlux(
        i0=mean(i0),
        seconds=combine.add([seconds], [index], n_points) * scan.attrs["i0_ref"],
        counts=combine.add([counts], [index], n_points),
        readings=readings,
        order=pass_order(index, n_points),
    )


def pass_order(index: NDArray[np.intp], n_points: int) -> IntArray:
    """Return the shared points in the order in which a pass measured them.

    Parameters
    ----------
    index
        Shared point of each point of the pass, (point,); -1: none.
    n_points
        Number of shared points.

    Returns
    -------
    IntArray
        i8 (n_points,); those that the pass lacks come last.
    """
    places, first = np.unique(index[index >= 0], return_index=True)
    measured = places[np.argsort(first)]
    missing = np.setdiff1d(np.arange(n_points), measured)
    return np.concatenate([measured, missing])


def at_points_of(
    log_factor: FloatArray, scan: xr.Dataset, axis: IncidentAxis
) -> FloatArray:
    """Return values on shared points (shared point,) at the points of a scan."""
    index = axis.index(scan.variables["incident_energy"].values)
    return np.where(index >= 0, log_factor[np.maximum(index, 0)], 0.0)


def main_level(
    pass_: PassFlux, log_range: FloatArray, scan: xr.Dataset, axis: IncidentAxis
) -> PassFlux:
    """Return a pass without the points that are not on its main level."""
    index = axis.index(scan.variables["incident_energy"].values)
    off = index[(log_range != 0) & (index >= 0)]
    i0 = pass_.i0.copy()
    i0[off] = np.nan
    return PassFlux(i0, pass_.seconds, pass_.counts, pass_.readings, pass_.order)


def mark_unusable(scan: xr.Dataset, points: Sequence[int]) -> xr.Dataset:
    """Return the map of a scan with points marked whose I0 is not usable.

    Parameters
    ----------
    scan
        Map of a pass.
    points
        Numbers of its points.

    Returns
    -------
    xr.Dataset
    """
    status = scan["point_status"]
    values = status.values.copy()
    values[list(points)] = POINT_I0_UNUSABLE
    return scan.assign(point_status=status.copy(data=values))


def _outage_warning(scan: xr.Dataset, steps: LevelSteps) -> str:
    energies = scan["incident_energy"].values[steps.is_off]
    listed = ", ".join(f"{energy:.2f}" for energy in energies)
    share = f"{len(energies)} of {len(steps.log_factor)} points ({listed} eV)"
    return (
        f"{scan.attrs['run']}: I0 differs from the other passes and the photons do not "
        f"at {share}; not used"
    )


def _key(scan: xr.Dataset) -> str:
    """Return how the config names a scan: by its number, where that is its name."""
    run, number = str(scan.attrs["run"]), int(scan.attrs["number"])
    return str(number) if run == f"scan{number:04d}" else run


def suggest_scan_scale(
    scan: xr.Dataset, log_range: FloatArray, present: Mapping[int, float]
) -> str:
    """Return the entry of a scale for a scan: its key and factors.

    Parameters
    ----------
    scan
        Map of the scan.
    log_range
        Natural logarithm of the reading over the sound range, f8 (point,).
    present
        Factors that are set already: first point -> factor.

    Returns
    -------
    str
        YAML.
    """
    is_used = np.isin(scan["point_status"].values, (POINT_USED, POINT_I0_UNUSABLE))
    factors = factors_of_steps(present, len(log_range))
    return f"{_key(scan)}: {suggest_scale(log_range, is_used, factors)}"
