import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration import cuts

N = 5000
Columns = dict[str, np.ndarray]


def photons(seed: int = 0, n: int = N) -> Columns:
    """Good pulses of one pixel, base line drifting by 40 units as in a night."""
    rng = np.random.default_rng(seed)
    return {
        "pulse_height": rng.uniform(4000, 12000, n),
        "phase": rng.uniform(-0.9, 0.3, n),
        "pretrigger_mean": np.linspace(5000, 5040, n) + rng.normal(0, 4.5, n),
        "residual": rng.normal(30, 2, n),
        "since_last": np.concatenate([[np.inf], rng.exponential(0.1, n)])[:n],
    }


def learn(pulses: Columns, width: float = 6.0) -> cuts.CutLimits | None:
    return cuts.learn(
        pulse_height=pulses["pulse_height"],
        phase=pulses["phase"],
        pretrigger_mean=pulses["pretrigger_mean"],
        residual=pulses["residual"],
        width=width,
    )


def learned(pulses: Columns, width: float = 6.0) -> cuts.CutLimits:
    limits = learn(pulses, width)
    assert limits is not None
    return limits


def test_photons_pass() -> None:
    pulses = photons()
    accepted, left = cuts.apply(**pulses, limits=learned(pulses))
    assert accepted.all()  # 6 sigma: 2e-9 of a Gaussian
    assert left.tolist() == [N] * len(cuts.CUT_NAMES)


def test_a_base_line_that_moves_late_costs_no_photons() -> None:
    """22 units is the real jump, 40 a night's drift; nonsense is thousands away."""
    pulses = photons()
    pulses["pretrigger_mean"] = (
        5000
        + np.random.default_rng(3).normal(0, 4.5, N)
        + 40.0 * (np.arange(N) > 0.85 * N)
    )
    accepted, _ = cuts.apply(**pulses, limits=learned(pulses))
    assert accepted.all()


def test_every_cut_takes_its_own_and_counts_it() -> None:
    pulses = photons()
    pulses["pulse_height"][:10] = [
        np.nan,
        np.inf,
        -np.inf,
        0,
        -5,
        -1e4,
        np.nan,
        np.nan,
        np.nan,
        np.nan,
    ]
    pulses["residual"][10:15] = 500.0
    pulses["pretrigger_mean"][15:18] = [-3e4, 0, 6e4]
    pulses["phase"][18:20] = [-30, 12]
    accepted, left = cuts.apply(**pulses, limits=learned(pulses))
    assert dict(zip(cuts.CUT_NAMES, left.tolist(), strict=True)) == {
        "all": N,
        "finite": N - 10,
        "residual": N - 15,
        "pretrigger": N - 18,
        "phase": N - 20,
        "since_last": N - 20,
    }
    assert not accepted[:20].any() and accepted[20:].all()


def test_a_hold_off_takes_what_comes_too_soon_and_nothing_else() -> None:
    pulses = photons()
    limits = learned(pulses).held_off(0.03)
    accepted, left = cuts.apply(**pulses, limits=limits)
    np.testing.assert_array_equal(accepted, pulses["since_last"] >= 0.03)
    assert left[-1] == accepted.sum() < left[-2] == N
    assert limits.hold_off == 0.03 and learned(pulses).hold_off == 0


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3])
def test_outliers_do_not_widen_the_cut(share: float) -> None:
    pulses = photons()
    bad = np.arange(N) < share * N
    pulses["residual"][bad] += np.random.default_rng(1).lognormal(
        6.0, 0.7, bad.sum()
    )  # 400 units, as pile-up has
    accepted, _ = cuts.apply(**pulses, limits=learned(pulses))
    assert accepted[bad].mean() < 0.01
    assert accepted[~bad].mean() > 0.999


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.floats(1, 10))
def test_units_do_not_matter(scale: float, offset: float, width: float) -> None:
    pulses = photons(n=200)
    other = pulses | {"residual": pulses["residual"] * scale + offset}
    low, high = learned(pulses, width).residual
    assert learned(other, width).residual == pytest.approx(
        (low * scale + offset, high * scale + offset)
    )


def test_width_is_in_standard_deviations() -> None:
    values = np.random.default_rng(2).normal(7, 3, 100_000)
    low, high = cuts.robust_range(values, 2.0)
    # a median absolute deviation of 1e5 values is known to 0.4 %
    assert low == pytest.approx(1, abs=0.1)
    assert high == pytest.approx(13, abs=0.1)


def test_too_few_pulses_teach_nothing() -> None:
    assert learn(photons(n=19)) is None
    assert learn(photons(n=20)) is not None
    assert learn(photons(n=0)) is None
    nothing = photons(n=100)
    nothing["pulse_height"][:] = np.nan
    assert learn(nothing) is None


def test_no_pulses_pass_no_cut() -> None:
    accepted, left = cuts.apply(**photons(n=0), limits=learned(photons()))
    assert len(accepted) == 0 and left.tolist() == [0] * len(cuts.CUT_NAMES)


def test_limits_come_back_from_a_product() -> None:
    limits = learned(photons())
    table = cuts.tables([limits, None])
    assert table.shape == (2, len(cuts.CUT_NAMES) - 2, 2)
    assert cuts.from_table(table[0]) == limits
    assert cuts.from_table(table[1]) is None


def test_one_base_line_that_is_no_number_costs_one_pulse() -> None:
    pulses = photons()
    pulses["pretrigger_mean"][0] = np.nan
    accepted, _ = cuts.apply(**pulses, limits=learned(pulses))
    assert accepted.tolist() == [False] + [True] * (N - 1)


def test_pulses_that_are_no_longer_those_of_the_reference_run() -> None:
    reference = cuts.CutLimits((30.0, 50.0), (4000.0, 4100.0), (-2.0, 2.0)).table()
    assert not cuts.changed(
        cuts.CutLimits((40.0, 65.0), (4060.0, 4160.0), (-2.0, 2.0)), reference
    )  # drift
    assert cuts.changed(
        cuts.CutLimits((112.0, 1080.0), (4000.0, 4100.0), (-2.0, 2.0)), reference
    )
    assert cuts.changed(
        cuts.CutLimits((30.0, 50.0), (-1000.0, -900.0), (-2.0, 2.0)), reference
    )
    assert not cuts.changed(
        cuts.CutLimits((112.0, 1080.0), (0.0, 1.0), (0.0, 1.0)), np.full((4, 2), np.nan)
    )
