"""Entries of products that later reductions read again, kept so as to be read fast.

HDF5 takes longest for the many small arrays and attributes of a product. Those are kept
as a few long arrays; large ones are read from the product itself.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.files.json_text import parse_json
from rixs_pipeline.io import nexus
from rixs_pipeline.io.array_cache import ArrayCache
from rixs_pipeline.io.provenance import code_version, digest_values

if TYPE_CHECKING:
    import xarray as xr

LOG = logging.getLogger(__name__)
_LAYOUT = "layout"  # attributes, texts, and where the numbers are: bytes of JSON


@dataclass(frozen=True)
class EntryCache:
    """The entries `entry` of products, but for their large variables.

    They are only ever a short cut: what is missing, damaged or of a product with other
    content is read from the product, and replaced.

    Attributes
    ----------
    arrays
        Where they are kept, by the name of the product.
    large
        Names of the variables that are not kept.
    """

    arrays: ArrayCache
    large: tuple[str, ...]

    def read(self, path: Path, digest: str, large: Collection[str] = ()) -> xr.Dataset:
        """Read the dataset of a product, as `nexus.read_entry` does.

        Parameters
        ----------
        path
            The product.
        digest
            Of its content.
        large
            Names of the large variables that are wanted.

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
            "without": list(self.large),
            "program": code_version(),
        }
        key = digest_values(depends_on)
        kept = self.arrays.load(path.stem, key)
        if kept is not None:
            large_variables = nexus.read_variables(path, large) if large else {}
            try:
                layout = parse_json(kept[_LAYOUT].tobytes())
                variables = _unpacked(layout["variables"], kept) | large_variables
                return xr.Dataset(variables, attrs=layout["attributes"])
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                LOG.debug("%s: kept entry damaged (%s); read again", path, error)
        others = set(self.large).difference(large)
        dataset = nexus.read_entry(path, without=others)
        self.arrays.save(path.stem, key, _packed(dataset.drop_vars(large)))
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
            kept["dtype"] = values.dtype.name
            numbers.setdefault(values.dtype.name, []).append(values.ravel())
        variables[str(name)] = kept
    layout = json.dumps({"attributes": dataset.attrs, "variables": variables})
    rows = {dtype: np.concatenate(arrays) for dtype, arrays in numbers.items()}
    return {_LAYOUT: np.frombuffer(layout.encode(), np.uint8), **rows}


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
            dtype = kept["dtype"]
            start = first[dtype]
            first[dtype] = stop = start + prod(shape)
            values = arrays[dtype][start:stop].reshape(shape)
        variables[name] = xr.Variable(kept["dims"], values, kept["attributes"])
    return variables
