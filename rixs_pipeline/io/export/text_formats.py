"""Columns of numbers as text: XDI, Athena, CSV."""

import csv
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from rixs_pipeline import __version__
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.export.spectrum import Spectrum
from rixs_pipeline.io.temporaries import atomic_path
from rixs_pipeline.paths import safe_name

LOG = logging.getLogger(__name__)

_XDI_FIELDS = {
    "sample": "Sample.name",
    "users": "Sample.experimenters",
    "facility": "Facility.name",
    "beamline": "Beamline.name",
    "mono": "Mono.name",
    "monochromator": "Mono.name",
    "time": "Scan.start_time",
    "start_time": "Scan.start_time",
    "end_time": "Scan.end_time",
}
_TIMES = ("time", "start_time", "end_time")
# NaN where self-absorption cannot be corrected
_CORRECTED = ("absorption", "absorption_errors")
_FLUORESCENCE = ("", "tfy", "pfy")  # channels; empty: a region of the map
_XDI_EDGES = {"K": "K", "L": "L3"}  # shell -> edge


@dataclass(frozen=True)
class XdiEdge:
    """An absorption edge as XDI names it, such as Co and L3."""

    element: str
    edge: str


def write_xdi(path: Path, spectrum: Spectrum) -> None:
    """Write XDI 1.0; points without a number are left out.

    Parameters
    ----------
    path
        The file; its folder is created.
    spectrum
        What is written.

    Raises
    ------
    InputError
        No point has a number, or the edge is unknown.

    References
    ----------
    https://github.com/XraySpectroscopy/XAS-Data-Interchange
    """
    edge = xdi_edge(spectrum.metadata.get("edge", ""), path)
    finite = _select_finite(spectrum, path)
    labels = ["energy", *finite.columns]
    labels[1] = _xdi_label(finite)
    units = ["eV", *(finite.units.get(name, "") for name in finite.columns)]
    version = "".join(spectrum.metadata.get("program_version", __version__).split())
    fields = {"Element.symbol": edge.element, "Element.edge": edge.edge}
    for number, (label, unit) in enumerate(zip(labels, units, strict=True), start=1):
        fields[f"Column.{number}"] = f"{label} {unit}"
    for key, value in spectrum.metadata.items():
        if key in ("edge", "program_version"):
            continue
        text = _iso_time(value, path) if key in _TIMES else value
        if text:
            name = _XDI_FIELDS.get(key, f"rixs_pipeline.{safe_name(key)}")
            fields[name] = text
    fields["rixs_pipeline.axis"] = spectrum.axis
    header = [f"XDI/1.0 rixs_pipeline/{version}"]
    header += [f"{name}: {_one_line(text)}" for name, text in fields.items()]
    header += ["///", "---", " ".join(labels)]
    _write_columns(path, header, finite)


def write_athena(path: Path, spectrum: Spectrum) -> None:
    """Write columns of numbers as Athena reads them: energy and mu first.

    The last line of the header, which begins with #, names the columns.

    Parameters
    ----------
    path
        The file; its folder is created.
    spectrum
        What is written.

    Raises
    ------
    InputError
        No point has a number.
    """
    finite = _select_finite(spectrum, path)
    fields = {"program": f"rixs_pipeline {__version__}"}
    fields |= spectrum.metadata
    fields["axis"] = spectrum.axis
    header = [f"{name}: {_one_line(text)}" for name, text in fields.items()]
    labels = ["energy", *finite.columns]
    if finite.is_absorption:
        labels[1] = "mu"
    header += ["-" * 40, " ".join(labels)]
    _write_columns(path, header, finite)


def write_csv(path: Path, spectrum: Spectrum) -> None:
    """Write comma-separated values under a line of names with units.

    Every digit is kept; NaN is written as `nan`.

    Parameters
    ----------
    path
        The file; its folder is created.
    spectrum
        What is written.
    """
    units = {spectrum.axis: "eV"} | spectrum.units
    columns = {spectrum.axis: spectrum.energy} | spectrum.columns
    names = [f"{name} [{units[name]}]" if units.get(name) else name for name in columns]
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)


def xdi_edge(edge: str, source: Path | str = "spectrum") -> XdiEdge:
    """Return an edge as XDI names it: Co_L is Co and L3, O_K is O and K.

    Parameters
    ----------
    edge
        Name of an absorption edge.
    source
        File that the error message names.

    Returns
    -------
    XdiEdge
        Element and edge.

    Raises
    ------
    InputError
        Not the name of an edge.
    """
    element, _, shell = edge.partition("_")
    if shell not in _XDI_EDGES:
        raise InputError(
            f"{source}: '{edge}' is not an edge such as O_K or Co_L; set it in "
            "`beamtime.scans` of the config"
        )
    return XdiEdge(element, _XDI_EDGES[shell])


def _select_finite(spectrum: Spectrum, path: Path) -> Spectrum:
    """Return the points at which all columns that have numbers have one.

    An absorption that lacks a number at any of them is left out: these points have an
    intensity.
    """
    columns = {
        name: values
        for name, values in spectrum.columns.items()
        if np.isfinite(values).any()
    }
    measured = [values for name, values in columns.items() if name not in _CORRECTED]
    arrays = (spectrum.energy, *measured)
    is_finite = np.all([np.isfinite(values) for values in arrays], axis=0)
    if "intensity" not in columns or not is_finite.any():
        raise InputError(f"{path}: spectrum has no intensity at any point; not written")
    return replace(
        spectrum,
        energy=spectrum.energy[is_finite],
        columns={
            name: values[is_finite]
            for name, values in columns.items()
            if np.isfinite(values[is_finite]).all()
        },
    )


def _xdi_label(spectrum: Spectrum) -> str:
    """Return the label of the intensity; of an electron yield XDI defines none."""
    if not spectrum.is_absorption:
        return "intensity"
    channel = spectrum.channel.lower()
    return "mufluor" if channel in _FLUORESCENCE else safe_name(channel)


def _write_columns(path: Path, header: list[str], spectrum: Spectrum) -> None:
    """Write lines that begin with #, then one row a point."""
    table = np.column_stack([spectrum.energy, *spectrum.columns.values()])
    lines = [f"# {line}" for line in header]
    lines += ["  ".join(f"{value:.10g}" for value in row) for row in table]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _iso_time(value: str, path: Path) -> str:
    """Return an ISO 8601 time; empty, with a warning, where it is none."""
    try:
        return datetime.fromisoformat(value).isoformat()
    except ValueError:
        LOG.warning("%s: '%s' is not an ISO 8601 time; omitted", path, value)
        return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
