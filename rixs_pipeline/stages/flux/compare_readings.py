"""Ranges of TEY, TFY and other readings over I0, between the passes of one sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import XasConfig, find_scale
from rixs_pipeline.core.flux.pass_levels import (
    UNKNOWN_FLUX,
    PassFlux,
    find_pass_levels,
    find_pass_steps,
)
from rixs_pipeline.core.flux.suggestion import factors_of_steps
from rixs_pipeline.core.maps import combine
from rixs_pipeline.core.maps.incident_axis import IncidentAxis
from rixs_pipeline.schema import READING
from rixs_pipeline.stages.flux.compare_passes import (
    at_points_of,
    is_outage,
    main_level,
    mark_unusable,
    pass_order,
    suggest_scan_scale,
)
from rixs_pipeline.stages.sample.pass_axis import (
    axis_of_passes,
    point_index,
    reading_over_i0,
)
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

LEAST_STEP = 2.0  # within a pass: contacts and charging change a reading by less
LEAST_LEVEL = 5.0  # between passes: spots differ by less, and every pass is normalised
NOISY = 0.3  # scatter from point to point, logarithmic, beyond which nothing is tested


@dataclass(frozen=True)
class ReadingComparison:
    """Passes in which readings of another range are NaN.

    Attributes
    ----------
    scans
        Maps of the passes.
    left_out
        Channel -> name of a pass -> its points without usable readings.
    warnings
        One line each.
    """

    scans: list[xr.Dataset]
    left_out: Mapping[str, Mapping[str, list[int]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def scale_readings(scans: Sequence[xr.Dataset], config: XasConfig) -> list[xr.Dataset]:
    """Return the passes with the readings multiplied by `xas.channel_scale`.

    Parameters
    ----------
    scans
        Maps of the passes as `schema.SCAN_MAP`.
    config
        The factors.

    Returns
    -------
    list of xr.Dataset
    """
    scaled = []
    for scan in scans:
        for channel, scales in config.channel_scale.items():
            name = READING + channel
            if name not in scan:
                continue
            steps = find_scale(
                scales, str(scan.attrs["run"]), int(scan.attrs["number"])
            )
            factors = factors_of_steps(steps, scan.sizes["incident_energy"])
            reading = scan[name]
            scan = scan.assign({name: reading.copy(data=reading.values * factors)})
        scaled.append(scan)
    return scaled


def compare_readings(
    scans: Sequence[xr.Dataset], config: XasConfig, name: str
) -> ReadingComparison:
    """Compare readings over I0 between passes at equal photons over I0.

    Parameters
    ----------
    scans
        Maps of the passes as `schema.SCAN_MAP`.
    config
        The channels, and factors that are applied already.
    name
        Name of the map, for messages.

    Returns
    -------
    ReadingComparison
        A pass whose reading steps, or differs fivefold, has none of it; a short outage
        costs its points.
    """
    left_out = {}
    warnings = []
    for channel in config.channels:
        measured = [scan for scan in scans if READING + channel in scan]
        if len(measured) < 2:
            continue
        suggestions = {}
        points: dict[str, list[int]] = {}
        ranges = _find_ranges(measured, channel, name)
        for scan, log_range in zip(measured, ranges, strict=True):
            run, number = str(scan.attrs["run"]), int(scan.attrs["number"])
            if is_outage(log_range):
                points[run] = np.flatnonzero(log_range).tolist()
                warnings.append(
                    f"{name}: {channel} of {run} differs from the other passes at "
                    f"{len(points[run])} points; not used there"
                )
            elif log_range.any():
                points[run] = list(range(len(log_range)))
                scales = config.channel_scale.get(channel, {})
                present = find_scale(scales, run, number)
                suggestions[run] = suggest_scan_scale(scan, log_range, present)
        if points:
            left_out[channel] = points
        if suggestions:
            warnings.append(
                f"{name}: {channel} of {', '.join(suggestions)} has another range than "
                "in the other passes, and is not used; set `xas.channel_scale: "
                f"{{{channel}: {{{', '.join(suggestions.values())}}}}}`"
            )
    return ReadingComparison(without_readings(scans, left_out), left_out, warnings)


def usable_readings(
    scans: Sequence[xr.Dataset],
    config: XasConfig,
    *,
    readings_left_out: Mapping[str, Mapping[str, list[int]]],
    points_left_out: Mapping[str, list[int]],
) -> list[xr.Dataset]:
    """Return the passes with scaled readings, without those that the map leaves out.

    Parameters
    ----------
    scans
        Maps of the passes.
    config
        Factors of the readings.
    readings_left_out
        `ReadingComparison.left_out` of the map.
    points_left_out
        `FluxComparison.points_left_out` of the map.

    Returns
    -------
    list of xr.Dataset
    """
    scaled = without_readings(scale_readings(scans, config), readings_left_out)
    usable = []
    for scan in scaled:
        points = points_left_out.get(str(scan.attrs["run"]), [])
        usable.append(mark_unusable(scan, points) if points else scan)
    return usable


def without_readings(
    scans: Sequence[xr.Dataset], left_out: Mapping[str, Mapping[str, list[int]]]
) -> list[xr.Dataset]:
    """Return the passes with NaN in place of readings that are left out.

    Parameters
    ----------
    scans
        Maps of the passes.
    left_out
        As of `ReadingComparison`.

    Returns
    -------
    list of xr.Dataset
    """
    cleaned = []
    for scan in scans:
        for channel, runs in left_out.items():
            points = runs.get(str(scan.attrs["run"]), [])
            if points:
                reading = scan[READING + channel]
                values = np.array(reading.values, float)
                values[points] = np.nan
                scan = scan.assign({READING + channel: reading.copy(data=values)})
        cleaned.append(scan)
    return cleaned


def _find_ranges(
    scans: Sequence[xr.Dataset], channel: str, name: str
) -> list[FloatArray]:
    """Return the logarithm of a reading over its sound range, f8 (point,) each."""
    no_change = [np.zeros(scan.sizes["incident_energy"]) for scan in scans]
    axis = axis_of_passes(scans, name)
    flux = [_reading_flux(scan, axis, channel) for scan in scans]
    if any(_is_noisy(pass_) for pass_ in flux):
        return no_change
    ranges = []
    for number, scan in enumerate(scans):
        other_passes = flux[:number] + flux[number + 1 :]
        steps = find_pass_steps(flux[number], other_passes, LEAST_STEP)
        ranges.append(at_points_of(steps.log_factor, scan, axis))
    is_sound = [not log_range.any() or is_outage(log_range) for log_range in ranges]
    usable = [
        main_level(pass_, log_range, scan, axis)
        for pass_, log_range, scan in zip(flux, ranges, scans, strict=True)
    ]
    levels = find_pass_levels(usable, np.array(is_sound), UNKNOWN_FLUX)
    # a reading that does not follow I0 at all is an offset, and has no range
    raw = np.array([_log_level(scan, channel) for scan in scans])
    is_usual = ~levels.is_odd & np.isfinite(raw)
    usual = np.median(raw[is_usual]) if is_usual.any() else np.nan
    raw_change = np.abs(raw - usual)
    is_odd = np.abs(levels.log_factor) >= np.log(LEAST_LEVEL)
    is_odd &= raw_change > np.abs(levels.log_factor) / 2
    log_factor = np.where(is_odd, levels.log_factor, 0.0)
    return [log_range + f for log_range, f in zip(ranges, log_factor, strict=True)]


def _reading_flux(scan: xr.Dataset, axis: IncidentAxis, channel: str) -> PassFlux:
    """Return a reading over I0 in place of I0, and the exposure in place of time."""
    index = point_index(scan, axis)
    n_points = len(axis.energy)
    ratio = np.where(index >= 0, reading_over_i0(scan, channel), np.nan)
    exposure = scan.variables["exposure"].values
    photons = scan["photons"] if "photons" in scan else scan["counts"].sum(axis=1)
    return PassFlux(
        i0=combine.weighted_mean([ratio], [exposure], [index], n_points),
        seconds=combine.add([exposure], [index], n_points),
        counts=combine.add([photons.values], [index], n_points),
        readings=(),
        order=pass_order(index, n_points),
    )


def _log_level(scan: xr.Dataset, channel: str) -> float:
    """Return the natural logarithm of the median of a reading."""
    median = np.nanmedian(scan.variables[READING + channel].values)
    return float(np.log(median)) if median > 0 else np.nan


def _is_noisy(pass_: PassFlux) -> bool:
    """Whether a reading is hardly ever positive, or scatters from point to point."""
    log_ratio = pass_.log_i0[pass_.order]
    measured = pass_.seconds > 0
    finite = log_ratio[np.isfinite(log_ratio)]
    if not len(finite) or len(finite) < measured.sum() / 2:
        return True
    steps = np.abs(np.diff(finite))
    return bool(len(steps) and np.median(steps) > NOISY)
