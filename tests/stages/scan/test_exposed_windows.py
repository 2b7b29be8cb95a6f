import numpy as np
import pytest

from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.stages.scan.exposed_windows import find_exposed_windows
from rixs_pipeline.stages.scan.point_records import find_point_records
from tests.stages.builders import CUTS, DEAD_S, DTYPE, LIMITS, SECOND, points, write_off


def find_records(folder, time_ns, scan_points, baseline=None):
    """Records of a pixel at given times, with given pretrigger means."""
    path = write_off(folder / "x_chan7.off", time_ns, np.full(len(time_ns), 700.0))
    if baseline is not None:
        data = path.read_bytes()
        start = len(data) - len(time_ns) * DTYPE.itemsize
        records = np.frombuffer(data, DTYPE, offset=start).copy()
        records["pretrigger"] = baseline
        path.write_bytes(data[:start] + records.tobytes())
    return find_point_records(path, scan_points)


def live_time(records, hold_off, limits=CUTS):
    return find_exposed_windows(records, limits).live_time(records, hold_off)


def test_live_time_is_without_dead_time_or_the_longer_hold_off(tmp_path):
    scan_points = points(1, dwell_s=2.0)
    times = scan_points.start_ns[0] + np.array([0, 500, 1000]) * 10**6
    records = find_records(tmp_path, times, scan_points)
    np.testing.assert_allclose(live_time(records, 0.0), [2.0 - 3 * DEAD_S])
    np.testing.assert_allclose(live_time(records, DEAD_S / 2), [2.0 - 3 * DEAD_S])
    np.testing.assert_allclose(live_time(records, 0.1), [2.0 - 3 * 0.1])


def test_live_time_removes_a_record_a_trigger_and_stays_positive(tmp_path):
    scan_points = points(3, dwell_s=1.0)
    many = scan_points.start_ns[2] + np.arange(500) * 10**6
    few = scan_points.start_ns[0] + np.arange(10) * 10**6
    records = find_records(tmp_path, np.concatenate([few, many]), scan_points)
    np.testing.assert_allclose(live_time(records, 0.0), [0.95, 1.0, 0.0])


def test_live_time_gives_the_true_rate_back(tmp_path):
    """A record blinds the detector: at 50 counts/s, 20 % are lost."""
    rng = np.random.default_rng(1)
    rate, dwell = 50.0, 1000.0
    scan_points = points(1, dwell_s=dwell)
    gaps = np.cumsum(rng.exponential(1 / rate, round(rate * dwell)) + DEAD_S)
    times = scan_points.start_ns[0] + (gaps[gaps < dwell] * SECOND).astype(np.int64)
    records = find_records(tmp_path, times, scan_points)
    live = live_time(records, 0.0)[0]
    assert live / dwell == pytest.approx(0.80, abs=0.01)
    assert len(times) / live == pytest.approx(rate, abs=4 * rate / np.sqrt(len(times)))


@pytest.mark.parametrize("hold_off", [0.0, 0.02])
def test_a_pixel_is_not_exposed_while_its_baseline_is_away(tmp_path, hold_off):
    """Away from 3 s to 6 s of ten: 3 s, the rest of a point, are no exposure."""
    scan_points = points(4, dwell_s=2.0)  # at 0, 2.5, 5 and 7.5 s
    seconds = np.arange(0.05, 9.5, 0.1)
    is_away = (seconds > 3.0) & (seconds < 6.0)
    times = scan_points.start_ns[0] + (seconds * SECOND).astype(np.int64)
    baseline = np.where(is_away, 11096.0, 7000.0)
    records = find_records(tmp_path, times, scan_points, baseline)
    windows = find_exposed_windows(records, CUTS)
    assert windows.row.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(windows.duration, [2.0, 0.5, 1.0, 2.0], atol=0.06)
    blind = max(hold_off, DEAD_S) * windows.number
    np.testing.assert_allclose(
        windows.live_time(records, hold_off), windows.duration - blind, atol=1e-9
    )
    assert 0 < windows.away_error < 0.1


def test_a_point_is_exposed_before_and_after_a_short_jump(tmp_path):
    scan_points = points(1, dwell_s=10.0)
    seconds = np.arange(0.05, 10.0, 0.1)
    is_away = (seconds > 4.0) & (seconds < 6.0)
    times = scan_points.start_ns[0] + (seconds * SECOND).astype(np.int64)
    records = find_records(
        tmp_path, times, scan_points, np.where(is_away, 2904.0, 7000.0)
    )
    windows = find_exposed_windows(records, CUTS)
    assert windows.row.tolist() == [0, 0]
    np.testing.assert_allclose(windows.duration, [4.0, 4.0], atol=0.06)
    assert windows.sum_by_point(windows.number, 1).tolist() == [80]


def test_without_cuts_and_without_jumps_the_windows_are_the_points(tmp_path):
    scan_points = points(2)
    times = scan_points.start_ns[0] + np.arange(20) * 10**8
    records = find_records(tmp_path, times, scan_points)
    limits = CutLimits.from_table(LIMITS)
    for cuts in (None, limits):
        windows = find_exposed_windows(records, cuts)
        assert windows.row.tolist() == [0, 1]
        assert windows.away_error == 0
        np.testing.assert_array_equal(windows.start_ns, scan_points.start_ns)
