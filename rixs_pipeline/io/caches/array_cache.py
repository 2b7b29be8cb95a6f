"""Arrays that are kept between reductions, because they take long to compute."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from numpy.lib.format import write_array
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.npz import open_archive, read_array
from rixs_pipeline.files.opening import FileKind, is_file, open_regular, reader
from rixs_pipeline.io.temporaries import atomic_path

Kept = TypeVar("Kept")

LOG = logging.getLogger(__name__)
COMPRESSION_LEVEL = 1  # of maps: 18 % more bytes than level 6, in a fifth of the time
_KEY = "key"
_DIGEST_BYTES = 16


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
        Whether arrays may be saved; a dry run saves none.
    is_compressed
        Whether files are compressed: for arrays that are mostly small integers.
    """

    folder: Path
    is_writable: bool = True
    is_compressed: bool = False

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
        if not is_file(path):
            return None
        try:
            return _read(path, key)
        except InputError as error:
            LOG.debug("%s", error)
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
                _write(file, {_KEY: key, **arrays}, is_compressed=self.is_compressed)
        except OSError as error:
            LOG.debug("%s: not saved (%s)", path, error)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"


def keep(
    cache: ArrayCache | None,
    name: str,
    key: str,
    kind: type[Kept],
    compute: Callable[[], Kept | None],
) -> Kept | None:
    """Return a dataclass of arrays and numbers, from a cache or computed now.

    Parameters
    ----------
    cache
        None: nothing is kept.
    name
        Of the set.
    key
        Digest of all that it is computed from.
    kind
        The dataclass.
    compute
        Returns it; None is not kept.

    Returns
    -------
    dataclass or None
        As `compute` returns it.
    """
    known = cache.load(name, key) if cache else None
    if known is not None and known.keys() == kind.__annotations__.keys():
        values = {n: v if v.ndim else v.item() for n, v in known.items()}
        return kind(**values)
    computed = compute()
    if cache and computed is not None:
        cache.save(name, key, vars(computed))
    return computed


def digest_arrays(values: Mapping[str, NDArray[Any] | float]) -> str:
    """Return a digest of arrays and numbers by name."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for name, value in values.items():
        array = np.ascontiguousarray(value)
        digest.update(f"{name} {array.dtype} {np.shape(value)}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _write(file: BinaryIO, arrays: Mapping[str, Any], *, is_compressed: bool) -> None:
    """Write arrays and numbers as `np.savez`, with a level of compression."""
    method = ZIP_DEFLATED if is_compressed else ZIP_STORED
    with ZipFile(file, "w", method, compresslevel=COMPRESSION_LEVEL) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array(member, np.asanyarray(values), allow_pickle=False)


@reader("damaged", "computed again")
def _read(path: Path, key: str) -> dict[str, NDArray[Any]] | None:
    """Read arrays; None: they have another key."""
    with open_regular(path, FileKind.PHOTONS) as file, open_archive(file) as archive:
        if str(read_array(archive, _KEY)) != key:
            return None
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        return {name: read_array(archive, name) for name in names if name != _KEY}
