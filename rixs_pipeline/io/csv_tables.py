"""Small CSV tables that any program reads, with attributes in a hidden file beside.

The attributes of `references.csv` are in `.references.csv.json`.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from rixs_pipeline.files.json_text import parse_json
from rixs_pipeline.files.opening import FileKind, check_regular, read_bytes, reader
from rixs_pipeline.io.temporaries import atomic_path


def write_table(
    path: Path, columns: Mapping[str, Sequence[Any]], attributes: Mapping[str, str]
) -> None:
    """Write columns of equal length; numbers with four decimals, NaN as an empty field.

    Parameters
    ----------
    path
        The table; its folder is created.
    columns
        Name -> values.
    attributes
        Name -> text.
    """
    rows = zip(*columns.values(), strict=True)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_field(value) for value in row])
    # last: with older attributes the table counts as stale
    with atomic_path(attributes_path(path)) as temporary:
        temporary.write_text(json.dumps(attributes, indent=1), encoding="utf-8")


def attributes_path(path: Path) -> Path:
    """Return the hidden file beside a table that has its attributes."""
    return path.with_name(f".{path.name}.json")


def _field(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if isnan(value) else f"{value:.4f}"


@reader("not a table of rixs-pipeline", "delete it and run again")
def read_attributes(path: Path) -> dict[str, str]:
    """Read the attributes of a table.

    Raises
    ------
    InputError
        No such table, or without attributes.
    """
    check_regular(path, path.stat(), FileKind.TABLE)
    beside = attributes_path(path)
    if not beside.is_file():
        raise ValueError(f"no {beside.name} beside it")
    attributes = parse_json(read_bytes(beside, FileKind.TABLE))
    if not isinstance(attributes, dict):
        raise ValueError(f"{beside.name} is not a mapping")
    return {str(name): str(value) for name, value in attributes.items()}
