"""Texts on figures: quantities with units, names of lines, pixels and edges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rixs_pipeline.types import IntArray

if TYPE_CHECKING:
    import xarray as xr

MAX_CHANNELS = 16  # listed in one line of text

_GREEK_SHELLS = {"Ka": "Kα", "Kb": "Kβ", "La": "Lα", "Lb": "Lβ"}
_NORMALISATIONS = {
    "max": "normalised at the maximum",
    "edge": "normalised by the edge jump",
}


def escape_math(text: str) -> str:
    """Return a text from a log so that matplotlib does not read `$` as a formula."""
    return text.replace("$", r"\$")


def decode_texts(values: Iterable[Any]) -> list[str]:
    """Return the texts of a product, which h5py reads as bytes."""
    return [
        value.decode() if isinstance(value, bytes) else str(value) for value in values
    ]


def quantity_label(variable: xr.DataArray, name: str = "") -> str:
    """Return the label of an axis, e.g. `emission energy (eV)`.

    Parameters
    ----------
    variable : DataArray
        Its attribute `units` is added where it is not empty.
    name : str
        Default: the variable's `long_name`.

    Returns
    -------
    str
        Name and unit.
    """
    name = name or str(variable.attrs.get("long_name", variable.name))
    units = variable.attrs.get("units", "")
    return escape_math(f"{name} ({units})" if units else name)


def axis_label(axis: str) -> str:
    """Return the label of an energy axis: `energy loss (eV)` for energy_loss."""
    return f"{axis.replace('_', ' ')} (eV)"


def spectrum_label(name: str) -> str:
    """Return what a spectrum is, `TEY of the log, over I0` for log_tey, or its name."""
    kind, _, channel = name.partition("_")
    return f"{channel.upper()} of the log, over I0" if kind == "log" else name


def line_label(name: str) -> str:
    """Return the usual name of an emission line: `O Kα` for O_Ka."""
    element, _, shell = name.partition("_")
    return escape_math(f"{element} {_GREEK_SHELLS.get(shell, shell)}".strip())


def edge_label(edge: str) -> str:
    """Return the usual name of an absorption edge: `Ni L edge` for Ni_L."""
    return f"{edge.replace('_', ' ')} edge"


def normalisation_label(scale: str) -> str:
    """Return in words how absorption spectra are normalised, `max` or `edge`."""
    return _NORMALISATIONS[scale]


def list_channels(channels: IntArray) -> str:
    """Return channel numbers (pixel,) as text, as many as fit in a line."""
    listed = ", ".join(str(channel) for channel in channels[:MAX_CHANNELS])
    number_omitted = len(channels) - MAX_CHANNELS
    ending = f" and {number_omitted} more" if number_omitted > 0 else ""
    return f"channel {listed}{ending}"


def spread_positions(positions: Iterable[float], distance: float) -> list[float]:
    """Move positions of labels up until none are closer than a distance.

    Parameters
    ----------
    positions : iterable of float
        Ascending.
    distance : float
        Least distance between neighbours, in the same unit.

    Returns
    -------
    list of float
        The positions in the same order.
    """
    spread: list[float] = []
    for position in positions:
        lowest = spread[-1] + distance if spread else position
        spread.append(max(position, lowest))
    return spread
