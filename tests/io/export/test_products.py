"""Real products in every format."""

import csv

import h5py
import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io import nexus
from rixs_pipeline.io.export import FORMATS, Selection, export
from rixs_pipeline.io.hdf5 import attribute_text
from tests.io.export.test_igor import read_waves
from tests.io.export.test_write_formats import read_xdi

NAME = "LMR_RT-Co_L"


@pytest.fixture
def out(compared_small, tmp_path):
    """The products, linked: exports go elsewhere."""
    for folder in ("spectra", "xas", "maps", "comparisons"):
        (tmp_path / folder).symlink_to(compared_small / folder)
    return tmp_path


def exported(out, name, **selection):
    paths = export(out, [name], Selection(**selection))
    assert len(set(paths)) == len(paths) and all(path.is_file() for path in paths)
    assert {path.parent for path in paths} == {out / "export" / name}
    return {path.name: path for path in paths}


def test_xdi_has_no_emission_spectra_and_calls_electron_yield_by_its_name(out):
    files = exported(out, "xdi")
    assert not [name for name in files if "XES" in name or "heating" in name]
    labels = {name: read_xdi(path)[1][1] for name, path in files.items()}
    assert labels[f"{NAME}-XAS_tey.xdi"] == "tey"
    assert labels[f"{NAME}-log_tey.xdi"] == "tey"
    assert labels[f"{NAME}-XAS_tfy.xdi"] == "mufluor"
    assert labels[f"{NAME}-XAS_pfy.xdi"] == "mufluor"
    (pfy,) = [name for name in files if name.startswith(NAME) and "_PFY" in name]
    assert labels[pfy] == "mufluor"
    (elastic,) = [name for name in files if name.startswith(NAME) and "ELASTIC" in name]
    assert labels[elastic] == "intensity"


def test_xdi_states_the_experiment(out):
    fields, _, _ = read_xdi(exported(out, "xdi")[f"{NAME}-XAS_tey.xdi"])
    assert fields["Facility.name"] == "SSRL"
    assert fields["Beamline.name"] == "10-1"
    assert fields["Sample.experimenters"] == "A. Person"
    assert fields["rixs_pipeline.doi"] == "10.1/x"
    assert fields["rixs_pipeline.beamtime"] == "simulated"
    assert fields["Scan.start_time"] < fields["Scan.end_time"]
    assert fields["Scan.start_time"].startswith("2026-01-01T")


def test_comparisons_and_maps_as_tables(out):
    files = exported(out, "csv")
    compared = [path for name, path in files.items() if name.startswith("heating-")]
    expected = nexus.read_entries(out / "comparisons/heating-Co_L.nxs")
    assert len(compared) == len(expected)
    with compared[0].open(newline="") as file:
        head, *rows = csv.reader(file)
    region, dataset = next(iter(expected.items()))
    assert compared[0].stem.endswith(region)
    assert head[0].endswith("[eV]") and "intensity_LMR_RT [counts/s]" in head
    column = head.index("difference_LMR_100C [counts/s]")
    np.testing.assert_array_equal(
        np.array(rows, float)[:, column], dataset["difference"].values[0]
    )
    rixs_map = nexus.read_entry(out / f"maps/{NAME}.nxs")
    with files[f"{NAME}-map.csv"].open(newline="") as file:
        head, *rows = csv.reader(file)
    np.testing.assert_array_equal(np.array(head[1:], float), rixs_map.emission_energy)
    table = np.array(rows, float)
    np.testing.assert_array_equal(table[:, 0], rixs_map.incident_energy)
    np.testing.assert_array_equal(table[:, 1:], rixs_map.intensity)


def test_igor(out):
    files = exported(out, "itx")
    for path in files.values():
        read_waves(path)
    waves, _ = read_waves(files[f"{NAME}-map.itx"])
    rixs_map = nexus.read_entry(out / f"maps/{NAME}.nxs")
    np.testing.assert_array_equal(waves["intensity"], rixs_map.intensity)
    assert any(name.startswith("heating-") for name in files)
    assert any("XAS_" in name for name in files)


def test_maps_as_netcdf(out):
    files = exported(out, "netcdf")
    assert files.keys() == {"LMR_RT-Co_L-map.nc", "LMR_100C-Co_L-map.nc"}
    expected = nexus.read_entry(out / f"maps/{NAME}.nxs")
    with xr.open_dataset(files[f"{NAME}-map.nc"], engine="h5netcdf") as read_back:
        xr.testing.assert_identical(read_back.load(), expected)


def test_one_table_of_all_features(out):
    path = exported(out, "features")["features.csv"]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["sample"], row["region"], row["feature"]) for row in rows] == [
        ("LMR_100C", "Co_XES", "La"),
        ("LMR_RT", "Co_XES", "La"),
    ]
    spectrum = nexus.read_entry(out / f"spectra/{NAME}.nxs", "Co_XES")
    assert float(rows[1]["area"]) == spectrum["feature_area"].values[0]
    assert float(rows[1]["fwhm_errors"]) == spectrum["feature_fwhm_errors"].values[0]
    pandas = pytest.importorskip("pandas")
    assert pandas.read_csv(path)["centre"].between(765, 785).all()


def test_no_features_are_one_line(out):
    with pytest.raises(InputError, match="no features; set `features` of a region"):
        export(out, ["features"], Selection(regions=["log_tey"]))


@pytest.mark.parametrize("name", ["nexus", "tiled"])
def test_copies_of_all_products(out, name):
    files = exported(out, name)
    assert {key for key in files if "LMR_100C" not in key} == {
        f"{NAME}.nxs",
        f"{NAME}-XAS.nxs",
        f"{NAME}-map.nxs",
        "heating-Co_L-comparison.nxs",
    }
    source = out / f"maps/{NAME}.nxs"
    copy = files[f"{NAME}-map.nxs"]
    assert (copy.read_bytes() == source.read_bytes()) is (name == "nexus")


def test_copies_for_tiled_have_no_references(out):
    expected = nexus.read_entry(out / f"maps/{NAME}.nxs")
    with h5py.File(exported(out, "tiled")[f"{NAME}-map.nxs"]) as file:
        data = file["entry/data"]
        assert set(data) == set(expected.variables)
        for name, stored in data.items():
            assert "DIMENSION_LIST" not in stored.attrs
            assert "REFERENCE_LIST" not in stored.attrs
            assert attribute_text(stored, "CLASS") == ""
            if stored.dtype.kind in "if":
                np.testing.assert_array_equal(stored[()], expected[name].values)


def test_partial_yields_follow_nxxas(out):
    files = exported(out, "nxxas")
    assert len(files) == 2
    with h5py.File(next(iter(files.values()))) as file:
        assert file["entry/definition"].asstr()[()] == "NXxas_pfy"
        assert file["entry/instrument/source/name"].asstr()[()] == "SSRL"


def test_selected_samples(out):
    for name in (name for name in FORMATS if name not in ("photons", "features")):
        files = exported(out, name, samples=["LMR_RT"])
        assert files
        assert not [key for key in files if key.startswith("LMR_100C")]


def test_selected_regions(out):
    files = exported(out, "csv", regions=["log_tey", "tfy"], samples=["LMR_RT"])
    assert set(files) == {
        f"{NAME}-log_tey.csv",
        f"{NAME}-XAS_tfy.csv",
        f"{NAME}-map.csv",
    }
    assert set(exported(out, "nexus", regions=["tfy"])) == {
        "LMR_RT-Co_L-XAS.nxs",
        "LMR_100C-Co_L-XAS.nxs",
        "LMR_RT-Co_L-map.nxs",
        "LMR_100C-Co_L-map.nxs",
    }


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (
            {"samples": ["LMR", "LMR_RT"]},
            "no sample 'LMR'; choose from LMR_100C, LMR_RT",
        ),
        ({"regions": ["x"]}, "no region 'x'; choose from .*Co_XES.*log_tey.*tfy"),
    ],
)
def test_unknown_names_are_one_line(out, selection, message):
    with pytest.raises(UsageError, match=message):
        export(out, ["csv"], Selection(**selection))
    assert not (out / "export").exists()


def test_formats_that_hold_nothing_of_the_selection_are_reported(out, caplog):
    with pytest.raises(UsageError, match="holds only spectra against incident energy"):
        export(out, ["xdi"], Selection(regions=["Co_XES"]))
    with pytest.raises(UsageError, match="nothing exported as nxxas"):
        export(out, ["nxxas"], Selection(regions=["Co_XES"]))
    assert export(out, ["xdi", "csv"], Selection(regions=["Co_XES"]))
    assert "nothing exported as xdi" in caplog.text
