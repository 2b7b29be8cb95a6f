"""An error of the disk at every file operation of a reduction, one after the other.

python -m tests.disturbed.io_errors --every 1

A file below the folder of the results cannot be opened for writing, renamed, or
removed, or a folder cannot be made. The reduction ends with a message; the next one
makes what is missing.
"""

import argparse
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rixs_pipeline.errors import INTERNAL_ERROR
from tests.disturbed.reductions import (
    differences,
    end,
    in_process,
    make_beamtime,
    make_old,
    reduction,
)

# operations of Python -> which of their arguments are paths
OPERATIONS = {
    "open": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.utime": (0,),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
ERRORS = (errno.EIO, errno.ENOSPC, errno.EACCES)


def _is_of_writers(event: str, arguments: tuple[Any, ...], out: str) -> bool:
    """Return whether an operation changes a file below a folder."""
    if event not in OPERATIONS:
        return False
    if event == "open" and not int(arguments[2] or 0) & WRITING:
        return False
    paths = (arguments[index] for index in OPERATIONS[event])
    return any(
        isinstance(p, str | os.PathLike) and str(p).startswith(out) for p in paths
    )


def with_error(
    function: Callable[[], int], out: Path, number: int, code: int
) -> Callable[[], int]:
    """Return a function in which one file operation fails; to be called in a process.

    Parameters
    ----------
    function
        A reduction.
    out
        Folder of the results.
    number
        Of the operation, from 0.
    code
        Of the error, as in `errno`.
    """
    counted = 0

    def fail(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal counted
        if _is_of_writers(event, arguments, str(out)):
            counted += 1
            if counted == number + 1:
                raise OSError(code, os.strerror(code), str(arguments[0]))

    def run() -> int:
        sys.addaudithook(fail)
        return function()

    return run


def count_operations(function: Callable[[], int], out: Path) -> int:
    """Return how many file operations a function makes below a folder."""
    report = out.with_name(f"{out.name}-operations")
    counted = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal counted
        counted += _is_of_writers(event, arguments, f"{out}{os.sep}")

    def run() -> int:
        sys.addaudithook(count)
        code = function()
        report.write_text(str(counted), encoding="utf-8")
        return code

    end(in_process(run))
    return int(report.read_text(encoding="utf-8"))


def after_error(
    undisturbed: Path, beamtime: Path, out: Path, number: int
) -> Iterator[str]:
    """Yield what is wrong after an error in one operation, and after repeating it.

    Parameters
    ----------
    undisturbed
        Results of a reduction without errors.
    beamtime
        The beamtime directory.
    out
        Folder of the results, which does not exist.
    number
        Of the operation.
    """
    code = ERRORS[number % len(ERRORS)]
    function = with_error(reduction(beamtime, out), out, number, code)
    if end(in_process(function)) == INTERNAL_ERROR:
        yield f"internal error ({errno.errorcode[code]})"
    make_old(out)
    if code := end(in_process(reduction(beamtime, out))):
        yield f"exit code {code} afterwards"
    yield from differences(undisturbed, out)


def main() -> int:
    """Print what is wrong after each error, and how many errors do harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="one operation in so many")
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        beamtime, undisturbed = make_beamtime(root / "beamtime"), root / "undisturbed"
        reduction(beamtime, undisturbed)()
        n_operations = count_operations(reduction(beamtime, root / "out"), root / "out")
        shutil.rmtree(root / "out")
        print(f"{n_operations} operations", flush=True)
        numbers = range(options.first, n_operations, options.every)
        n_wrong = 0
        for number in numbers:
            lines = list(after_error(undisturbed, beamtime, root / "out", number))
            n_wrong += bool(lines)
            print(f"{number}:", *(lines[:10] or ["right"]), sep="\n  ", flush=True)
            shutil.rmtree(root / "out")
    print(f"{n_wrong} of {len(numbers)} errors do harm")
    return min(n_wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
