"""One writer at a time for the files that several runs into one folder share, on whatever nodes they are."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rixs_pipeline import paths

log = logging.getLogger("rixs_pipeline")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Others that lock the same folder of results wait until the block ends.

    POSIX record locks: they hold between the nodes of NFS, Lustre and GPFS, and go with the process that holds them.
    On a file system without any, the block runs all the same.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / paths.LOCK_FILE).open("ab") as file:
        try:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX)
        except (ImportError, OSError) as error:
            log.debug("%s: no locks here (%s)", out, error)
        yield
