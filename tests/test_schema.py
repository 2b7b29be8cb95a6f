import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.errors import InputError
from rixs_pipeline.schema import (
    COADDED_MAP,
    PIXEL_CALIBRATION,
    RIXS_MAP,
    SCAN_MAP,
    Variable,
    check,
    labelled,
    spectrum,
)

SMALL = {
    "x": Variable(("x",), "f", "eV", "energy"),
    "n": Variable(("x",), "i", "counts", "photons"),
    "name": Variable(("x",), "S", "", "name"),
    "extra": Variable(("x",), "f", "s", "extra", False),
}
VALUES = {
    "x": (("x",), np.arange(2.0)),
    "n": (("x",), np.arange(2)),
    "name": (("x",), np.array(["a", "b"], dtype=object)),
}


@pytest.mark.parametrize(
    "table",
    [RIXS_MAP, COADDED_MAP, SCAN_MAP, PIXEL_CALIBRATION, spectrum("incident_energy")],
)
def test_every_variable_of_every_product_is_described(table):
    for name, variable in table.items():
        assert variable.kind in "fiS" and variable.long_name and variable.dims, name
        assert variable.units is not None


def test_scan_has_all_variables_of_a_map():
    assert SCAN_MAP.items() >= RIXS_MAP.items()


def test_a_spectrum_runs_along_its_axis():
    dims = {name: v.dims for name, v in spectrum("emission_energy").items()}
    modes = dims.pop("background_modes")
    assert modes == ("emission_energy", "background_mode")
    assert all(
        d == (("feature",) if name.startswith("feature") else ("emission_energy",))
        for name, d in dims.items()
    )


def test_variables_have_units_and_names():
    dataset = labelled(VALUES | {"own": (("x",), np.zeros(2))}, SMALL)
    assert dataset["n"].attrs == {"units": "counts", "long_name": "photons"}
    assert "x" in dataset.coords and dataset.sizes == {"x": 2}
    check(dataset, SMALL, "here")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"n": None}, "here: variable 'n' is missing"),
        (
            {"n": (("x",), np.zeros(2))},
            "here: variable 'n' has dims .* dtype float64, expected .* kind 'i'",
        ),
        ({"n": (("y",), np.arange(2))}, r"here: variable 'n' has dims \('y',\)"),
        ({"name": (("x",), np.arange(2))}, "variable 'name' has .* kind 'S'"),
        ({"extra": (("y",), np.zeros(3))}, "variable 'extra' has dims"),
    ],
)
def test_deviations_from_the_schema_are_named(change, expected):
    values = {
        name: value for name, value in (VALUES | change).items() if value is not None
    }
    with pytest.raises(InputError, match=expected):
        check(xr.Dataset(values), SMALL, "here")
