import numpy as np
import pytest

from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.point_records import (
    MIN_PULSES_FOR_CUTS,
    PointRecords,
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


def test_live_time_is_without_dead_time_or_the_longer_hold_off(tmp_path):
    scan_points = points(1, dwell_s=2.0)
    times = scan_points.start_ns[0] + np.array([0, 500, 1000]) * 10**6
    records = find_point_records(write_pulses(tmp_path, times), scan_points)
    np.testing.assert_allclose(records.live_time(0.0), [2.0 - 3 * DEAD_S])
    np.testing.assert_allclose(records.live_time(DEAD_S / 2), [2.0 - 3 * DEAD_S])
    np.testing.assert_allclose(records.live_time(0.1), [2.0 - 3 * 0.1])


def records_of_counts(number, dead_time, dwell_s=1.0):
    """Records of a pixel, so many in each point; their times do not matter."""
    return PointRecords(
        pixel=1,
        points=points(len(number), dwell_s=dwell_s),
        columns=None,
        slices=None,
        number=np.array(number),
        dead_time=dead_time,
        after_trigger=0.0,
    )


def test_live_time_removes_a_record_a_trigger_and_stays_positive():
    live = records_of_counts([10, 0, 500], dead_time=0.005).live_time(0.0)
    np.testing.assert_allclose(live, [0.95, 1.0, 0.0])


def test_live_time_gives_the_true_rate_back():
    """A record blinds the detector: at 50 counts/s, 20 % are lost."""
    rng = np.random.default_rng(1)
    rate, dead, dwell = 50.0, 0.0049, 4000.0
    gaps = rng.exponential(1 / rate, round(rate * dwell)) + dead
    triggers = int(np.searchsorted(np.cumsum(gaps), dwell))
    live = records_of_counts([triggers], dead, dwell).live_time(0.0)[0]
    assert live / dwell == pytest.approx(0.80, abs=0.01)
    assert triggers / live == pytest.approx(rate, abs=4 * rate / np.sqrt(triggers))


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


def test_a_pixel_whose_pulses_changed_has_no_cuts(tmp_path):
    """The residuals are far above those of the reference run, which end at 100."""
    changed = records(tmp_path, MIN_PULSES_FOR_CUTS, residual=500.0)
    assert select_cuts(changed, energy(), 6.0) is None


def test_a_pixel_without_calibration_has_no_cuts(tmp_path):
    assert select_cuts(records(tmp_path, 10), PixelEnergy(DEAD), 6.0) is None
