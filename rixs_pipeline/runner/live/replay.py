"""A recorded beamtime, written again as the acquisition wrote it, to try `watch`.

Pulses arrive record by record at their own times, as do experiment states. A JSON log
is rewritten after each point, a YAML log grows pass by pass, and all other files appear
when the run that uses them ends.
"""

import json
import multiprocessing
import re
import shutil
import signal
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError, RixsError, UsageError
from rixs_pipeline.files.json_text import read_json
from rixs_pipeline.files.opening import (
    FileKind,
    open_appending,
    open_regular,
    read_bytes,
    read_text,
)
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.beamtime.find_files import list_files
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.formats.log import time_windows
from rixs_pipeline.io.locks import try_lock
from rixs_pipeline.io.runs import NS_PER_S, Beamtime, Run
from rixs_pipeline.runner.execution.executor import (
    end_with_parent,
    start_resource_tracker,
)
from rixs_pipeline.types import IntArray

MARKER = ".replay.json"  # in the folder: which beamtime it is a replay of
TICK = 0.1  # s between two writes
_POINT_LISTS = ("var_values", "epoch_time_start_s")
_DOCUMENT = re.compile(rb"^---", re.MULTILINE)  # of a YAML log
_TIME = re.compile(rb"\b\d{9,10}\.\d+")  # s since 1970


class _File(Protocol):
    """A file of the beamtime, as it is at a time."""

    @property
    def limits(self) -> tuple[int, int]:
        """First and last time at which it changes, ns since 1970."""
        ...

    def write(self, target: Path, time_ns: int) -> None:
        """Bring the file of the replay to its state at a time."""
        ...


@dataclass
class _Growing:
    """A file to which the acquisition appends.

    Attributes
    ----------
    source
        The recorded file.
    times
        (part,) ns since 1970, ascending: when each part is complete.
    ends
        (part + 1,) bytes: where the first part begins and each part ends.
    is_buffered
        Whether the file ends in the middle of a part while it grows.
    """

    source: Path
    times: Sequence[int] | IntArray
    ends: Sequence[int]
    is_buffered: bool = False
    _size: int = 0

    @property
    def limits(self) -> tuple[int, int]:
        """First and last time at which it changes."""
        return int(self.times[0]), int(self.times[-1])

    def write(self, target: Path, time_ns: int) -> None:
        """Append what was written until a time."""
        number = bisect_right(self.times, time_ns)
        if number == len(self.times):
            size = self.source.stat().st_size  # with what follows the last part
        else:
            size = self.ends[number]
            if self.is_buffered:
                size = (size + self.ends[number + 1]) // 2
        if size == self._size and target.exists():
            return
        with (
            open_regular(self.source, FileKind.PULSES) as recorded,
            target.open("ab") as file,
        ):
            recorded.seek(self._size)
            file.write(recorded.read(size - self._size))
        self._size = size


@dataclass
class _Whole:
    """A file that appears at a time."""

    source: Path
    time_ns: int
    _is_written: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """The time at which it appears."""
        return self.time_ns, self.time_ns

    def write(self, target: Path, time_ns: int) -> None:
        """Copy the file if it is time."""
        if not self._is_written and time_ns >= self.time_ns:
            shutil.copyfile(self.source, target)
            self._is_written = True


@dataclass
class _JsonLog:
    """A log that is rewritten when a point starts or ends.

    Attributes
    ----------
    source
        The recorded log.
    content
        Of the log.
    starts, ends
        i8 (point,), ns since 1970.
    """

    source: Path
    content: dict[str, Any]
    starts: IntArray
    ends: IntArray
    _written: tuple[int, int] = (0, 0)

    @property
    def limits(self) -> tuple[int, int]:
        """Start of the first point and end of the last one."""
        return int(self.starts[0]), int(max(self.starts[-1], self.ends[-1]))

    def write(self, target: Path, time_ns: int) -> None:
        """Write the log with the points until a time."""
        started = int(np.searchsorted(self.starts, time_ns, side="right"))
        ended = int(np.searchsorted(self.ends, time_ns, side="right"))
        if (started, ended) == self._written:
            return
        self._written = started, ended
        if started == len(self.starts) and ended == len(self.ends):
            shutil.copyfile(self.source, target)
            return
        content = dict(self.content)
        for key in _POINT_LISTS:
            content[key] = content[key][:started]
        content["epoch_time_end_s"] = content["epoch_time_end_s"][:ended]
        extras = content.get("point_extras")
        if isinstance(extras, dict):
            done = {str(point) for point in range(ended)}
            content["point_extras"] = {k: extras[k] for k in extras if k in done}
        content["_ended"] = False
        target.write_text(json.dumps(content, indent=2), encoding="utf-8")


@dataclass(frozen=True)
class Replay:
    """A replay of a beamtime into a folder.

    Attributes
    ----------
    beamtime
        The recorded beamtime.
    folder
        Empty, missing, or with a former replay, which is deleted.
    speed
        Recorded seconds per second.
    """

    beamtime: Path
    folder: Path
    speed: float = 1.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and hold it: one replay at a time is written into it.

        Yields
        ------
        None
            While it is held.

        Raises
        ------
        UsageError
            The folder has something else in it, another replay is written into it, or
            either is within the other one.
        """
        mark = self._check()
        self.folder.mkdir(parents=True, exist_ok=True)
        with open_appending(self.folder / MARKER) as file:
            if not try_lock(file, exclusive=True):
                raise UsageError(
                    f"{self.folder}: another replay is written into it; wait until it "
                    "has ended, or choose another folder"
                )
            file.truncate(0)
            file.write(mark)
            file.flush()
            yield

    def _check(self) -> str:
        """Check the folder, and return the content of its marker."""
        source, folder = self.beamtime.resolve(), self.folder.resolve()
        if not source.is_dir():
            raise UsageError(f"{self.beamtime}: no such folder to replay")
        if source == folder or source in folder.parents or folder in source.parents:
            raise UsageError(
                f"{self.folder}: is, contains or is within the beamtime to replay; "
                "choose another folder"
            )
        marker = folder / MARKER
        mark = json.dumps({"replay of": str(source)})
        if folder.exists() and any(folder.iterdir()):
            is_replay = marker.is_file() and read_text(marker, FileKind.SUMMARY) == mark
            if not is_replay:
                raise UsageError(
                    f"{self.folder}: not empty, and not a replay of {self.beamtime}; "
                    "choose an empty folder"
                )
        return mark

    def clear(self) -> None:
        """Delete the files of a former replay."""
        source = self.beamtime.resolve()
        for path in list_files(source):
            (self.folder / path.relative_to(source)).unlink(missing_ok=True)

    def run(self) -> None:
        """Write the files until all are there."""
        recording = Recording.of(self.beamtime)
        recording.make_folders(self.folder)
        started = time.monotonic()
        time_ns = recording.first_ns
        while True:
            recording.write(self.folder, time_ns)
            if time_ns >= recording.last_ns:
                return
            time.sleep(TICK)
            elapsed = (time.monotonic() - started) * self.speed
            time_ns = recording.first_ns + round(elapsed * NS_PER_S)


@dataclass(frozen=True)
class Recording:
    """The files of a recorded beamtime, each as it is at any time.

    Attributes
    ----------
    root
        The beamtime directory.
    files
        By their paths; pulses come first, then logs, which end a run.
    """

    root: Path
    files: dict[Path, _File]

    @classmethod
    def of(cls, beamtime: Path) -> Self:
        """Read when the files of a beamtime changed.

        Raises
        ------
        InputError
            It has no usable run.
        """
        root = beamtime.resolve()
        return cls(root, dict(_plan(discover(root))))

    @property
    def first_ns(self) -> int:
        """First time at which a file changes, ns since 1970."""
        return min(file.limits[0] for file in self.files.values())

    @property
    def last_ns(self) -> int:
        """Last time at which a file changes, ns since 1970."""
        return max(file.limits[1] for file in self.files.values())

    def make_folders(self, folder: Path) -> None:
        """Make the folders that the files of a replay are in."""
        for path in self.files:
            target = folder / path.relative_to(self.root)
            target.parent.mkdir(parents=True, exist_ok=True)

    def write(self, folder: Path, time_ns: int) -> None:
        """Bring the files in a folder to their state at a time.

        Parameters
        ----------
        folder
            Of the replay.
        time_ns
            ns since 1970; not before that of the last call.
        """
        for path, file in self.files.items():
            file.write(folder / path.relative_to(self.root), time_ns)


@contextmanager
def replaying(replay: Replay) -> Iterator[BaseProcess]:
    """Run a replay in another process, which ends with the block.

    Parameters
    ----------
    replay
        Its folder is held. A former replay in it is deleted first.

    Yields
    ------
    Process
        Of the replay.
    """
    replay.clear()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run, args=(replay,), daemon=True)
    start_resource_tracker()
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join()


def _run(replay: Replay) -> None:
    """Run a replay; Ctrl-C is for the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    try:
        replay.run()
    except (OSError, RixsError) as error:
        print(f"rixs-pipeline: replay ended: {error}", file=sys.stderr)
        sys.exit(1)


def _plan(beamtime: Beamtime) -> Iterator[tuple[Path, _File]]:
    """Yield the files of a beamtime: pulses first, then logs, which end a run."""
    ends = {path: run.end_ns for run in beamtime.runs for path in _files_of(run)}
    first = min(run.start_ns for run in beamtime.runs)
    planned = [
        (path, _plan_file(path, ends, first)) for path in list_files(beamtime.path)
    ]
    logs = {run.log for run in beamtime.runs}
    yield from (item for item in planned if item[0] not in logs)
    yield from (item for item in planned if item[0] in logs)


def _files_of(run: Run) -> list[Path]:
    """Return the files that are complete when a run ends."""
    return [path for path in (run.log, run.photon_list, run.readings_file) if path]


def _plan_file(path: Path, ends: dict[Path, int], first: int) -> _File:
    """Return how a file grows; one of no run is there from the start."""
    whole = _Whole(path, ends.get(path, first))
    try:
        if paths.OFF_FILE.fullmatch(path.name):
            return _plan_pulses(path) or whole
        if path.name.endswith(paths.EXPERIMENT_STATE_SUFFIX):
            return _plan_states(path) or whole
        if path in ends:
            return _plan_log(path) or whole
    except (InputError, ValueError):  # damaged, as the recorded one
        return whole
    return whole


def _plan_pulses(path: Path) -> _Growing | None:
    header = off.read_header(path)
    times = off.open_records(path)["unixnano"]
    if len(times) != header.n_records or not len(times):  # repaired, or none
        return None
    record_bytes = header.record_dtype.itemsize
    stop = header.data_offset + record_bytes * (len(times) + 1)
    ends = range(header.data_offset, stop, record_bytes)
    return _Growing(path, times, ends, is_buffered=True)


def _plan_states(path: Path) -> _Growing | None:
    """Return how a file of states grows, line by line."""
    lines = read_bytes(path, FileKind.STATES).splitlines(keepends=True)
    times = [line.partition(b",")[0].strip() for line in lines]
    return _growing(path, lines, [int(t) if t.isdigit() else None for t in times])


def _plan_log(path: Path) -> _File | None:
    """Return how a log grows; None: it is neither JSON nor YAML."""
    text = read_bytes(path, FileKind.LOG)
    if text.lstrip().startswith(b"{"):
        content = read_json(path, FileKind.LOG)
        starts, ends = (
            time_windows([(time, time) for time in content[key]], (key, key)).end_ns
            for key in ("epoch_time_start_s", "epoch_time_end_s")
        )
        return _JsonLog(path, content, starts, ends) if len(ends) else None
    breaks = [match.start() for match in _DOCUMENT.finditer(text)]
    limits = pairwise([0, *breaks[1:], len(text)])
    documents = [text[first:end] for first, end in limits]
    times = [[*map(float, _TIME.findall(document))] for document in documents]
    if not any(times):
        return None
    start = min(time for times_of_one in times for time in times_of_one)
    written = [max(times_of_one, default=start) for times_of_one in times]
    return _growing(path, documents, [round(time * NS_PER_S) for time in written])


def _growing(
    path: Path, parts: Sequence[bytes], times: Sequence[int | None]
) -> _Growing | None:
    """Return a file that grows by parts; one without a time comes with the one before.

    The first parts come with the first one that has a time.
    """
    known = [time for time in times if time is not None]
    if not known:
        return None
    latest = accumulate((known[0] if time is None else time for time in times), max)
    return _Growing(path, list(latest), [0, *accumulate(map(len, parts))])
