"""SIGBUS: a file is shorter than its memory map, or its disk cannot be read.

Python has no exception for it: the process would end without a line.
"""

import ctypes
import os
import signal
from pathlib import Path

from rixs_pipeline.errors import InputError

SHOWN_FILES = 3
_STDERR = 2

_handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: _end())
_mapped_bytes: dict[Path, int] = {}  # size of each file when it was mapped last


def install() -> None:
    """End this process with a line and the exit code of unusable input.

    A handler of Python's own would wait for the instruction that failed, which is
    repeated for ever. A worker process ends by the signal, and others do its tasks.
    """
    if hasattr(signal, "SIGBUS"):  # not on Windows
        ctypes.CDLL(None).signal(signal.SIGBUS, _handler)


def note_size(path: Path, n_bytes: int) -> None:
    """Keep the size of a file that is mapped, so that the line can name it."""
    _mapped_bytes[path] = n_bytes


def _end() -> None:
    """Print the line and end; whatever happens, the instruction is not repeated."""
    try:
        line = f"rixs-pipeline: {_describe()}; repeat the command: finished products "
        os.write(_STDERR, f"{line}are kept\n".encode(errors="replace"))
    finally:
        os._exit(InputError.exit_code)


def _describe() -> str:
    """Return which files are shorter than their maps, and what to do."""
    sizes = list(_mapped_bytes.items())  # other threads go on mapping files
    existing = [(path, size) for path, size in sizes if path.exists()]
    shrunk = [str(path) for path, size in existing if path.stat().st_size < size]
    if not shrunk:
        return "an input file cannot be read any more; check its disk"
    shown = ", ".join(shrunk[:SHOWN_FILES])
    n_more = len(shrunk) - SHOWN_FILES
    more = f" and {n_more} more" if n_more > 0 else ""
    return f"{shown}{more}: truncated while being read; copy again"
