import os

import h5py
import numpy as np
import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.hdf5 import member, members, open_hdf5, read_array


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.arange(3)
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file["data/x"] = np.arange(3)
        file["data/text"] = np.array([b"a", b"bc"])
    return tmp_path / "a.nxs"


def test_values(path):
    with open_hdf5(path) as file:
        data = members(member(file, "data"))
        assert read_array(data["x"]).tolist() == [0, 1, 2]
        assert read_array(data["text"]).tolist() == [b"a", b"bc"]


def layout(folder):
    source = h5py.VirtualSource(folder / "other.h5", "x", shape=(3,))
    virtual = h5py.VirtualLayout(shape=(3,), dtype="i8")
    virtual[:] = source
    return virtual


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda data, folder: data.update(
                {"y": h5py.ExternalLink(folder / "other.h5", "x")}
            ),
            "'y' is a link",
        ),
        (lambda data, _: data.update({"y": h5py.SoftLink("/data/x")}), "'y' is a link"),
        (lambda data, _: data.update({"y": h5py.SoftLink("/data/y")}), "'y' is a link"),
        (
            lambda data, folder: data.create_virtual_dataset("y", layout(folder)),
            "data in another file",
        ),
        (
            lambda data, folder: data.create_dataset(
                "y", (3,), "i8", external=[(folder / "raw", 0, 24)]
            ),
            "data in another file",
        ),
        (
            lambda data, _: data.create_dataset("y", (10**12,), "f8", chunks=(10**4,)),
            "takes 8000000000000 bytes of memory",
        ),
        (lambda data, _: data.update({"y": ["vlen"]}), "not an array of numbers"),
        (lambda data, _: data.create_group("y"), "not an array of numbers"),
        (
            lambda data, _: data.update({"y": np.zeros(2, [("a", "i4")])}),
            "not an array of numbers",
        ),
    ],
)
def test_what_no_product_has_is_refused(path, tmp_path, change, problem):
    with h5py.File(path, "r+") as file:
        change(file["data"], tmp_path)
    refused = pytest.raises(InputError, match=rf"a\.nxs: cannot be read.*{problem}")
    with refused, open_hdf5(path) as file:
        read_array(members(member(file, "data"))["y"])


def test_a_named_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.nxs")
    with pytest.raises(InputError, match="a named pipe"), open_hdf5(tmp_path / "a.nxs"):
        pass
