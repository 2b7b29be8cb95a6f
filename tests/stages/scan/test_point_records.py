import numpy as np
import pytest

from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.point_records import (
    MIN_PULSES_FOR_CUTS,
    find_point_records,
    select_cuts,
)
from tests.stages.builders import DEAD, DEAD_S, LIMITS, OK, params, points, write_off


def write_pulses(folder, time_ns):
    return write_off(folder / "x_chan7.off", time_ns, np.full(len(time_ns), 700.0))


def test_records_belong_to_the_point_in_whose_window_they_lie(tmp_path):
    scan_points = points(2)
    start, end = scan_points.start_ns, scan_points.end_ns
    times = [start[0] - 1, start[0], end[0] - 1, end[0], start[1], end[1]]
    records = find_point_records(write_pulses(tmp_path, times), scan_points)
    assert records.pixel == 7
    assert records.number.tolist() == [2, 1]
    assert records.slices.first.tolist() == [1, 4]
    assert records.columns.time_ns.tolist() == times
    assert records.dead_time == records.after_trigger == DEAD_S


def test_records_that_are_not_in_order_of_time_are_sorted(tmp_path):
    scan_points = points(1)
    times = scan_points.start_ns[0] + np.array([300, 100, 200])
    records = find_point_records(write_pulses(tmp_path, times), scan_points)
    assert records.number.tolist() == [3]
    assert records.columns.time_ns.tolist() == sorted(times)


def records(folder, number, residual=20.0):
    """Records of a pixel in a scan with one point."""
    scan_points = points(1, dwell_s=10.0)
    time = scan_points.start_ns[0] + np.arange(number) * 10**6
    energy = np.full(number, 700.25)
    path = write_off(folder / "x_chan1.off", time, energy, residual)
    return find_point_records(path, scan_points)


def energy(limits=LIMITS):
    return PixelEnergy(OK, (params(), params()), CutLimits.from_table(limits))


def test_enough_pulses_learn_their_cuts_in_the_scan(tmp_path):
    limits = LIMITS.copy()
    limits[3, 0] = 0.004
    learned = select_cuts(records(tmp_path, MIN_PULSES_FOR_CUTS), energy(limits), 6.0)
    assert learned.residual == pytest.approx((14.0, 26.0), abs=2.0)
    assert learned.since_last.low == 0.004


def test_few_pulses_have_the_cuts_of_the_reference_run(tmp_path):
    selected = select_cuts(records(tmp_path, MIN_PULSES_FOR_CUTS - 1), energy(), 6.0)
    np.testing.assert_array_equal(selected.to_table(), LIMITS)


def test_the_cut_of_few_pulses_follows_the_baseline(tmp_path):
    """The baseline, 7000, lies outside the cut of the reference run."""
    limits = LIMITS.copy()
    limits[1] = 6900.0, 6980.0
    selected = select_cuts(records(tmp_path, 100), energy(limits), 6.0)
    assert selected.pretrigger == pytest.approx((6960.0, 7040.0), abs=2.0)


def test_a_pixel_whose_pulses_are_negative_in_the_scan_has_no_cuts(tmp_path):
    scan_points = points(1, dwell_s=10.0)
    time = scan_points.start_ns[0] + np.arange(MIN_PULSES_FOR_CUTS) * 10**6
    path = write_off(tmp_path / "x_chan1.off", time, np.full(len(time), -700.25))
    assert select_cuts(find_point_records(path, scan_points), energy(), 6.0) is None


def test_a_pixel_whose_pulses_changed_has_no_cuts(tmp_path):
    """The residuals are far above those of the reference run, which end at 100."""
    changed = records(tmp_path, MIN_PULSES_FOR_CUTS, residual=500.0)
    assert select_cuts(changed, energy(), 6.0) is None


def test_a_pixel_without_calibration_has_no_cuts(tmp_path):
    assert select_cuts(records(tmp_path, 10), PixelEnergy(DEAD), 6.0) is None
