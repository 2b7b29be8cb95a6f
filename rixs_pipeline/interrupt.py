"""Ctrl-C, SIGTERM and SIGHUP: raised at once, and once more where the first was lost.

Python prints and drops an exception that is raised while a finaliser or a callback of
the garbage collector runs, a KeyboardInterrupt too. So the handler also keeps the
request, and `check`, called between two pieces of work, raises it again. Where compiled
code makes its result, only `check` raises it.
"""

import os
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

EXIT_CODE = 4  # of an interrupted command

_HANG_UP = getattr(signal, "SIGHUP", None)  # not on Windows
# Function of numba by which compiled code makes named tuples. Python handles a signal
# that arrives while compiled code runs here, and an exception is a segmentation fault.
_CALLED_BY_COMPILED = "_numba_unpickle"
_requested = False


def install() -> None:
    """Handle alike Ctrl-C, and the signals of a cluster and of a terminal that close.

    A cluster ends a job with SIGTERM, a connection that closes sends SIGHUP. Under
    `nohup` that is ignored, and stays so.
    """
    signal.signal(signal.SIGINT, _handle)
    signal.signal(signal.SIGTERM, _handle)
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) is not signal.SIG_IGN:
        signal.signal(_HANG_UP, _handle)
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
    if signal_number == _HANG_UP:
        _discard_output_without_terminal()
        if _requested:  # the shell and the system send one each, perhaps at the end
            return
    _requested = True
    if not _is_called_by_compiled(frame):
        raise KeyboardInterrupt


def _is_called_by_compiled(frame: FrameType | None) -> bool:
    """Whether compiled code waits for what a frame computes."""
    while frame is not None:
        if frame.f_code.co_name == _CALLED_BY_COMPILED:
            return True
        frame = frame.f_back
    return False


def _discard_output_without_terminal() -> None:
    """Discard what is printed on a terminal that is gone, which would be an error."""
    for descriptor in (1, 2):
        with suppress(OSError):  # is closed
            is_device = stat.S_ISCHR(os.fstat(descriptor).st_mode)
            if is_device and not os.isatty(descriptor):
                with Path(os.devnull).open("wb") as nowhere:
                    os.dup2(nowhere.fileno(), descriptor)


def _report_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Print what Python drops, but not an interrupt, which `check` raises again."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
