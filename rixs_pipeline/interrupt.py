"""Ctrl-C and SIGTERM: raised at once, and once more where the first was lost.

Python prints and drops an exception that is raised while a finaliser or a callback of
the garbage collector runs, a KeyboardInterrupt too. So the handler also keeps the
request, and `check`, called between two pieces of work, raises it again.
"""

import os
import signal
import sys
from types import FrameType

EXIT_CODE = 4  # of an interrupted command

_requested = False


def install() -> None:
    """Handle Ctrl-C, and the SIGTERM by which a cluster ends a job, alike."""
    signal.signal(signal.SIGINT, _handle)
    signal.signal(signal.SIGTERM, _handle)
    sys.unraisablehook = _report_unraisable


def is_requested() -> bool:
    """Whether the user has asked to stop."""
    return _requested


def check() -> None:
    """Raise KeyboardInterrupt if the user has asked to stop."""
    if _requested:
        raise KeyboardInterrupt


def leave_group() -> None:
    """Move this worker process to a group of its own.

    A signal to the whole group of a command is then for the main process alone, which
    lets tasks end. It would wait for ever for a worker that dies while it sends a
    result. A worker that ignored SIGTERM could not be ended by its pool.
    """
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()


def _handle(signal_number: int, frame: FrameType | None) -> None:
    global _requested
    _requested = True
    raise KeyboardInterrupt


def _report_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Print what Python drops, but not an interrupt, which `check` raises again."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
