"""The one place that opens files to read, and that turns errors of readers into lines.

A file may be a named pipe, endless, damaged or made to do harm. Readers open files with
`open_regular` or `read_text`, and are decorated with `reader`.
"""

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar, cast

from rixs_pipeline.errors import InputError, RixsError, UsageError

LOG = logging.getLogger("rixs_pipeline")

Reader = TypeVar("Reader", bound=Callable[..., Any])

_SHOWN_CHARACTERS = 200  # of the message of a library
# opening a named pipe would wait for a writer
_DO_NOT_WAIT = getattr(os, "O_NONBLOCK", 0)
_FOLLOW_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NEW_FILE_MODE = 0o666  # but for the umask
_FILE_TYPES = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


class FileKind(Enum):
    """Kinds of files: what messages call them, and how many bytes they may have.

    The limits are at least five times what a week of beamtime with 250 pixels takes.
    Files that are read as a whole take up to about 30 times their size in memory.
    """

    CONFIG = ("config file", 1 << 20)
    LOG = ("log", 1 << 24)
    STATES = ("file of experiment states", 1 << 24)
    TABLE = ("table", 1 << 26)
    PULSES = ("pulse file", 1 << 36)  # read in parts through a memory map
    PHOTONS = ("photon list", 1 << 32)
    PRODUCT = ("product", 1 << 36)
    SUMMARY = ("summary of a reduction", 1 << 26)
    JOB_LOG = ("log of a job", 1 << 40)  # its end alone is read
    CRATE = ("packed reduction", 1 << 40)  # its parts are unpacked within limits
    DIGESTS = ("cache of digests", 1 << 27)

    def __init__(self, label: str, max_bytes: int) -> None:
        self.label = label
        self.max_bytes = max_bytes


@contextmanager
def named_errors(
    path: Path, damage: str = "damaged", consequence: str = "not used"
) -> Iterator[None]:
    """Turn whatever the block raises into an error of one line with the file's name.

    Parameters
    ----------
    path
        The file that is read.
    damage
        What its content is if a library cannot read it.
    consequence
        What that means for the user.

    Raises
    ------
    InputError
        Errors of the package pass as they are; any other exception becomes this one.
    """
    try:
        yield
    except RixsError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or _reason(error)}); check the "
            "link and its permissions"
        ) from error
    except Exception as error:
        LOG.debug("%s: %s", path, damage, exc_info=error)
        raise InputError(
            f"{path}: {damage} ({_reason(error)}); {consequence}"
        ) from error


def reader(
    damage: str = "damaged", consequence: str = "not used"
) -> Callable[[Reader], Reader]:
    """Decorate a function that reads the file of its first argument.

    Parameters
    ----------
    damage, consequence
        As for `named_errors`.

    Returns
    -------
    callable
        The decorator; the function then raises nothing but errors of the package.
    """

    def decorate(function: Reader) -> Reader:
        @wraps(function)
        def read(path: Path, *args: Any, **kwargs: Any) -> Any:
            with named_errors(path, damage, consequence):
                return function(path, *args, **kwargs)

        return cast(Reader, read)

    return decorate


def _reason(error: Exception) -> str:
    """Return what an exception says on one line, without control characters."""
    has_text = isinstance(error, ValueError | TypeError | OSError) and str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, MemoryError):
        return "does not fit into the memory"
    return one_line(str(error) if has_text else repr(error))


def one_line(text: str, longest: int = _SHOWN_CHARACTERS) -> str:
    """Return a text on one line, as a terminal can show it; a long one shortened.

    The end stays, since advice is there.

    Parameters
    ----------
    text
        Perhaps with line ends, control characters, or bytes that are not UTF-8.
    longest
        Number of characters beyond which the middle is left out.

    Returns
    -------
    str
    """
    if len(text) > longest:
        n_end = longest // 3
        text = f"{text[: longest - n_end]} ... {text[-n_end:]}"
    if text.isprintable():
        return text
    lines = " ".join(line.strip() for line in text.splitlines())
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in lines
    )


def open_appending(path: Path) -> TextIO:
    """Open a file of the folder of results to append to it, and to read it.

    Whoever may write to the folder could make it a link to a file of somebody else.

    Parameters
    ----------
    path
        The file, which is made if it is missing.

    Returns
    -------
    text file

    Raises
    ------
    UsageError
        It is a link.
    OSError
        It cannot be opened.
    """
    try:
        return open(path, "a+", encoding="utf-8", opener=_open_no_link)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(
                f"{path}: a link, which results never are; delete it"
            ) from error
        raise


def _open_no_link(name: str, flags: int) -> int:
    return os.open(name, flags | _FOLLOW_NO_LINK, _NEW_FILE_MODE)


def is_file(path: Path) -> bool:
    """Whether there is a regular file; not where its name is impossible."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # such as a name that is too long
        return False


def open_regular(path: Path, kind: FileKind, buffering: int = -1) -> BinaryIO:
    """Open a file to read; never a named pipe, device or socket.

    Parameters
    ----------
    path
        The file; links are followed.
    kind
        Of the file, which limits its size.
    buffering
        As of `open`.

    Returns
    -------
    binary file

    Raises
    ------
    InputError
        Not a file, or too large.
    OSError
        It cannot be opened.
    """
    check_regular(path, path.stat(), kind)  # opening a device may do something
    file: BinaryIO = open(path, "rb", buffering, opener=_open_now)  # noqa: SIM115
    try:
        check_regular(path, os.fstat(file.fileno()), kind)
        if _DO_NOT_WAIT:  # archives on tape are waited for
            os.set_blocking(file.fileno(), True)
    except InputError:
        file.close()
        raise
    return file


def _open_now(path: str, flags: int) -> int:
    return os.open(path, flags | _DO_NOT_WAIT)


def check_regular(path: Path, status: os.stat_result, kind: FileKind) -> None:
    """Raise an InputError unless a status is that of a file of a plausible size.

    Parameters
    ----------
    path
        The file, for the message.
    status
        Its status.
    kind
        Of the file, which limits its size.

    Raises
    ------
    InputError
        Not a file, or too large.
    """
    file_type = stat.S_IFMT(status.st_mode)
    if file_type != stat.S_IFREG:
        name = _FILE_TYPES.get(file_type, "something else")
        raise InputError(f"{path}: {name}, not a file; not used")
    if status.st_size > kind.max_bytes:
        raise InputError(
            f"{path}: {status.st_size / 1e6:.3g} MB are too much for a {kind.label} "
            f"(at most {kind.max_bytes / 1e6:.3g} MB); not used"
        )


def read_bytes(path: Path, kind: FileKind) -> bytes:
    """Return the content of a file.

    Raises
    ------
    InputError
        As for `open_regular`.
    OSError
        It cannot be read.
    """
    with open_regular(path, kind) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # it may grow meanwhile


def read_text(path: Path, kind: FileKind, errors: str = "replace") -> str:
    """Return the text of a file in UTF-8.

    Parameters
    ----------
    path
        The file.
    kind
        Of the file, which limits its size.
    errors
        What happens with other bytes, as of `bytes.decode`.

    Returns
    -------
    str
        Line ends as they are in the file.

    Raises
    ------
    InputError
        As for `open_regular`, or other bytes and `errors` is strict.
    OSError
        It cannot be read.
    """
    try:
        return read_bytes(path, kind).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start}); "
            "not used"
        ) from error
