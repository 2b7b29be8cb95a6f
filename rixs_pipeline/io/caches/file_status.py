"""By what a file that is unchanged is recognised."""

import os
from pathlib import Path
from typing import NamedTuple

from rixs_pipeline.files.opening import reader


class FileStatus(NamedTuple):
    """Size, times and inode of a file; the same ones mean the same content.

    The time of the last change of the inode (ctime) cannot be set by programs that keep
    the time of the content, such as `cp -p` onto a file.
    """

    size: int  # bytes
    mtime_ns: int
    inode: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileStatus":
        """Return the status from what the operating system says."""
        return cls(
            status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns
        )


@reader()
def file_status(path: Path) -> FileStatus:
    """Return the status of a file.

    Raises
    ------
    InputError
        It is not there, or its folder cannot be read.
    """
    return FileStatus.of(path.stat())
