"""Injectors of faults into the logs and the pulse files of a beamtime."""

import json
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.io.formats.off import read_header

TIME_KEYS = ("epoch_time_start_s", "epoch_time_end_s")
Records = NDArray[np.void]


# ---- logs


def log_path(beamtime: Path, run: str) -> Path:
    """Return the log of a run such as `scan0001`."""
    return beamtime / "logs" / f"{run}.json"


def edit_log(beamtime: Path, run: str, change: Callable[[dict], object]) -> None:
    """Call `change` on the content of a log, which it changes in place."""
    path = log_path(beamtime, run)
    log = json.loads(path.read_text())
    change(log)
    path.write_text(json.dumps(log))


def all_logs(beamtime: Path) -> list[str]:
    """Return the names of all logs."""
    return sorted(path.stem for path in (beamtime / "logs").glob("*.json"))


def scan_logs(beamtime: Path) -> list[str]:
    """Return the names of the logs of scans."""
    return [name for name in all_logs(beamtime) if name.startswith("scan")]


def write_times(
    beamtime: Path, runs: Iterable[str], write: Callable[[float], object]
) -> None:
    """Write each time of some logs in another form."""

    def change(log):
        log |= {key: [write(time) for time in log[key]] for key in TIME_KEYS}

    for run in runs:
        edit_log(beamtime, run, change)


def iso(time: float, hours: float | None = 0.0) -> str:
    """Return a time as ISO 8601 text of a time zone; None: without one."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=round(time * 1e6))
    if hours is None:
        return moment.replace(tzinfo=None).isoformat()
    return moment.astimezone(timezone(timedelta(hours=hours))).isoformat()


def move_times(beamtime: Path, run: str, seconds: float) -> None:
    """Add seconds to all times of a log."""
    write_times(beamtime, [run], lambda time: time + seconds)


def take_times_of(beamtime: Path, run: str, other: str, shift: float = 0.0) -> None:
    """Give a log the times of another one."""
    source = json.loads(log_path(beamtime, other).read_text())
    times = {key: [time + shift for time in source[key]] for key in TIME_KEYS}
    edit_log(beamtime, run, lambda log: log.update(times))


def numbers_to_text(value: Any) -> Any:
    """Return JSON values with all numbers as text."""
    if isinstance(value, dict):
        return {key: numbers_to_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers_to_text(item) for item in value]
    return str(value) if isinstance(value, int | float) else value


def change_energies(
    beamtime: Path, run: str, new: Callable[[list[float]], list[float]]
) -> None:
    """Replace the incident energies of a log."""
    edit_log(beamtime, run, lambda log: log.update(var_values=new(log["var_values"])))


def interrupt_reference_run(beamtime: Path, run: str, parts: int, share: float) -> None:
    """Divide a reference run into parts that take a share of its time."""

    def change(log):
        start, end = log["epoch_time_start_s"][0], log["epoch_time_end_s"][-1]
        step = (end - start) / (parts - 1 + share)
        starts = [start + part * step for part in range(parts)]
        log["epoch_time_start_s"] = starts
        log["epoch_time_end_s"] = [first + share * step for first in starts]
        log["var_values"] = log["var_values"][:1] * parts

    edit_log(beamtime, run, change)


def forget_labels(beamtime: Path, *labels: str) -> None:
    """Remove states from the files of experiment states."""
    for path in beamtime.rglob("*_experiment_state.txt"):
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.strip().split(", ")[-1] not in labels]
        path.write_text("".join(kept))


# ---- pulse files


def pulse_file(beamtime: Path, pixel: int) -> Path:
    """Return the pulse file of a pixel."""
    return next(beamtime.rglob(f"*_chan{pixel}.off"))


def edit_records(
    beamtime: Path, pixel: int, change: Callable[[Records], Records]
) -> None:
    """Write what `change` returns for the records of a pixel."""
    path = pulse_file(beamtime, pixel)
    header = read_header(path)
    content = path.read_bytes()
    records = np.frombuffer(
        content, header.record_dtype, header.n_records, header.data_offset
    )
    changed = change(records).tobytes()
    path.write_bytes(content[: header.data_offset] + changed)


def repeat_block(first: float, last: float) -> Callable[[Records], Records]:
    """Repeat the records between two shares of a file, right after them."""

    def change(records):
        begin, end = int(first * len(records)), int(last * len(records))
        return np.concatenate([records[:end], records[begin:end], records[end:]])

    return change


def move_block(first: float, last: float, to: float) -> Callable[[Records], Records]:
    """Move the records between two shares of a file to another place after them."""

    def change(records):
        begin, end, place = (int(x * len(records)) for x in (first, last, to))
        parts = records[:begin], records[end:place], records[begin:end], records[place:]
        return np.concatenate(parts)

    return change


def repeat_each(records: Records) -> Records:
    """Repeat every record."""
    return np.repeat(records, 2)


def repeat_file(records: Records) -> Records:
    """Repeat all records at the end of the file."""
    return np.concatenate([records, records])


def copy_pixel(beamtime: Path, pixel: int, name: int) -> None:
    """Copy the file of a pixel under the name of another one."""
    path = pulse_file(beamtime, pixel)
    shutil.copy(
        path, path.with_name(path.name.replace(f"chan{pixel}.", f"chan{name}."))
    )


def copy_folder(beamtime: Path) -> None:
    """Copy the folder of the pulses into a backup."""
    folder = pulse_file(beamtime, 1).parent
    shutil.copytree(folder, beamtime / "backup" / folder.name)
