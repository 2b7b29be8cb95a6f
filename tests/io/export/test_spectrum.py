"""Exports have every variable that a product can have."""

import csv

import numpy as np
import pytest

from rixs_pipeline import schema
from rixs_pipeline.io import nexus
from rixs_pipeline.io.export import Selection, export
from rixs_pipeline.io.export.spectrum import read_comparison
from tests.io.export.test_write_formats import read_xdi

DIM = "incident_energy"
SIZES = {DIM: 3, "sample": 2, "compared": 1, "background_mode": 2}
# a column holds one number a point
NOT_COLUMNS = {DIM, "background_modes"}


def values_of(
    variables: dict[str, schema.Variable], dims: set[str]
) -> schema.Variables:
    """Different numbers in every variable of the schema with these dimensions."""
    values: schema.Variables = {}
    for number, (name, variable) in enumerate(variables.items(), start=1):
        if variable.kind == "f" and set(variable.dims) <= dims:
            shape = tuple(SIZES[dim] for dim in variable.dims)
            numbers = number + 0.125 * np.arange(np.prod(shape))
            values[name] = (variable.dims, numbers.reshape(shape))
    return values


@pytest.fixture
def out(tmp_path):
    """A spectrum with every variable of the schema that has a value at each point."""
    variables = schema.spectrum(DIM)
    values = values_of(variables, {DIM, "background_mode"})
    dataset = schema.labelled(values, variables)
    dataset.attrs = {"sample": "A", "edge": "Co_L", "region": "{}"}
    nexus.write_product(
        tmp_path / "spectra/A-Co_L.nxs", {"X": dataset}, {}, "intensity"
    )
    return tmp_path


def columns_of_spectra() -> set[str]:
    of_points = (name for name, v in schema.spectrum(DIM).items() if DIM in v.dims)
    return set(of_points) - NOT_COLUMNS


def test_csv_has_every_variable(out):
    (path,) = export(out, ["csv"], Selection(regions=["X"]))
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    names = [name.partition(" ")[0] for name in head]
    assert names[:2] == [DIM, "intensity"]
    assert set(names[1:]) == columns_of_spectra()
    stored = nexus.read_entry(out / "spectra/A-Co_L.nxs", "X")
    for name, column in zip(names, np.array(rows, float).T, strict=True):
        np.testing.assert_array_equal(column, stored[name].values)


@pytest.mark.parametrize("refused", [False, True])
def test_xdi_has_every_variable_with_a_number_at_each_point(out, refused):
    path = out / "spectra/A-Co_L.nxs"
    expected = columns_of_spectra() - {"intensity"}
    if refused:
        stored = nexus.read_entry(path, "X").load()
        for name in ("absorption", "absorption_errors"):
            stored[name].values[1] = np.nan
            expected.remove(name)
        nexus.write_product(path, {"X": stored}, {}, "intensity")
    (path,) = export(out, ["xdi"])
    _, labels, numbers = read_xdi(path)
    assert labels[:2] == ["energy", "mufluor"]
    assert set(labels[2:]) == expected
    assert len(numbers) == SIZES[DIM]


def test_comparisons_have_every_variable(tmp_path):
    variables = schema.comparison(DIM)
    values = values_of(variables, {DIM, "sample", "compared"})
    values["sample"] = (("sample",), np.array(["A", "B"], dtype=object))
    values["compared"] = (("compared",), np.array(["B"], dtype=object))
    dataset = schema.labelled(values, variables)
    path = tmp_path / "heating.nxs"
    nexus.write_product(path, {"X": dataset}, {}, "intensity")
    (spectrum,) = read_comparison(path).values()
    expected = {
        f"{name}_{sample}"
        for name, variable in variables.items()
        for dim, samples in (("sample", "AB"), ("compared", "B"))
        if variable.dims == (dim, DIM)
        for sample in samples
    }
    assert spectrum.columns.keys() == expected
    assert "difference_energy_errors_B" in expected
