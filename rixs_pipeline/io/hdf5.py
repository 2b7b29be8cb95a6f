"""HDF5 files that are read: no links, no data of other files, plausible sizes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import InputError
from rixs_pipeline.files.opening import FileKind, check_regular, one_line

_STORED_KINDS = "biufS"  # numbers and text of fixed length
# A dataset may take as much memory, or as many times what it takes in the file: gzip
# compresses zeros by a factor of about 1000
_MAX_BYTES = 1 << 26
_MAX_COMPRESSION = 1100


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
        check_regular(path, path.stat(), FileKind.PRODUCT)
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
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
    if not isinstance(group, h5py.Group):
        raise ValueError(f"'{group.name}' is not a group")
    return {name: member(group, name) for name in group}


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
    """Return the values of a dataset; text is bytes.

    Raises
    ------
    ValueError
        Not numbers or text, its data are in another file, or it takes more memory than
        what is in the file can.
    """
    check_array(stored)
    return np.asarray(stored[()])


def check_array(stored: h5py.Dataset) -> None:
    """Raise an error unless a dataset may be read.

    Raises
    ------
    ValueError
        As for `read_array`.
    """
    name = str(stored.name)
    if not isinstance(stored, h5py.Dataset) or stored.dtype.kind not in _STORED_KINDS:
        raise ValueError(f"'{name}' is not an array of numbers or text")
    layout = stored.id.get_create_plist()
    if layout.get_layout() == h5py.h5d.VIRTUAL or layout.get_external_count():
        raise ValueError(f"'{name}' has its data in another file")
    stored_bytes = stored.id.get_storage_size()
    if stored.nbytes > max(_MAX_BYTES, _MAX_COMPRESSION * stored_bytes):
        raise ValueError(f"'{name}' takes {stored.nbytes} bytes of memory")


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
    scales = stored.attrs.get("DIMENSION_LIST", ())
    if len(scales) != stored.ndim:
        raise ValueError(f"'{stored.name}' has a dimension without a name")
    names = [h5py.h5r.get_name(references[0], stored.id) for references in scales]
    return [_last_part(name.decode()) for name in names]


def attribute_text(stored: h5py.Dataset, name: str) -> str:
    """Return an attribute that is text; nothing where it is missing or is no text."""
    attributes = stored.attrs
    if name not in attributes:  # HDF5 takes long to report an error
        return ""
    value = attributes[name]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""


def _last_part(hdf5_path: object) -> str:
    return str(hdf5_path).rsplit("/", 1)[-1]
