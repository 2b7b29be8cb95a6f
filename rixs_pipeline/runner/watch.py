"""Reduce a beamtime again and again while it runs."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rixs_pipeline import interrupt
from rixs_pipeline.config import Config
from rixs_pipeline.errors import InputError, RixsError, UsageError, describe_os_error
from rixs_pipeline.progress import StateLine
from rixs_pipeline.runner.live.delays import (
    Delays,
    RunResult,
    append_to_journal,
    summarise_others,
)
from rixs_pipeline.runner.live.kept import LiveSession
from rixs_pipeline.runner.live.replay import Replay, replaying
from rixs_pipeline.runner.live.watched_folder import WatchedFolder
from rixs_pipeline.runner.pipeline import FIGURES_LINE, PRODUCT_LINE
from rixs_pipeline.runner.results.output_folder import check_folder, held, make_folder
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.runner.run import Options, run

# After a failure the next try follows when data change, or after this time, s; it
# doubles from try to try
FIRST_RETRY, LAST_RETRY = 30.0, 3600.0

SHOWN_RUNS = 4  # of those that are there when the watch begins

log = logging.getLogger("rixs_pipeline")


@dataclass
class Watch:
    """The reductions of a beamtime that runs.

    Attributes
    ----------
    beamtime : Path
        The beamtime directory; it need not exist yet.
    config : Config
        Resolved.
    out : Path
        The folder of the results.
    command : str
        Stored in products.
    """

    beamtime: Path
    config: Config
    out: Path
    command: str = "rixs-pipeline watch"
    _exit_code: int = InputError.exit_code  # until there is something to reduce
    _has_reduced: bool = False
    _retry_at: float | None = None  # monotonic s
    _retry_after: float = FIRST_RETRY
    _state: StateLine = field(default_factory=StateLine)

    def __post_init__(self) -> None:
        self._folder = WatchedFolder(self.beamtime)
        self._session = LiveSession(folder=self._folder)
        self._delays = Delays(since=time.time())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder of the results, and hold it, also between reductions.

        Yields
        ------
        None
            While it is held.

        Raises
        ------
        UsageError
            The folder cannot be that of the results, or a reduction with another
            config, beamtime or version uses it.
        """
        make_folder(self.out, self.beamtime)
        with held(self.out, self.config, self.beamtime):
            yield

    def run(
        self,
        every: float,
        rounds: int | None = None,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> int:
        """Look for new data and reduce them, until interrupted.

        Parameters
        ----------
        every : float
            Time between two looks, s.
        rounds : int, optional
            Number of looks; default: no end.
        has_ended : callable, optional
            Whether no more data will come; all of them are then reduced.

        Returns
        -------
        int
            The exit code of the last reduction.

        Raises
        ------
        UsageError
            As for `held`.
        """
        looks = 0
        with self.held(), self._session.workers, _product_lines_as_details():
            log.info("watching %s; results: %s", self.beamtime, self.out)
            try:
                while True:
                    interrupt.check()
                    self._folder.has_ended = has_ended()
                    self._look()
                    looks += 1
                    if self._folder.has_ended:
                        log.info("no more data will come; results: %s", self.out)
                    if self._folder.has_ended or looks == rounds:
                        return self._exit_code
                    self._state.show(*self._waits_for())
                    time.sleep(every)
            finally:
                self._state.clear()

    def _look(self) -> None:
        """Look for new data; reduce until nothing changes meanwhile."""
        self._folder.look()
        while self._folder.files and (self._folder.is_due or self._is_retry_due):
            self._reduce()
            self._folder.look()

    @property
    def _is_retry_due(self) -> bool:
        return self._retry_at is not None and time.monotonic() >= self._retry_at

    def _reduce(self) -> None:
        """Reduce what is there; what cannot be reduced does not end the watch."""
        self._state.clear()
        self._session.start_reduction()
        beamtime, has_failed = None, True
        started = time.monotonic()
        options = Options(command=self.command)
        try:
            summary = run(self.beamtime, self.config, self.out, options, self._session)
        except (OSError, RixsError) as error:
            if isinstance(error, UsageError) and not self._has_reduced:
                raise
            self._exit_code = getattr(error, "exit_code", InputError.exit_code)
            text = str(error)
            if isinstance(error, OSError):
                text = describe_os_error(error, self.out)
            self._report(text)
        else:
            beamtime, has_failed = summary.beamtime, bool(summary.failed)
            self._exit_code, self._has_reduced = summary.exit_code, True
            for line in summary.beamtime.losses:
                self._report(f"lost: {line}")
            results = self._delays.find_new(summary)
            for line in _lines(summary, results):
                log.info("%s", line)
            append_to_journal(summary, results, time.monotonic() - started)
        self._session.end_reduction(beamtime)
        self._plan_retry(has_failed)

    def _report(self, text: str) -> None:
        """Log an error, once."""
        if not self._session.is_known(text):
            log.error("%s", text)

    def _plan_retry(self, has_failed: bool) -> None:
        if not has_failed:
            self._retry_at, self._retry_after = None, FIRST_RETRY
            return
        self._retry_at = time.monotonic() + self._retry_after
        self._retry_after = min(2 * self._retry_after, LAST_RETRY)

    def _waits_for(self) -> tuple[str, str]:
        """Return what is waited for, and a detail that changes often."""
        if not self.beamtime.is_dir():
            return f"waiting for {self.beamtime}: no such folder", ""
        if not self._folder.files:
            return f"waiting for the first file in {self.beamtime}", ""
        next_run = "next scan" if self._has_reduced else "first run"
        running = self._folder.running()
        if running:
            return f"waiting for the {next_run} ({running.name} is running", (
                f"{running.progress})"
            )
        if self._folder.has_pulses_arriving:
            return f"waiting for the {next_run} (pulses are arriving; no log yet)", ""
        return f"waiting for the {next_run}", ""


def _lines(summary: Summary, results: Sequence[RunResult]) -> Iterator[str]:
    """Yield the lines about a reduction; of many runs at once, their number."""
    if others := summarise_others(summary, results):
        yield others
    old = [result for result in results if result.delay is None and result.run.complete]
    if len(old) > SHOWN_RUNS:
        yield f"reduced {len(old)} runs that were there, such as {old[0].run.name}"
    else:
        yield from map(str, old)
    yield from (str(result) for result in results if result not in old)


@contextmanager
def _product_lines_as_details() -> Iterator[None]:
    """Log the names of products only with the details: every run has its line."""

    def is_logged(record: logging.LogRecord) -> bool:
        """Whether a record is to be logged."""
        is_detail = record.msg in (PRODUCT_LINE, FIGURES_LINE)
        return not is_detail or log.isEnabledFor(logging.DEBUG)

    log.addFilter(is_logged)
    try:
        yield
    finally:
        log.removeFilter(is_logged)


def watch_replay(watch: Watch, recorded: Path, speed: float, every: float) -> int:
    """Watch a replay of a recorded beamtime, which it writes into its folder.

    Parameters
    ----------
    watch : Watch
        Of the folder of the replay.
    recorded : Path
        The recorded beamtime.
    speed : float
        Recorded seconds per second.
    every : float
        Time between two looks, s.

    Returns
    -------
    int
        The exit code of the last reduction, after the replay has ended.

    Raises
    ------
    UsageError
        The folder cannot be that of the replay, or of the results, or is in use.
    """
    for folder in (recorded, watch.beamtime):
        check_folder(watch.out, folder)
    replay = Replay(recorded, watch.beamtime, speed)
    # first: the folder of the results may be in that of the replay
    with replay.held(), watch.held(), replaying(replay) as process:
        return watch.run(every, has_ended=lambda: not process.is_alive())
