from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.stages.interval.gain_jumps import find_gain_jumps
from rixs_pipeline.stages.interval.pixel_energies import (
    keep_best_resolved,
    select_pixel_energies,
    select_surrounding,
)
from rixs_pipeline.types import PixelState, PixelStatus
from tests.stages.builders import calibration, params, points, scan

FILES = ("x_chan1.off", "x_chan3.off")
EARLY = calibration("cal1", 0, {1: 0.0, 3: 0.0})
LATE = calibration("cal2", 100, {1: 1.0, 3: -1.0})


def scan_at(start_s, tmp_path):
    """A scan of 9.5 s with two pixels."""
    return scan([tmp_path / name for name in FILES], points(start_s=start_s))


@pytest.fixture
def run(tmp_path):
    return scan_at(50.0, tmp_path)


def statuses(energies):
    return [str(energy.status) for energy in energies]


def test_the_calibrations_before_and_after_a_scan_are_interpolated(run):
    before = calibration("cal0", -50, {1: 5.0, 3: 5.0})
    after = calibration("cal3", 200, {1: 5.0, 3: 5.0})
    products = [before, EARLY, LATE, after]
    assert select_surrounding(50.0, products) == [EARLY, LATE]
    energies = select_pixel_energies(run, products)
    assert statuses(energies) == ["ok: cal1 to cal2"] * 2
    first = select_pixel_energies(run, [EARLY, LATE])[0]
    assert first.status.is_ok and first.reference_times == (0.0, 100.0)
    np.testing.assert_array_equal(first.params, [params(0.0), params(1.0)])


def test_a_scan_with_one_calibration_rests_on_it(run, tmp_path):
    assert statuses(select_pixel_energies(run, [EARLY])) == ["ok: cal1 alone"] * 2
    assert statuses(select_pixel_energies(run, [LATE])) == ["ok: cal2 alone"] * 2
    later = select_pixel_energies(scan_at(150.0, tmp_path), [EARLY, LATE])
    assert statuses(later) == ["ok: cal2 alone"] * 2


def test_without_a_good_calibration_a_pixel_is_not_used(run):
    assert statuses(select_pixel_energies(run, [])) == ["no calibration"] * 2
    bad = (
        calibration("cal1", 0, {1: "noisy: 9 eV"}),
        calibration("cal2", 100, {1: "dead", 3: 0.0}),
    )
    energies = select_pixel_energies(run, bad)
    first = "noisy: 9 eV in cal1; dead in cal2"
    assert statuses(energies) == [first, "ok: cal2 alone"]
    assert [energy.status.is_ok for energy in energies] == [False, True]
    missing = select_pixel_energies(run, [calibration("cal1", 0, {1: 0.0})])
    assert str(missing[1].status) == "not part of the array in cal1"


@pytest.mark.parametrize(
    "first, second, text, is_live",
    [
        (
            "dead: no pulses",
            "dead: no pulses",
            "dead: no pulses in cal1 and cal2",
            False,
        ),
        ("noisy: 9 eV", "noisy: 8 eV", "noisy: 9 eV in cal1; 8 eV in cal2", True),
        ("dead: no pulses", "noisy", "noisy: in cal2; dead: no pulses in cal1", True),
        ("no lines", "no lines", "no lines in cal1 and cal2", True),
    ],
)
def test_the_status_says_why_no_reference_run_serves(run, first, second, text, is_live):
    bad = (calibration("cal1", 0, {1: first}), calibration("cal2", 100, {1: second}))
    status = str(select_pixel_energies(run, bad)[0].status)
    assert status == text
    assert PixelStatus.parse(status).state.is_live == is_live


def test_a_pixel_that_the_config_excludes_is_not_used(run):
    energies = select_pixel_energies(run, [EARLY, LATE], excluded=(1,))
    assert statuses(energies) == ["excluded by the config", "ok: cal1 to cal2"]
    assert energies[0].status.state is PixelState.EXCLUDED


JUMPED = calibration("cal2", 100, {1: 20.0, 3: 1.0})


@pytest.mark.parametrize(
    ("jump_time", "expected", "times"),
    [
        (None, "ok: cal1 alone, jumped by -20.0 eV before cal2", (0.0, 0.0)),
        (70.0, "ok: cal1 alone, jumped by -20.0 eV before cal2", (0.0, 0.0)),
        (20.0, "ok: cal2 alone, jumped by -20.0 eV after cal1", (0.0, 0.0)),
        (
            54.0,
            "ok: cal1, then cal2 from 4 s on, when it jumped by -20.0 eV",
            (54.0, 54.0),
        ),
    ],
)
def test_a_pixel_changes_its_calibration_when_its_gain_jumps(
    run, jump_time, expected, times
):
    jumps = None
    if jump_time is not None:
        jumps = find_gain_jumps([EARLY, JUMPED])
        jumps[1] = replace(jumps[1], time=jump_time)
    energies = select_pixel_energies(run, [EARLY, JUMPED], jumps=jumps)
    assert statuses(energies) == [expected, "ok: cal1 to cal2"]
    assert energies[0].reference_times == pytest.approx(times, abs=1e-3)


def test_when_most_pixels_jump_the_setup_changed(run):
    """The scan then rests on the reference run that is nearer in time."""
    jumped = calibration("cal2", 100, {1: 20.0, 3: 20.0})
    assert (
        statuses(select_pixel_energies(run, [EARLY, jumped])) == ["ok: cal2 alone"] * 2
    )


def test_only_the_best_resolved_pixels_are_used(run):
    product = calibration("cal1", 0, {1: 0.0, 3: 0.0}, fwhm=[3.0, 2.0])
    energies = select_pixel_energies(run, [product])
    best = keep_best_resolved(run, energies, [product], 1)
    assert statuses(best) == [
        "not among the best resolved pixels: 1 used",
        "ok: cal1 alone",
    ]
    assert keep_best_resolved(run, energies, [product], None) is energies
    assert keep_best_resolved(run, energies, [product], 2) is energies
