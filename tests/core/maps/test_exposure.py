import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.maps.exposure import (
    beam_off,
    exposure,
    live_time,
    live_time_held_off,
    silent_stretches,
    throughput,
)


def test_live_time_removes_a_record_a_trigger_and_stays_positive() -> None:
    live = live_time(
        np.array([1.0, 2.0]), np.array([[10, 0], [100, 500]]), np.array([0.005, 0.01])
    )
    np.testing.assert_allclose(live, [[0.95, 2.0], [0.0, 0.0]])


def test_live_time_gives_the_true_rate_back() -> None:
    """A record blinds the detector: at 50 counts/s, 20 % are lost."""
    rng = np.random.default_rng(1)
    rate, dead, dwell = 50.0, 0.0049, 4000.0
    gaps = rng.exponential(1 / rate, round(rate * dwell)) + dead
    triggers = int(np.searchsorted(np.cumsum(gaps), dwell))
    live = live_time(np.array([dwell]), np.array([[triggers]]), np.array([dead]))[0, 0]
    assert live / dwell == pytest.approx(0.80, abs=0.01)
    assert triggers / live == pytest.approx(rate, abs=4 * rate / np.sqrt(triggers))


@given(
    st.lists(st.integers(-50, 150), max_size=40),
    st.lists(st.integers(0, 100), min_size=2, max_size=8, unique=True),
    st.integers(1, 60),
)
def test_what_is_left_without_the_hold_offs_is_counted_tick_by_tick(
    times, limits, hold
):
    """Compare with ticks of a ns, counted one by one."""
    time, limits = (
        np.sort(np.array(times, dtype=np.int64)),
        np.sort(np.array(limits, dtype=np.int64)),
    )
    start, end = limits[:-1], limits[1:]
    held = {tick for t in times for tick in range(t, t + hold)}
    left = [
        sum(tick not in held for tick in range(s, e))
        for s, e in zip(start, end, strict=True)
    ]
    found = live_time_held_off(time, start, end, hold * 1e-9)
    np.testing.assert_array_equal(np.round(found * 1e9), left)
    assert np.all((found >= 0) & (found <= (end - start) / 1e9))


def test_a_hold_off_gives_the_true_rate_back():
    """At 50 pulses/s, a hold-off of 60 ms leaves 5 % of the time."""
    time = np.cumsum(np.random.default_rng(4).exponential(1e9 / 50, 400_000)).astype(
        np.int64
    )
    hold, end = 60_000_000, time[-1]
    countable = np.count_nonzero(np.diff(time, prepend=-hold) >= hold)
    live = live_time_held_off(time, np.array([0]), np.array([end]), hold / 1e9)[0]
    assert live / (end / 1e9) == pytest.approx(np.exp(-3), rel=0.02)
    assert countable / live == pytest.approx(50, abs=4 * 50 / np.sqrt(countable))


def test_throughput_has_mean_one_over_the_pixels_with_counts() -> None:
    relative = throughput(np.array([100, 300, 0, 0]), np.array([10.0, 10.0, 10.0, 0.0]))
    np.testing.assert_allclose(relative, [0.5, 1.5, 0.0, np.nan])


def test_throughput_without_counts() -> None:
    np.testing.assert_array_equal(
        throughput(np.array([0, 0]), np.array([1.0, 0.0])), [1.0, np.nan]
    )


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.1, 1e4)), min_size=1))
def test_throughput_conserves_the_live_time(pixels: list[tuple[int, float]]) -> None:
    counts, live = np.array(pixels).T
    relative = throughput(counts.astype(int), live)
    if counts.any():
        assert relative[counts > 0].mean() == pytest.approx(1.0)


def test_exposure_sums_pixels_and_follows_i0() -> None:
    live = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])
    weight = np.array([0.5, 1.5, np.nan])
    np.testing.assert_allclose(exposure(live, weight, None, np.nan), [5.0, 7.0])
    np.testing.assert_allclose(
        exposure(live, weight, np.array([2.0, np.nan]), 4.0), [2.5, np.nan]
    )


def test_a_lost_pixel_does_not_move_the_intensity() -> None:
    """Two scans of one rate; the better pixel is lost in the second."""
    rate = np.array([10.0, 30.0])
    live = np.array([[100.0, 100.0], [100.0, 0.0]])  # pixel, scan
    counts = rate[:, None] * live
    weight = throughput(counts.sum(axis=1).astype(int), live.sum(axis=1))
    intensity = counts.sum(axis=0) / exposure(live, weight, None, 1.0)
    assert intensity[0] == pytest.approx(intensity[1])


def test_beam_off_by_i0() -> None:
    i0 = np.array([1.0, 1.1, 0.09, np.nan, -1.0, 0.0, 0.9])
    np.testing.assert_array_equal(
        beam_off(i0, np.full(7, 100), np.ones(7), 0.1),
        [False, False, True, True, True, True, False],
    )
    assert beam_off(np.array([0.0, np.nan]), np.ones(2, int), np.ones(2), 0.1).all()


@pytest.mark.parametrize("off", [[0], [59], [20, 21], list(range(10, 40))])
def test_beam_off_by_triggers_also_in_a_long_outage(off: list[int]) -> None:
    rate = 100 + 300 * (np.arange(60) > 30)  # a strong edge in the middle
    triggers = np.random.default_rng(2).poisson(rate)
    triggers[off] = 0
    np.testing.assert_array_equal(
        np.flatnonzero(beam_off(None, triggers, np.ones(60), 0.1)), off
    )


def test_beam_off_goes_by_rate_not_by_number() -> None:
    triggers = np.full(20, 1000)
    dwell = np.ones(20)
    triggers[5], dwell[5] = 10, 0.01  # a short point with beam
    triggers[8], dwell[8] = 0, 0.0
    assert not beam_off(None, triggers, dwell, 0.1).any()


@pytest.mark.parametrize("mean", [0.1, 3.0, 15.0, 25.0])
def test_beam_off_never_by_chance(mean: float) -> None:
    triggers = np.random.default_rng(3).poisson(mean, 50_000)
    assert not beam_off(None, triggers, np.ones(50_000), 0.1).any()


@pytest.mark.parametrize("number", [0, 1, 3])
def test_beam_off_of_few_points(number: int) -> None:
    assert not beam_off(None, np.full(number, 100), np.ones(number), 0.1).any()
    assert not beam_off(None, np.zeros(number, int), np.ones(number), 0.1).any()
    assert (
        beam_off(np.ones(number), np.zeros(number, int), np.ones(number), 0.1).sum()
        == 0
    )


def test_silence_by_chance_is_no_stretch():
    rng = np.random.default_rng(0)
    triggers = rng.poisson(2.0, (8, 300))
    assert not silent_stretches(triggers).any()
    triggers[3, 100:140] = 0
    found = silent_stretches(triggers)
    assert found[3, 100:140].all()
    assert found.sum() <= 44  # a point beside the stretch may be silent by chance
    assert not np.delete(found, 3, axis=0).any()


def test_a_beam_dump_longer_than_half_of_the_scan_is_seen():
    i0 = np.concatenate([np.full(40, 1e5), np.full(60, 1e3)])
    off = beam_off(i0, np.zeros(100, np.int64), np.ones(100), 0.1)
    np.testing.assert_array_equal(off, np.arange(100) >= 40)
