"""Small CSV tables with attributes in front: lines `# name: value`.

pandas (`comment="#"`) and numpy skip these lines.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from rixs_pipeline.files.json_text import parse_json
from rixs_pipeline.files.opening import FileKind, read_bytes, reader
from rixs_pipeline.io.nexus import atomic_path


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
        Name -> text, written in front.
    """
    rows = zip(*columns.values(), strict=True)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        for name, value in attributes.items():
            file.write(f"# {name}: {json.dumps(value)}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_field(value) for value in row])


def _field(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if isnan(value) else f"{value:.4f}"


@reader("not a table of rixs-pipeline", "delete it and run again")
def read_attributes(path: Path) -> dict[str, str]:
    """Read the attributes in front of a table.

    Raises
    ------
    InputError
        Not such a table.
    """
    attributes = {}
    for line in read_bytes(path, FileKind.TABLE).decode().splitlines():
        if not line.startswith("# "):
            break
        name, _, value = line[2:].partition(": ")
        attributes[name] = str(parse_json(value.encode()))
    return attributes
