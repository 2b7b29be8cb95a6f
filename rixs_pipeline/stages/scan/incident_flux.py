"""Incident flux of a scan, from the readings of its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.flux.blank import Response, response_of_blank
from rixs_pipeline.core.flux.suggestion import factors_of_steps
from rixs_pipeline.core.maps import exposure
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.runs import Run
from rixs_pipeline.types import BoolArray, FloatArray

LIT_SHARE = 0.1  # of the largest reading: smaller ones do not show its sign
COVERED_SHARE = 0.5  # of a scan's points, that a blank must cover
SPIKE = np.log(2.0)  # from the median: spikes of I0 do not count in its mean
SAME_RANGE = np.log(3.0)  # I0 of passes that have one range of the channel


@dataclass(frozen=True)
class IncidentFlux:
    """Incident flux in the points of a scan.

    Attributes
    ----------
    values
        Reading less its dark part, with sign and scale, and freed from the response of
        I0, f8 (point,); NaN where it is missing.
    is_missing
        Points without a reading, (point,).
    is_beyond_blank
        Points at which the blank was not measured, (point,).
    blank_errors
        Relative standard deviations from the blank, f8 (point,); None without one.
    """

    values: FloatArray
    is_missing: BoolArray
    is_beyond_blank: BoolArray
    blank_errors: FloatArray | None = None


def read_flux(
    scan: Run, config: NormaliseConfig, blanks: Sequence[Response] = ()
) -> IncidentFlux | None:
    """Return the incident flux of a scan.

    Parameters
    ----------
    scan
        The scan with its readings.
    config
        Names the channel, its sign, scale and dark part, and a second monitor.
    blanks
        Responses of I0; the first one that covers the scan is divided out.

    Returns
    -------
    IncidentFlux or None
        None where the scan has no such reading.
    """
    values = _read_monitor(scan, config)
    if values is None:
        return None
    is_missing = np.isnan(values)
    no_points = np.zeros(len(values), bool)
    for response in blanks:
        at_points = response.at(scan.points.incident_energy)
        is_beyond = np.isnan(at_points.values)
        if is_beyond.mean() <= COVERED_SHARE:
            errors = at_points.errors / at_points.values
            values = values * at_points.values
            return IncidentFlux(values, is_missing, is_beyond & ~is_missing, errors)
    return IncidentFlux(values, is_missing, no_points)


def read_i0(
    scan: Run, config: NormaliseConfig, blanks: Sequence[Response] = ()
) -> FloatArray | None:
    """Return `IncidentFlux.values` of a scan, f8 (point,); None without readings."""
    flux = read_flux(scan, config, blanks)
    return None if flux is None else flux.values


def _read_monitor(scan: Run, config: NormaliseConfig) -> FloatArray | None:
    """Return the second monitor if the config names one, or else I0, f8 (point,)."""
    channel = config.second_monitor or config.i0
    if config.i0 is None or channel not in scan.readings:
        return None
    reading = scan.readings[channel]
    if not np.isfinite(reading).any():
        return None
    reading = np.where(np.isfinite(reading), reading, np.nan)
    dwell = scan.points.duration
    if config.second_monitor:
        values = reading - config.second_monitor_offset
    else:
        dark = dark_reading(dwell, config)
        steps = config.scale_of(scan.name, scan.number)
        factors = factors_of_steps(steps, len(dwell))
        values = config.i0_sign * factors * (reading - dark)
    if config.i0_kind == "counts":
        rate = np.full(len(values), np.nan)
        np.divide(values, dwell, out=rate, where=dwell > 0)
        return rate
    return np.asarray(values)


def dark_reading(dwell: FloatArray, config: NormaliseConfig) -> FloatArray:
    """Return the reading of I0 without beam, f8 (point,), for dwells in s."""
    return config.i0_offset + config.i0_offset_per_second * dwell


def require_positive_flux(
    scan: Run, flux: IncidentFlux, config: NormaliseConfig
) -> None:
    """Refuse a scan whose incident flux is nowhere positive.

    Raises
    ------
    RunFailed
        The readings are 0, or negative as those of a drain current.
    """
    read = flux.values[~np.isnan(flux.values)]
    size = np.abs(read)
    lit = read[size >= LIT_SHARE * size.max(initial=0.0)]
    channel = config.second_monitor or config.i0
    number = f"{int((read < 0).sum())} of {len(flux.values)} points"
    if len(lit) and np.median(lit) < 0:
        raise RunFailed(
            f"{scan.name}: negative incident flux ('{channel}') at {number}; a drain "
            f"current needs `normalise.i0_sign: {-config.i0_sign}`, and a dark reading "
            "`normalise.i0_offset`"
        )
    if not (read > 0).any():
        raise RunFailed(
            f"{scan.name}: no incident flux ('{channel}') above 0 at any point; check "
            "`normalise.i0` and `normalise.i0_offset`"
        )


def describe_missing(scan: Run, config: NormaliseConfig) -> str:
    """Return the warning about a scan without the reading that the config names."""
    channel = config.second_monitor or config.i0
    return (
        f"{scan.name}: no reading '{channel}' in the log; normalised by live time alone"
    )


def find_blanks(scans: Sequence[Run], config: NormaliseConfig) -> tuple[Response, ...]:
    """Return the responses of I0 from the scans of blanks.

    Parameters
    ----------
    scans
        All scans of the beamtime.
    config
        Names the scans, and the reading of the blank.

    Returns
    -------
    tuple of Response
        In the order of the config.

    Raises
    ------
    RunFailed
        There is no such scan, or it lacks usable readings.
    """
    responses = []
    for key in config.blanks:
        scan = _find_scan(scans, key)
        i0 = _read_monitor(scan, config)
        reading = scan.readings.get(config.blank_channel)
        response = None
        if i0 is not None and reading is not None:
            response = response_of_blank(scan.points.incident_energy, reading, i0)
        if response is None:
            raise RunFailed(
                f"normalise.blank: {scan.name} has no '{config.blank_channel}' and I0 "
                "at three points or more; correct `blank` or `blank_channel`"
            )
        responses.append(response)
    return tuple(responses)


def _find_scan(scans: Sequence[Run], key: int | str) -> Run:
    for scan in scans:
        if key in (scan.name, scan.number, str(scan.number)):
            return scan
    raise RunFailed(f"normalise.blank: no scan {key} in this beamtime; correct `blank`")


def find_i0_reference(
    scans: Sequence[Run],
    config: NormaliseConfig,
    blanks: Sequence[Response] = (),
    companions: Sequence[Run] = (),
) -> float | None:
    """Return the I0 that the exposures of all scans are relative to.

    Parameters
    ----------
    scans
        All scans of the beamtime, in order of time.
    config
        Names the channel of I0.
    blanks
        Responses of I0.
    companions
        Scans that may show that the first one has another range of the channel: those
        of its interval between reference runs, once that is closed.

    Returns
    -------
    float or None
        The mean over the points with beam of the first scan that has I0, and the range
        that most of its companions of the same sample and edge have; None without one.
    """
    first, mean_i0 = None, None
    for first in scans:
        mean_i0 = _mean_i0(first, config, blanks)
        if mean_i0 is not None:
            break
    if first is None or mean_i0 is None:
        return None
    passes = [s for s in companions if (s.sample, s.edge) == (first.sample, first.edge)]
    if len(passes) == 2:  # neither has the majority: all scans of the edge decide
        passes = [scan for scan in companions if scan.edge == first.edge]
    means = [_mean_i0(scan, config, blanks) for scan in passes]
    finite_means = [mean for mean in means if mean is not None]
    if len(finite_means) < 3:
        return mean_i0
    usual = np.median(np.log(finite_means))
    sound = [mean for mean in finite_means if abs(np.log(mean) - usual) < SAME_RANGE]
    return mean_i0 if mean_i0 in sound or not sound else sound[0]


def _mean_i0(
    scan: Run, config: NormaliseConfig, blanks: Sequence[Response]
) -> float | None:
    """Return the mean I0 of a scan where it has beam; None without any."""
    i0 = read_i0(scan, config, blanks)
    if i0 is None:
        return None
    no_triggers = np.zeros(len(i0), np.int64)  # not needed where there is I0
    below = config.beam_off_below
    is_dark = exposure.beam_off(i0, no_triggers, scan.points.duration, below)
    with_beam = i0[~is_dark]
    if not len(with_beam):
        return None
    median = np.median(with_beam)
    is_usual = np.abs(np.log(with_beam / median)) < SPIKE if median > 0 else True
    return float(np.mean(with_beam, where=is_usual))
