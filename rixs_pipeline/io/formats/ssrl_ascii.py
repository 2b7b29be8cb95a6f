"""SSRL ASCII scans (`.dat`): where I0, TEY and TFY come from at that beamline."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError

_SIZE = re.compile(r"\s*PTS:\s*\d+\s+COLS:\s*(\d+)\s*")
_ALIASES = {"sc": "tey"}  # the drain current of the sample


@dataclass(frozen=True)
class AsciiScan:
    """One scan; `columns` by the name in the file, each f8 (row,), in the order measured."""

    path: Path
    number: int | None  # `Scan:`
    sample: str
    date: str
    columns: dict[str, NDArray[np.float64]]

    @property
    def n_rows(self) -> int:
        """Number of measured points."""
        return len(next(iter(self.columns.values())))

    @property
    def readings(self) -> dict[str, NDArray[np.float64]]:
        """The columns by channel: names in lower case, SC as `tey` too."""
        channels = {name.lower(): values for name, values in self.columns.items()}
        return channels | {
            alias: channels[name]
            for name, alias in _ALIASES.items()
            if name in channels
        }


def is_ascii_scan(head: bytes) -> bool:
    """Whether the first bytes of a file are the fixed header: its third line holds the number of rows and columns."""
    lines = head.decode(errors="replace").splitlines()
    return len(lines) > 2 and _SIZE.fullmatch(lines[2]) is not None


def read(path: Path) -> AsciiScan:
    """Read one file; a last row that is cut short is left out.

    Raises:
        InputError: the header is broken, or a value is not a number.
    """
    lines = [line.rstrip() for line in path.read_text(errors="replace").splitlines()]
    size = _SIZE.fullmatch(lines[2]) if len(lines) > 2 else None
    if size is None or int(size[1]) == 0 or "Data:" not in lines:
        raise InputError(
            f"{path}: not an SSRL ASCII scan: no 'PTS: n COLS: m' in line 3, or no line 'Data:'"
        )
    n_columns, first = int(size[1]), lines.index("Data:") + 1
    names = [line.strip() for line in lines[first : first + n_columns]]
    if len(names) < n_columns:
        raise InputError(
            f"{path}: ends after {len(names)} of {n_columns} column names; the readings are not used"
        )
    rows = [line.split() for line in lines[first + n_columns :]]
    try:
        values = np.array(
            [row for row in rows if len(row) == n_columns], dtype=np.float64
        )
    except ValueError as error:
        raise InputError(
            f"{path}: a value is not a number ({error}); the readings are not used"
        ) from error
    values = values.reshape(-1, n_columns)
    header = "\n".join(lines[:first])
    number = re.search(r"^Scan:\s*(\d+)\s*$", header, re.MULTILINE)
    sample = re.search(r"^Sample:\s*(.*?)\s*(?:loadid:.*)?$", header, re.MULTILINE)
    return AsciiScan(
        path=path,
        number=int(number[1]) if number else None,
        sample=sample[1] if sample else "",
        date=lines[1].strip(),
        columns={name: values[:, i] for i, name in enumerate(names)},
    )
