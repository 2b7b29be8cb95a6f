import zipfile
from io import BytesIO

import numpy as np
import pytest

from rixs_pipeline.files.npz import open_archive, read_array

ARRAYS = {
    "numbers": np.arange(6).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "text": np.array(["a", "bc"]),
    "key": np.array("abc"),
    "none": np.empty(0),
}


def saved(**arrays):
    stream = BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_those_that_were_saved(name):
    with open_archive(saved(**ARRAYS)) as archive:
        values = read_array(archive, name)
    np.testing.assert_array_equal(values, ARRAYS[name])
    assert values.dtype == ARRAYS[name].dtype
    assert values.flags.writeable


def test_zeros_that_fill_the_memory_are_refused():
    with (
        open_archive(saved(x=np.zeros(1 << 25))) as archive,
        pytest.raises(ValueError, match="268435584 bytes when unpacked"),
    ):
        read_array(archive, "x")


def test_objects_are_refused():
    stream = BytesIO()
    np.savez(stream, x=np.array([{}], dtype=object))
    with (
        open_archive(stream) as archive,
        pytest.raises(ValueError, match="not an array"),
    ):
        read_array(archive, "x")


def test_an_archive_of_many_files_is_refused():
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number}", b"")
    with pytest.raises(ValueError, match="too many files"):
        open_archive(stream)


def test_a_damaged_archive(tmp_path):
    content = saved(x=np.arange(1000)).getvalue()
    with pytest.raises(zipfile.BadZipFile):
        open_archive(BytesIO(content[:-30] + content[-22:]))
