import numpy as np
import pytest

from rixs_pipeline.core.drift.pulse_tails.hold_off import (
    estimate_hold_offs,
    measure_deviations,
)

LINES = np.array([4000.0, 8000.0, 12000.0])
WINDOW, SPREAD, NOISE = 75.0, 15.0, 4.5  # 15 units are an eV


def pixel(
    seed: int,
    size: float,
    decay: float = 0.02,
    rate: float = 10.0,
    n: int = 9000,
    lift: float = 0.0,
):
    """Return the deviations of pulses in three lines on a background.

    The last pulse adds `size` exp(-t/decay) to the pulse height, and `lift` times that
    decay to the baseline.
    """
    rng = np.random.default_rng(seed)
    since = rng.exponential(1 / rate, n) + 0.005
    since[0] = np.inf
    tail = np.exp(-since / decay)
    height = np.where(
        rng.random(n) < 0.6,
        rng.choice(LINES, n) + rng.normal(0, SPREAD, n),
        rng.uniform(2e3, 14e3, n),
    )
    base = np.linspace(5000, 5020, n) + rng.normal(0, NOISE, n) + lift * tail
    return measure_deviations(since, height + size * tail, base, LINES, WINDOW)


def test_pulses_without_a_tail_need_no_hold_off():
    for seed in range(20):
        assert not estimate_hold_offs(
            [pixel(100 * seed + k, 0.0) for k in range(4)]
        ).any()


@pytest.mark.parametrize("size", [-90.0, 90.0])
def test_the_hold_off_covers_the_tail(size):
    """Of six eV that decay in 20 ms, less than half an eV remains."""
    seconds = estimate_hold_offs([pixel(k, size) for k in range(8)])
    assert np.all((seconds > 0.02 * np.log(90 / 7.5)) & (seconds < 0.15))


def test_a_baseline_lifted_by_less_than_its_scatter_does_not_matter():
    assert not estimate_hold_offs([pixel(k, 0.0, lift=4.0) for k in range(20)]).any()
    assert estimate_hold_offs([pixel(k, 0.0, lift=40.0) for k in range(20)]).all()


def test_a_pixel_with_a_longer_tail_has_a_longer_hold_off():
    """It has enough pulses for a hold-off of its own."""
    seconds = estimate_hold_offs(
        [pixel(k, 0.0) for k in range(30)] + [pixel(99, 120.0, decay=0.05, n=60_000)]
    )
    assert not seconds[:-1].any() and seconds[-1] > 0.05


def test_pixels_without_pulses_or_lines_have_the_hold_off_of_the_array():
    empty = np.empty(0)
    no_pulses = measure_deviations(empty, empty, empty, LINES, WINDOW)
    two_pulses = measure_deviations(
        np.array([np.inf, 0.1]),
        np.array([4000.0, 4001]),
        np.full(2, 5000.0),
        empty,
        WINDOW,
    )
    assert estimate_hold_offs([no_pulses, two_pulses]).tolist() == [0, 0]
    assert estimate_hold_offs([]).tolist() == []
    with_tail = [pixel(k, 90.0) for k in range(8)]
    assert (
        estimate_hold_offs([*with_tail, no_pulses])[-1]
        == estimate_hold_offs(with_tail).min()
        > 0
    )
