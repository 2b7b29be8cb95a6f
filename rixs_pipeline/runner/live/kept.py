"""What `watch` keeps from one reduction to the next, and does not report again."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from rixs_pipeline.config import Config
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.runner.live.watched_folder import RunningRun, WatchedFolder
from rixs_pipeline.runner.results.last_lines import line_identity
from rixs_pipeline.runner.session import Session

NO_RUN_ENDED = "no run has ended yet"
# Parts of lines that are usual while pulses arrive, and about the run that is measured
USUAL = (
    "no scans found",
    "file still being written?",
    "without a CAL state",
    "no usable scan or reference run",
    NO_RUN_ENDED,
)
USUAL_OF_RUN = ("still running", "no usable points", "no log with complete points")

log = logging.getLogger("rixs_pipeline")


@dataclass
class LiveSession(Session):
    """A session that leaves out what is not ready, and reports every line once.

    A line is logged again if it was not there meanwhile.

    Attributes
    ----------
    folder
        The beamtime directory.
    """

    folder: WatchedFolder = field(kw_only=True)
    _known: set[str] = field(default_factory=set)  # of the last reduction
    _lines: set[str] = field(default_factory=set)  # of this one
    _running: tuple[RunningRun, ...] = ()  # at the start, and when logs were read
    _are_pulses_arriving: bool = False
    _is_part_due: bool = False
    _parts: set[str] = field(default_factory=set)  # runs reduced before they ended
    _left_out: tuple[Run, ...] = ()
    _begun: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reader = self.folder.reader

    def holding(
        self, out: Path, config: Config, beamtime_path: Path
    ) -> AbstractContextManager[None]:
        """Return nothing that holds a folder of results: `Watch` does, all the time."""
        return nullcontext()

    def start_reduction(self) -> None:
        """Note what is being measured while a reduction starts."""
        self.folder.start_reduction()
        self._running = ()
        self._note_running()
        self._are_pulses_arriving = self.folder.has_pulses_arriving
        self._is_part_due = self.folder.is_part_due
        self._left_out = ()

    def _note_running(self) -> None:
        running = self.folder.running()
        if running is not None:
            self._running = (*self._running, running)

    def end_reduction(self, beamtime: Beamtime | None) -> None:
        """Forget the lines that this reduction did not have.

        Parameters
        ----------
        beamtime
            That was reduced; None: the reduction failed, and may not have come to them.
        """
        self.folder.end_reduction(beamtime, self._left_out)
        if beamtime is not None:
            self._parts = {run.name for run in beamtime.runs if not run.complete}
        self._known = self._lines | (self._known if beamtime is None else set())
        self._lines = set()

    def select(self, beamtime: Beamtime) -> Beamtime:
        """Return the beamtime without a run that is being measured; log what begins.

        With each pulse of a reference run, all scans since the one before would be made
        again. A scan is reduced now and then, so that those that end need not wait.

        Raises
        ------
        InputError
            No run is left.
        """
        selected = self._without_running(beamtime)
        self._log_begin(selected.runs)
        return selected

    def _without_running(self, beamtime: Beamtime) -> Beamtime:
        self.folder.look()  # a run may have begun since the reduction started
        self._note_running()
        last = beamtime.runs[-1]
        if last.complete or not self._running:
            return beamtime
        has_part = last.name in self._parts or self._is_part_due
        if last.kind == "scan" and has_part:
            return beamtime
        self._left_out = (last,)
        runs = beamtime.runs[:-1]
        if not runs:
            raise InputError(f"{beamtime.path}: {NO_RUN_ENDED}")
        return replace(beamtime, runs=runs)

    def _log_begin(self, runs: Sequence[Run]) -> None:
        """Log that the runs with points that no reduction had before are reduced."""
        points = {run.name: (run.complete, len(run.points)) for run in runs}
        new = [run for run in runs if points[run.name] != self._begun.get(run.name)]
        self._begun = points
        if len(new) > 1:
            log.info("%d runs: reducing", len(new))
        for run in new if len(new) == 1 else ():
            part = "" if run.complete else f" its first {len(run.points)} points"
            is_scan = run.kind == "scan"
            title = f"{run.sample} scan" if is_scan else "reference run"
            log.info("%s %d: reducing%s", title, run.number, part)

    def is_known(self, line: str) -> bool:
        """Whether a line was logged before, or is usual while a run is measured."""
        if self._is_usual(line):
            return True
        identity = line_identity(line)
        self._lines.add(identity)
        return identity in self._known

    def _is_usual(self, line: str) -> bool:
        if not self._are_pulses_arriving:
            return False
        if any(part in line for part in USUAL):
            return True
        is_of_run = any(running.is_subject_of(line) for running in self._running)
        return is_of_run and any(part in line for part in USUAL_OF_RUN)
