import errno
import os

import h5py
import numpy as np
import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io import hdf5
from rixs_pipeline.io.hdf5 import (
    dimension_names,
    member,
    members,
    open_hdf5,
    read_array,
    read_attribute,
    text_array,
)


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
        assert read_array(data["text"]).tolist() == ["a", "bc"]


@pytest.mark.parametrize("shape", [(), (0,), (7,), (4, 3), (2, 3, 4), (2, 0, 3)])
@pytest.mark.parametrize("most_bytes", [1, 10_000, 1 << 28])
def test_text_of_any_shape_is_read_in_parts(path, monkeypatch, shape, most_bytes):
    texts = np.array([f"µ{k}" for k in range(np.prod(shape, dtype=int))], dtype=object)
    with h5py.File(path, "r+") as file:
        file["many"] = text_array(texts).reshape(shape)
    monkeypatch.setattr(hdf5, "_MAX_TEXT_BYTES", most_bytes)
    with open_hdf5(path) as file:
        read_back = read_array(file["many"])
    assert read_back.shape == shape and read_back.ravel().tolist() == texts.tolist()


def test_many_texts_that_are_one_in_the_file_are_refused(path):
    """As a damaged file may have: each element refers to the same 4 MB."""
    with h5py.File(path, "r+") as file:
        file["long"] = text_array(["a" * (1 << 22)])
        file["copies"] = text_array(["b"] * 1000)
        first = file["long"].id.get_offset()
        copies = file["copies"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[copies : copies + 16_000] = content[first : first + 16] * 1000
    path.write_bytes(content)
    refused = pytest.raises(
        InputError, match="'/copies' takes more than 67108864 bytes"
    )
    with refused, open_hdf5(path) as file:
        read_array(file["copies"])


def test_text_that_is_not_utf8_is_refused(path):
    with h5py.File(path, "r+") as file:
        file["bad"] = np.array([b"\xff"], h5py.string_dtype())
        file.attrs["bad"] = np.array(b"\xff", h5py.string_dtype())
    for read in (lambda f: read_array(f["bad"]), lambda f: read_attribute(f, "bad")):
        refused = pytest.raises(InputError, match="codec can't")
        with refused, open_hdf5(path) as file:
            read(file)


def test_attributes_of_types_that_no_product_has_are_refused(path):
    """Of a text whose type is damaged to a sequence, HDF5 reads any memory."""
    sequence = np.empty(1, object)
    sequence[0] = np.arange(3, dtype=np.uint8)
    with h5py.File(path, "r+") as file:
        file.attrs.create("sequence", sequence, dtype=h5py.vlen_dtype(np.uint8))
        file.attrs["reference"] = file.ref
    for name in ("sequence", "reference"):
        refused = pytest.raises(InputError, match=f"'{name}' is neither of numbers nor")
        with refused, open_hdf5(path) as file:
            read_attribute(file, name)


def test_dimensions_that_are_no_references_are_refused(path):
    with h5py.File(path, "r+") as file:
        stored = file.create_dataset("x", data=np.zeros(3))
        stored.attrs["DIMENSION_LIST"] = np.zeros(1)
    refused = pytest.raises(InputError, match="'/x' has a damaged DIMENSION_LIST")
    with refused, open_hdf5(path) as file:
        dimension_names(file["x"])


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
        (
            lambda data, _: data.create_dataset("y", (2,), h5py.vlen_dtype("i4")),
            "not an array of numbers",
        ),
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


def test_a_file_without_permission_is_not_to_be_deleted(path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "name = 'a.nxs', errno = 13")

    monkeypatch.setattr(h5py, "File", refuse)
    line = rf"^{path}: Permission denied; check its permissions and repeat the command$"
    with pytest.raises(InputError, match=line), open_hdf5(path):
        pass
