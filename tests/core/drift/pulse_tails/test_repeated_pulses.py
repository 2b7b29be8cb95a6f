from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import rankdata

from rixs_pipeline.core.drift.pulse_tails.hold_off import EDGES_S
from rixs_pipeline.core.drift.pulse_tails.repeated_pulses import (
    find_repeated_pulses,
    pair_pulses,
)

RECORD_S = 0.005
LINES = np.array([4000.0, 8000.0, 12000.0])


def pixel(
    seed,
    share=0.0,
    delay=0.006,
    height=0.97,
    rate=15.0,
    n=4000,
    lift=0.0,
    since_last=np.inf,
):
    """Return the pairs of pulses, a share of which is recorded again."""
    rng = np.random.default_rng(seed)
    waits = rng.exponential(1 / rate, n) + RECORD_S
    time = np.cumsum(waits)
    heights = rng.choice(LINES, n) + rng.normal(0, 20, n)
    heights[1:] += lift * heights[:-1] * np.exp(-waits[1:] / 0.02)
    chosen = rng.random(n) < share
    times = np.concatenate([time, time[chosen] + delay])
    order = np.argsort(times)
    both = np.concatenate([heights, height * heights[chosen]])
    waits = np.diff(times[order], prepend=times[0] - since_last)
    return pair_pulses(times[order], waits, both[order], RECORD_S)


def test_pairs_equal_a_plain_count():
    """Rank by rank and bin by bin; the first pulse has none before it."""
    rng = np.random.default_rng(1)
    since_last = rng.exponential(0.5, 500)
    since_last[0] = np.inf
    time = np.cumsum(np.append(0.0, since_last[1:]))
    heights = rng.permutation(np.linspace(1e-3, 1e5, 500)).astype("f4").astype(float)
    pairs = pair_pulses(time, since_last, heights, RECORD_S)
    waits = since_last[1:]
    late = waits[waits > np.median(waits)] - np.median(waits)
    bins = pairwise(EDGES_S)
    at_risk = [np.clip(waits - low, 0, high - low).sum() for low, high in bins]
    np.testing.assert_allclose(pairs.expected, np.array(at_risk) / late.mean())
    np.testing.assert_array_equal(pairs.number, np.histogram(waits, EDGES_S)[0])
    rank = (2 * rankdata(heights) - 501) / 499 * np.sqrt(3)
    second, first = rank[1:], rank[:-1]
    powers = (second**0, second, first, second * first, second**2, first**2)
    for moment, power in zip(pairs.moments, powers, strict=True):
        expected = np.histogram(waits, EDGES_S, weights=power)[0]
        np.testing.assert_allclose(moment, expected, atol=1e-9)


@pytest.mark.parametrize("lift", [0.0, 0.01])
def test_independent_pulses_are_not_repeated(lift):
    for seed in range(30):
        pixels = [pixel(10 * seed + k, lift=lift) for k in range(6)]
        assert not any(found.share for found in find_repeated_pulses(pixels))


@pytest.mark.parametrize("delay", [0.002, 0.006, 0.02])
@pytest.mark.parametrize(("share", "height"), [(0.2, 0.97), (0.03, 0.5)])
def test_repeated_pulses_are_found_with_their_delay(delay, share, height):
    pixels = [pixel(k, share, delay, height) for k in range(6)]
    for found in find_repeated_pulses(pixels):
        assert found.longest > delay
        assert found.longest < max(2 * delay, 1.01 * RECORD_S)
        assert found.share == pytest.approx(share / (1 + share), rel=0.5)


def test_a_wait_that_began_long_before_the_run_says_nothing_of_its_rate():
    after_a_break = [pixel(k, 0.1, 0.02, 0.5, since_last=7200.0) for k in range(6)]
    others = [pixel(k, 0.1, 0.02, 0.5) for k in range(6)]
    found = find_repeated_pulses(after_a_break)
    assert found == find_repeated_pulses(others)
    for of_pixel in found:
        assert of_pixel.share == pytest.approx(0.1 / 1.1, rel=0.3)


def test_one_pixel_of_many_may_repeat_its_pulses():
    found = find_repeated_pulses([pixel(k, 0.1 * (k == 2)) for k in range(5)])
    assert [of_pixel.share > 0 for of_pixel in found] == [False, False, True] + [
        False
    ] * 2


def test_pixels_with_few_pulses_are_added():
    few = [pixel(k, 0.1, n=60) for k in range(40)]
    assert sum(found.share > 0 for found in find_repeated_pulses(few[:1])) == 0
    assert all(found.share > 0 for found in find_repeated_pulses(few))
    empty = pair_pulses(np.empty(0), np.empty(0), np.empty(0), RECORD_S)
    assert not find_repeated_pulses([empty])[0].share
    assert find_repeated_pulses([]) == []
