"""What differs between the products of two reductions, value by value."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rixs_pipeline.files.opening import FileKind, read_text
from rixs_pipeline.io.hdf5 import open_hdf5, read_array, read_attribute
from rixs_pipeline.paths import PRODUCT_FOLDERS

TOLERANCE = 1e-12
# Attributes that differ between two reductions with the same result.
PROVENANCE = {
    "program_version",
    "config_hash",
    "option_hashes",
    "input_hashes",
    "command",
    "schema_version",
    "REFERENCE_LIST",  # references of HDF5 to other parts of the file
    "DIMENSION_LIST",
}


@dataclass(frozen=True)
class Difference:
    """A value of a product that is not the same in two reductions.

    Attributes
    ----------
    product
        File, relative to the folder of the results.
    value
        Dataset, `dataset@attribute` or cell of a table; empty: the whole file.
    text
        How they differ.
    """

    product: str
    value: str
    text: str

    def __str__(self) -> str:
        """Return one line."""
        return ": ".join(part for part in (self.product, self.value, self.text) if part)


def products(out: Path) -> dict[str, Path]:
    """Return every product by its name relative to the folder of the results."""
    files = (path for folder in PRODUCT_FOLDERS for path in (out / folder).rglob("*"))
    return {
        path.relative_to(out).as_posix(): path
        for path in files
        if path.is_file() and not path.name.startswith(".")
    }


def find_differences(
    before: Path,
    after: Path,
    tolerance: float = TOLERANCE,
    products_of: Callable[[Path], Mapping[str, Path]] = products,
) -> Iterator[Difference]:
    """Yield what is not the same in the products of two folders of results.

    Integers and texts must be equal, and floats equal within the tolerance, also those
    in JSON texts. The version of the program, its command and the digests of what
    a product was made from do not count.

    Parameters
    ----------
    before, after
        The folders.
    tolerance
        Relative to the larger one of two floats; 0: every bit counts, but for the sign
        of zero.
    products_of
        Returns those products of a folder that are compared, by name.

    Yields
    ------
    Difference
        Product by product.

    Raises
    ------
    InputError
        A product cannot be read.
    """
    old, new = products_of(before), products_of(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            where = before if name in old else after
            yield Difference(name, "", f"only in {where}")
            continue
        first, second = _contents(old[name]), _contents(new[name])
        for value in sorted(first.keys() | second.keys()):
            if value not in first or value not in second:
                where = before if value in first else after
                yield Difference(name, value, f"only in {where}")
                continue
            size = deviation(first[value], second[value])
            if size is None:
                was, became = (_shown(each[value]) for each in (first, second))
                yield Difference(name, value, f"{was} became {became}")
            elif size > tolerance:
                yield Difference(name, value, f"differs by {size:.2g} of its value")


def _shown(value: Any) -> str:
    """Return a value as one short line."""
    return " ".join(f"{value!s:.100}".split())


def _contents(path: Path) -> dict[str, Any]:
    """Return every dataset and attribute, or every cell of a table, by name."""
    if path.suffix == ".csv":
        return _cells(path)
    values: dict[str, Any] = {}

    def visit(name: str, node: h5py.Group | h5py.Dataset) -> None:
        for key in node.attrs:
            if key not in PROVENANCE:
                values[f"{name}@{key}"] = np.asarray(read_attribute(node, key))
        if isinstance(node, h5py.Dataset):
            values[name] = read_array(node)

    with open_hdf5(path) as file:
        visit("/", file)
        file.visititems(visit)
    return values


def _cells(path: Path) -> dict[str, Any]:
    table = csv.DictReader(read_text(path, FileKind.TABLE).splitlines())
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
    largest = 0.0
    for pair in zip(before, after, strict=True):
        part = _value_deviation(*pair)
        if part is None:
            return None
        largest = max(largest, part)
    return largest
