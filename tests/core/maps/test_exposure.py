import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.maps.exposure import (
    beam_off,
    complete_throughput,
    exposure,
    has_interruption,
    throughput,
)
from rixs_pipeline.core.maps.scan_counts import ScanCounts


def scan_counts(pixel_counts: list[int]) -> ScanCounts:
    """Counts of pixels 0, 1, ... of a scan with one point, so many of each pixel."""
    counts = np.array(pixel_counts)[:, None]
    return ScanCounts(
        map_counts=counts.sum(axis=0, keepdims=True),
        pixel=np.arange(len(counts)),
        triggers=counts,
        occupied=np.zeros(counts.shape, np.int64),
        countable=counts,
        accepted=counts,
        live_time=np.ones(counts.shape),
        away_time=np.zeros(counts.shape),
        away_error=np.zeros(len(counts)),
        after_trigger=np.zeros(len(counts)),
        pixel_counts=counts[:, 0],
        cut_counts=np.zeros((len(counts), 6), np.int64),
        cut_limits=np.zeros((len(counts), 4, 2)),
    )


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


def test_beam_dump_longer_than_half_of_the_scan_is_detected():
    i0 = np.concatenate([np.full(40, 1e5), np.full(60, 1e3)])
    off = beam_off(i0, np.zeros(100, np.int64), np.ones(100), 0.1)
    np.testing.assert_array_equal(off, np.arange(100) >= 40)


def test_a_pixel_without_throughput_gets_its_rate_on_the_scale_of_the_others():
    """Rates of 1, 2 and 3 photons/s: two pixels have the throughputs 0.5 and 1."""
    counts = scan_counts([10, 20, 30])
    completed = complete_throughput({0: 0.5, 1: 1.0}, counts, np.full(3, 10.0))
    np.testing.assert_allclose(completed, [0.5, 1.0, 1.5])


def test_without_photons_of_the_other_pixels_the_throughput_is_one():
    counts = scan_counts([0, 30])
    completed = complete_throughput({0: 0.5}, counts, np.array([0.0, 10.0]))
    np.testing.assert_array_equal(completed, [0.5, 1.0])


FULL = 2**32 - 1


def silent_parts(first, stop):
    """Bits of a point without records in some of its 32 parts."""
    return FULL & ~sum(1 << part for part in range(first, stop))


def interrupted(occupied, number):
    """Interruptions of three pixels that share the records of each point."""
    bits = np.array(occupied)
    of_pixels = np.array([bits & 0x0F0F0F0F, bits & 0xF0F0F0F0, 0 * bits])
    triggers = np.full(of_pixels.shape, number)
    triggers[:2, bits == 0] = 0
    return has_interruption(triggers, of_pixels).tolist()


@pytest.mark.parametrize(("first", "stop"), [(0, 16), (10, 13), (29, 32)])
def test_a_silence_within_a_point_is_an_interruption(first, stop):
    occupied = [FULL, FULL, silent_parts(first, stop), FULL, 0, FULL]
    found = interrupted(occupied, 200)
    assert found == [False, False, True, False, False, False]


def test_a_silence_that_may_be_chance_is_none():
    """28 triggers lie in one half of a point once in 10^8, 30 less often still."""
    occupied = [FULL, silent_parts(3, 19), FULL]
    assert not any(interrupted(occupied, 14))
    assert interrupted(occupied, 15) == [False, True, False]


def test_a_short_silence_is_none():
    assert not any(interrupted([FULL, silent_parts(3, 5), FULL], 10_000))


def test_a_burst_of_noise_makes_no_silence_of_the_rest():
    occupied = np.array([[FULL, silent_parts(0, 16), FULL, FULL]])
    triggers = np.array([[12, 300, 12, 12]])
    assert not has_interruption(triggers, occupied).any()


def test_a_silence_in_most_points_is_usual():
    opening = silent_parts(0, 6)
    assert not any(interrupted([opening, opening, FULL, opening], 1000))
    found = interrupted([opening, opening, silent_parts(0, 9), opening], 1000)
    assert found == [False, False, True, False]


def test_without_times_there_is_no_interruption():
    assert not any(interrupted([0, 0, 0], 1000))
    assert has_interruption(np.empty((0, 3), int), np.empty((0, 3), int)).shape == (3,)
