"""Write spectra and photons for other programs.

XDI, columns for Athena, CSV, and copies of NeXus files and photon lists.
"""

import csv
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np

from rixs_pipeline import __version__
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io.hdf5 import member, members, open_hdf5, plain_value, read_array
from rixs_pipeline.io.nexus import atomic_path
from rixs_pipeline.paths import export_folder, photon_list, safe_name
from rixs_pipeline.types import FloatArray

LOG = logging.getLogger(__name__)

_AXES = ("incident_energy", "emission_energy", "energy_loss")
_COLUMNS = (
    "intensity",
    "intensity_errors",
    "intensity_lower",
    "intensity_upper",
    "counts",
    "exposure",
)
# Attributes that say nothing about a spectrum
_INTERNAL_ATTRIBUTES = (
    "NX_class",
    "default",
    "command",
    "input_hashes",
    "option_hashes",
)
_XDI_FIELDS = {"sample": "Sample.name", "mono": "Mono.name", "time": "Scan.start_time"}
_XDI_EDGES = {"K": "K", "L": "L3"}  # shell -> edge


@dataclass(frozen=True)
class Spectrum:
    """A spectrum as plain arrays.

    `metadata` should have `sample`, `edge` (such as Co_L) and `region`;
    `program_version`, `mono` and `time` (ISO 8601) have fields of their own in XDI.
    """

    axis: str  # incident_energy, emission_energy or energy_loss
    energy: FloatArray  # (n,), eV
    columns: dict[str, FloatArray]  # name -> (n,), intensity first
    units: dict[str, str] = field(default_factory=dict)  # column -> unit
    metadata: dict[str, str] = field(default_factory=dict)  # one line of text each


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
    labels = _column_labels(finite, absorption_label="mufluor")
    units = ["eV", *(finite.units.get(name, "") for name in finite.columns)]
    version = "".join(spectrum.metadata.get("program_version", __version__).split())
    fields = {"Element.symbol": edge.element, "Element.edge": edge.edge}
    for number, (label, unit) in enumerate(zip(labels, units, strict=True), start=1):
        fields[f"Column.{number}"] = f"{label} {unit}"
    for key, value in spectrum.metadata.items():
        if key in ("edge", "program_version"):
            continue
        text = _iso_time(value, path) if key == "time" else value
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
    labels = _column_labels(finite, absorption_label="mu")
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


@dataclass(frozen=True)
class _TextFormat:
    """How spectra are written as text."""

    name: str
    extension: str
    write: Callable[[Path, Spectrum], None]
    has_nan: bool = False  # whether it can hold points without a number


XAS_PREFIX = "XAS_"  # of the channel, in names of files
_TEXT_FORMATS = {
    "xdi": _TextFormat("xdi", "xdi", write_xdi),
    "athena": _TextFormat("athena", "dat", write_athena),
    "csv": _TextFormat("csv", "csv", write_csv, has_nan=True),
}
FORMATS = (*_TEXT_FORMATS, "nexus", "photons")


def export(out: Path, formats: Iterable[str]) -> list[Path]:
    """Write every spectrum of an output folder in other formats.

    To `export/<format>/<sample>-<edge>-<REGION>.<ext>`, absorption spectra (TEY, TFY,
    normalised PFY) with `XAS_` before their channel; `nexus` copies the .nxs files,
    `photons` the photon list of every scan. A spectrum without a single number is left
    out of formats that cannot hold it, with a warning.

    Parameters
    ----------
    out
        Output folder of a run.
    formats
        Some of `FORMATS`.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UsageError
        An unknown format.
    InputError
        No spectra (no photon lists) in the folder, or a file that is not a product.
    """
    formats = list(formats)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(
            f"unknown export format '{', '.join(unknown)}'; choose from "
            f"{', '.join(FORMATS)}"
        )
    written = []
    for name in formats:
        folder = export_folder(out, name)
        files = _find_photon_lists(out) if name == "photons" else _find_spectra(out)
        absorption = [] if name == "photons" else sorted((out / "xas").glob("*.nxs"))
        for file in files:
            if name in _TEXT_FORMATS:
                written += _export_file(file, folder, _TEXT_FORMATS[name])
            else:
                written.append(_copy(file, folder / file.name))
        for file in absorption:
            if name in _TEXT_FORMATS:
                written += _export_file(file, folder, _TEXT_FORMATS[name], XAS_PREFIX)
            else:
                target = folder / f"{file.stem}-{XAS_PREFIX.rstrip('_')}.nxs"
                written.append(_copy(file, target))
    return written


def _find_spectra(out: Path) -> list[Path]:
    files = sorted((out / "spectra").glob("*.nxs"))
    if not files:
        raise InputError(
            f"{out}: no spectra (spectra/*.nxs); run "
            f"`rixs-pipeline run BEAMTIME -o {out}` first"
        )
    return files


def _find_photon_lists(out: Path) -> list[Path]:
    pattern = photon_list(out, "*")
    files = sorted(pattern.parent.glob(pattern.name))
    if not files:
        raise InputError(
            f"{out}: no calibrated photons; set `map: {{keep_photons: true}}` in the "
            "config and run again"
        )
    return files


def _copy(file: Path, target: Path) -> Path:
    with atomic_path(target) as temporary:
        shutil.copyfile(file, temporary)
    return target


def _export_file(
    file: Path, folder: Path, text_format: _TextFormat, prefix: str = ""
) -> list[Path]:
    """Write the spectra of one product, one file a region."""
    written = []
    for region, spectrum in _read_spectra(file).items():
        has_numbers = np.isfinite(spectrum.columns["intensity"]).any()
        if not has_numbers and not text_format.has_nan:
            LOG.warning(
                "%s: region %s has no intensity at any point; not exported as %s",
                file,
                region,
                text_format.name,
            )
            continue
        name = f"{file.stem}-{prefix}{safe_name(region)}.{text_format.extension}"
        text_format.write(folder / name, spectrum)
        written.append(folder / name)
    return written


def _read_spectra(file: Path) -> dict[str, Spectrum]:
    """Read the spectrum of every entry of a product."""
    with open_hdf5(file, "spectra") as product:
        return {
            region: _read_spectrum(region, entry)
            for region, entry in members(product).items()
        }


def _read_spectrum(region: str, entry: h5py.Group) -> Spectrum:
    """Read the spectrum of an entry; its attributes become the metadata.

    The definition of the region, attribute `region`, becomes `definition`.
    """
    data = members(member(entry, "data"))
    (axis, *_) = [axis for axis in _AXES if axis in data]
    metadata = {
        key: str(plain_value(value))
        for key, value in entry.attrs.items()
        if key not in _INTERNAL_ATTRIBUTES
    }
    # a reading has no region
    metadata.setdefault("region", metadata.get("channel", ""))
    for key in ("sample", "edge"):
        if key not in metadata:
            raise KeyError(f"entry {region} has no attribute {key}")
    metadata["definition"] = metadata["region"]
    metadata["region"] = region
    stored = {column: data[column] for column in _COLUMNS if column in data}
    return Spectrum(
        axis=axis,
        energy=read_array(data[axis]).astype(float),
        columns={
            column: read_array(values).astype(float)
            for column, values in stored.items()
        },
        units={
            column: str(plain_value(values.attrs.get("units", "")))
            for column, values in stored.items()
        },
        metadata=metadata,
    )


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
    """Return the points at which all columns that have numbers have one."""
    columns = {
        name: values
        for name, values in spectrum.columns.items()
        if np.isfinite(values).any()
    }
    arrays = (spectrum.energy, *columns.values())
    is_finite = np.all([np.isfinite(values) for values in arrays], axis=0)
    if "intensity" not in columns or not is_finite.any():
        raise InputError(f"{path}: spectrum has no intensity at any point; not written")
    return replace(
        spectrum,
        energy=spectrum.energy[is_finite],
        columns={name: values[is_finite] for name, values in columns.items()},
    )


def _column_labels(spectrum: Spectrum, absorption_label: str) -> list[str]:
    """Return column names; intensity against incident energy means absorption."""
    labels = ["energy"]
    for name in spectrum.columns:
        is_absorption = name == "intensity" and spectrum.axis == "incident_energy"
        labels.append(absorption_label if is_absorption else name)
    return labels


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
