import json

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.core.calibration.reference_consistency import left_out_deviation
from rixs_pipeline.stages.reference.calibration_warnings import calibration_warnings

LINES = ["C_Ka", "O_Ka", "Cu_La"]


@pytest.fixture
def dataset():
    """Three ok pixels with three lines."""
    return xr.Dataset(
        {
            "pixel": ("pixel", [1, 3, 5]),
            "status": ("pixel", np.array(["ok"] * 3, dtype=object)),
            "line_name": ("line", np.array(LINES, dtype=object)),
            "line_energy": ("line", [277.0, 524.9, 929.7]),
            "line_energy_errors": ("line", [2.0, 0.7, 0.3]),
            "line_residual": (("pixel", "line"), np.zeros((3, 3))),
            "line_left_out": (("pixel", "line"), np.zeros((3, 3))),
        },
        attrs={"hint_problems": "[]", "narrowest_share": 0.4},
    )


def test_sound_runs_have_no_warnings(dataset):
    assert calibration_warnings(dataset, "cal0000", LINES) == []
    assert calibration_warnings(dataset, "cal0000", None) == []


def test_named_lines_that_most_pixels_lack_are_warnings(dataset):
    dataset["line_residual"][1:, 1] = np.nan
    (warning,) = calibration_warnings(dataset, "cal0000", [*LINES, "Zn_La"])
    assert warning.startswith(
        "cal0000: O_Ka, Zn_La of `calibration.lines` not found in most pixels; remove "
    )


def test_pixels_with_wrong_lines_are_named(dataset):
    texts = ["ok", "misassigned: a line misses its reference by 9.0 eV", "dead"]
    dataset["status"] = ("pixel", np.array(texts, dtype=object))
    assert calibration_warnings(dataset, "cal0000", None) == [
        "cal0000: pixel 3 not calibrated: misassigned: a line misses its reference by "
        "9.0 eV"
    ]
    dataset["status"] = ("pixel", np.array([texts[1]] * 3, dtype=object))
    assert calibration_warnings(dataset, "cal0000", None) == []  # the run is lost


def test_resolutions_at_the_lower_limit_are_a_warning(dataset):
    dataset.attrs["narrowest_share"] = 0.6
    (warning,) = calibration_warnings(dataset, "cal0000", None)
    assert "at the lower limit of the fit, 1.2 eV FWHM" in warning


def test_hints_that_are_not_used_are_warnings(dataset):
    dataset.attrs["hint_problems"] = json.dumps(["hints not used in pixel 1: no peak"])
    assert calibration_warnings(dataset, "cal0000", None) == [
        "cal0000: hints not used in pixel 1: no peak"
    ]


def test_peaks_that_are_no_line_are_a_warning(dataset):
    dataset.attrs["unexplained_peaks"] = "[741.8, 820.1]"
    (warning,) = calibration_warnings(dataset, "cal0000", None)
    assert warning.startswith(
        "cal0000: strong peak at 742, 820 eV is no emission line; lines may be "
    )


def test_lines_that_contradict_the_others_are_a_warning(dataset):
    dataset["line_left_out"][:, 1] = 900.0
    (warning,) = calibration_warnings(dataset, "cal0000", None)
    assert warning.startswith("cal0000: lines contradict each other: ")
    assert "O_Ka +900.0 +- " in warning


@pytest.mark.parametrize("pixels", [[0], [0, 1]])
def test_one_or_two_pixels_are_enough(dataset, pixels):
    dataset["line_left_out"][:, 1] = 900.0
    few = dataset.isel(pixel=pixels)
    assert len(calibration_warnings(few, "cal0000", None)) == 1


def test_a_single_pixel_may_lie_farther_off(dataset):
    """Its own rough gain is not averaged."""
    expected = left_out_deviation(
        dataset["line_energy"].values, dataset["line_energy_errors"].values
    )
    dataset["line_left_out"][:] = 0.0
    dataset["line_left_out"][:, 1] = 3.2 * expected[1]
    assert calibration_warnings(dataset.isel(pixel=[0]), "cal0000", None) == []
    assert len(calibration_warnings(dataset, "cal0000", None)) == 1
    dataset["line_left_out"][:, 1] = 3.8 * expected[1]
    assert len(calibration_warnings(dataset.isel(pixel=[0]), "cal0000", None)) == 1


def test_the_elastic_line_contradicts_no_line(dataset):
    """The monochromator is off, not the scale."""
    dataset["line_left_out"][:, 1] = 900.0
    dataset["line_energy_errors"][1] = np.nan
    assert calibration_warnings(dataset, "cal0000", None) == []
