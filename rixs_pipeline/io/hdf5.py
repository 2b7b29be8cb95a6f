"""HDF5: reading without links and data of other files, and how text is stored.

Text has variable length and is UTF-8: what most readers take for text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError, describe_os_error
from rixs_pipeline.files.opening import FileKind, check_regular, one_line
from rixs_pipeline.io.hdf5_heaps import check_heaps

TEXT_DTYPE = h5py.string_dtype()
_NUMBER_KINDS = "biuf"
_DIMENSIONS = "DIMENSION_LIST"  # attribute: references to the scales of each dimension
# A dataset may take as much memory, or as many times what it takes in the file: gzip
# compresses zeros by a factor of about 1000
_MAX_BYTES = 1 << 26
_MAX_COMPRESSION = 1100
_MAX_TEXT_BYTES = 1 << 28  # of texts that are read at a time


@contextmanager
def open_hdf5(path: Path, what: str = "HDF5") -> Iterator[h5py.File]:
    """Open a product to read; whatever goes wrong in the block is an InputError.

    Parameters
    ----------
    path
        The product.
    what
        It should be, for the message.

    Yields
    ------
    h5py.File

    Raises
    ------
    InputError
        No such file, damaged, or an error in the block.
    """
    try:
        status = path.stat()
        check_regular(path, status, FileKind.PRODUCT)
        check_heaps(path, status)
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except PermissionError as error:
        raise InputError(describe_os_error(error, path)) from error
    except Exception as error:  # h5py raises almost anything for damaged bytes
        raise InputError(
            f"{path}: cannot be read as {what} ({one_line(str(error))}); delete it and "
            "run again"
        ) from error


def members(group: h5py.Group) -> dict[str, Any]:
    """Return what is in a group, by name.

    Raises
    ------
    ValueError
        A link to another place or file, which no product has.
    """
    return {name: member(group, name) for name in member_names(group)}


def member_names(group: h5py.Group) -> list[str]:
    """Return the names of what is in a group.

    Raises
    ------
    ValueError
        Not a group: a dataset would yield its rows.
    """
    if not isinstance(group, h5py.Group):
        raise ValueError(f"'{group.name}' is not a group")
    return list(group)


def member(group: h5py.Group, name: str) -> Any:
    """Return the group or dataset of a name.

    Parameters
    ----------
    group
        That contains it.
    name
        Its name.

    Returns
    -------
    h5py.Group or h5py.Dataset

    Raises
    ------
    KeyError
        No such name.
    ValueError
        A link to another place or file, which no product has.
    """
    if not isinstance(group, h5py.Group):
        raise ValueError(f"'{group.name}' is not a group")
    link = group.id.links.get_info(name.encode())
    if link.type != h5py.h5l.TYPE_HARD:
        raise ValueError(f"'{name}' is a link")
    return group[name]


def read_array(stored: h5py.Dataset) -> NDArray[Any]:
    """Return the values of a dataset: numbers, or text as an array of str objects.

    Raises
    ------
    ValueError
        Not numbers or text, its data are in another file, or it takes more memory than
        what is in the file can.
    """
    check_array(stored)
    if stored.dtype.kind in _NUMBER_KINDS:
        return np.asarray(stored[()])
    is_fixed = stored.dtype.kind == "S"
    encoded = np.ravel(stored[()]).tolist() if is_fixed else _read_texts(stored)
    texts = np.empty(len(encoded), object)
    texts[:] = [text.decode() for text in encoded]
    return texts.reshape(stored.shape)


def _read_texts(stored: h5py.Dataset) -> list[bytes]:
    """Return texts of variable length, one after the other.

    Many values may refer to one stored text, but no text is longer than the file.
    """
    most = max(1, _MAX_TEXT_BYTES // stored.file.id.get_filesize())
    texts: list[bytes] = []
    n_bytes = 0
    for part in _parts(stored.shape, most):
        values = np.ravel(stored[part]).tolist()
        texts += values
        n_bytes += sum(map(len, values))
        if n_bytes > _MAX_BYTES:
            raise ValueError(f"'{stored.name}' takes more than {_MAX_BYTES} bytes")
    return texts


def _parts(shape: tuple[int, ...], most: int) -> Iterator[tuple[Any, ...]]:
    """Yield selections of an array in its order, with at most so many values each."""
    if not shape:
        yield ()
        return
    row = math.prod(shape[1:])
    if row <= most:
        step = most // max(row, 1)
        for first in range(0, shape[0], step):
            yield (slice(first, first + step),)
        return
    for index in range(shape[0]):
        for part in _parts(shape[1:], most):
            yield (index, *part)


def check_array(stored: h5py.Dataset) -> None:
    """Raise an error unless a dataset may be read.

    Raises
    ------
    ValueError
        As for `read_array`.
    """
    name = str(stored.name)
    if not isinstance(stored, h5py.Dataset) or not _is_number_or_text(stored.dtype):
        raise ValueError(f"'{name}' is not an array of numbers or text")
    layout = stored.id.get_create_plist()
    if layout.get_layout() == h5py.h5d.VIRTUAL or layout.get_external_count():
        raise ValueError(f"'{name}' has its data in another file")
    stored_bytes = stored.id.get_storage_size()
    if stored.nbytes > max(_MAX_BYTES, _MAX_COMPRESSION * stored_bytes):
        raise ValueError(f"'{name}' takes {stored.nbytes} bytes of memory")


def _is_number_or_text(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in _NUMBER_KINDS or h5py.check_string_dtype(dtype) is not None


def dimension_names(stored: h5py.Dataset) -> list[str]:
    """Return the names of the dimensions: of the scales that are attached to them.

    The functions of HDF5 for scales write beyond their buffers where these attributes
    are damaged; here they are read like any others.

    Parameters
    ----------
    stored
        A dataset; one that is a scale is its own dimension.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        A dimension has no scale.
    """
    if attribute_text(stored, "CLASS") == "DIMENSION_SCALE":
        return [_last_part(stored.name)]
    if stored.ndim == 0:
        return []
    scales: Sequence[Any] = ()
    if _DIMENSIONS in stored.attrs:
        dtype = h5py.check_vlen_dtype(stored.attrs.get_id(_DIMENSIONS).dtype)
        if dtype is None or h5py.check_ref_dtype(dtype) is not h5py.Reference:
            raise ValueError(f"'{stored.name}' has a damaged {_DIMENSIONS}")
        scales = stored.attrs[_DIMENSIONS]
    if len(scales) != stored.ndim:
        raise ValueError(f"'{stored.name}' has a dimension without a name")
    names = [h5py.h5r.get_name(references[0], stored.id) for references in scales]
    return [_last_part(name.decode()) for name in names]


def attribute_text(stored: h5py.Dataset, name: str) -> str:
    """Return an attribute that is text; nothing where it is missing or is no text."""
    value = ""
    if name in stored.attrs:  # HDF5 takes long to report an error
        value = read_attribute(stored, name)
    return value if isinstance(value, str) else ""


def all_attributes(node: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Return all attributes; see `read_attribute`."""
    return {name: read_attribute(node, name) for name in node.attrs}


def read_attribute(node: h5py.Group | h5py.Dataset, name: str) -> Any:
    """Return an attribute as a plain Python value; arrays as they are.

    Parameters
    ----------
    node
        That has it.
    name
        Of the attribute.

    Raises
    ------
    ValueError
        It is neither of numbers nor of text: of damaged types, HDF5 reads beyond its
        memory.
    UnicodeError
        A text that is not UTF-8.
    """
    attributes = node.attrs
    if not _is_number_or_text(attributes.get_id(name).dtype):
        raise ValueError(f"attribute '{name}' is neither of numbers nor of text")
    value = attributes[name]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        value.encode()  # h5py escapes what it cannot decode
    return value.item() if isinstance(value, np.generic) else value


def text_value(text: str) -> NDArray[Any]:
    """Return a text as it is stored, (); see `text_array`."""
    return np.array(text.encode(errors="backslashreplace"), dtype=TEXT_DTYPE)


def text_array(texts: Iterable[str]) -> NDArray[Any]:
    """Return texts as they are stored, (text,).

    What UTF-8 cannot encode (half a surrogate pair) is escaped.
    """
    encoded = [text.encode(errors="backslashreplace") for text in texts]
    return np.array(encoded, dtype=TEXT_DTYPE)


def _last_part(hdf5_path: object) -> str:
    return str(hdf5_path).rsplit("/", 1)[-1]
