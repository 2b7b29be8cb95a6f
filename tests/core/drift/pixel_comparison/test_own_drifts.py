import numpy as np
import pytest

from rixs_pipeline.core.drift.pixel_comparison.own_drifts import (
    estimate_own_drifts,
    find_split,
)

ERROR, WANDER = 1.3e-4, 2.4e-4


def gains(seed, number, n_stepped, step):
    """Return gains of pixels that wander, of which the first ones step as well."""
    gain = np.random.default_rng(seed).normal(0, np.hypot(ERROR, WANDER), number)
    gain[:n_stepped] += step
    return gain


@pytest.mark.parametrize(
    ("number", "n_stepped", "step"),
    [(5, 1, 4e-3), (6, 1, -3e-3), (6, 2, 4e-3), (6, 2, -4e-3), (24, 5, -3e-3)],
)
def test_pixels_that_step_do_not_move_the_scale(number, n_stepped, step):
    for seed in range(10):
        gain = gains(seed, number, n_stepped, step)
        own = estimate_own_drifts(gain, np.full(number, ERROR))
        assert not own.stays[:n_stepped].any()
        assert own.stays[n_stepped:].mean() > 0.9
        assert find_split(gain, np.full(number, ERROR)) is None or n_stepped > 1
        moved = own.gain[:n_stepped]
        np.testing.assert_allclose(moved, gain[:n_stepped], rtol=0.01)
        assert own.split is None


@pytest.mark.parametrize("number", [4, 6, 16, 48])
def test_pixels_that_wander_all_stay_and_do_not_split(number):
    n_stepped = 0
    for seed in range(100):
        gain = gains(seed, number, 0, 0.0)
        n_stepped += (~estimate_own_drifts(gain, np.full(number, ERROR)).stays).sum()
        assert find_split(gain, np.full(number, ERROR)) is None
    assert n_stepped <= 0.004 * 100 * number + 1


@pytest.mark.parametrize(
    ("number", "n_stepped"), [(4, 2), (5, 2), (6, 3), (24, 10), (240, 100)]
)
def test_an_array_that_splits_has_its_scale_in_the_middle(number, n_stepped):
    for seed in range(10):
        split = find_split(gains(seed, number, n_stepped, 4e-3), np.full(number, ERROR))
        assert split is not None and split.is_comparable
        assert np.flatnonzero(split.is_above).tolist() == list(range(n_stepped))
        assert split.middle == pytest.approx(2e-3, abs=4e-4)
