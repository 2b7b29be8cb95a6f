"""The exceptions that users see, each with its exit code.

A message is one line: what is wrong, where, what to do.
"""

import errno
import os
from pathlib import Path

INTERNAL_ERROR = 70  # exit code: EX_SOFTWARE of BSD's sysexits.h

_MAKE_ROOM = "make room and repeat the command: finished products are kept"
_MOVE_AWAY = "move it away and repeat the command"
_CHECK_PERMISSIONS = "check its permissions and repeat the command"
_REMEDIES = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EISDIR: _MOVE_AWAY,
    errno.ENOTDIR: _MOVE_AWAY,
    errno.EACCES: _CHECK_PERMISSIONS,
    errno.EPERM: _CHECK_PERMISSIONS,
    errno.EROFS: "choose another folder with -o",
}


class RixsError(Exception):
    """Base of all errors that are reported as one line without a traceback."""

    exit_code = 3


class RixsWarning(UserWarning):
    """What a spectrum in Python should be looked at for; filter it by this category."""


class ConfigError(RixsError):
    """A wrong config: an unknown key, a value out of range, a file that is not YAML."""

    exit_code = 2


class UsageError(RixsError):
    """A command line that names an unknown scan, stage or region."""

    exit_code = 2


class VersionError(UsageError):
    """Workers have another version of the program, or of Python."""


class InputError(RixsError):
    """Unusable input: not a beamtime directory, a broken header, a foreign product."""

    exit_code = 3


class RunFailed(RixsError):
    """One run could not be reduced; the others go on."""

    exit_code = 1


def describe_os_error(error: OSError, path: Path | None = None) -> str:
    """Return the line about what the operating system refused.

    Parameters
    ----------
    error
        It mostly names the file or folder.
    path
        What was to be read or written, if the error does not.

    Returns
    -------
    str
        What is wrong, where, and what to do if that is known.
    """
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.filename:
        path = Path(os.fsdecode(error.filename))
    if path and error.errno == errno.EACCES:  # perhaps of a folder on the way to it
        path = next((p for p in (path, *path.parents) if os.path.lexists(p)), path)
    text = f"{path}: {reason}" if path else reason
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{text}; {remedy}" if remedy else text
