"""Products: NeXus/HDF5 files for xarray, h5py and NeXus viewers.

Files appear complete or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.caches.file_status import FileStatus, file_status
from rixs_pipeline.io.hdf5 import (
    all_attributes,
    attribute_text,
    dimension_names,
    member,
    member_names,
    members,
    open_hdf5,
    read_array,
    read_attribute,
    text_array,
    text_value,
)
from rixs_pipeline.io.hdf5_writing import attach_scales, create_array, write_texts
from rixs_pipeline.io.nexus_groups import NexusGroup, entry_groups, pfy_entry
from rixs_pipeline.io.temporaries import atomic_path
from rixs_pipeline.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    import xarray as xr

# Name that netCDF gives to the scale of a dimension without a coordinate
BARE_DIMENSION = "This is a netCDF dimension but not a netCDF variable."
_NO_COORDINATE_OF_LENGTH = BARE_DIMENSION + " {:>9}"
PRODUCT_SUFFIXES = (".nxs", ".h5")  # photon lists are .h5
KEPT_PRODUCTS = 2  # the calibrations before and after a scan: 8 MB each of 240 pixels
FACTS = "facts"  # what run.json says of a product, as JSON
SHOWN_FILES = 20  # of a folder that was to be opened as a product


def write_product(
    path: Path,
    entries: Mapping[str, xr.Dataset],
    attributes: Mapping[str, Any],
    signal: str,
    axes: Sequence[str] | None = None,
) -> None:
    """Write datasets as NXentry groups, each with an NXdata group `data`.

    Parameters
    ----------
    path
        The product; its folder is created.
    entries
        Name of the entry -> dataset, whose attributes become the entry's.
    attributes
        Of every entry; text and numbers as they are, everything else as JSON. The text
        `FACTS` becomes a dataset of the first entry, beside its data.
    signal
        The variable that viewers plot.
    axes
        Its dimensions; default: the signal's.
    """
    of_entries = dict(attributes)
    facts = of_entries.pop(FACTS, None)
    with _new_file(path) as file:
        write_texts(file.id, {"NX_class": "NXroot", "default": next(iter(entries))})
        for name, dataset in entries.items():
            entry = file.create_group(name)
            entry_attributes = {**of_entries, **dataset.attrs}
            of_group = {
                "NX_class": "NXentry",
                "default": "data",
                "schema_version": SCHEMA_VERSION,
                **entry_attributes,
            }
            _write_attributes(entry, of_group)
            if facts is not None:  # an attribute is 64 kB at most
                stored = create_array(entry, FACTS, text_value(facts))
                write_texts(
                    stored, {"units": "", "long_name": "item of run.json, JSON"}
                )
                facts = None
            data = entry.create_group("data")
            write_texts(data.id, {"NX_class": "NXdata", "signal": signal})
            axis_names = list(axes or map(str, dataset[signal].dims))
            data.attrs["axes"] = text_array(axis_names)
            _write_variables(data, dataset.variables, labelled=(signal, *axis_names))
            _write_group(entry, entry_groups(name, dataset, entry_attributes))


def write_pfy(path: Path, name: str, dataset: xr.Dataset) -> None:
    """Write a partial fluorescence yield as the definition NXxas_pfy wants it.

    Parameters
    ----------
    path
        The file; its folder is created.
    name
        Of the region.
    dataset
        As `schema.spectrum`, with the attributes of its entry.
    """
    with _new_file(path) as file:
        write_texts(file.id, {"NX_class": "NXroot", "default": "entry"})
        entry = file.create_group("entry")  # its definition knows no scales
        _write_group(entry, pfy_entry(name, dataset), has_scales=False)


@contextmanager
def _new_file(path: Path) -> Iterator[h5py.File]:
    """Yield a file that is made in memory and written when the block ends.

    On a full disk HDF5 prints tracebacks of its own and may crash the process.
    """
    in_memory = {"driver": "core", "backing_store": False}
    # HDF5 would sort the entries by name
    with h5py.File(path.name, "w", **in_memory, track_order=True) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic_path(path) as temporary:
        temporary.write_bytes(image)


def _write_attributes(group: h5py.Group, attributes: Mapping[str, Any]) -> None:
    """Write numbers and texts as they are, the rest (bool, None, a list) as JSON."""
    for name, value in attributes.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number:
            group.attrs[str(name)] = value
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            write_texts(group.id, {str(name): text})


def _write_group(
    target: h5py.Group, group: NexusGroup, *, has_scales: bool = True
) -> None:
    """Write class, fields and groups into a group that is there."""
    if group.nx_class:
        write_texts(target.id, {"NX_class": group.nx_class})
    write_texts(target.id, group.attributes)
    _write_variables(target, group.variables(), has_scales=has_scales)
    for name, subgroup in group.groups.items():
        _write_group(target.create_group(name), subgroup, has_scales=has_scales)


def _write_variables(
    group: h5py.Group,
    variables: Mapping[Any, xr.Variable],
    *,
    labelled: Collection[str] = (),
    has_scales: bool = True,
) -> None:
    """Write variables with their attributes and the scales of their dimensions.

    Parameters
    ----------
    group
        Where they are written.
    variables
        By name.
    labelled
        Variables whose long names get the units: viewers show only the long name.
    has_scales
        Whether dimensions have scales, by which netCDF readers know them.
    """
    arrays = {}
    lengths: dict[str, int] = {}
    for key, variable in variables.items():
        name = str(key)
        stored = create_array(group, name, _stored_values(variable))
        attributes = {str(k): v for k, v in variable.attrs.items()}
        if name in labelled and attributes.get("units") and "long_name" in attributes:
            attributes["long_name"] += _unit_suffix(attributes["units"])
        for attribute, value in attributes.items():
            if isinstance(value, str):
                write_texts(stored, {attribute: value})
            else:
                h5py.Dataset(stored).attrs[attribute] = value
        arrays[name] = stored
        lengths |= {str(dim): length for dim, length in variable.sizes.items()}
    if has_scales:
        scales = {
            dim: _make_scale(group, dim, length, arrays.get(dim))
            for dim, length in lengths.items()
        }
        dims = {str(k): list(map(str, v.dims)) for k, v in variables.items()}
        attach_scales(arrays, scales, dims)


def _make_scale(group: h5py.Group, dim: str, length: int, coordinate: Any) -> Any:
    """Return the scale of a dimension: its coordinate, or a bare one if it has none."""
    if coordinate is not None:
        h5py.h5ds.set_scale(coordinate, dim.encode())
        return coordinate
    bare = group.create_dataset(dim, shape=(length,), dtype="f4")
    bare.make_scale(_NO_COORDINATE_OF_LENGTH.format(length))
    return bare.id


def _unit_suffix(units: str) -> str:
    return f" ({units})"


def _stored_values(variable: xr.Variable) -> NDArray[Any]:
    """Return the values of a variable as HDF5 stores them."""
    values = np.asarray(variable.values)
    if values.dtype.kind in "OU":
        return text_array(map(str, values.ravel())).reshape(values.shape)
    is_array_of_bool = values.dtype.kind == "b" and values.shape
    return values.astype(np.int8) if is_array_of_bool else values


def read_attributes(
    path: Path, entry: str | None = None, names: Collection[str] | None = None
) -> dict[str, Any]:
    """Read the attributes of an entry.

    Parameters
    ----------
    path
        The product.
    entry
        Name of the entry; default: the first one.
    names
        Of those that are wanted, if they are there; default: all. `FACTS` is returned
        if it is named.

    Returns
    -------
    dict
        Plain Python values; JSON stays text.

    Raises
    ------
    InputError
        Not a product of this program, or truncated.
    """
    with _open(path) as entries:
        group = entries[entry or next(iter(entries))]
        known = group.attrs
        wanted = known if names is None else [name for name in names if name in known]
        values = {name: read_attribute(group, name) for name in wanted}
        if FACTS in (names or ()) and FACTS in group:
            values[FACTS] = read_array(member(group, FACTS)).item()
        return values


def read_values(path: Path, name: str, entry: str = "entry") -> list[Any]:
    """Read one variable as plain Python values, without reading the others.

    Parameters
    ----------
    path
        The product.
    name
        The variable.
    entry
        Its entry.

    Returns
    -------
    list
        Texts, numbers, or lists of them.

    Raises
    ------
    InputError
        Not a product of this program, or without that variable.
    """
    with _open(path) as entries:
        return list(read_array(member(member(entries[entry], "data"), name)).tolist())


def open_product(path: str | os.PathLike[str]) -> xr.Dataset | dict[str, xr.Dataset]:
    """Open a product in memory.

    Parameters
    ----------
    path
        The product.

    Returns
    -------
    xarray.Dataset or dict of str to xarray.Dataset
        The dataset of the entry, with the entry's attributes; for a file of spectra
        region -> dataset.

    Raises
    ------
    InputError
        Not a product of this program, or truncated. Of a folder, with the products in
        it.
    """
    if Path(path).is_dir():
        raise InputError(_describe_folder(Path(path)))
    if Path(path).suffix not in PRODUCT_SUFFIXES and Path(path).is_file():
        raise InputError(f"{path}: not a product; give a .nxs file, as of OUT/maps")
    datasets = read_entries(Path(path))
    if list(datasets) == ["entry"]:
        return datasets["entry"]
    return _Regions(datasets)


class _Regions(dict[str, "xr.Dataset"]):
    """The datasets of regions; a wrong name is reported with those there are."""

    def __missing__(self, name: object) -> xr.Dataset:
        raise KeyError(f"no region {name!r} in this product; it has {', '.join(self)}")


def _describe_folder(folder: Path) -> str:
    """Return the line about a folder that was to be opened as a product."""
    files = sorted(str(file.relative_to(folder)) for file in folder.glob("**/*.nxs"))
    if not files:
        return f"{folder}: a folder without products; give a file of OUT/maps"
    more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
    listed = ", ".join(files[:SHOWN_FILES])
    return f"{folder}: a folder; open one of its products: {listed}{more}"


def read_entries(path: Path) -> dict[str, xr.Dataset]:
    """Read all entries of a product, by name: see `read_entry`."""
    with _open(path) as entries:
        return {name: _read_dataset(group) for name, group in entries.items()}


def iterate_entries(path: Path) -> Iterator[xr.Dataset]:
    """Yield the entries of a product, each read when it is asked for."""
    for name in entry_names(path):
        yield read_entry(path, name)


def entry_names(path: Path) -> list[str]:
    """Return the names of the entries of a product.

    Raises
    ------
    InputError
        Not a product of this program, or truncated.
    """
    with _open(path) as entries:
        return list(entries)


def read_entry(
    path: Path,
    entry: str = "entry",
    without: Collection[str] = (),
    only: Collection[str] | None = None,
) -> xr.Dataset:
    """Read the dataset of an entry, with the entry's attributes.

    The result is that of xarray's own reader, ten times faster.

    Parameters
    ----------
    path
        The product.
    entry
        Name of the entry.
    without
        Variables that are not read.
    only
        Variables that are read if they are there; default: all.

    Returns
    -------
    xarray.Dataset
        In memory.

    Raises
    ------
    InputError
        Not a product of this program, truncated, or without that entry.
    """
    with _open(path) as entries:
        return _read_dataset(entries[entry], without, only)


def read_variables(
    path: Path, names: Collection[str], entry: str = "entry"
) -> dict[str, xr.Variable]:
    """Read some variables of an entry.

    Parameters
    ----------
    path
        The product.
    names
        Of the variables.
    entry
        Name of the entry.

    Returns
    -------
    dict of str to xarray.Variable
        In memory.

    Raises
    ------
    InputError
        Not a product of this program, truncated, or without one of them.
    """
    with _open(path) as entries:
        data = member(entries[entry], "data")
        return {name: _read_variable(member(data, name)) for name in names}


def read_kept(path: Path, without: tuple[str, ...] = ()) -> xr.Dataset:
    """Return `read_entry` of a product, read once while the file is unchanged.

    The last `KEPT_PRODUCTS` products are kept in memory.

    Parameters
    ----------
    path
        The product.
    without
        Variables that are not read.

    Returns
    -------
    xarray.Dataset
        Its arrays are read-only.

    Raises
    ------
    InputError
        As for `read_entry`.
    """
    return _read_kept(path, file_status(path), without)


@lru_cache(KEPT_PRODUCTS)
def _read_kept(path: Path, _: FileStatus, without: tuple[str, ...]) -> xr.Dataset:
    dataset = read_entry(path, without=without)
    for variable in dataset.variables.values():
        variable.values.flags.writeable = False
    return dataset


def _read_dataset(
    group: h5py.Group,
    without: Collection[str] = (),
    only: Collection[str] | None = None,
) -> xr.Dataset:
    """Read the dataset of an entry; see `read_entry`."""
    import xarray as xr  # 0.5 s, which commands that read no product save

    data = member(group, "data")
    names = [
        name
        for name in member_names(data)
        if name not in without and (only is None or name in only)
    ]
    variables = {
        name: _read_variable(stored)
        for name in names
        if not _is_bare_dimension(stored := member(data, name))
    }
    return xr.Dataset(variables, attrs=all_attributes(group))


def _is_bare_dimension(stored: h5py.Dataset) -> bool:
    """Return whether a dataset only stands for a dimension without a coordinate."""
    return attribute_text(stored, "NAME").startswith(BARE_DIMENSION)


def _read_variable(stored: h5py.Dataset) -> xr.Variable:
    """Read a variable with its dimensions, the names of the scales attached to it."""
    import xarray as xr

    values = read_array(stored)
    dims = dimension_names(stored)
    attributes = {
        key: read_attribute(stored, key)
        for key in ("units", "long_name")
        if key in stored.attrs
    }
    if attributes.keys() == {"units", "long_name"}:
        suffix = _unit_suffix(str(attributes["units"]))
        attributes["long_name"] = str(attributes["long_name"]).removesuffix(suffix)
    return xr.Variable(dims, values, attributes)


@contextmanager
def _open(path: Path) -> Iterator[dict[str, h5py.Group]]:
    """Open a product: its entries by name; see `open_hdf5`."""
    with open_hdf5(path) as file:
        entries = members(file)
        first = next(iter(entries.values()), None)
        if first is None or "schema_version" not in first.attrs:
            raise InputError(f"{path}: not a product of rixs-pipeline")
        yield entries
