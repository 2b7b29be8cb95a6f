"""Faults of the incident flux, made in the JSON logs of a beamtime."""

import json
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.faults.pixels import edit_pulses


@contextmanager
def readings_of(beamtime: Path, number: int):
    """The readings of a scan's points, a mapping each, to be changed in place."""
    path = beamtime / "logs" / f"scan{number:04d}.json"
    log = json.loads(path.read_text())
    yield [log["point_extras"][str(n)] for n in range(len(log["var_values"]))]
    path.write_text(json.dumps(log))


def change(
    beamtime: Path,
    scans: Iterable[int],
    new: Callable[[int, float], object],
    channel: str = "i0",
) -> None:
    """Replace the readings of a channel by `new(point, reading)`."""
    for number in scans:
        with readings_of(beamtime, number) as points:
            for point, readings in enumerate(points):
                readings[channel] = new(point, readings[channel])


def scale(beamtime, scans, factor, first=0, last=None, channel="i0"):
    """Change the range of a channel from a point on, up to another one."""

    def new(point, reading):
        is_within = first <= point and (last is None or point < last)
        return reading * factor if is_within else reading

    change(beamtime, scans, new, channel)


def lose(beamtime, scans, points=None, value=None):
    """Lose I0 at some points, or at all; without a value the reading is not there."""
    for number in scans:
        with readings_of(beamtime, number) as readings:
            for point in range(len(readings)) if points is None else points:
                if value is None:
                    del readings[point]["i0"]
                else:
                    readings[point]["i0"] = value


def lose_channel(beamtime, number, channel):
    """Lose the readings of a channel in a scan."""
    with readings_of(beamtime, number) as readings:
        for point in readings:
            del point[channel]


def freeze(beamtime, scans, first=0, channel="i0"):
    """Let a channel stay at its reading of a point."""
    for number in scans:
        with readings_of(beamtime, number) as readings:
            for point in readings[first:]:
                point[channel] = readings[first][channel]


def saturate(beamtime, scans, share, channel="i0"):
    """Let the highest readings of a channel all be the same."""
    for number in scans:
        with readings_of(beamtime, number) as readings:
            values = [point[channel] for point in readings]
            ceiling = float(np.quantile(values, 1 - share))
            for point in readings:
                point[channel] = min(point[channel], ceiling)


def swap(beamtime, scans, channel, other="i0"):
    """Write two channels into each other's column."""
    for number in scans:
        with readings_of(beamtime, number) as points:
            for point in points:
                point[channel], point[other] = point[other], point[channel]


def slip(beamtime, scans, points):
    """Let the monochromator lag: every reading is that of an earlier point."""
    for number in scans:
        with readings_of(beamtime, number) as readings:
            taken = [dict(point) for point in readings]
            for n, point in enumerate(readings):
                i0 = point["i0"]
                before = taken[max(n - points, 0)]
                point["tey"] = before["tey"] / before["i0"] * i0


def block_beam(beamtime, number, points, dark):
    """Take the pulses of some points out, and leave the dark reading of I0."""
    log = json.loads((beamtime / "logs" / f"scan{number:04d}.json").read_text())
    windows = [
        (log["epoch_time_start_s"][n] * 1e9, log["epoch_time_end_s"][n] * 1e9)
        for n in points
    ]
    for path in beamtime.rglob("*.off"):
        pixel = int(path.stem.rpartition("chan")[2])
        with edit_pulses(beamtime, pixel) as records:
            is_blocked = np.zeros(len(records), bool)
            for start, end in windows:
                is_blocked |= (records["ns"] >= start) & (records["ns"] < end)
            # between two passes nothing is counted
            records["ns"][is_blocked] = int(log["epoch_time_end_s"][-1] * 1e9) + 1000
            records.sort(order="ns")
    with readings_of(beamtime, number) as readings:
        for n in points:
            readings[n]["i0"] = dark
