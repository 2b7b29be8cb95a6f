import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, poisson

from rixs_pipeline.core.stats.intervals import (
    BLAKER_LOWER,
    BLAKER_UPPER,
    Interval,
    count_interval,
    gamma_interval,
    garwood_interval,
    widen_interval,
)

TOYS = 20_000
# what the intervals of a nominal 95 % cover at these means, at least
COVERAGE = [(0.3, 0.99), (1.0, 0.98), (3.0, 0.985), (10.0, 0.97)]


def test_garwood_is_the_textbook_interval() -> None:
    lower, upper = garwood_interval(np.array([0, 1, 10, 10**6]))
    np.testing.assert_allclose(
        lower, [0, *chi2.ppf(0.025, 2 * np.array([1, 10, 10**6])) / 2]
    )
    np.testing.assert_allclose(
        upper, chi2.ppf(0.975, 2 * np.array([1, 2, 11, 10**6 + 1])) / 2
    )
    assert (lower[2], upper[2]) == (
        pytest.approx(4.795, abs=1e-3),
        pytest.approx(18.390, abs=1e-3),
    )


def test_garwood_at_one_standard_deviation() -> None:
    lower, upper = garwood_interval(np.array([100]), level=0.6827)
    assert (100 - lower[0], upper[0] - 100) == (
        pytest.approx(10, abs=0.6),
        pytest.approx(11, abs=0.6),
    )


@pytest.mark.parametrize(("mean", "least"), COVERAGE)
def test_garwood_covers(mean: float, least: float) -> None:
    counts = np.arange(200)
    lower, upper = garwood_interval(counts)
    covered = poisson.pmf(counts, mean)[(lower <= mean) & (mean <= upper)].sum()
    assert covered >= least - 5e-4  # the figures are rounded
    naive = poisson.pmf(counts, mean)[
        np.abs(counts - mean) <= 1.96 * np.sqrt(counts)
    ].sum()
    assert naive < 0.93, "bars of sqrt(N) must not pass this test"


@pytest.mark.parametrize(("mean", "least"), COVERAGE)
@pytest.mark.parametrize(
    "weights", [[1.0], [0.3, 1.0, 0.6], [0.5, 0.5], [0.05, 1.0, 1.0, 1.0, 0.7]]
)
def test_fay_feuer_covers(mean: float, least: float, weights: list[float]) -> None:
    """Cut bins at both ends of a region, as many counts as the mean in all."""
    w = np.array(weights)
    counts = np.random.default_rng(4).poisson(mean / len(w), (TOYS, len(w)))
    truth = mean * w.mean()
    lower, upper = gamma_interval(counts @ w, counts @ w**2, np.full(TOYS, w.max()))
    covered = np.mean((lower <= truth) & (truth <= upper))
    expected = (
        least if len(set(weights)) == 1 else 0.95
    )  # the figures hold for equal weights, 95 % for all
    assert covered >= expected - 3 * np.sqrt(expected * (1 - expected) / TOYS)


@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_equal_weights_scale_the_interval(count: int, weight: float) -> None:
    lower, upper = gamma_interval(
        np.array([count * weight]), np.array([count * weight**2]), np.array([weight])
    )
    exact_lower, exact_upper = garwood_interval(np.array([count]))
    np.testing.assert_allclose(
        [lower, upper], [exact_lower * weight, exact_upper * weight], rtol=1e-9
    )
    assert lower[0] <= count * weight <= upper[0]


def test_nothing_to_weigh() -> None:
    zero = np.zeros(1)
    assert gamma_interval(zero, zero, zero) == (0, 0)
    lower, upper = gamma_interval(zero, zero, np.array([0.5]))
    assert (lower[0], upper[0]) == (0, pytest.approx(0.5 * 3.689, abs=1e-3))


def test_count_interval_covers_neither_too_little_nor_too_much() -> None:
    """Exact: at least 95 %, and at most 98.5 % at means from 3 on."""
    counts = np.arange(1300)
    lower, upper = count_interval(counts * 1.0, counts * 1.0, np.ones(len(counts)))
    for mean in np.concatenate(
        [np.arange(0.3, 30, 0.0317), np.geomspace(30, 1000, 60)]
    ):
        covered = poisson.pmf(counts, mean)[(lower <= mean) & (mean <= upper)].sum()
        assert covered > 0.95 - 1e-9, mean
        assert mean < 3 or covered < 0.985, mean


def test_a_widened_interval_is_normal_for_normal_errors() -> None:
    value, sigma = np.array([100.0]), np.array([3.0])
    interval = Interval(value - 1.96 * 4, value + 1.96 * 4)
    lower, upper = widen_interval(value, interval, sigma)
    np.testing.assert_allclose(
        [lower[0], upper[0]], [100 - 1.96 * 5, 100 + 1.96 * 5], rtol=1e-4
    )


def acceptability(means: np.ndarray, n: int) -> np.ndarray:
    """Return the probability (mean,) of counts at least as far in a tail as n."""
    counts = np.arange(-1, 4 * len(BLAKER_LOWER))[:, None]
    at_most = poisson.cdf(counts, means)  # P(N <= count), count -1 first
    at_least = 1.0 - at_most[:-1]  # P(N >= count), count 0 first
    below, above = at_most[n + 1], at_least[n]
    smaller = np.minimum(below, above)
    lower_tails = np.where(at_most <= smaller, at_most, 0.0)
    upper_tails = np.where(at_least <= smaller, at_least, 0.0)
    with_upper_tail = below + upper_tails.max(axis=0)
    with_lower_tail = above + lower_tails.max(axis=0)
    return np.where(below < above, with_upper_tail, with_lower_tail)


def blaker_end(garwood_end: float, n: int) -> float:
    """Return the last mean, from Garwood's end on, before Blaker's test accepts n."""
    first, last = garwood_end, float(n)
    for _ in range(2):
        means = np.linspace(first, last, 1000)
        accepted = int(np.argmax(acceptability(means, n) > 0.05))
        first, last = means[max(accepted - 1, 0)], means[accepted]
    return float(first)


@pytest.mark.parametrize("n", range(len(BLAKER_LOWER) - 1))
def test_the_table_has_the_ends_of_blakers_test(n: int) -> None:
    lower, upper = garwood_interval(np.array([n]))
    upper_ratio = blaker_end(upper[0], n) / upper[0]
    assert BLAKER_UPPER[n] == pytest.approx(upper_ratio, rel=1e-9)
    if n:
        lower_ratio = blaker_end(lower[0], n) / lower[0]
        assert BLAKER_LOWER[n] == pytest.approx(lower_ratio, rel=1e-9)
