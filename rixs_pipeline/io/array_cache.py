"""Arrays that are kept between reductions, because they take long to compute."""

import logging
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.io.nexus import atomic_path

LOG = logging.getLogger(__name__)
_KEY = "key"
# what zipfile and numpy raise for a file that is not whole
DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class ArrayCache:
    """Arrays by name, each set with the key of all that it was computed from.

    They are only ever a short cut: what is missing, damaged or has another key is
    computed, and replaced.

    Attributes
    ----------
    folder
        One file for each name; made when the first one is saved.
    is_writable
        False: nothing is saved, as in a dry run.
    """

    folder: Path
    is_writable: bool = True

    def load(self, name: str, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays that were saved with a key.

        Parameters
        ----------
        name
            Of the set.
        key
            Digest of all that they are computed from.

        Returns
        -------
        dict of str to ndarray, or None
            None if there are none with this key.
        """
        path = self._path(name)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                if str(content[_KEY]) != key:
                    return None
                return {name: content[name] for name in content if name != _KEY}
        except FileNotFoundError:
            return None
        except DAMAGED as error:
            LOG.debug("%s: cannot be read (%s); computed again", path, error)
            return None

    def save(self, name: str, key: str, arrays: Mapping[str, Any]) -> None:
        """Replace the arrays of a name.

        A disk that is full does no harm here: products report it.

        Parameters
        ----------
        name
            Of the set.
        key
            Digest of all that they are computed from.
        arrays
            ndarrays and numbers by name.
        """
        if not self.is_writable:
            return
        path = self._path(name)
        try:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **{_KEY: key, **arrays})
        except OSError as error:
            LOG.debug("%s: not saved (%s)", path, error)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
