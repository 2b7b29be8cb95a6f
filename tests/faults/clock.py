"""Injectors of faults of the clock of the logs into a beamtime."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.faults.logs import Records, edit_records

TIMES = ("epoch_time_start_s", "epoch_time_end_s")


def edit_log(beamtime: Path, run: str, change: Callable[[dict], None]) -> None:
    """Change the log of a run such as `scan0002`."""
    path = beamtime / "logs" / f"{run}.json"
    log = json.loads(path.read_text())
    change(log)
    path.write_text(json.dumps(log))


def scan_names(beamtime: Path) -> list[str]:
    """Return the names of all scans, in order."""
    return sorted(path.stem for path in (beamtime / "logs").glob("scan*.json"))


def shift_scans(beamtime: Path, seconds: float, *scans: str) -> None:
    """Shift the times of scans, by default of all of them."""

    def shift(log: dict) -> None:
        for key in TIMES:
            log[key] = [time + seconds for time in log[key]]

    for name in scans or scan_names(beamtime):
        edit_log(beamtime, name, shift)


def drift_clock(beamtime: Path, seconds_per_hour: float) -> None:
    """Let the clock of the logs of scans drift, from the first scan on."""
    names = scan_names(beamtime)
    path = beamtime / "logs" / f"{names[0]}.json"
    first = json.loads(path.read_text())[TIMES[0]][0]

    def drift(log: dict) -> None:
        for key in TIMES:
            log[key] = [t + (t - first) / 3600 * seconds_per_hour for t in log[key]]

    for name in names:
        edit_log(beamtime, name, drift)


def remove_labels(beamtime: Path) -> None:
    """Delete the experiment states."""
    for path in beamtime.rglob("*_experiment_state.txt"):
        path.unlink()


def remove_readings(beamtime: Path, *channels: str) -> None:
    """Delete readings of all scans."""

    def remove(log: dict) -> None:
        for readings in log["point_extras"].values():
            for channel in channels:
                del readings[channel]

    for name in scan_names(beamtime):
        edit_log(beamtime, name, remove)


def shift_all_logs(beamtime: Path, seconds: float) -> None:
    """Shift the times of all runs, reference runs among them."""
    shift_scans(beamtime, seconds)
    names = [path.stem for path in (beamtime / "logs").glob("calibration*.json")]
    shift_scans(beamtime, seconds, *names)


def delay_readings(beamtime: Path, points: int) -> None:
    """Give each point the readings of so many points before it."""

    def delay(log: dict) -> None:
        extras = log["point_extras"]
        keys = sorted(extras, key=int)
        moved = [extras[keys[max(row - points, 0)]] for row in range(len(keys))]
        log["point_extras"] = dict(zip(keys, moved, strict=True))

    for name in scan_names(beamtime):
        edit_log(beamtime, name, delay)


def shift_pixels(beamtime: Path, seconds: float, pixels: Iterable[int]) -> None:
    """Shift the times of all pulses of some pixels."""

    def shift(records: Records) -> Records:
        moved = records.copy()
        moved["unixnano"] += round(seconds * 1e9)
        return moved

    for pixel in pixels:
        edit_records(beamtime, pixel, shift)
