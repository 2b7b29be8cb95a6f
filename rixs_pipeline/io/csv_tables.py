"""Small tables as CSV that begin with what they were made from: lines `# name: value`, which pandas and numpy skip."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.nexus import atomic_path


def write_table(
    path: Path, columns: Mapping[str, Sequence[Any]], attributes: Mapping[str, str]
) -> None:
    """Write columns of equal length under their names; numbers with four decimals, an empty field for NaN."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        for name, value in attributes.items():
            file.write(f"# {name}: {json.dumps(value)}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(
            [_field(value) for value in row]
            for row in zip(*columns.values(), strict=True)
        )


def _field(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == value else ""


def read_attributes(path: Path) -> dict[str, str]:
    """The attributes that a table begins with.

    Raises:
        InputError: not such a table.
    """
    attributes = {}
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if not line.startswith("# "):
                    break
                name, _, value = line[2:].partition(": ")
                attributes[name] = json.loads(value)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a table of rixs-pipeline; remove it and run again"
        ) from error
    return attributes
