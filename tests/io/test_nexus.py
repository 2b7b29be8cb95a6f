"""Products: any program can open them, and they appear complete or not at all."""

import errno
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rixs_pipeline
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus
from rixs_pipeline.schema import SCHEMA_VERSION

PRODUCTS = [
    "calibration/cal0000.nxs",
    "scans/scan0002.nxs",
    "maps/LMR_RT-Co_L.nxs",
    "spectra/LMR_RT-Co_L.nxs",
]
ATTRIBUTES = {
    "schema_version",
    "program_version",
    "config_hash",
    "option_hashes",
    "input_hashes",
    "command",
}


def dataset(n=3, m=4):
    """A small dataset with every kind of value that products hold."""
    names = np.array(["a", "", "Größe µ"], dtype=object)[np.arange(n) % 3]
    return xr.Dataset(
        {
            "x": ("x", np.arange(n) + 0.5, {"units": "eV", "long_name": "energy"}),
            "counts": (
                ("x", "y"),
                np.arange(n * m).reshape(n, m),
                {"units": "counts", "long_name": "photons"},
            ),
            "name": ("x", names, {"units": "", "long_name": "text"}),
            "edges": (
                "edge",
                np.linspace(0, 1, n + 1),
                {"units": "eV", "long_name": "edges"},
            ),
            "used": ("x", np.arange(n) > 1, {"units": "", "long_name": "flag"}),
        },
        attrs={
            "text": "Größe µ",
            "nothing": None,
            "flag": True,
            "number": 3,
            "list": ["a", 1],
            "mapping": {"k": [1]},
        },
    )


def write(path, **entries):
    nexus.write_product(
        path, entries or {"entry": dataset()}, {"command": "x"}, "counts"
    )
    return path


def test_entries_keep_their_order(tmp_path):
    path = write(tmp_path / "p.nxs", b=dataset(), a=dataset(), c=dataset())
    assert list(nexus.read_entries(path)) == ["b", "a", "c"]
    assert list(nexus.open_product(path)) == ["b", "a", "c"]


def items(path):
    """Attributes, their dtypes, and the dtype of every group (None) and dataset."""
    read_back = {}
    with h5py.File(path) as file:

        def visit(name, item):
            types = {key: item.attrs.get_id(key).dtype for key in item.attrs}
            read_back[name] = (dict(item.attrs), types, getattr(item, "dtype", None))

        visit("/", file)
        file.visititems(visit)
    return read_back


@pytest.mark.parametrize("name", PRODUCTS)
def test_xarray_opens_what_open_product_opens(reduced_sample, name):
    path = reduced_sample / name
    opened = rixs_pipeline.open_product(str(path))
    entries = opened if isinstance(opened, dict) else {"entry": opened}
    assert isinstance(opened, dict) == name.startswith("spectra")
    for entry, ours in entries.items():
        with xr.open_dataset(path, group=f"{entry}/data", engine="h5netcdf") as theirs:
            assert set(theirs.variables) == set(ours.variables)
            for variable in ours.variables:
                xr.testing.assert_equal(
                    ours.variables[variable], theirs.variables[variable]
                )
                # the label of an axis has its unit in the file
                attributes = ours[variable].attrs
                assert theirs[variable].attrs["units"] == attributes["units"]
                label = theirs[variable].attrs["long_name"]
                assert label.startswith(attributes["long_name"])


def test_every_product_follows_the_layout(reduced_sample):
    paths = sorted(reduced_sample.rglob("*.nxs"))
    assert len(paths) == 2 + 8 + 4 + 4
    for path in paths:
        read_back = items(path)
        with h5py.File(path) as file:
            assert read_back["/"][0]["NX_class"] == "NXroot"
            assert read_back["/"][0]["default"] in file
            for entry in file:
                attributes = read_back[entry][0]
                assert (
                    attributes["NX_class"] == "NXentry"
                    and attributes["default"] == "data"
                )
                assert (
                    attributes["schema_version"] == SCHEMA_VERSION
                    and attributes.keys() >= ATTRIBUTES
                )
                data = file[entry]["data"]
                assert data.attrs["NX_class"] == "NXdata"
                signal, axes = data.attrs["signal"], list(data.attrs["axes"])
                assert [
                    dim[0].name.rsplit("/", 1)[-1] for dim in data[signal].dims
                ] == axes
                assert all(axis in data for axis in axes)


def is_number_or_text(dtype):
    """Text of variable length, marked as UTF-8."""
    text = h5py.check_string_dtype(dtype)
    return dtype.kind in "if" if text is None else text == ("utf-8", None)


def test_every_variable_has_a_unit_and_a_name_and_text_is_utf8_of_variable_length(
    reduced_sample,
):
    for path in sorted(reduced_sample.rglob("*.nxs")):
        for name, (attributes, types, dtype) in items(path).items():
            where = f"{path.name}: {name}"
            for key, kind in types.items():
                # HDF5's own: references, and names of scales
                if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"):
                    assert is_number_or_text(kind), f"{where}: {key} is {kind}"
            if dtype is None:
                continue
            assert is_number_or_text(dtype), f"{where}: {dtype}"
            in_data = "/data/" in f"{name}/"
            if in_data and not attributes.get("NAME", b"").startswith(
                b"This is a netCDF dimension but not"
            ):
                assert attributes.keys() >= {"units", "long_name"}, where
                assert attributes["long_name"], where


def test_only_some_variables_are_read(tmp_path):
    path = write(tmp_path / "p.nxs")
    whole = nexus.read_entry(path)
    assert nexus.read_entry(path, only=("counts", "missing")).identical(
        whole[["counts"]].drop_vars("x")
    )
    assert nexus.read_entry(path, without=("x", "counts")).identical(
        whole.drop_vars(["x", "counts"])
    )


def test_a_kept_product_is_read_again_when_its_file_has_changed(tmp_path):
    path = write(tmp_path / "p.nxs")
    kept = nexus.read_kept(path)
    assert nexus.read_kept(path) is kept
    assert kept.identical(nexus.read_entry(path))
    with pytest.raises(ValueError, match="read-only"):
        kept["counts"].values[0] = 0
    write(path, entry=dataset(n=5))
    assert nexus.read_kept(path).sizes["x"] == 5
    path.unlink()
    with pytest.raises(InputError):
        nexus.read_kept(path)


def test_all_kinds_of_values_are_read_as_written(tmp_path):
    given_ = dataset()
    read_back = nexus.read_entry(write(tmp_path / "p.nxs"))
    np.testing.assert_array_equal(read_back["name"].values, given_["name"].values)
    np.testing.assert_array_equal(read_back["counts"].values, given_["counts"].values)
    assert read_back["counts"].dtype == np.int64 and read_back[
        "used"
    ].values.tolist() == [0, 0, 1]
    assert read_back.sizes == given_.sizes
    assert read_back.attrs["text"] == "Größe µ" and read_back.attrs["number"] == 3
    assert (read_back.attrs["nothing"], read_back.attrs["flag"]) == ("null", "true")
    assert (read_back.attrs["list"], read_back.attrs["mapping"]) == (
        '["a", 1]',
        '{"k": [1]}',
    )
    with xr.open_dataset(tmp_path / "p.nxs", group="entry", engine="h5netcdf") as entry:
        assert entry.attrs["text"] == "Größe µ"
    with xr.open_dataset(
        tmp_path / "p.nxs", group="entry/data", engine="h5netcdf"
    ) as theirs:
        assert theirs["name"].values.tolist() == given_["name"].values.tolist()
    with h5py.File(tmp_path / "p.nxs") as file:
        assert (
            file["entry/data/name"].asstr()[:].tolist()
            == given_["name"].values.tolist()
        )


def test_some_variables_are_read_alone(tmp_path):
    path = write(tmp_path / "p.nxs")
    expected = nexus.read_entry(path)
    read_back = nexus.read_variables(path, ["counts", "name"])
    assert list(read_back) == ["counts", "name"]
    for name, variable in read_back.items():
        assert variable.identical(expected.variables[name])
    with pytest.raises(InputError, match=r"p\.nxs: cannot be read"):
        nexus.read_variables(path, ["missing"])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    text=st.text(alphabet=st.characters(exclude_characters="\0"), max_size=30),
    n=st.integers(1, 5),
)
def test_any_text_can_be_written(tmp_path, text, n):
    """Half a surrogate pair, as in file names, is escaped. HDF5 ends a text at NUL."""
    given_ = dataset(n).assign_attrs(text=text)
    given_["name"] = ("x", np.array([text] * n, dtype=object), given_["name"].attrs)
    read_back = nexus.read_entry(write(tmp_path / "p.nxs", entry=given_))
    as_written = text.encode(errors="backslashreplace").decode()
    assert read_back.attrs["text"] == as_written and set(read_back["name"].values) == {
        as_written
    }


def test_several_entries_open_as_a_dict_in_their_order(tmp_path):
    opened = nexus.open_product(write(tmp_path / "p.nxs", b=dataset(2), a=dataset(3)))
    assert {name: one.sizes["x"] for name, one in opened.items()} == {"a": 3, "b": 2}
    assert nexus.read_attributes(tmp_path / "p.nxs", "b")["NX_class"] == "NXentry"


class Stop(BaseException):
    """Like KeyboardInterrupt, but pytest does not end at it."""


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), Stop(), ValueError("no")],
)
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    "when", ["while it is made", "while it is written", "before it is in place"]
)
def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch, error, there, when):
    path = tmp_path / "p.nxs"
    before = write(path).read_bytes() if there else b""
    write_bytes = Path.write_bytes

    def fail(temporary, data, *_, **__):
        if when == "while it is written":
            write_bytes(temporary, data[: len(data) // 2])
        raise error

    owner, name = {
        "made": (nexus, "_write_variables"),
        "written": (Path, "write_bytes"),
        "place": (Path, "replace"),
    }[when.split()[-1]]
    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(type(error)):
        write(path)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == (["p.nxs"] if there else [])
    assert not there or path.read_bytes() == before


def test_a_file_is_replaced_while_another_program_reads_it(tmp_path):
    path = write(tmp_path / "p.nxs")
    with h5py.File(path) as reader:
        write(path, entry=dataset(5))
        assert reader["entry/data/counts"].shape == (3, 4)
    assert nexus.read_entry(path).sizes["x"] == 5


def damaged(path, kind):
    data = path.read_bytes() if path.exists() else b""
    path.write_bytes(
        {
            "empty": b"",
            "text": b"not HDF5\n" * 100,
            "half": data[: len(data) // 2],
            "header alone": data[:100],
            "one byte short": data[:-1],
        }[kind]
    )
    return path


@pytest.mark.parametrize(
    "read", [nexus.open_product, nexus.read_entry, nexus.read_attributes]
)
@pytest.mark.parametrize(
    "kind", ["empty", "text", "half", "header alone", "one byte short"]
)
def test_a_damaged_file_is_one_line(tmp_path, read, kind):
    path = damaged(write(tmp_path / "p.nxs"), kind)
    with pytest.raises(InputError, match=r"p\.nxs: cannot be read as HDF5") as error:
        read(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300 + len(
        str(tmp_path)
    )


@pytest.mark.parametrize(
    "read", [nexus.open_product, nexus.read_entry, nexus.read_attributes]
)
def test_a_foreign_or_missing_file_is_one_line(tmp_path, read):
    for content in ([], ["entry/data/"], ["x"]):
        with h5py.File(tmp_path / "foreign.h5", "w") as file:
            for name in content:
                file.create_group(name) if name.endswith("/") else file.create_dataset(
                    name, data=1
                )
        with pytest.raises(
            InputError, match=r"foreign\.h5: not a product of rixs-pipeline"
        ):
            read(tmp_path / "foreign.h5")
    with pytest.raises(InputError, match=r"none\.nxs: no such file"):
        read(tmp_path / "none.nxs")
    with pytest.raises(InputError):
        read(tmp_path)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_bytes_raise_only_input_errors(tmp_path, data):
    path = tmp_path / "p.nxs"
    if not path.exists():
        write(path)
        (tmp_path / "whole").write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "whole").read_bytes())
    for place in data.draw(
        st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)
    ):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    for read in (nexus.read_attributes, nexus.open_product):
        try:
            read(path)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("shape", [(25_001,), (700, 41), (1100, 700)])
@pytest.mark.parametrize("dtype", ["i8", "f8", "f4", "i2"])
def test_large_tables_use_standard_hdf5_compression(tmp_path, shape, dtype):
    """In whole chunks and a last one that the table does not fill."""
    values = np.random.default_rng(1).poisson(0.3, shape).astype(dtype)
    dims = tuple(f"d{k}" for k in range(len(shape)))
    nexus.write_product(
        tmp_path / "a.nxs",
        {"entry": xr.Dataset({"counts": (dims, values)})},
        {},
        "counts",
    )
    with h5py.File(tmp_path / "a.nxs") as file:
        table = file["entry/data/counts"]
        assert table.compression == "gzip" and table.shuffle == (dtype in ("i8", "i2"))
        assert table.id.get_storage_size() < 0.5 * values.nbytes
        np.testing.assert_array_equal(table[()], values)
        np.testing.assert_array_equal(table[-3:], values[-3:])
