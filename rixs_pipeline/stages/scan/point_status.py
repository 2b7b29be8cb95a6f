"""Which points of a scan are used, and why others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.flux.evidence import LARGE_FACTOR, FluxPoints
from rixs_pipeline.core.flux.level_steps import LevelSteps, find_level_steps
from rixs_pipeline.core.flux.repeated_readings import Repetition, find_repeated_readings
from rixs_pipeline.core.maps import exposure
from rixs_pipeline.io.runs import Run
from rixs_pipeline.schema import (
    POINT_EXCLUDED,
    POINT_I0_UNUSABLE,
    POINT_NO_BEAM,
    POINT_NO_I0,
    POINT_USED,
)
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.incident_flux import IncidentFlux
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

LISTED_POINTS = 5  # energies that a warning lists at most
LOW_QUANTILE = 0.05  # of the I0 with beam: its lowest readings, but for outliers
# of these, that I0 has at most where the beam is off and not the shutter closed
LARGEST_DARK_SHARE = 0.8
DARK_I0 = 1e-4  # of the largest I0, that stands for readings of 0 and below


@dataclass(frozen=True)
class PointStatus:
    """Which points of a scan are used.

    Attributes
    ----------
    status
        Codes of the schema, i8 (point,).
    log_steps
        Natural logarithm of I0 over its main level, where its range changed within the
        scan, f8 (point,); 0 otherwise.
    warnings
        One line each.
    """

    status: IntArray
    log_steps: FloatArray
    warnings: list[str] = field(default_factory=list)

    @property
    def has_range_change(self) -> bool:
        """Whether the range of I0 changed within the scan, and not for a few points."""
        steps = LevelSteps(self.log_steps)
        return bool(steps.is_off.any() and not steps.is_outage)


@dataclass(frozen=True)
class _FluxLevels:
    """I0 of a scan at one range of its channel, and where the range changed.

    `log_factor` as `LevelSteps`, `is_dark` where there was no beam; (point,) each.
    """

    log_factor: FloatArray
    is_dark: BoolArray


def find_dark_points(
    counted: CountedScan, flux: IncidentFlux | None, beam_off_below: float
) -> BoolArray:
    """Return which points had no beam, (point,).

    Parameters
    ----------
    counted
        The scan with its counts.
    flux
        Its incident flux; None without one.
    beam_off_below
        Share of the usual I0 below which there is no beam.

    Returns
    -------
    BoolArray
        By I0 where it is positive, at its own range; else by the pulses. Points without
        a reading are not dark, and neither are those whose photons go on.
    """
    triggers = counted.counts.triggers[counted.is_used].sum(axis=0)
    duration = counted.scan.points.duration
    if flux is not None and (flux.values > 0).any():
        return _find_flux_levels(counted, flux, beam_off_below).is_dark
    return exposure.beam_off(None, triggers, duration, beam_off_below)


def _find_flux_levels(
    counted: CountedScan, flux: IncidentFlux, beam_off_below: float
) -> _FluxLevels:
    """Find where the range of I0 changes, by the photons, and where the beam is off.

    Factors of three or more: smaller ones need other passes to compare with.
    """
    is_used = counted.is_used
    counts = counted.counts
    lowest = DARK_I0 * np.nanmax(flux.values)
    i0 = np.maximum(flux.values, lowest)
    points = FluxPoints(
        log_i0=np.log(i0),
        counts=counts.accepted[is_used].sum(axis=0),
        expected=counts.live_time[is_used].sum(axis=0),
        reference_counts=np.full(len(i0), np.inf),
    )
    steps = find_level_steps(points, LARGE_FACTOR, has_spectrum=False)
    log_factor = steps.log_factor
    no_triggers = np.zeros(len(i0), np.int64)  # not needed where there is I0
    duration = counted.scan.points.duration
    level = i0 * np.exp(-log_factor)
    is_dark = exposure.beam_off(level, no_triggers, duration, beam_off_below)
    return _FluxLevels(log_factor, is_dark & np.isfinite(i0))


def find_point_status(
    counted: CountedScan,
    flux: IncidentFlux | None,
    config: NormaliseConfig,
    excluded_points: Sequence[int],
) -> PointStatus:
    """Find the points that are used.

    Parameters
    ----------
    counted
        The scan with its counts.
    flux
        Its incident flux; None without one.
    config
        Share of I0 below which there is no beam.
    excluded_points
        Numbers of the points that the config excludes.

    Returns
    -------
    PointStatus
        A low I0 shows that the beam is off. Few triggers of the used pixels show a
        closed shutter, or a detector that does not record, for which I0 is as usual;
        for a part of a point, its length is not known well enough to correct for.
    """
    scan = counted.scan
    points = scan.points
    triggers = counted.counts.triggers[counted.is_used]
    occupied = counted.counts.occupied[counted.is_used]
    below = config.beam_off_below
    has_no_beam = find_dark_points(counted, flux, below)
    all_triggers = triggers.sum(axis=0)
    has_few_pulses = exposure.beam_off(None, all_triggers, points.duration, below)
    has_no_pulses = has_few_pulses & ~has_no_beam
    is_dark = has_no_beam | has_no_pulses
    is_interrupted = exposure.has_interruption(triggers, occupied) & ~is_dark
    is_lost = is_dark | is_interrupted
    status = np.full(len(points), POINT_USED, np.int64)
    of_flux = PointStatus(status, np.zeros(len(points)))
    if flux is not None:
        of_flux = _find_flux_status(counted, flux, config, is_lost)
        status = of_flux.status.copy()
    status[is_lost] = POINT_NO_BEAM
    existing = [point for point in excluded_points if 0 <= point < len(points)]
    status[existing] = POINT_EXCLUDED
    log_steps = np.where(status == POINT_EXCLUDED, 0.0, of_flux.log_steps)
    warnings = []
    for is_affected, problem in (
        (has_no_beam, "no beam"),
        (has_no_pulses, "no pulses"),
        (is_interrupted, "no pulses for a part of the time"),
    ):
        if is_affected.any():
            warnings.append(_points_warning(scan, is_affected, problem))
    warnings += of_flux.warnings
    if flux is not None:
        warnings += _dark_warnings(scan, flux, config, has_no_pulses)
    if len(existing) < len(excluded_points):
        warnings.append(describe_excess_points(scan))
    return PointStatus(status, log_steps, warnings)


def describe_excess_points(scan: Run) -> str:
    """Return the warning about excluded points that a scan does not have."""
    return (
        f"{scan.name}: `beamtime.exclude.points` lists points beyond the "
        f"{len(scan.points)} of this scan"
    )


def _find_flux_status(
    counted: CountedScan,
    flux: IncidentFlux,
    config: NormaliseConfig,
    is_dark: BoolArray,
) -> PointStatus:
    """Find the points whose I0 is missing or not usable, among those with beam."""
    scan = counted.scan
    status = np.full(len(is_dark), POINT_USED, np.int64)
    is_lost = (flux.values <= 0) & ~is_dark
    log_steps = np.zeros(len(is_dark))
    if (flux.values > 0).any():
        levels = _find_flux_levels(counted, flux, config.beam_off_below)
        log_steps = np.where(is_dark | is_lost, 0.0, levels.log_factor)
    repeated = find_repeated(scan, config, is_dark)
    warnings = []
    for is_affected, code, problem in (
        (log_steps != 0, POINT_I0_UNUSABLE, "I0 changes and the photons do not"),
        (repeated.is_repeated, POINT_I0_UNUSABLE, repeated.problem),
        (is_lost, POINT_NO_I0, f"no positive I0 reading{_offset_advice(config)}"),
        (flux.is_missing & ~is_dark, POINT_NO_I0, "no I0 reading"),
        (flux.is_beyond_blank & ~is_dark, POINT_NO_I0, "no reading of the blank"),
    ):
        if is_affected.any():
            status[is_affected] = code
            warnings.append(_points_warning(scan, is_affected, problem))
    warnings += repeated.warnings
    return PointStatus(status, log_steps, warnings)


@dataclass(frozen=True)
class RepeatedReadings:
    """Points (point,) whose reading is stuck or saturated, why, and warnings."""

    is_repeated: BoolArray
    problem: str = ""
    warnings: Sequence[str] = ()


def find_repeated(
    scan: Run, config: NormaliseConfig, is_dark: BoolArray
) -> RepeatedReadings:
    """Find points whose reading is stuck or saturated.

    Parameters
    ----------
    scan
        With its readings, the one that the config names among them.
    config
        Names the channel, and its sign.
    is_dark
        Points without beam, (point,).

    Returns
    -------
    RepeatedReadings
        A channel that reads the same at all points is as good as none, and is used.
    """
    channel = config.second_monitor or config.i0
    sign = 1 if config.second_monitor else config.i0_sign
    readings = sign * scan.readings[str(channel)]
    repeated = find_repeated_readings(np.where(is_dark, np.nan, readings))
    no_point = np.zeros(len(scan.points), bool)
    if repeated is None:
        return RepeatedReadings(no_point)
    value = f"{sign * repeated.value:.6g}"
    if repeated.kind is Repetition.CONSTANT:
        warning = (
            f"{scan.name}: '{channel}' reads {value} at all points; stuck, or not a "
            "monitor of the flux (`normalise.i0: null` normalises by live time)"
        )
        return RepeatedReadings(no_point, warnings=[warning])
    return RepeatedReadings(
        repeated.is_repeated, f"'{channel}' {repeated.kind} at {value}"
    )


def _offset_advice(config: NormaliseConfig) -> str:
    """Return the key that may make readings negative, if it is set."""
    keys = ("i0_offset", "i0_offset_per_second", "second_monitor_offset")
    used = [f"`normalise.{key}`" for key in keys if getattr(config, key) > 0]
    return f" (check {', '.join(used)})" if used else ""


def _dark_warnings(
    scan: Run, flux: IncidentFlux, config: NormaliseConfig, has_no_pulses: BoolArray
) -> list[str]:
    """Return a warning where I0 falls with the pulses, but not to 0.

    Behind a closed shutter it stays as it was.
    """
    is_lit = (flux.values > 0) & ~has_no_pulses
    is_dark = has_no_pulses & np.isfinite(flux.values)
    if not (is_lit.any() and is_dark.any()):
        return []
    lowest = np.quantile(flux.values[is_lit], LOW_QUANTILE)
    level = np.median(flux.values[is_dark])
    if not 0 < level < LARGEST_DARK_SHARE * lowest:
        return []
    channel, key = config.i0, "i0_offset"
    if config.second_monitor:
        channel, key = config.second_monitor, "second_monitor_offset"
    reading = scan.readings[str(channel)][is_dark]
    if not config.second_monitor:
        reading = reading - config.i0_offset_per_second * scan.points.duration[is_dark]
    return [
        f"{scan.name}: wrong zero of I0: '{channel}' still reads {level:.4g}, "
        f"{100 * level / lowest:.0f} % of the lowest reading with beam, where no "
        f"pulses arrive; set `normalise.{key}: {np.median(reading):.4g}`"
    ]


def _points_warning(scan: Run, is_affected: BoolArray, problem: str) -> str:
    """Return the warning about points that are not used, with their energies."""
    return f"{scan.name}: {problem} at {list_points(scan, is_affected)}; not used"


def list_points(scan: Run, is_affected: BoolArray) -> str:
    """Return how many points are affected (point,), and their energies."""
    energies = scan.points.incident_energy[is_affected]
    listed = ", ".join(f"{energy:.2f}" for energy in energies[:LISTED_POINTS])
    if len(energies) > LISTED_POINTS:
        listed += ", ..."
    return f"{len(energies)} of {len(scan.points)} points ({listed} eV)"
