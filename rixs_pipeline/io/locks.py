"""One writer at a time for files that several runs share, on any node of a cluster."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rixs_pipeline import paths
from rixs_pipeline.files.opening import open_appending

LOG = logging.getLogger("rixs_pipeline")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Lock a folder of results; other processes that lock it wait for the block.

    POSIX record locks hold between the nodes of NFS, Lustre and GPFS, and end with the
    process that holds them. On a file system without locks the block runs unprotected.
    """
    out.mkdir(parents=True, exist_ok=True)
    with open_appending(out / paths.LOCK_FILE) as file:
        try:
            import fcntl  # not on Windows

            fcntl.lockf(file, fcntl.LOCK_EX)
        except (ImportError, OSError) as error:
            LOG.debug("%s: file locks unavailable (%s)", out, error)
        yield


def try_lock(file: TextIO, *, exclusive: bool) -> bool:
    """Lock an open file without waiting; return whether nobody else prevents it."""
    try:
        import fcntl  # not on Windows

        fcntl.flock(
            file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
        )
    except BlockingIOError:
        return False
    except (ImportError, OSError) as error:
        LOG.debug("%s: file locks unavailable (%s)", file.name, error)
    return True
