"""The automatic corrections of calibrations and scans."""

import json

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.stages.corrections import (
    calibration_corrections,
    map_corrections,
    scan_corrections,
    spectrum_corrections,
)

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


def test_the_offset_that_is_added_to_incident_energies():
    offset = {"elastic_offset_applied": -1.5, "elastic_offset_errors": 0.2}
    (correction,) = map_corrections(xr.Dataset(attrs=offset), "A-Co_L")
    assert (correction.value, correction.error) == (-1.5, 0.2)
    assert correction.config == "map.elastic_offset"
    assert map_corrections(xr.Dataset(), "A-Co_L") == []


def spectrum(background, **attributes):
    """A spectrum of 3 + 5 counts/s of which 1 each are subtracted."""
    variables = {
        "intensity": ("incident_energy", [3.0, 5.0]),
        "background": ("incident_energy", [1.0, 1.0]),
        "background_errors": ("incident_energy", [0.1, 0.2]),
    }
    region = json.dumps({"kind": "pfy", "background": background})
    return xr.Dataset(variables, attrs={"region": region} | attributes)


def test_elastic_light_that_is_subtracted_is_listed_with_its_offset():
    line = json.dumps({"offset": 0.5, "offset_errors": 0.1})
    dataset = spectrum([{"kind": "elastic"}], elastic_line=line)
    modes = [[0.1, 0.0], [0.1, 0.1]]
    dataset["background_modes"] = (("incident_energy", "background_mode"), modes)
    share, offset = spectrum_corrections({"net": dataset}, "A-Co_L")
    assert (share.value, share.error) == pytest.approx((20.0, 10 * np.hypot(0.2, 0.1)))
    assert share.config == "regions.net.background"
    assert (offset.value, offset.error, offset.unit) == (0.5, 0.1, "eV")
    assert offset.config == "regions.net.background.offset"
    fixed = [{"kind": "elastic", "offset": 0.0}]
    dataset.attrs["region"] = spectrum(fixed).attrs["region"]
    assert len(spectrum_corrections({"net": dataset}, "A-Co_L")) == 1


def test_the_errors_of_a_leak_are_common_to_all_points():
    spectra = {"leak": spectrum([{"kind": "leak"}]), "whole": spectrum(None)}
    (share,) = spectrum_corrections(spectra, "A-Co_L")
    assert (share.value, share.error) == pytest.approx((20.0, 3.0))
