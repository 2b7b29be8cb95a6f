"""Products: NeXus/HDF5 files, written whole or not at all, opened by xarray, h5py and NeXus viewers alike."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import h5py
import numpy as np

from rixs_pipeline.errors import InputError
from rixs_pipeline.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    import xarray as xr

_NO_COORDINATE = "This is a netCDF dimension but not a netCDF variable. {:>9}"
LARGE = 10_000  # values, from which on a table is compressed
CHUNK_BYTES = 1 << 22


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name in the same folder that becomes `path` when the block ends well, and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_product(
    path: Path,
    entries: Mapping[str, xr.Dataset],
    attributes: Mapping[str, Any],
    signal: str,
    axes: tuple[str, ...] | None = None,
) -> None:
    """Write datasets as NXentry groups, each with an NXdata group `data`.

    The file is made in memory: on a disk that is full HDF5 itself prints tracebacks and may crash the process.

    Args:
        path: the product; its folder is made.
        entries: name of the entry -> dataset; the dataset's attributes become the entry's.
        attributes: of every entry; text and numbers as they are, everything else as JSON.
        signal: the variable that viewers plot.
        axes: its dimensions; default: the signal's.
    """
    # the order of the entries is tracked: HDF5 would sort them by name
    with h5py.File(
        path.name, "w", driver="core", backing_store=False, track_order=True
    ) as file:
        file.attrs["NX_class"] = _text("NXroot")
        file.attrs["default"] = _text(next(iter(entries)))
        for name, dataset in entries.items():
            entry = file.create_group(name)
            entry.attrs["NX_class"] = _text("NXentry")
            entry.attrs["default"] = _text("data")
            entry.attrs["schema_version"] = SCHEMA_VERSION
            for key, value in (dict(attributes) | dict(dataset.attrs)).items():
                entry.attrs[key] = _attribute(value)
            _write_data(
                entry.create_group("data"),
                dataset,
                signal,
                axes or tuple(map(str, dataset[signal].dims)),
            )
        file.flush()
        image = file.id.get_file_image()
    with atomic_path(path) as temporary:
        temporary.write_bytes(image)


def _write_data(
    group: h5py.Group, dataset: xr.Dataset, signal: str, axes: tuple[str, ...]
) -> None:
    """Variables with their units; dimension scales attached, so that netCDF readers know the dimensions."""
    group.attrs["NX_class"] = _text("NXdata")
    group.attrs["signal"] = _text(signal)
    group.attrs["axes"] = _texts(axes)
    for name, variable in dataset.variables.items():
        values = _values(variable)
        large = values.size > LARGE and values.dtype.kind in "iuf"
        written = (
            _write_table(group, str(name), values)
            if large
            else group.create_dataset(str(name), data=values)
        )
        for key, value in variable.attrs.items():
            written.attrs[key] = _text(value) if isinstance(value, str) else value
        if written.dtype.kind == "S":
            written.attrs["_Encoding"] = _text("utf-8")
    for dim, length in dataset.sizes.items():
        if dim not in dataset.variables:
            group.create_dataset(str(dim), shape=(length,), dtype="f4")
        group[str(dim)].make_scale(
            str(dim) if dim in dataset.variables else _NO_COORDINATE.format(length)
        )
    for name, variable in dataset.variables.items():
        for axis, dim in enumerate(variable.dims):
            if dim != name:
                group[str(name)].dims[axis].attach_scale(group[str(dim)])


def _values(variable: xr.Variable) -> np.ndarray[Any, Any]:
    values = np.asarray(variable.values)
    if values.dtype.kind in "OU":
        return _texts(map(str, values.ravel())).reshape(values.shape)
    return values.astype(np.int8) if values.dtype.kind == "b" else values


def _write_table(
    group: h5py.Group, name: str, values: np.ndarray[Any, Any]
) -> h5py.Dataset:
    """A large table, compressed (maps are mostly zeros) with what every HDF5 build reads: gzip, integers shuffled.

    Intensities of a point are multiples of one number: whole, they take half the room and time. HDF5's own filters
    would do it with the interpreter's lock held, and all other threads would wait.
    """
    rows = min(len(values), max(1, CHUNK_BYTES // values[0].nbytes))
    shuffled = values.dtype.kind in "iu"
    filters = {"compression": "gzip", "compression_opts": 1, "shuffle": shuffled}
    table = group.create_dataset(
        name, values.shape, values.dtype, chunks=(rows, *values.shape[1:]), **filters
    )
    for first in range(0, len(values), rows):
        chunk, part = np.zeros(table.chunks, values.dtype), values[first : first + rows]
        chunk[: len(part)] = part
        raw = (
            chunk.reshape(-1).view(np.uint8).reshape(-1, chunk.itemsize).T.tobytes()
            if shuffled
            else chunk.tobytes()
        )
        table.id.write_direct_chunk(
            (first, *[0] * (values.ndim - 1)), zlib.compress(raw, 1)
        )
    return table


def _text(text: str) -> np.ndarray[Any, Any]:
    """A fixed-length string: variable-length ones are rejected or garbled by some readers."""
    return _texts([text]).reshape(())


def _texts(texts: Iterable[str]) -> np.ndarray[Any, Any]:
    """Fixed-length strings (text,), marked as UTF-8 in the file; what has no UTF-8 (half a surrogate) is escaped."""
    encoded = [text.encode(errors="backslashreplace") for text in texts]
    return np.array(
        encoded,
        dtype=h5py.string_dtype("utf-8", max(map(len, encoded), default=1) or 1),
    )


def _attribute(value: Any) -> Any:
    """Numbers stay numbers and text text; everything else (bool, None, lists, dicts) is JSON."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return _text(value if isinstance(value, str) else json.dumps(value))


def _plain(value: Any) -> Any:
    """An attribute as a plain Python value."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def read_attributes(path: Path, entry: str | None = None) -> dict[str, Any]:
    """The attributes of an entry (default: the first one); text stays text.

    Raises:
        InputError: not a product of this program, or cut short.
    """
    with _open(path) as file:
        group = file[entry or next(iter(file))]
        return {key: _plain(value) for key, value in group.attrs.items()}


def read_values(path: Path, name: str, entry: str = "entry") -> list[Any]:
    """One variable of a product as plain Python values (text, numbers, lists of them), without reading the rest.

    Raises:
        InputError: not a product of this program, or without that variable.
    """
    with _open(path) as file:
        values = file[entry]["data"][name][()]
    return (
        [text.decode() for text in values]
        if values.dtype.kind == "S"
        else list(values.tolist())
    )


def open_product(path: str | os.PathLike[str]) -> xr.Dataset | dict[str, xr.Dataset]:
    """Open a product in memory.

    Returns:
        The dataset of the entry, with the entry's attributes; for a spectra file a dict of region -> dataset.

    Raises:
        InputError: not a product of this program, or cut short.
    """
    datasets = read_entries(Path(path))
    return datasets["entry"] if list(datasets) == ["entry"] else datasets


def read_entries(path: Path) -> dict[str, xr.Dataset]:
    """All entries of a product, by name: see `read_entry`."""
    with _open(path) as file:
        entries = list(file)
    return {entry: read_entry(path, entry) for entry in entries}


def read_entry(
    path: Path, entry: str = "entry", without: Collection[str] = ()
) -> xr.Dataset:
    """One entry's dataset, loaded, with the entry's attributes: what xarray's own reader gives, ten times faster.

    Variables that are named in `without` are not read.

    Raises:
        InputError: not a product of this program, cut short, or without that entry.
    """
    import xarray as xr

    with _open(path) as file:
        group = file[entry]["data"]
        wanted = {
            name: item
            for name, item in group.items()
            if name not in without and not _is_bare_dimension(item)
        }
        variables = {name: _variable(item) for name, item in wanted.items()}
        attributes = {key: _plain(value) for key, value in file[entry].attrs.items()}
        return xr.Dataset(variables, attrs=attributes)


def _is_bare_dimension(item: h5py.Dataset) -> bool:
    return bytes(item.attrs.get("NAME", b"")).startswith(_NO_COORDINATE[:30].encode())


def _variable(item: h5py.Dataset) -> xr.Variable:
    """A variable with its dimensions, which are the names of the scales that are attached to it."""
    import xarray as xr

    name = str(item.name).rsplit("/", 1)[-1]
    dims = (
        [name]
        if item.is_scale
        else [str(d[0].name).rsplit("/", 1)[-1] for d in item.dims]
    )
    values = item[()]
    if values.dtype.kind == "S":
        values = np.array(
            [text.decode() for text in values.ravel()], dtype=object
        ).reshape(values.shape)
    attributes = {
        key: _plain(item.attrs[key])
        for key in ("units", "long_name")
        if key in item.attrs
    }
    return xr.Variable(dims, values, attributes)


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            if not len(file) or "schema_version" not in file[next(iter(file))].attrs:
                raise InputError(f"{path}: not a product of rixs-pipeline")
            yield file
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:  # damaged bytes make h5py raise anything
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be read as HDF5 ({reason}); remove it and run again"
        ) from error
