"""Processed photon lists, `<prefix>_<STATE>.npz`: already calibrated photons."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.types import FloatArray, IntArray

PHOTON_LIST = re.compile(r"(?P<prefix>.+)_(?P<state>(?:SCAN|CAL)\d+)\.npz")
_ARRAYS = ("timestamps", "energies", "channels")


@dataclass(frozen=True)
class PhotonList:
    """Photons of all pixels in order of time."""

    time_ns: IntArray  # (photon,), ns since 1970
    energy: FloatArray  # (photon,), eV
    pixel: NDArray[np.int32]  # (photon,), channel number

    def __len__(self) -> int:
        return len(self.time_ns)

    def pixel_counts(self, start_ns: int, end_ns: int) -> dict[int, int]:
        """Count the photons of every pixel of the list in a time window.

        Parameters
        ----------
        start_ns, end_ns
            The window, start_ns <= time < end_ns, ns since 1970.

        Returns
        -------
        dict of int to int
            Pixel -> photons.
        """
        first, last = np.searchsorted(self.time_ns, (start_ns, end_ns))
        pixels, pixel_index = np.unique(self.pixel, return_inverse=True)
        counts = np.bincount(pixel_index[first:last], minlength=len(pixels))
        return dict(zip(pixels.tolist(), counts.tolist(), strict=True))


def is_photon_list(path: Path) -> bool:
    """Return whether a file is an archive with the three arrays."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist()) >= {f"{name}.npy" for name in _ARRAYS}


def read(path: Path) -> PhotonList:
    """Read all photons, without unpickling anything.

    Raises
    ------
    InputError
        Not such an archive, or arrays that are pickled or of different lengths.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            time, energy, pixel = (np.atleast_1d(archive[name]) for name in _ARRAYS)
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: not a photon list ({error}); expected the arrays "
            f"{', '.join(_ARRAYS)}"
        ) from error
    if not len(time) == len(energy) == len(pixel):
        raise InputError(
            f"{path}: arrays of different lengths ({len(time)}, {len(energy)}, "
            f"{len(pixel)}); photon list not used"
        )
    if np.any(np.diff(time) < 0):
        order = np.argsort(time, kind="stable")
        time, energy, pixel = time[order], energy[order], pixel[order]
    return PhotonList(
        time_ns=time.astype(np.int64),
        energy=energy.astype(np.float64),
        pixel=pixel.astype(np.int32),
    )
