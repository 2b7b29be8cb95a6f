"""`ds.rixs`, and the Python code of the tutorial."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from rixs_pipeline import open_product
from rixs_pipeline.errors import InputError

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial.md"


@pytest.fixture(scope="module")
def rixs_map(reduced_small) -> xr.Dataset:
    return open_product(reduced_small / "maps" / "LMR_RT-Co_L.nxs")


def test_region_matches_the_extracted_spectrum(rixs_map, reduced_small):
    written = open_product(reduced_small / "spectra" / "LMR_RT-Co_L.nxs")["Co_PFY"]
    result = rixs_map.rixs.pfy([762, 800], edge="Co_L")
    assert result.values == pytest.approx(written["intensity"].values, nan_ok=True)
    assert result.intensity_errors.values == pytest.approx(
        written["intensity_errors"].values, nan_ok=True
    )
    assert result.units == "counts/s"


@pytest.mark.parametrize(
    ("call", "dim", "units"),
    [
        (lambda r: r.tfy(), "incident_energy", "counts/s"),
        (lambda r: r.ipfy([510, 540]), "incident_energy", "s/counts"),
        (lambda r: r.spfy([776, 777]), "incident_energy", "counts/s"),
        (lambda r: r.xes([778, 784]), "emission_energy", "counts/(s eV)"),
        (lambda r: r.cut(780.0, width=6), "emission_energy", "counts/(s eV)"),
        (lambda r: r.region("pfy", loss=[1, 6]), "incident_energy", "counts/s"),
    ],
)
def test_spectra_of_every_kind_have_units_and_errors(rixs_map, call, dim, units):
    result = call(rixs_map.rixs)
    assert (result.dims, result.units) == ((dim,), units)
    assert {
        "intensity_errors",
        "intensity_lower",
        "intensity_upper",
        "counts",
        "exposure",
    } <= set(result.coords)
    assert np.isfinite(result).any()
    assert result[dim].attrs["units"] == "eV"


def test_preset_has_to_belong_to_the_edge(rixs_map):
    result = rixs_map.rixs.region("pfy", preset="Co_L")
    assert result.values == pytest.approx(
        rixs_map.rixs.pfy([762, 800]).values, nan_ok=True
    )
    with pytest.raises(ValueError, match="`edge` must be Co_L"):
        rixs_map.rixs.region("pfy", preset="O_K")
    with pytest.raises(ValueError, match="one spectrum at a time"):
        rixs_map.rixs.region("xes", cuts=[779, 781])


def test_config_supplies_efficiency_energy_scale_and_blanks(
    rixs_map, reduced_small, tmp_path
):
    path = tmp_path / "c.yaml"
    path.write_text(
        "normalise: {efficiency: [[200, 0.5], [1100, 0.5]]}\n"
        "geometry: {incidence: 30, takeoff: 90}\n"
    )
    blank = open_product(reduced_small / "maps" / "LMR_100C-Co_L.nxs")
    known = rixs_map.rixs.using(path, {"LMR_100C": blank})
    plain, result = rixs_map.rixs.pfy([762, 800]), known.pfy([762, 800])
    assert result.values == pytest.approx(2 * plain.values, nan_ok=True)
    assert (
        "intensity_reference_errors" in result.coords
        and "intensity_reference_errors" not in plain.coords
    )
    assert known.ipfy([510, 540]).geometry_factor == pytest.approx(0.5)
    net = known.pfy([762, 800], background={"kind": "blank", "sample": "LMR_100C"})
    assert net.values == pytest.approx(
        result.values - 2 * blank.rixs.pfy([762, 800]).values, nan_ok=True
    )


def test_features_are_part_of_the_spectrum(rixs_map):
    result = rixs_map.rixs.spectrum(
        "xes", incident=[778, 784], features={"La": [765, 790]}
    )
    assert 770 < result["feature_centre"].item() < 782


def test_plots_return_figures(rixs_map):
    assert rixs_map.rixs.plot_map(
        regions={"Co": {"kind": "pfy", "emission": [762, 800]}}
    ).axes
    assert rixs_map.rixs.plot_region("pfy", emission=[762, 800]).axes


def test_invalid_arguments_are_reported(rixs_map):
    with pytest.raises(ValueError, match="emision"):
        rixs_map.rixs.region("pfy", emision=[762, 800])
    with pytest.raises((InputError, AttributeError, RuntimeError), match=r"map|rixs"):
        xr.Dataset({"a": 1}).rixs.tfy()


def test_the_tutorial_runs(reduced_sample, tmp_path, monkeypatch):
    mpl.use("Agg")
    blocks = re.findall(
        r"```python\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "out").mkdir()
    for folder in ("maps", "spectra"):
        (tmp_path / "out" / folder).symlink_to(reduced_sample / folder)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks), {})
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "map.png",
        "cobalt.png",
        "oxygen.png",
    }
