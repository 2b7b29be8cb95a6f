"""The real Co L edge: four pixels, six passes between calibrations six hours apart."""

import json

import numpy as np
import pytest
from ruamel.yaml import YAML

from rixs_pipeline import open_product
from tests.regression.recount import ns, recount

pytestmark = pytest.mark.real

SCANS = (247, 248, 249, 251, 252, 253)
PIXELS = (1, 3, 7, 9)
LINES = ["C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La"]


@pytest.fixture(scope="module")
def scans(reduced_real):
    return {n: open_product(reduced_real / f"scans/scan{n:04d}.nxs") for n in SCANS}


@pytest.fixture(scope="module")
def calibrations(reduced_real):
    return {
        name: open_product(reduced_real / f"calibration/{name}.nxs")
        for name in ("cal0245", "cal0288")
    }


@pytest.fixture(scope="module")
def windows(real_data):
    """Scan -> its windows, ns, read from the YAML logs without the package."""
    found = {}
    for log in real_data.glob("*_log"):
        for document in YAML(typ="safe").load_all(log.read_text()):
            if document and isinstance(document.get("mono"), dict):
                times = np.array(list(document["mono"].values()))
                found[document["header"]["htxs"]] = ns(times[:, 0]), ns(times[:, 1])
    return found


@pytest.mark.parametrize("number", SCANS)
def test_every_photon_is_counted_exactly_once(
    number, scans, calibrations, windows, real_data
):
    files = {pixel: real_data / f"20200219_chan{pixel}.off" for pixel in PIXELS}
    again = recount(scans[number], calibrations, files, *windows[number])
    np.testing.assert_array_equal(scans[number]["counts"].values, again.counts)
    assert int(scans[number]["counts"].sum()) == again.expected > 2000
    assert all(again.pixel_counts[pixel] > 300 for pixel in PIXELS)


def test_map_is_the_sum_of_its_scans(scans, reduced_real):
    total = sum(scan["counts"].values.sum() for scan in scans.values())
    rixs_map = open_product(reduced_real / "maps/ad1-Co_L.nxs")
    assert int(rixs_map["counts"].sum()) == total
    assert json.loads(rixs_map.attrs["scans"]) == [f"scan{n:04d}" for n in SCANS]
    assert rixs_map["live_time"].values.sum() == pytest.approx(
        sum(s["live_time"].values.sum() for s in scans.values())
    )


def test_map_without_readings_is_normalised_by_live_time(scans, reduced_real):
    for scan in scans.values():
        assert scan.attrs["normalisation"] == "live time"
        assert "i0" not in scan
        # four pixels, weighted to a mean of one
        assert scan["exposure"].values.sum() == pytest.approx(
            scan["live_time"].values.sum(), rel=0.02
        )
    assert (
        open_product(reduced_real / "maps/ad1-Co_L.nxs").attrs["normalisation"]
        == "live time"
    )
    warnings = json.loads((reduced_real / "run.json").read_text())["warnings"]
    assert sum(
        "normalised by live time alone" in warning for warning in warnings
    ) == len(SCANS)


def test_pixel_with_gain_jump_uses_the_first_calibration(scans):
    for scan in scans.values():
        status = dict(
            zip(scan["pixel"].values.tolist(), scan["pixel_status"].values, strict=True)
        )
        assert status[9].startswith("ok: cal0245 alone, jumped by +2")
        assert {status[pixel] for pixel in (1, 3, 7)} == {"ok: cal0245 to cal0288"}


@pytest.mark.parametrize("name", ["cal0245", "cal0288"])
def test_all_lines_are_assigned_in_every_pixel(name, calibrations):
    calibration = calibrations[name]
    assert set(calibration["status"].values) == {"ok"} and calibration[
        "pixel"
    ].values.tolist() == list(PIXELS)
    assert calibration["line_name"].values.tolist() == LINES
    # the references disagree by 0.5 eV rms; a misidentified line is off by 70 eV
    assert np.abs(calibration["line_residual"].values).max() < 3  # none is NaN
    assert np.all(np.abs(calibration["elastic_energy"].values - 1000) < 6)


def test_the_cobalt_edge_has_its_two_lines(reduced_real):
    pfy = open_product(reduced_real / "spectra/ad1-Co_L.nxs")["Co_PFY"]
    energy, intensity = (
        pfy["incident_energy"].values,
        np.nan_to_num(pfy["intensity"].values),
    )
    kernel = np.exp(-0.5 * np.linspace(-2, 2, 9) ** 2)
    smooth = np.convolve(intensity, kernel / kernel.sum(), mode="same")
    for expected, (low, high) in ((780, (776, 788)), (795, (789, 800))):
        window = (energy > low) & (energy < high)
        assert energy[window][np.argmax(smooth[window])] == pytest.approx(
            expected, abs=1.5
        )
