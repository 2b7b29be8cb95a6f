"""Igor text files (.itx): waves that Igor Pro loads by a double click.

References
----------
https://docs.wavemetrics.com, Igor Text File Format
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.io.export.spectrum import Spectrum
from rixs_pipeline.io.temporaries import atomic_path
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

_LONGEST_NAME = 31  # characters, of waves in all versions of Igor


def write_waves(path: Path, spectrum: Spectrum) -> None:
    """Write a spectrum as waves of equal length.

    Parameters
    ----------
    path
        The file; its folder is created.
    spectrum
        What is written; its metadata become the note of the first column's wave.
    """
    columns = {spectrum.axis: spectrum.energy, **spectrum.columns}
    names = _wave_names(list(columns))
    rows = np.column_stack(list(columns.values()))
    lines = ["IGOR", f"WAVES/D/O {' '.join(names)}", "BEGIN"]
    lines += ["\t".join(map(_number, row)) for row in rows.tolist()]
    lines.append("END")
    units = {spectrum.axis: "eV", **spectrum.units}
    for name, column in zip(names, columns, strict=True):
        if units.get(column):
            lines.append(f'X SetScale d 0,0,"{_quoted(units[column])}", {name}')
    note = "; ".join(f"{key}: {text}" for key, text in spectrum.metadata.items())
    lines.append(f'X Note {names[1]}, "{_quoted(note)}"')
    _write(path, lines)


def write_map_waves(path: Path, rixs_map: xr.Dataset) -> None:
    """Write the intensities of a map as a matrix, with a wave for each of its axes.

    Parameters
    ----------
    path
        The file; its folder is created.
    rixs_map
        As `schema.RIXS_MAP`. Its emission bins are uniform, which the matrix's columns
        state as their scale; incident energies need not be, and are in their wave only.
    """
    incident = rixs_map["incident_energy"].values
    emission = rixs_map["emission_energy"].values
    rows, columns = rixs_map["intensity"].shape
    lines = ["IGOR", f"WAVES/D/O/N=({rows},{columns}) intensity", "BEGIN"]
    for row in rixs_map["intensity"].values.tolist():
        lines.append("\t".join(map(_number, row)))
    step = float(emission[1] - emission[0]) if columns > 1 else 1.0
    units = _quoted(str(rixs_map["intensity"].attrs.get("units", "")))
    lines += [
        "END",
        f'X SetScale/P y {_number(float(emission[0]))},{_number(step)},"eV", intensity',
        f'X SetScale d 0,0,"{units}", intensity',
        *_axis("incident_energy", incident),
        *_axis("emission_energy", emission),
    ]
    _write(path, lines)


def _axis(name: str, energy: FloatArray) -> list[str]:
    lines = [f"WAVES/D/O {name}", "BEGIN", *map(_number, energy.tolist()), "END"]
    return [*lines, f'X SetScale d 0,0,"eV", {name}']


def _wave_names(columns: list[str]) -> list[str]:
    """Return names that Igor takes: letters, digits and _; different ones."""
    names: list[str] = []
    for column in columns:
        name = re.sub(r"[^A-Za-z0-9_]", "_", column)[:_LONGEST_NAME]
        number = 1
        while name in names:
            number += 1
            suffix = f"_{number}"
            name = name[: _LONGEST_NAME - len(suffix)] + suffix
        names.append(name)
    return names


def _number(value: float) -> str:
    return "NaN" if np.isnan(value) else repr(value)


def _quoted(text: str) -> str:
    """Return a text that may stand between quotation marks in a command."""
    one_line = " ".join(text.split())
    return one_line.replace("\\", "\\\\").replace('"', '\\"')


def _write(path: Path, lines: list[str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("\r".join(lines) + "\r", encoding="utf-8", newline="")
