"""Spectra and photons as files for other programs: XDI, columns for Athena, CSV, copies of NeXus and photon lists."""

import csv
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from rixs_pipeline import __version__
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io.nexus import atomic_path
from rixs_pipeline.paths import export_folder, photon_list, safe_name

LOG = logging.getLogger(__name__)

Floats = NDArray[np.float64]

_AXES = ("incident_energy", "emission_energy", "energy_loss")
_COLUMNS = (
    "intensity",
    "intensity_errors",
    "intensity_lower",
    "intensity_upper",
    "counts",
    "exposure",
)
_INTERNAL = (
    "NX_class",
    "default",
    "command",
    "input_hashes",
)  # attributes that say nothing to a reader of a spectrum
_XDI_FIELDS = {"sample": "Sample.name", "mono": "Mono.name", "time": "Scan.start_time"}


@dataclass(frozen=True)
class Spectrum:
    """A spectrum as plain arrays.

    `axis`: incident_energy or emission_energy; `energy` f8 (n,) eV; `columns`: name -> f8 (n,), intensity first;
    `units`: column -> unit; `metadata`: what is known, one line of text each. `sample`, `edge` (such as Co_L) and
    `region` should be there; `program_version`, `mono` and `time` (ISO 8601) have places of their own in XDI.
    """

    axis: str
    energy: Floats
    columns: dict[str, Floats]
    units: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def write_xdi(path: Path, spectrum: Spectrum) -> None:
    """Write XDI 1.0 (https://github.com/XraySpectroscopy/XAS-Data-Interchange): points without a number are left out.

    Raises:
        InputError: no point has a number, or the edge is not known.
    """
    symbol, edge = absorption_edge(spectrum.metadata.get("edge", ""), path)
    energy, columns = _finite(spectrum, path)
    names = _labels(spectrum, "mufluor", columns)
    units = ["eV", *(spectrum.units.get(name, "") for name in columns)]
    version = "".join(spectrum.metadata.get("program_version", __version__).split())
    fields = {"Element.symbol": symbol, "Element.edge": edge}
    fields |= {
        f"Column.{n}": f"{name} {unit}"
        for n, (name, unit) in enumerate(zip(names, units, strict=True), 1)
    }
    for key, value in spectrum.metadata.items():
        if key == "time":
            value = _iso_time(value, path)
        if value and key not in ("edge", "program_version"):
            fields[_XDI_FIELDS.get(key, f"rixs_pipeline.{safe_name(key)}")] = value
    fields["rixs_pipeline.axis"] = spectrum.axis
    header = [
        f"XDI/1.0 rixs_pipeline/{version}",
        *(f"{key}: {_one_line(value)}" for key, value in fields.items()),
    ]
    _write_columns(path, [*header, "///", "---", " ".join(names)], energy, columns)


def write_athena(path: Path, spectrum: Spectrum) -> None:
    """Write columns of numbers under a # header whose last line names them, energy and mu first, as Athena reads it.

    Raises:
        InputError: no point has a number.
    """
    energy, columns = _finite(spectrum, path)
    about = (
        {"program": f"rixs_pipeline {__version__}"}
        | spectrum.metadata
        | {"axis": spectrum.axis}
    )
    header = [f"{key}: {_one_line(value)}" for key, value in about.items()]
    _write_columns(
        path,
        [*header, "-" * 40, " ".join(_labels(spectrum, "mu", columns))],
        energy,
        columns,
    )


def write_csv(path: Path, spectrum: Spectrum) -> None:
    """Write comma-separated values under one line of names with units; every digit is kept, NaN is written `nan`."""
    units = {spectrum.axis: "eV"} | spectrum.units
    columns = {spectrum.axis: spectrum.energy} | spectrum.columns
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(
            f"{name} [{units[name]}]" if units.get(name) else name for name in columns
        )
        writer.writerows(
            zip(*(values.tolist() for values in columns.values()), strict=True)
        )


_WRITERS: dict[str, tuple[str, Callable[[Path, Spectrum], None]]] = {
    "xdi": ("xdi", write_xdi),
    "athena": ("dat", write_athena),
    "csv": ("csv", write_csv),
}
FORMATS = (*_WRITERS, "nexus", "photons")


def export(out: Path, formats: Iterable[str]) -> list[Path]:
    """Write every spectrum of an output folder to `export/<format>/<sample>-<edge>-<REGION>.<ext>`.

    `nexus` copies the .nxs files, `photons` the photon list of every scan. A spectrum without a single number is left
    out of formats that cannot hold it, with a logged warning.

    Raises:
        UsageError: an unknown format.
        InputError: no spectra (no photon lists) in the folder, or a file that is not a product.
    """
    formats = list(formats)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(
            f"'{', '.join(unknown)}' is no export format; there are {', '.join(FORMATS)}"
        )
    written = []
    for name in formats:
        folder = export_folder(out, name)
        for file in _photon_lists(out) if name == "photons" else _spectra(out):
            written += (
                list(_export_file(file, folder, name))
                if name in _WRITERS
                else [_copy(file, folder)]
            )
    return written


def _spectra(out: Path) -> list[Path]:
    files = sorted((out / "spectra").glob("*.nxs"))
    if not files:
        raise InputError(
            f"{out}: holds no spectra (spectra/*.nxs); run `rixs-pipeline run BEAMTIME -o {out}` first"
        )
    return files


def _photon_lists(out: Path) -> list[Path]:
    any_scan = photon_list(out, "*")
    files = sorted(any_scan.parent.glob(any_scan.name))
    if not files:
        raise InputError(
            f"{out}: photons were not kept; set `map: {{keep_photons: true}}` in the config and run again"
        )
    return files


def _copy(file: Path, folder: Path) -> Path:
    with atomic_path(folder / file.name) as temporary:
        shutil.copyfile(file, temporary)
    return folder / file.name


def _export_file(file: Path, folder: Path, name: str) -> Iterator[Path]:
    """Write the spectra of one product, one file a region."""
    extension, write = _WRITERS[name]
    for region, spectrum in _read(file):
        path = folder / f"{file.stem}-{safe_name(region)}.{extension}"
        if name == "csv" or np.isfinite(spectrum.columns["intensity"]).any():
            write(path, spectrum)
            yield path
        else:
            LOG.warning(
                "%s: region %s has no intensity at any point; not exported as %s",
                file,
                region,
                name,
            )


def _read(file: Path) -> list[tuple[str, Spectrum]]:
    """Name and spectrum of every entry of a product."""
    try:
        with h5py.File(file, "r") as opened:
            return [(name, _spectrum(name, entry)) for name, entry in opened.items()]
    except (OSError, KeyError, StopIteration) as error:
        raise InputError(
            f"{file}: is not a file of spectra ({error}); remove it and run `rixs-pipeline run`"
        ) from error


def _spectrum(name: str, entry: h5py.Group) -> Spectrum:
    """The spectrum in an entry; its attributes become the metadata, the region's definition under its own name."""
    data = entry["data"]
    axis = next(axis for axis in _AXES if axis in data)
    columns = {column: data[column] for column in _COLUMNS if column in data}
    attributes = {
        key: _text(value) for key, value in entry.attrs.items() if key not in _INTERNAL
    }
    for key in ("sample", "edge", "region"):
        if key not in attributes:
            raise KeyError(f"entry {name} has no attribute {key}")
    attributes["definition"] = attributes["region"]
    return Spectrum(
        axis=axis,
        energy=np.asarray(data[axis], dtype=float),
        columns={
            column: np.asarray(values, dtype=float)
            for column, values in columns.items()
        },
        units={
            column: _text(values.attrs.get("units", ""))
            for column, values in columns.items()
        },
        metadata=attributes | {"region": name},
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def absorption_edge(edge: str, path: Path | str = "spectrum") -> tuple[str, str]:
    """Element and edge as XDI names them: Co_L is Co and L3, O_K is O and K.

    Raises:
        InputError: it is not the name of an edge; the message names `path`.
    """
    symbol, _, shell = edge.partition("_")
    if shell not in ("K", "L"):
        raise InputError(
            f"{path}: '{edge}' is not an edge such as O_K or Co_L; name it in the config, beamtime.scans"
        )
    return symbol, "L3" if shell == "L" else "K"


def _finite(spectrum: Spectrum, path: Path) -> tuple[Floats, dict[str, Floats]]:
    """The points at which every column has a number; a column without any number is left out."""
    columns = {
        name: values
        for name, values in spectrum.columns.items()
        if np.isfinite(values).any()
    }
    good = np.all(
        [np.isfinite(values) for values in (spectrum.energy, *columns.values())], axis=0
    )
    if "intensity" not in columns or not good.any():
        raise InputError(
            f"{path}: not written: the spectrum has no intensity at any point"
        )
    return spectrum.energy[good], {
        name: values[good] for name, values in columns.items()
    }


def _labels(
    spectrum: Spectrum, absorption: str, columns: dict[str, Floats]
) -> list[str]:
    """Column names: what is measured against the incident energy stands for the absorption."""
    against_incident = spectrum.axis == "incident_energy"
    return [
        "energy",
        *(
            absorption if name == "intensity" and against_incident else name
            for name in columns
        ),
    ]


def _write_columns(
    path: Path, header: list[str], energy: Floats, columns: dict[str, Floats]
) -> None:
    """Lines that begin with #, then one row a point."""
    table = np.column_stack([energy, *columns.values()])
    rows = ["  ".join(f"{value:.10g}" for value in row) for row in table]
    with atomic_path(path) as temporary:
        temporary.write_text(
            "\n".join([*(f"# {line}" for line in header), *rows]) + "\n",
            encoding="utf-8",
        )


def _iso_time(value: str, path: Path) -> str:
    """An ISO 8601 time; empty, with a logged warning, where it is none."""
    try:
        return datetime.fromisoformat(value).isoformat()
    except ValueError:
        LOG.warning("%s: '%s' is not an ISO 8601 time; left out", path, value)
        return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
