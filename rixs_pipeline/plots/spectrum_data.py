"""Spectra as figures need them: energies ascending, and the energies worth showing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

STRAY_SHARE = 0.0005  # of all counts at either end: too few to set a window


class Limits(NamedTuple):
    """Lower and upper end of a window or an axis, eV where it is an energy."""

    low: float
    high: float


def spectrum_axis(spectrum: xr.Dataset) -> xr.DataArray:
    """Return the energies of a spectrum, eV."""
    return spectrum[str(spectrum["intensity"].dims[0])]


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
