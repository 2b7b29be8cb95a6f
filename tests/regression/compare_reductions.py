"""Compare the products of two reductions of one beamtime.

    python -m tests.regression.compare_reductions OUT_BEFORE OUT_AFTER

Integers and texts must be equal, floats equal to 1e-12 of the larger one, also those in
JSON texts. What names the program's version, its time and its command is left out, and
so are the figures.
"""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

TOLERANCE = 1e-12
PROVENANCE = {
    "program_version",
    "config_hash",
    "option_hashes",
    "input_hashes",
    "command",
    "file_time",
    "file_name",
    "schema_version",
    "content_digest",
    "kind",  # of a region: new with the folders of `core`
}
FOLDERS = ("calibration", "scans", "maps", "spectra", "xas", "comparisons", "photons")


def products(out: Path) -> dict[str, Path]:
    """Every product below OUT, by its name relative to OUT."""
    paths = (path for folder in FOLDERS for path in (out / folder).rglob("*"))
    return {str(path.relative_to(out)): path for path in paths if path.is_file()}


def contents(path: Path) -> dict[str, Any]:
    """Every dataset and attribute of a product, or every cell of a table, by name."""
    if path.suffix == ".csv":
        return _cells(path)
    values: dict[str, Any] = {}

    def visit(name: str, node: h5py.Group | h5py.Dataset) -> None:
        for key, value in node.attrs.items():
            if key not in PROVENANCE and key not in (
                "REFERENCE_LIST",
                "DIMENSION_LIST",
            ):
                values[f"{name}@{key}"] = np.asarray(value)
        if isinstance(node, h5py.Dataset):
            values[name] = node[()]

    with h5py.File(path) as file:
        visit("/", file)
        file.visititems(visit)
    return values


def _cells(path: Path) -> dict[str, Any]:
    lines = path.read_text(encoding="utf-8").splitlines()
    table = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return {
        f"row {number} {name}": _number_or_text(text)
        for number, row in enumerate(table)
        for name, text in row.items()
    }


def _number_or_text(text: str) -> Any:
    try:
        return np.float64(text)
    except ValueError:
        return text


def deviation(before: Any, after: Any) -> float | None:
    """Return the largest relative deviation of floats; None for any other difference.

    Texts that hold JSON, such as the details of a line test, are compared as values.

    Parameters
    ----------
    before, after
        A dataset or an attribute of both products.

    Returns
    -------
    float or None
        0 where they are equal.
    """
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape or before.dtype.kind != after.dtype.kind:
        return None
    if before.dtype.kind != "f":
        if np.array_equal(before, after):
            return 0.0
        return _json_deviation(before, after) if not before.shape else None
    if not np.array_equal(np.isnan(before), np.isnan(after)):
        return None
    differs = ~np.isnan(before) & (before != after)
    if not differs.any():
        return 0.0
    scale = np.maximum(np.abs(before[differs]), np.abs(after[differs]))
    return float(np.max(np.abs(before[differs] - after[differs]) / scale))


def _json_deviation(before: Any, after: Any) -> float | None:
    """Compare two texts as JSON values; None where they are no JSON."""
    try:
        values = [json.loads(value.item()) for value in (before, after)]
    except (TypeError, ValueError):
        return None
    return _value_deviation(*values)


def _value_deviation(before: Any, after: Any) -> float | None:
    if isinstance(before, float) and isinstance(after, float):
        return deviation(before, after)
    if isinstance(before, dict) and isinstance(after, dict):
        if before.keys() != after.keys():
            return None
        before, after = list(before.values()), list(after.values())
    if not (isinstance(before, list) and isinstance(after, list)):
        return 0.0 if before == after else None
    if len(before) != len(after):
        return None
    parts = [_value_deviation(*pair) for pair in zip(before, after, strict=True)]
    return None if None in parts else max(parts, default=0.0)


def differences(before: Path, after: Path) -> Iterator[str]:
    """One line for each product, dataset or attribute that is not the same."""
    old, new = products(before), products(after)
    yield from (f"{name}: only in {before}" for name in sorted(old.keys() - new.keys()))
    yield from (f"{name}: only in {after}" for name in sorted(new.keys() - old.keys()))
    for name in sorted(old.keys() & new.keys()):
        first, second = contents(old[name]), contents(new[name])
        for key in sorted(first.keys() | second.keys()):
            if key not in first or key not in second:
                where = before if key in first else after
                yield f"{name}: {key}: only in {where}"
                continue
            difference = deviation(first[key], second[key])
            if difference is None:
                yield f"{name}: {key}: {first[key]!s:.100} became {second[key]!s:.100}"
            elif difference > TOLERANCE:
                yield f"{name}: {key}: differs by {difference:.2g}"


def main(arguments: list[str]) -> int:
    """Print what differs; 1 where anything does."""
    before, after = map(Path, arguments)
    lines = list(differences(before, after))
    print(*lines, sep="\n", end="\n" if lines else "")
    values = sum(len(contents(path)) for path in products(before).values())
    print(
        f"{len(products(before))} products, {values} values, {len(lines)} differences"
    )
    return 1 if lines or not values else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
