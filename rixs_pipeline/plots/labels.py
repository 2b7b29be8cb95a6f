"""Texts on figures: quantities with units, names of lines, pixels and edges."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rixs_pipeline.types import IntArray

if TYPE_CHECKING:
    import xarray as xr

MAX_CHANNELS = 16  # listed in one line of text

_GREEK_SHELLS = {"Ka": "Kα", "Kb": "Kβ", "La": "Lα", "Lb": "Lβ"}
_SCALES = {"none": "", "max": " / maximum", "area": " / area", "edge": " / edge jump"}
_NORMALISATIONS = {
    "max": "normalised at the maximum",
    "edge": "normalised by the edge jump",
}


def escape_math(text: str) -> str:
    """Return a text from a log so that matplotlib does not read `$` as a formula."""
    return text.replace("$", r"\$")


def unescape_math(text: str) -> str:
    """Return a text of a figure as it is read."""
    return text.replace(r"\$", "$")


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


def spectrum_label(name: str, spectrum: xr.Dataset) -> str:
    """Return what a spectrum is: its name, or which reading of the log.

    Parameters
    ----------
    name : str
        Of the region, or `log_tey`.
    spectrum : Dataset
        As `schema.spectrum`.

    Returns
    -------
    str
        E.g. `TEY (log file), divided by I0`.
    """
    if spectrum.attrs.get("kind") != "reading":
        return name
    channel = name.partition("_")[2].upper()
    is_divided = str(spectrum["intensity"].attrs.get("units", "")).endswith("/i0")
    return f"{channel} (log file), {'divided by' if is_divided else 'no'} I0"


def intensity_label(spectrum: xr.Dataset) -> str:
    """Return the label of the intensity axis of a spectrum, with its normalisation."""
    intensity = spectrum["intensity"]
    kind = spectrum.attrs.get("kind")
    region = json.loads(spectrum.attrs.get("region", "{}"))
    if kind == "reading":
        channel = str(region.get("channel", "reading")).upper()
        if str(intensity.attrs.get("units", "")).endswith("/i0"):
            return f"{channel} / I0 (ratio of log readings)"
        return f"{channel} (log reading)"
    if "channel" in spectrum.attrs and "scale" in spectrum.attrs:
        return f"absorption{scale_label(spectrum.attrs['scale'])}"
    name = "intensity"
    if kind == "ipfy":
        name = "inverse PFY, exposure / counts"
    if "long_name" in intensity.attrs and intensity.attrs["long_name"] == "difference":
        name = "difference"
    scale = region.get("scale", "none")
    is_scaled = float(spectrum.attrs.get("scale_factor", 1.0)) != 1.0
    return quantity_label(intensity, name + scale_label(scale) * is_scaled)


def scale_label(scale: str | Sequence[float]) -> str:
    """Return what a spectrum is divided by, e.g. ` / edge jump`; nothing for `none`."""
    if isinstance(scale, str):
        return _SCALES[scale]
    return f" / mean ({scale[0]:g}–{scale[1]:g} eV)"


def line_label(name: str) -> str:
    """Return the usual name of an emission line: `O Kα` for O_Ka."""
    element, _, shell = name.partition("_")
    return escape_math(f"{element} {_GREEK_SHELLS.get(shell, shell)}".strip())


def edge_label(edge: str) -> str:
    """Return the usual name of an absorption edge: `Ni L edge` for Ni_L."""
    return f"{edge.replace('_', ' ')} edge"


def sample_edge_title(dataset: xr.Dataset) -> str:
    """Return the title of figures of a sample and edge: `LMR_RT, Co L edge`."""
    edge = edge_label(str(dataset.attrs["edge"]))
    return f"{dataset.attrs['sample']}, {edge}"


def reference_run_title(dataset: xr.Dataset) -> str:
    """Return the title of figures of a reference run: sample and run."""
    run = f"reference run {dataset.attrs.get('run', '')}".strip()
    sample = str(dataset.attrs.get("sample", ""))
    return f"{sample}, {run}" if sample else run


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


def spread_within(positions: Iterable[float], distance: float) -> list[float]:
    """Move positions of labels apart, and back where they would exceed 1.

    Parameters
    ----------
    positions : iterable of float
        Ascending, in fractions of a panel.
    distance : float
        Least distance between neighbours; less where there are too many for it.

    Returns
    -------
    list of float
        The positions in the same order.
    """
    spread = spread_positions(positions, distance)
    if not spread or spread[-1] <= 1:
        return spread
    distance = min(distance, 1 / len(spread))
    downwards = spread_positions(
        [1 - min(place, 1.0) for place in spread[::-1]], distance
    )
    return [1 - place for place in downwards[::-1]]
