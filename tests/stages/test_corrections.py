"""The automatic corrections of calibrations and scans."""

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.stages.corrections import calibration_corrections, scan_corrections

PHASE = ("fitted_line", "phase_bin")


def calibration(phase, time):
    """A calibration with offsets before the corrections; the errors are 0.1 eV."""
    variables = {}
    for name, dims, offset in (("phase", PHASE, phase), ("time", ("time_bin",), time)):
        offset = np.asarray(offset)
        variables[f"{name}_offset_uncorrected"] = (dims, offset)
        variables[f"{name}_offset"] = (dims, 0 * offset)
        variables[f"{name}_offset_uncorrected_errors"] = (dims, 0 * offset + 0.1)
    return xr.Dataset(variables, attrs={"run": "cal0000"})


def test_the_largest_offset_that_is_removed():
    dataset = calibration([[1.0, -3.0], [2.0, np.nan]], [0.5, -0.2])
    phase, drift = calibration_corrections(dataset)
    assert (phase.name, phase.value, phase.error) == ("arrival phase", -3.0, 0.1)
    assert (drift.value, drift.config) == (0.5, "calibration.drift")


@pytest.mark.parametrize("offset", [0.0, np.nan])
def test_no_correction_is_listed_where_nothing_is_removed(offset):
    assert calibration_corrections(calibration([[offset]], [offset])) == []


@pytest.mark.parametrize(("error", "number"), [(1e-3, 1), (0.0, 0)])
def test_pile_up_of_a_scan(error, number):
    attributes = {"run": "scan1", "pile_up_time": 5e-3, "pile_up_time_errors": error}
    corrections = scan_corrections(xr.Dataset(attrs=attributes))
    assert [c.value for c in corrections] == [5e-3] * number


def test_the_largest_alignment_of_a_pixel():
    attributes = {"run": "scan1", "pile_up_time": 0.0, "pile_up_time_errors": 0.0}
    variables = {
        "pixel": ("pixel", [1, 3, 5]),
        "alignment": ("pixel", [1e-4, -3e-4, np.nan]),
        "alignment_errors": ("pixel", [2e-5, 5e-5, np.nan]),
    }
    (correction,) = scan_corrections(xr.Dataset(variables, attrs=attributes))
    assert "pixel 3" in correction.name
    assert (correction.value, correction.error) == pytest.approx((-0.03, 0.005))
