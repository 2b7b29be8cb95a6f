"""SSRL ASCII scans (`.dat`): where that beamline stores I0, TEY and TFY."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.opening import FileKind, named_errors, read_text, reader
from rixs_pipeline.io.formats.log import find_implausible
from rixs_pipeline.io.runs import RUN_DIGITS
from rixs_pipeline.types import FloatArray

_SIZE = re.compile(r"\s*PTS:\s*\d+\s+COLS:\s*(\d{1,6})\s*")
_SIZE_LINE = 2  # counted from 0
_ENERGY_WORDS = ("mono", "energy")
_ALIASES = {"sc": "tey"}  # the drain current of the sample


@dataclass(frozen=True)
class AsciiScan:
    """One scan."""

    path: Path
    number: int | None  # `Scan:`
    sample: str
    date: str
    columns: dict[str, FloatArray]  # name in the file -> (row,), in order of time

    @property
    def n_rows(self) -> int:
        """Number of measured points."""
        return len(next(iter(self.columns.values())))

    @property
    def energies(self) -> dict[str, FloatArray]:
        """Columns of incident energies, eV: named so, and no angle or motor step."""
        return {
            name: values
            for name, values in self.columns.items()
            if any(word in name.lower() for word in _ENERGY_WORDS)
            and not find_implausible(values)
        }

    @property
    def readings(self) -> dict[str, FloatArray]:
        """Columns by channel: names in lower case, SC also as `tey`."""
        channels = {name.lower(): values for name, values in self.columns.items()}
        for name, alias in _ALIASES.items():
            if name in channels:
                channels[alias] = channels[name]
        return channels


def is_ascii_scan(head: bytes) -> bool:
    """Return whether a file that begins with `head` is an SSRL ASCII scan."""
    return _match_size(head.decode(errors="replace").splitlines()) is not None


def _match_size(lines: list[str]) -> re.Match[str] | None:
    """Match the line of the header that holds the number of rows and columns."""
    return _SIZE.fullmatch(lines[_SIZE_LINE]) if len(lines) > _SIZE_LINE else None


@reader(consequence="readings not used")
def read(path: Path) -> AsciiScan:
    """Read one file; an incomplete last row is left out.

    Raises
    ------
    InputError
        The header is damaged, or a value is not a number.
    """
    text = read_text(path, FileKind.LOG)
    lines = [line.rstrip() for line in text.splitlines()]
    size = _match_size(lines)
    if size is None or int(size[1]) == 0 or "Data:" not in lines:
        raise InputError(
            f"{path}: not an SSRL ASCII scan: no 'PTS: n COLS: m' in line 3, or no "
            "line 'Data:'"
        )
    n_columns = int(size[1])
    data_start = lines.index("Data:") + 1
    rows_start = data_start + n_columns
    names = [line.strip() for line in lines[data_start:rows_start]]
    if len(names) < n_columns:
        raise InputError(
            f"{path}: ends after {len(names)} of {n_columns} column names; readings "
            "not used"
        )
    rows = [line.split() for line in lines[rows_start:]]
    complete_rows = [row for row in rows if len(row) == n_columns]
    with named_errors(path, "a value is not a number", "readings not used"):
        table = np.array(complete_rows, dtype=np.float64).reshape(-1, n_columns)
    table[~np.isfinite(table)] = np.nan
    header = lines[:data_start]
    number = _header_value(header, "Scan:")
    is_number = re.fullmatch(RUN_DIGITS, number)
    return AsciiScan(
        path=path,
        number=int(number) if is_number else None,
        sample=_header_value(header, "Sample:").partition("loadid:")[0].rstrip(),
        date=lines[1].strip(),
        columns=dict(zip(names, table.T, strict=True)),
    )


def _header_value(header: list[str], key: str) -> str:
    """Return what follows a key at the beginning of a line; nothing where it lacks."""
    values = (line.removeprefix(key) for line in header if line.startswith(key))
    return next(values, "").strip()
