import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config import CalibrationConfig, MapConfig, Region
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.stages.reference.calibrate_run import calibrate_run
from rixs_pipeline.stages.reference.reference_table import reference_table
from rixs_pipeline.stages.sample.combine_scans import combine_scans
from rixs_pipeline.stages.sample.region_spectra import extract_spectra
from tests.stages.builders import scan_map


def calibration(lines, pixels, residual, status=None):
    """Return a reference run whose left-out residuals are twice the residuals."""
    reference = load_reference_set("srd128", {"Ni_La": "oxide"}).lines
    values = np.broadcast_to(residual, (len(pixels), len(lines))).astype(float)
    return xr.Dataset(
        {
            "pixel": (("pixel",), pixels),
            "status": (
                ("pixel",),
                np.array(status or ["ok"] * len(pixels), dtype=object),
            ),
            "line_name": (("line",), np.array(lines, dtype=object)),
            "line_variant": (
                ("line",),
                np.array([reference[name].variant for name in lines], dtype=object),
            ),
            "line_energy": (("line",), [reference[name].energy for name in lines]),
            "line_energy_errors": (
                ("line",),
                [reference[name].uncertainty for name in lines],
            ),
            "line_residual": (("pixel", "line"), values),
            "line_left_out": (("pixel", "line"), 2 * values),
        }
    )


def test_runs_with_different_pixels_and_lines_are_matched_by_name():
    first = calibration(
        ["C_Ka", "O_Ka", "Ni_La"],
        [3, 1, 7],
        [[1, 1, 3], [2, 1, 3], [9, 9, 9]],
        ["ok", "ok", "dead"],
    )
    second = calibration(
        ["O_Ka", "Fe_La", "Ni_La"], [1, 2, 3], [[2, 5, 3], [3, 5, 3], [2, 5, 3]]
    )
    table = reference_table([first, second], "physical")
    assert table["line"] == ["C_Ka", "O_Ka", "Fe_La", "Ni_La"]
    assert table["variant"] == ["", "", "metal", "oxide"]
    assert table["runs"] == [1, 2, 1, 2] and table["pixels"] == [2, 3, 3, 3]
    assert table["uncertainty"][3] == pytest.approx(np.hypot(0.26, 1.5))
    assert table["residual"] == pytest.approx(
        [1.5, 2.0, 5.0, 3.0]
    )  # of O_Ka: 1.5 and 1.5 in two runs, 3 in one
    assert table["left_out"] == pytest.approx([3.0, 4.0, 10.0, 6.0])
    assert table["verdict"][0].startswith("agrees with the other lines: +3.0 +- ")
    assert len({len(column) for column in table.values()}) == 1


def test_runs_without_a_good_pixel_or_a_line_give_no_verdict():
    dead = calibration(["C_Ka", "O_Ka", "Ni_La"], [1], [[0, 0, 0]], ["dead: no pulses"])
    assert set(reference_table([dead], "physical")["verdict"]) == {
        "not tested: no pixel has this line"
    }
    no_lines = calibration([], [1], np.zeros((1, 0)), ["no assignment"])
    assert reference_table([no_lines], "physical")["line"] == []


def test_the_table_reads_the_product_of_a_reference_run(run):
    reference = load_reference_set("srd128", "oxide")
    product = calibrate_run(run, reference, CalibrationConfig(), (200.0, 1100.0))
    assert product["line_variant"].values.tolist() == [
        "",
        "",
        "",
        "oxide",
        "oxide",
        "oxide",
    ]
    assert '"Fe_La": "oxide"' in product.attrs["reference_variants"]
    table = reference_table([product], "physical")
    assert table["line"] == product["line_name"].values.tolist()
    good = product["status"].values == "ok"
    assert table["left_out"] == pytest.approx(
        product["line_left_out"].values[good].mean(axis=0).tolist()
    )


def test_maps_and_spectra_carry_the_reference_set_of_their_scans():
    attributes = load_reference_set("ucal", {"Fe_La": "oxide"}).attributes()
    scans = [
        scan_map([[3, 4], [5, 6]], [700.0, 701.0], name=name).assign_attrs(attributes)
        for name in ("a", "b")
    ]
    rixs_map = combine_scans(scans, MapConfig(), "LMR-Co_L").dataset
    spectra = extract_spectra(
        rixs_map, {"all": Region(kind="tfy")}, "LMR-Co_L"
    ).by_region
    for product in (rixs_map, spectra["all"]):
        assert {key: product.attrs[key] for key in attributes} == attributes
    assert attributes == {
        "reference_set": "ucal",
        "reference_source": "ucal (NSLS-II), ucalpost",
        "reference_variants": '{"Fe_La": "oxide"}',
    }
