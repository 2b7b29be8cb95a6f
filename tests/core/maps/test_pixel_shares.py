import numpy as np
import pytest

from rixs_pipeline.core.maps.pixel_shares import find_share_changes

POINTS = 60


def draw(n_pixels, seed=1, rate=40.0, share=None):
    """Counts and live time: rates of pixels and points differ, `share` is recorded."""
    rng = np.random.default_rng(seed)
    pixel = rng.uniform(0.7, 1.4, n_pixels)
    point = rate * (1 + 2 * np.exp(-((np.arange(POINTS) - 35) ** 2) / 18))
    live_time = rng.uniform(0.8, 1.0, (n_pixels, POINTS))
    share = np.ones((n_pixels, POINTS)) if share is None else share
    return rng.poisson(pixel[:, None] * point * live_time * share), live_time


def with_loss(n_pixels, lost, factor, window=slice(30, None)):
    share = np.ones((n_pixels, POINTS))
    share[lost, window] = factor
    return share


@pytest.mark.parametrize(("n_pixels", "rate"), [(2, 300.0), (10, 40.0), (240, 1.5)])
def test_constant_shares_are_no_change(n_pixels, rate):
    for seed in range(30):
        assert find_share_changes(*draw(n_pixels, seed, rate)) == []


def test_a_pixel_that_loses_half_of_its_counts():
    counts, live_time = draw(10, share=with_loss(10, [3], 0.5, slice(20, None)))
    (change,) = find_share_changes(counts, live_time)
    assert np.flatnonzero(change.is_changed).tolist() == [3]
    assert abs(change.first - 20) <= 1 and change.stop == POINTS
    assert change.ratio == pytest.approx(0.5, abs=0.05)


def test_a_loss_at_the_begin_is_no_gain_later():
    counts, live_time = draw(10, share=with_loss(10, [3], 0.5, slice(0, 20)))
    (change,) = find_share_changes(counts, live_time)
    assert change.first == 0 and abs(change.stop - 20) <= 1 and change.ratio < 0.6


def test_half_of_the_pixels_that_lose_a_third():
    lost = [1, 3, 5, 7, 9]
    counts, live_time = draw(10, rate=60.0, share=with_loss(10, lost, 0.67))
    (change,) = find_share_changes(counts, live_time)
    assert change.is_changed.sum() == 5 and change.ratio == pytest.approx(
        0.67, abs=0.04
    )
    assert len(set(np.flatnonzero(change.is_changed) % 2)) == 1


def test_two_pixels_that_change_at_different_points():
    share = with_loss(10, [2], 0.5) * with_loss(10, [6], 1.8, slice(5, 15))
    changes = find_share_changes(*draw(10, share=share))
    found = {int(np.argmax(change.is_changed)): change for change in changes}
    assert sorted(found) == [2, 6]
    assert abs(found[6].first - 5) <= 1 and abs(found[6].stop - 15) <= 1
    assert found[6].ratio == pytest.approx(1.8, abs=0.2)


def test_a_small_change_is_not_reported_however_significant():
    counts, live_time = draw(10, rate=1e5, share=with_loss(10, [3, 4], 0.93))
    assert find_share_changes(counts, live_time) == []
    counts[7, :10] //= 2
    (change,) = find_share_changes(counts, live_time)
    assert np.flatnonzero(change.is_changed).tolist() == [7]
    assert (change.first, change.stop) == (0, 10)


def test_points_without_live_time_do_not_count():
    counts, live_time = draw(10, share=with_loss(10, [3], 0.0))
    live_time[3, 30:] = 0
    assert find_share_changes(counts, live_time) == []


def test_nothing_to_compare():
    counts, live_time = draw(10)
    assert find_share_changes(counts[:1], live_time[:1]) == []
    assert find_share_changes(counts * 0, live_time) == []
    assert find_share_changes(counts[:, :1], live_time[:, :1]) == []
    assert find_share_changes(counts[:, :0], live_time[:, :0]) == []
