"""Every product opens in the programs that read NeXus, HDF5 and netCDF."""

import importlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.io import nexus
from rixs_pipeline.io.export.nexus_files import copy_without_scales
from rixs_pipeline.io.nexus_groups import is_pfy

PRODUCTS = {
    "calibration": "calibration/cal0000.nxs",
    "scan": "scans/scan0001.nxs",
    "map": "maps/LMR_RT-Co_L.nxs",
    "spectra": "spectra/LMR_RT-Co_L.nxs",
    "xas": "xas/LMR_RT-Co_L.nxs",
    "comparison": "comparisons/heating-Co_L.nxs",
}


def optional_module(name):
    """A library that the program itself does not need; the test is skipped without."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return pytest.skip(f"{name} is not installed")


@pytest.fixture(params=PRODUCTS)
def path(request, compared_small) -> Path:
    return compared_small / PRODUCTS[request.param]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray(path, engine):
    if engine == "netcdf4":
        optional_module("netCDF4")
    for entry, expected in nexus.read_entries(path).items():
        with xr.open_dataset(path, group=f"{entry}/data", engine=engine) as dataset:
            assert set(dataset.variables) == set(expected.variables)
            for name, variable in expected.variables.items():
                read_back = dataset.variables[name]
                assert read_back.dims == variable.dims
                np.testing.assert_array_equal(read_back.values, variable.values)
                assert read_back.attrs["units"] == variable.attrs["units"]
    with xr.open_datatree(path, engine=engine) as tree:
        for entry, expected in nexus.read_entries(path).items():
            version = tree[entry].attrs["program_version"]
            assert version == expected.attrs["program_version"]
            assert set(tree[f"{entry}/data"].variables) == set(expected.variables)


def test_h5py(path):
    """Text is str without a conversion of attributes."""
    with h5py.File(path) as file:
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        assert isinstance(entry.attrs["program_version"], str)
        for name, stored in data.items():
            if stored.dtype.kind == "O":
                texts = stored.asstr()[...].ravel().tolist()
                assert all(isinstance(text, str) for text in texts), name


def signal_and_axes(path):
    with h5py.File(path) as file:
        data = file[file.attrs["default"]]["data"]
        return data.attrs["signal"], list(data.attrs["axes"])


def labels(path, names):
    """Long names with units, as viewers show them."""
    dataset = next(iter(nexus.read_entries(path).values()))
    variables = [dataset[name].attrs for name in names]
    return [
        f"{attributes['long_name']} ({attributes['units']})".removesuffix(" ()")
        for attributes in variables
    ]


def test_silx(path):
    silx_io = optional_module("silx.io")
    nxdata = optional_module("silx.io.nxdata")
    signal, axes = signal_and_axes(path)
    with silx_io.open(str(path)) as file:
        shown = nxdata.get_default(file)
        assert shown.is_valid
        assert shown.signal_dataset_name == signal
        assert shown.axes_dataset_names == axes
        assert shown.axes_names == labels(path, axes)
        assert shown.signal_name == labels(path, [signal])[0]
        errors = f"{signal}_errors"
        assert (shown.errors is not None) == (errors in shown.group)


def test_nexusformat(path):
    nexusformat = optional_module("nexusformat.nexus")
    nexus_plot = optional_module("nexusformat.nexus.plot")
    signal, axes = signal_and_axes(path)
    shown = nexusformat.nxload(str(path)).plottable_data
    assert shown.nxsignal.nxname == signal
    assert [axis.nxname for axis in shown.nxaxes] == axes
    values = nexus.read_entries(path)[shown.nxroot.attrs["default"]][signal].values
    np.testing.assert_array_equal(shown.nxsignal.nxvalue, values)
    assert [nexus_plot.label(axis) for axis in shown.nxaxes] == labels(path, axes)


def test_metadata_in_nexusformat(path):
    nexusformat = optional_module("nexusformat.nexus")
    root = nexusformat.nxload(str(path))
    for entry in root.NXentry:
        assert entry.title.nxvalue and entry.start_time.nxvalue
        assert all(sample.name.nxvalue for sample in entry.NXsample)
        (instrument,) = entry.NXinstrument
        classes = {group.nxclass for group in instrument.values()}
        assert classes >= {"NXsource", "NXmonochromator", "NXdetector"}
        if path.parent.name not in ("calibration", "scans"):
            assert instrument["name"].nxvalue == "10-1"
            assert [user["name"].nxvalue for user in entry.NXuser] == ["A. Person"]


@pytest.fixture
def exported_pfy(compared_small, tmp_path) -> Path:
    """A PFY as `export --format nxxas` writes it."""
    spectra = nexus.read_entries(compared_small / PRODUCTS["spectra"])
    regions = [name for name, dataset in spectra.items() if is_pfy(dataset.attrs)]
    assert len(regions) == 1
    nexus.write_pfy(tmp_path / "a.nxs", regions[0], spectra[regions[0]])
    return tmp_path / "a.nxs"


def follows_definition(path: Path, *, ignore_undocumented: bool = False) -> bool:
    """Whether pynxtools accepts the entry of a file as NXxas_pfy."""
    validation = optional_module("pynxtools.dataconverter.validation")
    with h5py.File(path) as file:
        valid = validation.validate_hdf_group_against(
            "NXxas_pfy", file["entry"], str(path), ignore_undocumented
        )
    return bool(valid)


def test_pynxtools_accepts_an_exported_pfy(exported_pfy):
    assert follows_definition(exported_pfy)


@pytest.mark.parametrize(
    "field",
    ["definition", "energy", "intensity", "emission_energy_window", "element", "edge"],
)
def test_pynxtools_misses_what_the_definition_requires(exported_pfy, field):
    with h5py.File(exported_pfy, "r+") as file:
        del file["entry"][field]
    assert not follows_definition(exported_pfy, ignore_undocumented=True)


def test_pynxtools_refuses_the_dimension_scales_of_products(exported_pfy):
    """Therefore products state no definition: xarray needs the scales."""
    with h5py.File(exported_pfy, "r+") as file:
        entry = file["entry"]
        entry["energy"].make_scale("energy")
        entry["intensity"].dims[0].attach_scale(entry["energy"])
    assert not follows_definition(exported_pfy)
    assert follows_definition(exported_pfy, ignore_undocumented=True)


@pytest.mark.filterwarnings("ignore")  # of its own libraries
def test_tiled_reads_exported_copies(path, tmp_path):
    """It cannot read products: references of HDF5 have no JSON."""
    hdf5 = optional_module("tiled.adapters.hdf5")
    tiled_client = optional_module("tiled.client")
    app = optional_module("tiled.server.app")
    copy_without_scales(path, tmp_path / "a.nxs")
    adapter = hdf5.HDF5Adapter.from_uris((tmp_path / "a.nxs").as_uri())
    with tiled_client.Context.from_app(app.build_app(adapter)) as context:
        served = tiled_client.from_context(context)
        for entry, expected in nexus.read_entries(path).items():
            assert served[entry].metadata["NX_class"] == "NXentry"
            data = served[entry]["data"]
            assert set(data) == set(expected.variables)
            for name, variable in expected.variables.items():
                # it has text as bytes, and arrays without values in another shape
                if variable.dtype.kind != "O" and variable.size:
                    np.testing.assert_array_equal(data[name].read(), variable.values)
                assert data[name].metadata["units"] == variable.attrs["units"]
