"""Copies of the logs as they were last read whole, while acquisition rewrites them."""

import hashlib
import logging
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from rixs_pipeline.files.opening import is_file
from rixs_pipeline.io.temporaries import atomic_path

LOG = logging.getLogger(__name__)

_DIGEST_BYTES = 8


@dataclass(frozen=True)
class LogCopies:
    """Copies of logs in a folder.

    Attributes
    ----------
    folder
        Of the copies; it need not exist.
    whole
        Logs that were read whole, to be copied by `save`.
    """

    folder: Path
    whole: list[Path] = field(default_factory=list)

    def find(self, log: Path) -> Path | None:
        """Return the copy of a log, which has its name; None: there is none."""
        copy = self._path(log)
        return copy if is_file(copy) else None

    def save(self) -> None:
        """Copy the logs that were read whole, those that changed.

        A disk that is full does no harm here: products report it.
        """
        for log in self.whole:
            copy = self._path(log)
            try:
                if copy.is_file() and _identity(copy) == _identity(log):
                    continue
                copy.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(copy) as temporary:
                    shutil.copy2(log, temporary)  # with its time
            except OSError as error:
                LOG.debug("%s: not copied (%s)", log, error)

    def _path(self, log: Path) -> Path:
        # realpath also has an answer for a link to itself
        where = os.path.realpath(log.parent).encode(errors="surrogateescape")
        digest = hashlib.blake2b(where, digest_size=_DIGEST_BYTES).hexdigest()
        return self.folder / digest / log.name


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
