"""By what a file that is unchanged is recognised."""

from pathlib import Path
from typing import NamedTuple

from rixs_pipeline.files.opening import reader


class FileStatus(NamedTuple):
    """Size, time and inode of a file; the same ones mean the same content."""

    size: int  # bytes
    mtime_ns: int
    inode: int


@reader()
def file_status(path: Path) -> FileStatus:
    """Return the status of a file.

    Raises
    ------
    InputError
        It is not there, or its folder cannot be read.
    """
    status = path.stat()
    return FileStatus(status.st_size, status.st_mtime_ns, status.st_ino)
