"""The calibrated photons of a scan, kept beside its map: HDF5 columns, so that other bins need no pulses.

Blocks of pixels write parts, plain records one after the other; the parts become one file. So nothing as long as the
scan is ever in memory.
"""

import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.nexus import atomic_path
from rixs_pipeline.schema import SCHEMA_VERSION

PHOTON = np.dtype([("energy", "<f4"), ("point", "<i4"), ("pixel", "<i4")])
COLUMNS = {
    "energy": ("eV", "emission energy of the photon"),
    "point": ("", "number of the scan point, from 0"),
    "pixel": ("", "channel number of the pixel"),
}
CHUNK = 1 << 16  # photons
AT_ONCE = 1 << 20  # photons in memory


def append(
    part: Path, energy: NDArray[np.float32], point: NDArray[np.integer[Any]], pixel: int
) -> None:
    """Append photons of one pixel, `energy` and `point` (photon,), to a part."""
    photons = np.empty(len(energy), PHOTON)
    photons["energy"], photons["point"], photons["pixel"] = energy, point, pixel
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
    """Write the photons of parts, one after the other, as one file; how many there are.

    Args:
        path: the list; `entry/data` gets a column a field of `PHOTON`.
        parts: files that `append` wrote.
        tables: group of the entry -> name -> array.
        attributes: of the entry, text or numbers.

    Raises:
        OSError: no room on the disk. It is looked for before, since HDF5 crashes on a disk that is full.
    """
    import h5py

    total = count_photons(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < total * PHOTON.itemsize + (1 << 20):
        raise OSError(
            errno.ENOSPC, "no room for the photon list (map.keep_photons)", str(path)
        )
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        entry = file.create_group("entry")
        about = {
            "NX_class": "NXentry",
            "schema_version": SCHEMA_VERSION,
            "photons": total,
        } | dict(attributes)
        entry.attrs.update(
            {
                k: np.bytes_(v.encode()) if isinstance(v, str) else v
                for k, v in about.items()
            }
        )
        for group, columns in tables.items():
            for name, values in columns.items():
                is_text = values.dtype.kind in "OU"
                stored = [str(text).encode() for text in values] if is_text else values
                entry.create_dataset(f"{group}/{name}", data=np.array(stored))
        data = entry.create_group("data")
        for name, (unit, meaning) in COLUMNS.items():
            kind, chunks = PHOTON[name], (CHUNK,)
            data.create_dataset(
                name,
                (total,),
                kind,
                maxshape=(None,),
                chunks=chunks,
                compression="lzf",
                shuffle=True,
            )
            data[name].attrs.update({"units": unit, "long_name": meaning})
        begin = 0
        for photons in _records(parts):
            for name in COLUMNS:
                data[name][begin : begin + len(photons)] = photons[name]
            begin += len(photons)
    return total


def _records(parts: Sequence[Path]) -> Iterator[NDArray[np.void]]:
    """The photons of parts, a bounded number at a time."""
    for part in parts:
        with part.open("rb") as file:
            while len(photons := np.fromfile(file, PHOTON, AT_ONCE)):
                yield photons


def read(
    path: Path,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]]:
    """Energy (eV), point and pixel, each (photon,), a bounded number of photons at a time.

    Raises:
        InputError: not a list that `write` wrote, or a damaged one.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            data = file["entry/data"]
            for begin in range(0, len(data["energy"]), AT_ONCE):
                energy, point, pixel = (
                    data[name][begin : begin + AT_ONCE] for name in COLUMNS
                )
                yield energy, point, pixel
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as a photon list ({error}); remove it and run again"
        ) from error


def read_table(path: Path, group: str) -> dict[str, NDArray[Any]]:
    """The arrays of a group that is not the photons; text as str.

    Raises:
        InputError: as `read`.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            table = file["entry"][group]
            return {
                name: item.astype("T")[()] if item.dtype.kind == "S" else item[()]
                for name, item in table.items()
            }
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as a photon list ({error}); remove it and run again"
        ) from error
