"""Temporary files beside the results: named after their process, removed with it."""

import errno
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

LOG = logging.getLogger(__name__)

_OWNER = re.compile(r"\..+\.(?P<host>[\w-]+)\+(?P<process>\d{1,9})\.[0-9a-f]{8}")
# Age of what is removed: of a process that is not found on this machine, which may be
# in a container, and of processes on others
OWN_AGE = 60.0  # s
OTHER_AGE = 86400.0  # s
# Errors whose cause is the folder of a new file: a file in its place, or permissions
_OF_FOLDERS = (errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def temporary_path(path: Path) -> Path:
    """Return a hidden path beside `path`, which names this process."""
    owner = f"{_host()}+{os.getpid()}.{uuid4().hex[:8]}"
    return path.with_name(f".{path.name}.{owner}")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, renamed to `path` when the block ends.

    When the block raises, the temporary file is deleted.

    Raises
    ------
    OSError
        The file cannot be written. It names the file, or the folder that is the cause.
    """
    temporary = temporary_path(path)
    with _named_errors(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


@contextmanager
def _named_errors(path: Path, temporary: Path) -> Iterator[None]:
    """Name a path, not its temporary one, in errors; or the folder that is the cause.

    Errors about other files pass as they are.
    """
    try:
        yield
    except OSError as error:
        names = map(str, (temporary, *path.parents))
        if error.errno is None or error.filename not in (None, *names):
            raise
        code, cause = error.errno, path
        if code in _OF_FOLDERS and error.filename2 is None:
            # the first one that is there and can be reached
            cause = next(folder for folder in path.parents if os.path.lexists(folder))
        if code == errno.EEXIST:
            code = errno.ENOTDIR
        raise OSError(code, os.strerror(code), str(cause)) from error


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make a hidden folder beside `path`; it is deleted when the block ends."""
    folder = temporary_path(path)
    with _named_errors(path, folder):
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_orphans(out: Path) -> None:
    """Remove the temporary files of processes that were killed.

    Parameters
    ----------
    out
        Folder of the results; its folders are searched, too.
    """
    for path in out.glob("**/.*"):
        owner = _OWNER.fullmatch(path.name)
        if owner and _is_orphan(path, owner["host"], int(owner["process"])):
            LOG.debug("%s: left by a process that was killed; removed", path)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):  # of a folder without permission
                    path.unlink()


def _is_orphan(path: Path, host: str, process: int) -> bool:
    try:
        age = time.time() - path.lstat().st_mtime
    except OSError:  # removed meanwhile
        return False
    if host != _host():
        return age > OTHER_AGE
    return age > OWN_AGE and not _is_running(process)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _host() -> str:
    return re.sub(r"[^\w-]", "-", socket.gethostname()) or "host"
