"""Progress of long work on stderr: a bar on a terminal, occasional lines in a log."""

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOG_INTERVAL_S = 30.0  # between two lines in a log

log = logging.getLogger("rixs_pipeline")


@contextmanager
def show_progress(
    activity: str, total: int, unit: str
) -> Iterator[Callable[[int], None]]:
    """Show the progress of an activity.

    Parameters
    ----------
    activity : str
        Such as "binning".
    total : int
        Number of tasks.
    unit : str
        What a task is, in the plural.

    Yields
    ------
    callable
        To be called with the number of tasks done.
    """
    if not total or not log.isEnabledFor(logging.INFO):
        yield lambda done: None
    elif sys.stderr.isatty():
        with _bar(activity, total, unit) as report:
            yield report
    else:
        yield _LogLines(activity, total, unit).report


@contextmanager
def show_activity(activity: str) -> Iterator[None]:
    """Show on a terminal that something is at work whose progress is not known.

    Parameters
    ----------
    activity : str
        Such as "reading logs".

    Yields
    ------
    None
        While it is shown.
    """
    if not (sys.stderr.isatty() and log.isEnabledFor(logging.INFO)):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{activity} ..."):
        yield


@contextmanager
def _bar(activity: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    from rich import progress  # takes 50 ms to load, which only a terminal needs
    from rich.console import Console

    columns = (
        progress.SpinnerColumn(),  # the first task may take long
        progress.TextColumn(f"{activity}: {{task.completed}} of {{task.total}} {unit}"),
        progress.BarColumn(),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(activity, total=total)
        yield lambda done: bar.update(task, completed=done)


class _LogLines:
    """A line with the estimated remaining time every `LOG_INTERVAL_S`."""

    def __init__(self, activity: str, total: int, unit: str) -> None:
        self.activity = activity
        self.total = total
        self.unit = unit
        self.started = self.logged = time.monotonic()

    def report(self, done: int) -> None:
        """Log a line, if the last one is old enough."""
        time_s = time.monotonic()
        if time_s - self.logged < LOG_INTERVAL_S:
            return
        self.logged = time_s
        remaining = (time_s - self.started) / done * (self.total - done)
        log.info(
            "%s: %d of %d %s, %d %%, about %.0f s remaining",
            self.activity,
            done,
            self.total,
            self.unit,
            100 * done // self.total,
            remaining,
        )


class StateLine:
    """What a command waits for: one line, kept up to date on a terminal.

    In a log, a line for each new state, and at most one every `LOG_INTERVAL_S` where
    only the detail of the state changes.
    """

    def __init__(self) -> None:
        self._state = self._text = ""
        self._logged = -float("inf")
        self._is_on_terminal = False
        self._width = 0

    def show(self, state: str, detail: str = "") -> None:
        """Show a state.

        Parameters
        ----------
        state : str
            Such as "waiting for the next scan (scan0012 is running".
        detail : str
            What follows it, and changes often.
        """
        text = state + detail
        if text == self._text or not log.isEnabledFor(logging.INFO):
            return
        if sys.stderr.isatty():
            self._text = text
            self._show_on_terminal(text)
            return
        time_s = time.monotonic()
        if state != self._state or time_s - self._logged >= LOG_INTERVAL_S:
            self._state, self._text, self._logged = state, text, time_s
            log.info("%s", text)

    def clear(self) -> None:
        """Remove the line from the terminal, before others are printed."""
        if self._is_on_terminal:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._is_on_terminal = False
            self._text = ""

    def _show_on_terminal(self, text: str) -> None:
        # a live display of rich would redraw it many times a second, all night
        self._width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + text[: self._width].ljust(self._width))
        sys.stderr.flush()
        self._is_on_terminal = True
