"""Line shifts between reference runs, and the pixels that have figures."""

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.errors import UsageError
from rixs_pipeline.stages.figures.reference_runs import (
    check_pixels,
    find_line_shifts,
    select_pixels,
)
from tests.stages.builders import calibration


def test_line_shifts_are_those_of_the_pixels_that_are_ok_in_both_calibrations():
    named = {"line_name": ("line", np.array(["C_Ka", "O_Ka", "Cu_La"], dtype=object))}
    before = calibration(
        "cal0000", 0.0, {1: 0.0, 3: "dead: no pulses", 5: 0.0, 9: 0.0}
    ).assign(named)
    after = calibration(
        "cal0009", 1.0, {9: -20.0, 7: 0.0, 5: "noisy: 9 eV", 3: 0.0, 1: 0.5}
    ).assign(named)
    shifts = find_line_shifts(before, after)
    assert shifts["pixel"].values.tolist() == [1, 9]
    assert shifts["has_jumped"].values.tolist() == [False, True]
    assert np.abs(shifts["shift"].values[0]) == pytest.approx(0.5, abs=0.05)
    assert np.abs(shifts["shift"].values[1]) == pytest.approx(20, abs=1)
    assert (shifts.attrs["before"], shifts.attrs["after"]) == ("cal0000", "cal0009")


def test_pixels_that_are_not_ok_have_figures_every_reason_in_turn():
    status = [
        "ok",
        "dead: no pulses",
        "dead: no pulses",
        "dead: no pulses",
        "noisy: 9 eV",
        "ok",
        "noisy: 8 eV",
        "ok",
    ]
    dataset = xr.Dataset(
        {"status": ("pixel", np.array(status, object))}, {"pixel": np.arange(1, 17, 2)}
    )
    assert select_pixels(dataset) == [3, 9, 5, 13, 7]
    assert select_pixels(dataset.isel(pixel=[0, 5, 7])) == []
    twice = xr.concat([dataset, dataset.assign_coords(pixel=range(20, 28))], "pixel")
    assert select_pixels(twice) == [3, 9, 5, 13, 7, 24]


def test_pixels_that_no_run_has_are_refused():
    runs = {
        "cal0000": calibration("cal0000", 0.0, {1: 0.0, 3: "dead: no pulses"}),
        "cal0009": calibration("cal0009", 1.0, {1: 0.0, 5: 0.0}),
    }
    assert check_pixels(runs, [1]) == []
    assert check_pixels(runs, [1, 3, 5]) == [
        "pixel 3: not in cal0009",
        "pixel 5: not in cal0000",
    ]
    with pytest.raises(UsageError, match=r"not in cal0000, cal0009; .* 1, 3, 5"):
        check_pixels(runs, [1, 7])
