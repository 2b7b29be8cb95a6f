"""Spectra as figures need them: energies ascending, and the energies worth showing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import FloatArray, IntArray

if TYPE_CHECKING:
    import xarray as xr

SINGLE_BIN_EV = 1.0  # width that a bin without neighbours is drawn with
DECIMALS = 6  # of widths, in eV, and of places in bins: what is closer coincides
GAP = 0.5  # of a bin: bins that are farther apart have others between them
STRAY_SHARE = 0.0005  # of all counts at either end: too few to set a window


class Limits(NamedTuple):
    """Lower and upper end of a window or an axis, eV where it is an energy."""

    low: float
    high: float


def spectrum_axis(spectrum: xr.Dataset) -> xr.DataArray:
    """Return the energies of a spectrum, eV."""
    return spectrum[str(spectrum["intensity"].dims[0])]


@dataclass(frozen=True)
class CurvePoints:
    """Where the curve of a spectrum goes.

    Attributes
    ----------
    energy : f8 (point,)
        eV; NaN where the curve is broken.
    rows : i8 (point,)
        Which value of the spectrum the curve has there.
    """

    energy: FloatArray
    rows: IntArray


def curve_points(axis: str, energy: FloatArray) -> CurvePoints:
    """Return the points of a curve: those of a scan, or both ends of each bin.

    Parameters
    ----------
    axis : str
        `incident_energy`, or an axis that has bins.
    energy : f8 (n,)
        Ascending, eV.

    Returns
    -------
    CurvePoints
    """
    rows = np.arange(len(energy))
    if axis == "incident_energy" or not len(energy):
        return CurvePoints(energy, rows)
    ends = bin_ends(energy)
    rows = np.repeat(rows, 2)
    is_gap = ends[1:, 0] - ends[:-1, 1] > GAP * np.ptp(ends[0])
    after_gap = 2 * (np.flatnonzero(is_gap) + 1)
    broken = np.insert(ends.ravel(), after_gap, np.nan)
    return CurvePoints(broken, np.insert(rows, after_gap, rows[after_gap]))


def bin_ends(energy: FloatArray) -> FloatArray:
    """Return the lower and the upper end of each bin of a spectrum.

    Parameters
    ----------
    energy : f8 (bin,)
        Ascending energies of the bins, at least one, eV. Those of bins that a region
        covers in part are not in the middle of the bin.

    Returns
    -------
    f8 (bin, 2)
        Of whole bins, all of one width, eV.
    """
    width = _most_common(np.diff(energy)) if len(energy) > 1 else SINGLE_BIN_EV
    places = np.round(energy / width, DECIMALS)
    middle = _most_common(places % 1)
    low = (np.round(places - middle) + middle - 0.5) * width
    return np.column_stack((low, low + width))


def _most_common(values: FloatArray) -> float:
    """Return the value that is there most often, of several the largest."""
    different, numbers = np.unique(np.round(values, DECIMALS), return_counts=True)
    return float(different[numbers == numbers.max()].max())


def whole_bins(energy: FloatArray, window: Limits) -> Limits:
    """Return a window that reaches from end to end of the bins in it.

    Parameters
    ----------
    energy : f8 (bin,)
        Ascending, eV.
    window : Limits
        eV.

    Returns
    -------
    Limits
        The same window if there is no bin in it.
    """
    inside = (energy >= window.low) & (energy <= window.high)
    if not inside.any():
        return window
    ends = bin_ends(energy)[inside]
    return Limits(float(ends[0, 0]), float(ends[-1, 1]))


def sort_spectrum(spectrum: xr.Dataset, window: Limits | None = None) -> xr.Dataset:
    """Return a spectrum with ascending energies.

    Parameters
    ----------
    spectrum : Dataset
        As `schema.spectrum`.
    window : Limits, optional
        Energies to be kept, eV; default: all.

    Returns
    -------
    Dataset
        The same variables.
    """
    axis = spectrum_axis(spectrum)
    order = np.argsort(axis.values, kind="stable")
    if window is not None:
        energy = axis.values[order]
        order = order[(energy >= window.low) & (energy <= window.high)]
    return spectrum.isel({str(axis.name): order})


def is_left_out(spectrum: xr.Dataset) -> bool:
    """Return whether a spectrum was not normalised as others of a figure are."""
    return "not_normalised" in spectrum.attrs


def describe_edge(spectrum: xr.Dataset) -> str:
    """Return why a spectrum is not normalised or shows no edge, or nothing."""
    attributes = spectrum.attrs
    if "not_normalised" in attributes:
        return f"not normalised: {attributes['not_normalised']}"
    return str(attributes.get("no_edge", ""))


def highest_intensity(spectra: Iterable[xr.Dataset], window: Limits) -> float:
    """Return the highest intensity that spectra reach in a window, at least 0.

    Parameters
    ----------
    spectra : iterable of Dataset
        At least one, as `schema.spectrum`.
    window : Limits
        Energies, eV.

    Returns
    -------
    float
        In the spectra's unit.
    """
    highest = 0.0
    for spectrum in spectra:
        intensity = sort_spectrum(spectrum, window)["intensity"].values
        highest = max(highest, np.nanmax(intensity, initial=0.0))
    return highest


def find_counts_window(
    energy: FloatArray, counts: NDArray[Any], margin: float
) -> Limits:
    """Return the energies between which nearly all counts lie.

    Parameters
    ----------
    energy : f8 (bin,)
        Ascending, eV.
    counts : (bin,)
        Counts; stray ones at the ends, less than 0.05 %, are not regarded.
    margin : float
        Added at both ends, eV.

    Returns
    -------
    Limits
        Within the energies; all of them where there are no counts, eV.
    """
    total = np.cumsum(np.nan_to_num(counts))
    if not total.size or total[-1] <= 0:
        return Limits(energy.min(initial=np.inf), energy.max(initial=-np.inf))
    first_bin = np.searchsorted(total, STRAY_SHARE * total[-1])
    last_bin = np.searchsorted(total, (1 - STRAY_SHARE) * total[-1])
    low = energy[first_bin] - margin
    high = energy[last_bin] + margin
    return Limits(max(energy[0], low), min(energy[-1], high))
