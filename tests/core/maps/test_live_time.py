from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.maps.live_time import (
    effective_live_time,
    live_time_held_off,
    silent_stretches,
)
from rixs_pipeline.core.maps.scan_counts import PixelCounts, stack_pixels
from rixs_pipeline.types import IntArray, PulseColumns

POINTS = 6


def scan_counts(triggers, after_trigger=0.0):
    """Counts of pixels with 2 s of live time in each point; all pulses are accepted."""
    pixels = [
        PixelCounts(
            pixel=number,
            triggers=np.array(row),
            occupied=np.zeros(POINTS, np.int64),
            countable=np.array(row),
            accepted=np.array(row),
            live_time=np.full(POINTS, 2.0),
            away_time=np.zeros(POINTS),
            away_error=0.0,
            after_trigger=after_trigger,
            pixel_counts=sum(row),
            cut_counts=np.zeros(6, np.int64),
            cut_limits=np.zeros((4, 2)),
        )
        for number, row in enumerate(triggers)
    ]
    return stack_pixels(np.zeros((POINTS, 1), np.int64), pixels)


def test_without_pile_up_it_is_the_live_time_of_the_used_pixels():
    counts = scan_counts([[50] * POINTS, [80] * POINTS])
    live = effective_live_time(counts, np.array([True, False]))
    np.testing.assert_allclose(live.seconds, [[2.0] * POINTS, [0.0] * POINTS])
    assert live.spoiling_time.seconds == 0


@pytest.mark.parametrize(("time", "ratio"), [(0.0, 1.0), (4e-5, np.exp(-0.1))])
def test_a_known_pile_up_time(time, ratio):
    """At rates of 5000/s and 2500/s, exp(-5000 T) and exp(-2500 T) of photons pass."""
    counts = scan_counts([[5000, 10000] * (POINTS // 2)] * 2)
    passing = np.exp(-time * counts.triggers / 2.0)
    counts = replace(counts, accepted=np.round(counts.triggers * passing).astype(int))
    live = effective_live_time(counts, np.array([True, True]), time)
    measured = live.seconds[0, 1] / live.seconds[0, 0]
    np.testing.assert_allclose(measured, ratio, rtol=1e-4)
    assert (live.spoiling_time.seconds, live.spoiling_time.error) == (time, 0.0)


def test_stretches_in_which_a_pixel_is_silent_are_no_live_time():
    counts = scan_counts([[50] * POINTS, [50, 50, 50, 0, 0, 0]])
    live = effective_live_time(counts, np.array([True, True]))
    np.testing.assert_allclose(live.seconds[1], [2.0, 2.0, 2.0, 0.0, 0.0, 0.0])


def records_at(time_ns: IntArray) -> PulseColumns:
    """Records with nothing but times."""
    zero = np.zeros(len(time_ns), np.float32)
    return PulseColumns(time_ns, zero, zero, np.stack([zero] * 3, axis=1))


@given(
    st.lists(st.integers(-50, 150), max_size=40),
    st.lists(st.integers(0, 100), min_size=2, max_size=8, unique=True),
    st.integers(1, 60),
)
def test_live_time_matches_a_tick_by_tick_count(times, limits, hold):
    """Compare with a count of single 1 ns ticks."""
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
    found = live_time_held_off(records_at(time), start, end, hold * 1e-9)
    np.testing.assert_array_equal(np.round(found * 1e9), left)
    assert np.all((found >= 0) & (found <= (end - start) / 1e9))


def test_a_hold_off_gives_the_true_rate_back():
    """At 50 pulses/s, a hold-off of 60 ms leaves 5 % of the time."""
    time = np.cumsum(np.random.default_rng(4).exponential(1e9 / 50, 400_000)).astype(
        np.int64
    )
    hold, end = 60_000_000, time[-1]
    countable = np.count_nonzero(np.diff(time, prepend=-hold) >= hold)
    start_ns, end_ns = np.array([0]), np.array([end])
    live = live_time_held_off(records_at(time), start_ns, end_ns, hold / 1e9)[0]
    assert live / (end / 1e9) == pytest.approx(np.exp(-3), rel=0.02)
    assert countable / live == pytest.approx(50, abs=4 * 50 / np.sqrt(countable))


def test_silence_by_chance_is_no_stretch():
    rng = np.random.default_rng(0)
    triggers = rng.poisson(2.0, (8, 300))
    assert not silent_stretches(triggers).any()
    triggers[3, 100:140] = 0
    found = silent_stretches(triggers)
    assert found[3, 100:140].all()
    assert found.sum() <= 44  # a point beside the stretch may be silent by chance
    assert not np.delete(found, 3, axis=0).any()
