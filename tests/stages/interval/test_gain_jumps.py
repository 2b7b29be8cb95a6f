import numpy as np
import pytest

from rixs_pipeline.stages.interval.gain_jumps import find_gain_jumps, find_jump_times
from tests.stages.builders import calibration, points, scan, write_off

JUMP_EV = 20.0
BEFORE = calibration("cal1", 0, {1: 0.0, 3: 0.0, 5: 0.0})
AFTER = calibration("cal2", 2000, {1: JUMP_EV, 3: 1.0, 5: "dead"})


def beamline(folder, jump_s):
    """A scan with a line at 776 eV; pixel 1 reads too little from `jump_s` on."""
    scan_points = points(n=20)
    rng = np.random.default_rng(3)
    files = []
    for pixel in (1, 3):
        first, last = scan_points.start_ns[0], scan_points.end_ns[-1]
        time = np.sort(rng.integers(first, last, 400))
        energy = 776.0 + rng.normal(0, 1.0, 400)
        if pixel == 1:
            energy[time / 1e9 >= jump_s] -= JUMP_EV
        files.append(write_off(folder / f"x_chan{pixel}.off", time, energy))
    return scan(files, scan_points)


def test_a_jump_is_a_shift_beyond_drift_between_two_reference_runs():
    jumps = find_gain_jumps([BEFORE, AFTER])
    assert list(jumps) == [1]
    assert jumps[1].shift == pytest.approx(-JUMP_EV)
    assert jumps[1].time == np.inf


def test_gain_jumps_need_two_reference_runs():
    assert find_gain_jumps([]) == find_gain_jumps([BEFORE]) == {}
    dead = calibration("cal2", 100, {1: "dead", 3: "dead"})
    assert find_gain_jumps([BEFORE, dead]) == {}


def test_the_scans_show_when_a_pixel_jumped(tmp_path):
    run = beamline(tmp_path, jump_s=1020.0)
    times = find_jump_times([run], BEFORE, AFTER)
    assert times == {1: pytest.approx(1020.0, abs=0.5)}


def test_without_a_jump_before_the_end_of_the_scans_the_time_is_infinite(tmp_path):
    assert find_jump_times([beamline(tmp_path, 1e6)], BEFORE, AFTER) == {1: np.inf}


def test_jump_time_needs_scans_and_steady_pixels(tmp_path):
    assert find_jump_times([], BEFORE, AFTER) == {}
    only_jumping = calibration("cal2", 2000, {1: JUMP_EV})
    run = beamline(tmp_path, jump_s=1020.0)
    assert find_jump_times([run], BEFORE, only_jumping) == {}
