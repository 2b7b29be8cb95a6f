"""Processed photon lists, `<prefix>_<STATE>.npz`: already calibrated photons."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.npz import open_archive, read_array
from rixs_pipeline.files.opening import FileKind, open_regular, reader
from rixs_pipeline.io.formats.log import LOWEST_ENERGY
from rixs_pipeline.io.formats.values import NS_PER_UNIT, TimeForm, form_of_number
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

PHOTON_LIST = re.compile(r"(?P<prefix>.+)_(?P<state>(?:SCAN|CAL)\d+)\.npz")
_ARRAYS = ("timestamps", "energies", "channels")
_EARLIEST_SECONDS = 1e8  # in 1973; smaller numbers count ns
_DAMAGE = "not a photon list"
_CONSEQUENCE = f"expected the arrays {', '.join(_ARRAYS)}"
_LATEST_NS = 1 << 62  # in 2116


@dataclass(frozen=True)
class PhotonList:
    """Photons of all pixels in order of time."""

    time_ns: IntArray  # (photon,), ns since 1970
    energy: FloatArray  # (photon,), eV
    pixel: NDArray[np.int32]  # (photon,), channel number
    n_repeated: int = 0  # photons that the file has twice; left out here
    form: TimeForm = TimeForm.NANOSECONDS  # of the times in the file

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


@reader(_DAMAGE, _CONSEQUENCE)
def is_photon_list(path: Path) -> bool:
    """Return whether a file is an archive with the three arrays."""
    with open_regular(path, FileKind.PHOTONS) as file:
        if not zipfile.is_zipfile(file):
            return False
        with open_archive(file) as archive:
            return set(archive.namelist()) >= {f"{name}.npy" for name in _ARRAYS}


def _read_numbers(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read one array, which must be a list of numbers."""
    values = np.atleast_1d(read_array(archive, name))
    if values.ndim > 1 or values.dtype.kind not in "iuf" or values.itemsize > 8:
        raise ValueError(f"`{name}` is not a list of numbers")
    return values


@reader(_DAMAGE, _CONSEQUENCE)
def read(path: Path) -> PhotonList:
    """Read all photons, without unpickling anything.

    Raises
    ------
    InputError
        Not such an archive, arrays that are pickled or of different lengths, times or
        pixels out of range, or energies that are not in eV.
    """
    with open_regular(path, FileKind.PHOTONS) as file, open_archive(file) as archive:
        time, energy, pixel = (_read_numbers(archive, name) for name in _ARRAYS)
    if not len(time) == len(energy) == len(pixel):
        raise InputError(
            f"{path}: arrays of different lengths ({len(time)}, {len(energy)}, "
            f"{len(pixel)}); photon list not used"
        )
    _check_range(time, "timestamps", _LATEST_NS)
    _check_range(pixel, "channels", np.iinfo(np.int32).max)
    low, median = np.nanpercentile(energy, [5, 50]) if len(energy) else (0.0, 0.0)
    if low > 0 and median < LOWEST_ENERGY:
        raise InputError(
            f"{path}: photon energies around {median:.3g} eV look like keV; photon "
            "list not used; write it in eV"
        )
    form = form_of_number(float(time.max(initial=0))) or TimeForm.NANOSECONDS
    if form is not TimeForm.NANOSECONDS and time.max(initial=0) > _EARLIEST_SECONDS:
        time = np.round(time.astype(np.float64) * NS_PER_UNIT[form])
    else:
        form = TimeForm.NANOSECONDS
    if np.any(np.diff(time) < 0):
        order = np.argsort(time, kind="stable")
        time, energy, pixel = time[order], energy[order], pixel[order]
    is_repeated = _are_repeated(time, pixel, energy)
    n_repeated = int(is_repeated.sum())
    if n_repeated:
        kept = ~is_repeated
        time, energy, pixel = time[kept], energy[kept], pixel[kept]
    return PhotonList(
        time_ns=time.astype(np.int64),
        energy=energy.astype(np.float64),
        pixel=pixel.astype(np.int32),
        n_repeated=n_repeated,
        form=form,
    )


def _check_range(values: NDArray[Any], name: str, highest: int) -> None:
    """Raise a ValueError unless all values are within 0 and `highest`; NaN is not."""
    if not ((values >= 0) & (values <= highest)).all():
        raise ValueError(f"`{name}` has values that are not within 0 and {highest}")


def _are_repeated(
    time: NDArray[Any], pixel: NDArray[Any], energy: NDArray[Any]
) -> BoolArray:
    """Return which photons repeat an earlier one, with its time, pixel and energy.

    Parameters
    ----------
    time, pixel, energy
        In order of time, (photon,).

    Returns
    -------
    BoolArray
        (photon,)
    """
    is_repeated = np.zeros(len(time), bool)
    is_equal = np.diff(time) == 0
    if not is_equal.any():
        return is_repeated
    is_candidate = np.append(is_equal, False) | np.append(False, is_equal)
    rows = np.flatnonzero(is_candidate)
    order = rows[np.lexsort((energy[rows], pixel[rows], time[rows]))]
    is_same = np.all([np.diff(x[order]) == 0 for x in (time, pixel, energy)], axis=0)
    is_repeated[order[1:][is_same]] = True
    return is_repeated
