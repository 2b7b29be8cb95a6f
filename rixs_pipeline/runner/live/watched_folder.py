"""The folder of a running beamtime: what changed, and whether to reduce it now.

Names, sizes and times are listed again and again. Notification by the operating system
would miss what other machines write on a network file system.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.beamtime.find_files import BeamtimeFiles, FileReader, list_files
from rixs_pipeline.io.caches.file_status import FileStatus
from rixs_pipeline.io.formats import experiment_state, off
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.runs import Beamtime, Run, name_of

SETTLED = 2.0  # s, after which a file that did not change counts as written
BETWEEN_PARTS = 60.0  # s, from one reduction of a scan in progress to the next
NOT_REDUCED = FileStatus(0, 0, 0, 0)
STALLED = 60.0  # s without a change, after which a run that did not end was aborted


@dataclass(frozen=True)
class RunningRun:
    """A run that is being measured.

    Attributes
    ----------
    name
        Such as scan0012.
    points
        Of a scan, so far; None: it has no log yet, or is a reference run.
    """

    name: str
    points: int | None = None

    @property
    def progress(self) -> str:
        """A phrase such as ``, 7 points so far``; empty where it is not known."""
        if self.points is None:
            return ""
        return f", {self.points} point{'' if self.points == 1 else 's'} so far"

    def is_subject_of(self, line: str) -> bool:
        """Whether a line mentions the run: its name, label or log."""
        number = int(re.findall(r"\d+", self.name)[-1])
        mention = rf"\b(scan|cal|calibration) ?0*{number}\b"
        return re.search(mention, line, re.IGNORECASE) is not None


@dataclass
class WatchedFolder:
    """The files of a beamtime directory from one look to the next.

    Attributes
    ----------
    path
        The directory; it need not exist yet.
    reader
        Of the logs; shared with discovery.
    files
        At the last look.
    has_ended
        Whether nothing will change any more: whatever did is due.
    """

    path: Path
    reader: FileReader = field(default_factory=FileReader)
    files: dict[Path, FileStatus] = field(default_factory=dict)
    has_ended: bool = False
    _changed: dict[Path, float] = field(default_factory=dict)  # when, monotonic s
    _reduced: dict[Path, FileStatus] = field(default_factory=dict)
    _reduced_runs: dict[Path, dict[str, "_Progress"]] = field(default_factory=dict)
    _reduced_at: float = -inf  # end of the last reduction, monotonic s
    _end_ns: int = 0  # of the last run that was reduced
    _awaited: set[Path] = field(default_factory=set)  # whose next record may matter

    def look(self) -> None:
        """List the files, and note which ones changed since the last look."""
        files = list_files(self.path)
        now = time.monotonic()
        age = time.time() - now
        for path, status in _differences(files, self.files):
            self._changed[path] = now
            if status and not self.files:  # the first look
                self._changed[path] = min(now, status.mtime_ns / 1e9 - age)
        self.files = files

    @property
    def is_due(self) -> bool:
        """Whether something changed that a reduction would use."""
        if self.has_ended:
            return self.files != self._reduced
        now = time.monotonic()
        return any(due <= now for due in self._due_times())

    def start_reduction(self) -> None:
        """Note that the files as they are now are being reduced."""
        self._reduced = dict(self.files)
        self._reduced_runs = {path: _progress(runs) for path, runs in self._logs()}

    @property
    def is_part_due(self) -> bool:
        """Whether a scan in progress is to be reduced."""
        return time.monotonic() - self._reduced_at >= BETWEEN_PARTS

    def end_reduction(
        self, beamtime: Beamtime | None, left_out: Sequence[Run] = ()
    ) -> None:
        """Note what was reduced.

        Parameters
        ----------
        beamtime
            None: nothing could be reduced.
        left_out
            Runs that were in progress, and wait for a later reduction.
        """
        self._reduced_at = time.monotonic()
        for run in left_out:
            if run.log in self._reduced:
                self._reduced[run.log] = NOT_REDUCED
                progress = self._reduced_runs.get(run.log, {})
                progress.pop(name_of(run.kind, run.number), None)
        runs = beamtime.runs if beamtime else ()
        self._end_ns = max((run.end_ns for run in runs if run.complete), default=0)
        self._awaited = {path for path in self._reduced if _is_pulse_file(path)}

    @property
    def has_pulses_arriving(self) -> bool:
        """Whether a pulse file changed lately."""
        return any(_is_pulse_file(path) for path in self._recent())

    def running(self) -> RunningRun | None:
        """Return the run that is being measured, as far as its log or label tells."""
        recent = set(self._recent())
        if not recent:
            return None
        last = self._last_log()
        if last and (last in recent or self.has_pulses_arriving):
            run = self.reader.read(last).logs[-1]
            if not run.complete:
                points = len(run.points) if run.kind == "scan" else None
                return RunningRun(run.name, points)
        label = self._open_label() if self.has_pulses_arriving else None
        return RunningRun(label) if label else None

    def _last_log(self) -> Path | None:
        """Return the log that was written last."""
        others = [path for path in self.files if not _is_pulse_file(path)]
        others.sort(key=lambda path: self.files[path].mtime_ns, reverse=True)
        return next((path for path in others if self.reader.read(path).logs), None)

    def _recent(self) -> list[Path]:
        if self.has_ended:
            return []
        now = time.monotonic()
        return [path for path, at in self._changed.items() if now - at < STALLED]

    def _logs(self) -> Iterator[tuple[Path, list[LogRun]]]:
        """Yield the logs and their runs."""
        for path in self.files:
            if not _is_pulse_file(path) and (runs := self.reader.read(path).logs):
                yield path, runs

    def _open_label(self) -> str | None:
        """Return the run of the last state of the pulses that changed last."""
        states = [path for path in self.files if path.name.endswith(_STATE_SUFFIX)]
        if not states:
            return None
        return _run_of_last_state(max(states, key=lambda path: self._changed[path]))

    def _due_times(self) -> Iterator[float]:
        """Yield from when on each file that changed is worth a reduction."""
        for path, status in _differences(self.files, self._reduced):
            yield self._due_time(path, status, self._reduced.get(path))

    def _due_time(
        self, path: Path, status: FileStatus | None, reduced: FileStatus | None
    ) -> float:
        settled = self._changed[path] + SETTLED
        if status is None:
            return settled
        if _is_pulse_file(path):
            if reduced is None or reduced.inode != status.inode:
                return settled
            if reduced.size > status.size:
                return settled
            return -inf if self._brings_pulses(path, reduced) else inf
        if path.name.endswith(_STATE_SUFFIX):
            return inf if _run_of_last_state(path) else settled
        found = self.reader.read(path)
        if found.refused or found.problems:  # perhaps half written
            return settled
        if found.logs:
            return self._due_time_of_log(path, found.logs, settled)
        if not _is_data(found):
            return inf
        if reduced is None or self.running() is None:
            return settled
        return max(settled, self._reduced_at + BETWEEN_PARTS)

    def _due_time_of_log(self, path: Path, runs: list[LogRun], settled: float) -> float:
        before = self._reduced_runs.get(path, {})
        changed = {
            name: progress
            for name, progress in _progress(runs).items()
            if progress != before.get(name)
        }
        if not changed:
            return settled
        if any(progress.complete for progress in changed.values()):
            return -inf
        if any(progress.is_scan for progress in changed.values()):
            return self._reduced_at + BETWEEN_PARTS
        return inf if self.running() else settled

    def _brings_pulses(self, path: Path, reduced: FileStatus) -> bool:
        """Whether the next record of a file belongs to a run that was reduced."""
        if path not in self._awaited:
            return False
        try:
            file = off.open_file(path)
        except InputError:
            return True
        past_header = reduced.size - file.header.data_offset
        index = max(0, past_header // file.header.record_dtype.itemsize)
        if index >= len(file.records):
            return False
        is_needed = int(file.records["unixnano"][index]) < self._end_ns
        if not is_needed:
            self._awaited.discard(path)
        return is_needed


_STATE_SUFFIX = paths.EXPERIMENT_STATE_SUFFIX


def _differences(
    files: dict[Path, FileStatus], others: dict[Path, FileStatus]
) -> list[tuple[Path, FileStatus | None]]:
    """Return the files that differ; those that only the others have, with None."""
    differences = files.items() - others.items()
    gone = others.keys() - files.keys()
    return [*differences, *((path, None) for path in gone)]


@dataclass(frozen=True)
class _Progress:
    """How far a run is by its log."""

    is_scan: bool
    complete: bool
    points: int


def _progress(runs: list[LogRun]) -> dict[str, _Progress]:
    return {
        run.name: _Progress(run.kind == "scan", run.complete, len(run.points))
        for run in runs
    }


def _is_pulse_file(path: Path) -> bool:
    return paths.OFF_FILE.fullmatch(path.name) is not None


def _is_data(found: BeamtimeFiles) -> bool:
    """Whether a reduction uses or reports a file."""
    return bool(
        found.ascii_scans
        or found.photon_lists
        or found.ljh_files
        or found.unknown_files
    )


def _run_of_last_state(path: Path) -> str | None:
    """Return the name of the run whose label is the last one; None: another label."""
    try:
        states = experiment_state.read(path).intervals
    except InputError:
        return None
    return states[-1].run_name if states else None
