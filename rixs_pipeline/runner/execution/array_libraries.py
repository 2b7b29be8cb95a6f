"""Array libraries that xarray would import, and that this program has no arrays of.

When xarray first sees an array it imports dask and pint, where they are installed, to
ask whether the array is one of theirs. That takes 0.12 s of processor time in each
process.
"""

import gc
import sys
from collections.abc import Iterable
from importlib import import_module

from rixs_pipeline import interrupt

NAMES = ("dask", "pint")


def hide() -> None:
    """Make this process unable to import the libraries, unless it has them already.

    For the processes of the command line: in a notebook they may be needed. Nothing is
    hidden once xarray is there, which remembers what is installed.
    """
    if "xarray" not in sys.modules:
        for name in NAMES:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # not there


def show() -> None:
    """Let this process import the libraries again."""
    for name in NAMES:
        if sys.modules.get(name, "not hidden") is None:
            del sys.modules[name]


def preload(modules: Iterable[str]) -> None:
    """Import modules, without the libraries, for processes forked from this one."""
    interrupt.leave_group()
    hide()
    gc.disable()  # modules stay: to look for garbage takes a tenth of the time
    for name in modules:
        import_module(name)
    gc.enable()
    gc.freeze()  # not even when the process ends
