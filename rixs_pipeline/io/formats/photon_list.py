"""Processed photon lists, `<prefix>_<STATE>.npz`: photons that are already calibrated."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError

PHOTON_LIST = re.compile(r"(?P<prefix>.+)_(?P<state>(?:SCAN|CAL)\d+)\.npz")
_ARRAYS = ("timestamps", "energies", "channels")


@dataclass(frozen=True)
class PhotonList:
    """Photons of all pixels in order of time, each array (photon,)."""

    time_ns: NDArray[np.int64]  # since 1970
    energy: NDArray[np.float64]  # eV
    pixel: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.time_ns)

    def pixel_counts(self, start_ns: int, end_ns: int) -> dict[int, int]:
        """Pixel -> photons with start_ns <= time < end_ns, for every pixel of the list."""
        first, last = np.searchsorted(self.time_ns, (start_ns, end_ns))
        pixels, inverse = np.unique(self.pixel, return_inverse=True)
        counts = np.bincount(inverse[first:last], minlength=len(pixels))
        return {
            int(pixel): int(count) for pixel, count in zip(pixels, counts, strict=True)
        }


def is_photon_list(path: Path) -> bool:
    """Whether the file is an archive with the three arrays; reads its table of contents alone."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {f"{name}.npy" for name in _ARRAYS} <= set(archive.namelist())


def read(path: Path) -> PhotonList:
    """Read all photons; nothing is ever unpickled.

    Raises:
        InputError: not such an archive, or arrays that are pickled or of different lengths.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            time, energy, pixel = (np.atleast_1d(archive[name]) for name in _ARRAYS)
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: not a photon list ({error}); expected arrays {', '.join(_ARRAYS)}"
        ) from error
    if not len(time) == len(energy) == len(pixel):
        raise InputError(
            f"{path}: arrays of different lengths ({len(time)}, {len(energy)}, {len(pixel)}); not used"
        )
    order = (
        slice(None) if np.all(np.diff(time) >= 0) else np.argsort(time, kind="stable")
    )
    return PhotonList(
        time[order].astype(np.int64),
        energy[order].astype(np.float64),
        pixel[order].astype(np.int32),
    )
