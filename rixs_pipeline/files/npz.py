"""Archives of arrays of others: sizes are checked before numpy makes arrays."""

import zipfile
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.files import zip_archives

_MAX_DIRECTORY_BYTES = 1 << 16  # about a thousand arrays
# An array may take as many bytes, or as many times its bytes in the archive: photons
# compress by a factor of 2 to 5, repeated zeros by 1000
_MAX_UNPACKED_BYTES = 1 << 27
_MAX_COMPRESSION = 20
_KINDS = "biufUS"  # numbers and text, nothing that is pickled


def open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """Return an archive whose directory is not too long to be read.

    Raises
    ------
    ValueError
        Too many files.
    zipfile.BadZipFile
        Not an archive, or damaged.
    """
    return zip_archives.open_archive(file, _MAX_DIRECTORY_BYTES)


def read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read one array, after a check that it has the size that its header states.

    Parameters
    ----------
    archive
        As of `open_archive`.
    name
        Of the array.

    Returns
    -------
    numpy.ndarray
        Numbers or text.

    Raises
    ------
    KeyError
        No such array.
    ValueError
        Damaged, neither numbers nor text, or compressed too much. The modules zipfile
        and zlib raise errors of their own, too.
    """
    member = archive.getinfo(f"{name}.npy")
    allowed_bytes = max(_MAX_UNPACKED_BYTES, _MAX_COMPRESSION * member.compress_size)
    if member.file_size > allowed_bytes:
        raise ValueError(f"`{name}` has {member.file_size} bytes when unpacked")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read_header(file)
        if dtype.kind not in _KINDS or min(shape, default=1) < 0:
            raise ValueError(f"`{name}` is not an array of numbers or text")
        stated_bytes = prod(shape) * dtype.itemsize
        if stated_bytes > member.file_size:
            raise ValueError(f"`{name}` states {stated_bytes} bytes, too many")
        content = bytearray(file.read(stated_bytes))
    if len(content) < stated_bytes:
        raise ValueError(f"`{name}` ends after {len(content)} bytes")
    return np.ndarray(shape, dtype, content, order="F" if is_fortran else "C")
