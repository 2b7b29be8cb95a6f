"""HDF5 never returns from some of these files; the check names the damage."""

import struct

import h5py
import numpy as np
import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.hdf5 import open_hdf5, text_array
from rixs_pipeline.io.hdf5_heaps import check_heaps

FIRST_OBJECT = 16  # bytes from the start of a heap
SIZE_OF_OBJECT = 8  # bytes from the start of an object
TEXTS = ["a", "µ" * 5000, "", "b" * 8, *map(str, range(3000))]


@pytest.fixture
def path(tmp_path):
    """A file with several heaps."""
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file["texts"] = text_array(TEXTS)
        file["numbers"] = np.arange(10)
    return tmp_path / "a.nxs"


def change(path, place, value):
    content = bytearray(path.read_bytes())
    start = content.index(b"GCOL") + place
    content[start : start + len(value)] = value
    path.write_bytes(content)


def test_sound_heaps(path):
    assert path.read_bytes().count(b"GCOL") > 1
    check_heaps(path, path.stat())
    with open_hdf5(path) as file:
        assert file["texts"].asstr()[:].tolist() == TEXTS


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (FIRST_OBJECT, bytes(16)),  # nothing of no length
        (FIRST_OBJECT + SIZE_OF_OBJECT, struct.pack("<Q", 2**64 - 1)),
        (FIRST_OBJECT + SIZE_OF_OBJECT, struct.pack("<Q", 2**40)),
        (FIRST_OBJECT + SIZE_OF_OBJECT, struct.pack("<Q", 4096)),
    ],
)
def test_a_damaged_heap_is_refused(path, place, value):
    check_heaps(path, path.stat())
    change(path, place, value)
    refused = pytest.raises(InputError, match=r"a\.nxs: cannot be read.*damaged heap")
    with refused, open_hdf5(path):
        pass


def test_numbers_that_look_like_a_heap_are_none(tmp_path):
    looks_like = b"GCOL\x01\0\0\0" + b"\xff" * 24
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file["numbers"] = np.frombuffer(looks_like, "u1")
    with open_hdf5(tmp_path / "a.nxs") as file:
        assert bytes(file["numbers"][:]) == looks_like


def test_an_empty_file(tmp_path):
    (tmp_path / "a.nxs").write_bytes(b"")
    with pytest.raises(InputError), open_hdf5(tmp_path / "a.nxs"):
        pass
