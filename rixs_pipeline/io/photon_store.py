"""The calibrated photons of a scan, stored next to its map, so that it can be rebinned.

Blocks of pixels write parts, plain records one after the other; the parts become one
HDF5 file. So no array as long as the scan is ever in memory.
"""

import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.io.hdf5 import (
    check_array,
    member,
    members,
    open_hdf5,
    read_array,
    text_array,
    text_value,
)
from rixs_pipeline.io.temporaries import atomic_path
from rixs_pipeline.schema import SCHEMA_VERSION

PHOTON = np.dtype([("energy", "<f4"), ("point", "<i4"), ("pixel", "<i4")])
COLUMN_ATTRIBUTES = {
    "energy": {"units": "eV", "long_name": "emission energy of the photon"},
    "point": {"units": "", "long_name": "number of the scan point, from 0"},
    "pixel": {"units": "", "long_name": "channel number of the pixel"},
}
CHUNK = 1 << 16  # photons
MAX_PHOTONS = 1 << 20  # in memory
_MARGIN_BYTES = 1 << 20  # of free disk space beyond the photons


@dataclass(frozen=True)
class Photons:
    """Calibrated photons of a scan, all (photon,)."""

    energy: NDArray[np.float32]  # eV
    point: NDArray[np.int32]  # number of the scan point, from 0
    pixel: NDArray[np.int32]  # channel number

    def __len__(self) -> int:
        return len(self.energy)


def append(
    part: Path, energy: NDArray[np.float32], point: NDArray[np.integer[Any]], pixel: int
) -> None:
    """Append photons of one pixel to a part.

    Parameters
    ----------
    part
        File of records.
    energy
        (photon,), eV.
    point
        (photon,), number of the scan point.
    pixel
        Channel number.
    """
    photons = np.empty(len(energy), PHOTON)
    photons["energy"] = energy
    photons["point"] = point
    photons["pixel"] = pixel
    with part.open("ab") as file:
        photons.tofile(file)


def count_photons(parts: Sequence[Path]) -> int:
    """Return how many photons the parts hold."""
    return sum(part.stat().st_size for part in parts) // PHOTON.itemsize


def write(
    path: Path,
    parts: Sequence[Path],
    tables: Mapping[str, Mapping[str, NDArray[Any]]],
    attributes: Mapping[str, Any],
) -> int:
    """Write the photons of parts, one part after the other, to one file.

    Parameters
    ----------
    path
        The file; `entry/data` gets a column for each field of `PHOTON`.
    parts
        Files that `append` wrote.
    tables
        Group in the entry -> name -> array.
    attributes
        Of the entry, text or numbers.

    Returns
    -------
    int
        Number of photons.

    Raises
    ------
    OSError
        Not enough space on the disk. HDF5 would crash on a full disk.
    """
    n_photons = count_photons(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    needed_bytes = n_photons * PHOTON.itemsize + _MARGIN_BYTES
    if shutil.disk_usage(path.parent).free < needed_bytes:
        raise OSError(
            errno.ENOSPC,
            "no disk space left for the photon list; free some, or set "
            "`map: {keep_photons: false}`",
            str(path),
        )
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = text_value("NXentry")
        entry.attrs["schema_version"] = SCHEMA_VERSION
        entry.attrs["photons"] = n_photons
        for name, value in attributes.items():
            is_text = isinstance(value, str)
            entry.attrs[name] = text_value(value) if is_text else value
        for group, columns in tables.items():
            for name, values in columns.items():
                entry.create_dataset(f"{group}/{name}", data=_stored_values(values))
        data = entry.create_group("data")
        for name, column_attributes in COLUMN_ATTRIBUTES.items():
            column = data.create_dataset(
                name,
                shape=(n_photons,),
                dtype=PHOTON[name],
                maxshape=(None,),
                chunks=(CHUNK,),
                compression="lzf",
                shuffle=True,
            )
            for key, text in column_attributes.items():
                column.attrs[key] = text_value(text)
        first = 0
        for photons in _read_parts(parts):
            stop = first + len(photons)
            for name in COLUMN_ATTRIBUTES:
                data[name][first:stop] = photons[name]
            first = stop
    return n_photons


def _stored_values(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array as HDF5 stores it."""
    if values.dtype.kind in "OU":
        return text_array(map(str, values))
    return np.array(values)


def _read_parts(parts: Sequence[Path]) -> Iterator[NDArray[np.void]]:
    """Yield the photons of parts, at most `MAX_PHOTONS` at a time."""
    for part in parts:
        with part.open("rb") as file:
            while len(photons := np.fromfile(file, PHOTON, MAX_PHOTONS)):
                yield photons


def read(path: Path) -> Iterator[Photons]:
    """Yield the photons of a file, at most `MAX_PHOTONS` at a time.

    Raises
    ------
    InputError
        Not a file that `write` wrote, or a damaged one.
    """
    with _open_entry(path) as entry:
        columns = members(member(entry, "data"))
        energy, point, pixel = (columns[name] for name in COLUMN_ATTRIBUTES)
        for column in (energy, point, pixel):
            check_array(column)
        for first in range(0, len(energy), MAX_PHOTONS):
            rows = slice(first, first + MAX_PHOTONS)
            yield Photons(energy[rows], point[rows], pixel[rows])


def has_table(path: Path, group: str) -> bool:
    """Return whether a group is beside the photons."""
    with _open_entry(path) as entry:
        return group in members(entry)


def read_table(path: Path, group: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a group beside the photons.

    Parameters
    ----------
    path
        The file.
    group
        Name of the group in the entry.

    Returns
    -------
    dict of str to numpy.ndarray
        Name -> array; text as str.

    Raises
    ------
    InputError
        As for `read`.
    """
    with _open_entry(path) as entry:
        return {
            name: read_array(stored)
            for name, stored in members(member(entry, group)).items()
        }


@contextmanager
def _open_entry(path: Path) -> Iterator[h5py.Group]:
    """Open a file; errors in the block are an InputError."""
    with open_hdf5(path, "a photon list") as file:
        yield member(file, "entry")
