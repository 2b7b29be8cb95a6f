"""Entries of products that later reductions read again, kept so as to be read fast.

HDF5 takes longest for the many small arrays and attributes of a product. They are kept
as a few long arrays, integers with as few bytes as they need.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.files.json_text import parse_json
from rixs_pipeline.io import nexus
from rixs_pipeline.io.caches.array_cache import ArrayCache
from rixs_pipeline.io.provenance import code_version, digest_values

if TYPE_CHECKING:
    import xarray as xr

LOG = logging.getLogger(__name__)
_LAYOUT = "layout"  # attributes, texts, and where the numbers are: bytes of JSON


@dataclass(frozen=True)
class EntryCache:
    """The entries `entry` of products, but for some variables.

    They are only ever a short cut: what is missing, damaged or of a product with other
    content is read from the product, and replaced.

    Attributes
    ----------
    arrays
        Where they are kept, by the name of the product.
    without
        Names of the variables that are not read.
    """

    arrays: ArrayCache
    without: tuple[str, ...]

    def read(self, path: Path, digest: str) -> xr.Dataset:
        """Read the dataset of a product, as `nexus.read_entry` does.

        Parameters
        ----------
        path
            The product.
        digest
            Of its content.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        InputError
            The product cannot be read.
        """
        import xarray as xr  # 0.5 s, which commands that read no product save

        depends_on = {
            "product": digest,
            "without": list(self.without),
            "program": code_version(),
        }
        key = digest_values(depends_on)
        kept = self.arrays.load(path.stem, key)
        if kept is not None:
            try:
                layout = parse_json(kept[_LAYOUT].tobytes())
                variables = _unpacked(layout["variables"], kept)
                return xr.Dataset(variables, attrs=layout["attributes"])
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                LOG.debug("%s: kept entry damaged (%s); read again", path, error)
        dataset = nexus.read_entry(path, without=self.without)
        self.arrays.save(path.stem, key, _packed(dataset))
        return dataset


def _packed(dataset: xr.Dataset) -> dict[str, NDArray[Any]]:
    """Return a dataset as arrays: its layout, and a row of numbers for each dtype."""
    numbers: dict[str, list[NDArray[Any]]] = {}
    variables = {}
    for name, variable in dataset.variables.items():
        values = np.asarray(variable.values)
        kept: dict[str, Any] = {
            "dims": list(variable.dims),
            "shape": list(values.shape),
            "attributes": variable.attrs,
        }
        if values.dtype.kind == "O":
            kept["texts"] = values.ravel().tolist()
        else:
            narrow = _narrowed(values)
            kept["dtype"], kept["kept as"] = values.dtype.name, narrow.dtype.name
            numbers.setdefault(narrow.dtype.name, []).append(narrow.ravel())
        variables[str(name)] = kept
    layout = json.dumps({"attributes": dataset.attrs, "variables": variables})
    rows = {dtype: np.concatenate(arrays) for dtype, arrays in numbers.items()}
    return {_LAYOUT: np.frombuffer(layout.encode(), np.uint8), **rows}


def _narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """Return integers with as few bytes as the largest one needs."""
    if values.dtype.kind not in "iu" or not values.size or values.min() < 0:
        return values
    return values.astype(np.min_scalar_type(values.max()))


def _unpacked(
    layout: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, xr.Variable]:
    """Return the variables that were packed."""
    import xarray as xr

    first = dict.fromkeys(arrays, 0)
    variables = {}
    for name, kept in layout.items():
        shape = tuple(kept["shape"])
        if "texts" in kept:
            values = np.array(kept["texts"], dtype=object).reshape(shape)
        else:
            narrow = kept["kept as"]
            start = first[narrow]
            first[narrow] = stop = start + prod(shape)
            numbers = arrays[narrow][start:stop].reshape(shape)
            values = numbers.astype(kept["dtype"], copy=False)
        variables[name] = xr.Variable(kept["dims"], values, kept["attributes"])
    return variables
