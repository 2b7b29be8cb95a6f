import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.drift.jumps.baseline_jumps import (
    find_stretches_away,
    find_usual_level,
)
from rixs_pipeline.core.stats.robust import Range

REFERENCE = Range(4973.0, 5027.0)  # 18 standard deviations of 1.5
SECOND = 10**9


def baseline(rng, pulses=1000, drift=10.0):
    """A baseline that drifts, with a scatter of 1.5."""
    return 5000.0 + np.linspace(0, drift, pulses) + rng.normal(0, 1.5, pulses)


def test_a_baseline_that_drifts_has_one_level() -> None:
    for seed in range(20):
        values = baseline(np.random.default_rng(seed), drift=300.0)
        assert find_usual_level(values, REFERENCE) is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("jump", [60.0, -60.0, 4096.0])
def test_the_usual_level_is_that_of_the_reference_run(share, jump) -> None:
    values = baseline(np.random.default_rng(1))
    is_away = np.arange(1000) >= 1000 * (1 - share)
    values[is_away] += jump
    level = find_usual_level(values, REFERENCE)
    assert level is not None and not level.is_usual[is_away].any()
    assert level.is_usual[~is_away].mean() > 0.8
    is_inside = (values > level.limits.low) & (values < level.limits.high)
    assert (is_inside == ~is_away).all()


def test_without_a_reference_the_usual_level_has_most_pulses() -> None:
    values = baseline(np.random.default_rng(1))
    values[:600] += 4096.0
    level = find_usual_level(values, None)
    assert level is not None
    assert level.is_usual[:585].all() and not level.is_usual[600:].any()


def test_stretches_go_from_jump_to_jump() -> None:
    time = np.arange(1000) * SECOND
    is_outside = np.zeros(1000, bool)
    for first, stop in ((100, 120), (300, 600), (980, 1000)):
        is_outside[first:stop] = True
    stretches = find_stretches_away(
        time, np.flatnonzero(is_outside), -SECOND, 1000 * SECOND
    )
    assert (stretches.start_ns / SECOND).tolist() == [99.5, 299.5, 979.5]
    assert (stretches.end_ns / SECOND).tolist() == [119.5, 599.5, 1000.0]
    assert stretches.error == pytest.approx(np.sqrt(5 / 12))


def test_a_baseline_that_is_away_throughout_gives_the_whole_scan() -> None:
    time = np.arange(10) * SECOND
    stretches = find_stretches_away(time, np.arange(10), -1, 10 * SECOND)
    assert (stretches.start_ns, stretches.end_ns) == (-1, 10 * SECOND)


@given(st.integers(0, 10**6), st.floats(0.0, 0.45))
def test_pulses_that_are_often_rejected_are_no_jump(seed, share) -> None:
    outside = np.flatnonzero(np.random.default_rng(seed).random(5000) < share)
    assert not len(find_stretches_away(np.arange(5000), outside, 0, 5000))


def test_the_time_away_is_right_where_other_pulses_are_rejected_too() -> None:
    """A tenth of the pulses is rejected anyway; no bias of half a pulse interval."""
    errors = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        time = np.sort(rng.uniform(0, 300, 1500))
        is_away = (time > 100) & (time < 170)
        outside = np.flatnonzero(is_away | (rng.random(1500) < 0.1))
        time_ns = (time * 1e9).astype(np.int64)
        found = find_stretches_away(time_ns, outside, 0, 300 * SECOND)
        errors.append((found.end_ns - found.start_ns).sum() / 1e9 - 70.0)
    assert abs(np.mean(errors)) < 0.1
    assert np.std(errors) < 0.4
