"""Heaps of HDF5 files, which hold text of variable length: sound, before HDF5 reads it.

HDF5 does not return from a damaged heap, or writes beyond its memory.
"""

import mmap
import os
import re
import struct
from functools import lru_cache
from pathlib import Path

# https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, section III.E
_HEAP = re.compile(rb"GCOL\x01", re.DOTALL)
_HEAP_SIZE = struct.Struct("<8xQ")  # after signature and version
_OBJECT = struct.Struct("<HHIQ")  # index, references, reserved, size
_ALIGNMENT = 8  # bytes


def check_heaps(path: Path, status: os.stat_result) -> None:
    """Check all heaps of a file; once for each file as it is.

    Parameters
    ----------
    path
        A file in which HDF5 is expected.
    status
        Its status.

    Raises
    ------
    ValueError
        A heap is damaged.
    """
    if status.st_size:
        _check_file(str(path), status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=8192)
def _check_file(path: str, size: int, _mtime_ns: int, _inode: int) -> None:
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as content,
    ):
        for match in _HEAP.finditer(content):
            start = match.start()
            if start + _HEAP_SIZE.size <= size:
                (length,) = _HEAP_SIZE.unpack_from(content, start)
                if start + length <= size:  # else HDF5 refuses it, or it is data
                    _check_heap(content, start, start + length)


def _check_heap(content: mmap.mmap, start: int, end: int) -> None:
    """Follow the objects of a heap, of which each tells where the next one is."""
    place = start + _HEAP_SIZE.size
    while end - place >= _OBJECT.size:
        index, _, _, size = _OBJECT.unpack_from(content, place)
        padded = -(-size // _ALIGNMENT) * _ALIGNMENT
        length = _OBJECT.size + padded if index else size  # index 0: what is free
        if not 0 < length <= end - place:
            raise ValueError(f"damaged heap at byte {start}")
        place += length
