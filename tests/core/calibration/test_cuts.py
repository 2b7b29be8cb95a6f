from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration.cuts import (
    CUT_NAMES,
    CutLimits,
    apply_cuts,
    have_changed,
    learn_limits,
    stack_limits,
)
from rixs_pipeline.core.stats.robust import Range

N = 5000
REFERENCE = CutLimits(Range(30, 50), Range(4000, 4100), Range(-2, 2))


@dataclass
class Pulses:
    """Pulses of one pixel."""

    pulse_height: np.ndarray
    phase: np.ndarray
    pretrigger_mean: np.ndarray
    residual: np.ndarray
    since_last: np.ndarray


def photons(seed: int = 0, n: int = N) -> Pulses:
    """Return good pulses of a pixel; the baseline drifts by 40 units, as overnight."""
    rng = np.random.default_rng(seed)
    return Pulses(
        pulse_height=rng.uniform(4000, 12000, n),
        phase=rng.uniform(-0.9, 0.3, n),
        pretrigger_mean=np.linspace(5000, 5040, n) + rng.normal(0, 4.5, n),
        residual=rng.normal(30, 2, n),
        since_last=np.concatenate([[np.inf], rng.exponential(0.1, n)])[:n],
    )


def learn(pulses: Pulses, width: float = 6.0) -> CutLimits:
    limits = learn_limits(pulses, width)
    assert limits is not None
    return limits


def test_photons_pass() -> None:
    pulses = photons()
    passed = apply_cuts(pulses, learn(pulses))
    assert passed.is_accepted.all()  # 6 sigma: 2e-9 of a Gaussian
    assert passed.counts.tolist() == [N] * len(CUT_NAMES)


def test_a_baseline_that_moves_late_costs_no_photons() -> None:
    """22 units is the real jump, 40 a night's drift; nonsense is thousands away."""
    pulses = photons()
    noise = np.random.default_rng(3).normal(0, 4.5, N)
    pulses.pretrigger_mean = 5000 + noise + 40.0 * (np.arange(N) > 0.85 * N)
    assert apply_cuts(pulses, learn(pulses)).is_accepted.all()


def test_every_cut_rejects_its_outliers_and_counts_them() -> None:
    pulses = photons()
    nonsense = [np.nan, np.inf, -np.inf, 0, -5, -1e4] + 4 * [np.nan]
    pulses.pulse_height[:10] = nonsense
    pulses.residual[10:15] = 500.0
    pulses.pretrigger_mean[15:18] = [-3e4, 0, 6e4]
    pulses.phase[18:20] = [-30, 12]
    passed = apply_cuts(pulses, learn(pulses))
    assert dict(zip(CUT_NAMES, passed.counts.tolist(), strict=True)) == {
        "all": N,
        "finite": N - 10,
        "residual": N - 15,
        "pretrigger": N - 18,
        "phase": N - 20,
        "since_last": N - 20,
    }
    assert not passed.is_accepted[:20].any()
    assert passed.is_accepted[20:].all()


def test_a_hold_off_rejects_pulses_that_come_too_soon_and_no_others() -> None:
    pulses = photons()
    limits = replace(learn(pulses), since_last=Range(0.03, np.inf))
    passed = apply_cuts(pulses, limits)
    np.testing.assert_array_equal(passed.is_accepted, pulses.since_last >= 0.03)
    assert passed.counts[-1] == passed.is_accepted.sum() < passed.counts[-2] == N
    assert limits.since_last.low == 0.03 and learn(pulses).since_last.low == 0


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3])
def test_outliers_do_not_widen_the_cut(share: float) -> None:
    pulses = photons()
    is_bad = np.arange(N) < share * N
    excess = np.random.default_rng(1).lognormal(6.0, 0.7, is_bad.sum())
    pulses.residual[is_bad] += excess  # 400 units, as pile-up has
    passed = apply_cuts(pulses, learn(pulses))
    assert passed.is_accepted[is_bad].mean() < 0.01
    assert passed.is_accepted[~is_bad].mean() > 0.999


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.floats(1, 10))
def test_units_do_not_matter(scale: float, offset: float, width: float) -> None:
    pulses = photons(n=200)
    scaled = replace(pulses, residual=pulses.residual * scale + offset)
    low, high = learn(pulses, width).residual
    expected = (low * scale + offset, high * scale + offset)
    assert learn(scaled, width).residual == pytest.approx(expected)


def test_width_is_in_standard_deviations() -> None:
    low, high = learn(photons(n=100_000), width=2.0).residual
    # a median absolute deviation of 4000 values is known to 2 %
    assert low == pytest.approx(26, abs=0.3)
    assert high == pytest.approx(34, abs=0.3)


def test_too_few_pulses_give_no_limits() -> None:
    assert learn_limits(photons(n=19), 6.0) is None
    assert learn_limits(photons(n=20), 6.0) is not None
    assert learn_limits(photons(n=0), 6.0) is None
    without_heights = photons(n=100)
    without_heights.pulse_height[:] = np.nan
    assert learn_limits(without_heights, 6.0) is None


def test_without_pulses_nothing_passes() -> None:
    passed = apply_cuts(photons(n=0), learn(photons()))
    assert len(passed.is_accepted) == 0
    assert passed.counts.tolist() == [0] * len(CUT_NAMES)


def test_the_lowest_photon_is_not_that_of_spurious_triggers() -> None:
    """Heights of photons begin at 4000; a spoiled one has half of that at least."""
    pulses = photons()
    assert 2000 <= learn(pulses).lowest_height < 2100
    pulses.pulse_height[::5] = 100
    pulses.residual[::5] = 300
    assert 2000 <= learn(pulses).lowest_height < 2100


def test_limits_come_back_from_a_product() -> None:
    limits = learn(photons())
    table = stack_limits([limits, None])
    assert table.shape == (2, len(CUT_NAMES) - 2, 2)
    from_product = CutLimits.from_table(table[0])
    assert from_product == replace(limits, lowest_height=0.0)
    assert CutLimits.from_table(table[1]) is None


def test_a_baseline_that_is_not_a_number_costs_one_pulse() -> None:
    pulses = photons()
    pulses.pretrigger_mean[0] = np.nan
    passed = apply_cuts(pulses, learn(pulses))
    assert passed.is_accepted.tolist() == [False] + [True] * (N - 1)


def test_pulses_that_are_no_longer_those_of_the_reference_run() -> None:
    drifted = replace(REFERENCE, residual=Range(40, 65), pretrigger=Range(4060, 4160))
    assert not have_changed(drifted, REFERENCE)
    assert have_changed(replace(REFERENCE, residual=Range(112, 1080)), REFERENCE)
    assert have_changed(replace(REFERENCE, pretrigger=Range(-1000, -900)), REFERENCE)


def test_no_change_without_limits_of_a_reference_run() -> None:
    missing = CutLimits(*3 * [Range(np.nan, np.nan)])
    assert not have_changed(replace(REFERENCE, residual=Range(112, 1080)), missing)
