"""The law without draws: its mean, variance and tails are those of draws, and it is not used where they differ."""

import numpy as np
import pytest
from scipy import stats

from rixs_pipeline.core.stats import chi_squared
from rixs_pipeline.core.stats import homogeneity as comparison


def spectra(places, ratios, rate, seed=1):
    """Cells of equal spectra with a peak, exposures in these ratios, bins of unequal weights; and their factors."""
    rng = np.random.default_rng(seed)
    shape = rate * (
        0.2 + np.exp(-0.5 * ((np.arange(places) - places / 2) / (places / 8)) ** 2)
    )
    exposure = [ratio * rng.uniform(0.7, 1.3, places) for ratio in ratios]
    counts = [
        rng.poisson((seconds * shape)[:, None] * np.ones(3)) for seconds in exposure
    ]
    cells = comparison.cells(
        counts, exposure, np.array([0.3, 1.0, 0.6]) * np.ones((places, 1)), False
    )
    return cells, comparison._factors(
        cells, cells.counts[None], np.ones(len(cells.place), bool)
    )


def problem(cells):
    """Their test with free factors."""
    return comparison._Problem(
        cells, np.ones(len(cells.place), bool), slice(0, len(cells.place)), True, None
    )


def law(places, ratios, rate):
    cells, factor = spectra(places, ratios, rate)
    return comparison._law(problem(cells), factor)


def draws(places, ratios, rate):
    """The statistic of three times as many draws as a test takes."""
    cells, factor = spectra(places, ratios, rate)
    counts = (
        draw
        for seed in range(3)
        for draw in comparison._draws(problem(cells), factor[0], seed)
    )
    return np.concatenate([comparison._null(problem(cells), draw) for draw in counts])


@pytest.mark.parametrize(
    ("places", "ratios", "rate"),
    [(40, (1, 1), 15), (40, (1, 0.3, 2), 15), (80, (1, 2), 12)],
)
def test_mean_variance_and_tails_are_those_of_draws(places, ratios, rate):
    (mean, variance), drawn = law(places, ratios, rate), draws(places, ratios, rate)
    assert drawn.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / len(drawn)))
    assert drawn.var() == pytest.approx(variance, rel=4 * np.sqrt(3 / len(drawn)))
    for p in (0.5, 0.05, 0.01):
        error = np.sqrt(p * (1 - p) / len(drawn))
        reached = np.mean(drawn >= np.quantile(drawn, 1 - p))
        assert chi_squared.tail(
            np.quantile(drawn, 1 - p), mean, variance
        ) == pytest.approx(reached, abs=4 * error)


def test_equal_spectra_have_uniform_p_without_draws():
    p = []
    for seed in range(400):
        cells, factor = spectra(60, (1, 1.5), 12, seed)
        assert comparison._law(problem(cells), factor)
        p.append(comparison.homogeneity(cells, cells).p)
    assert np.sum(np.array(p) < 0.05) <= 31  # a sound test has more once in a hundred
    assert stats.kstest(p, "uniform").pvalue > 0.005


def test_the_variance_of_few_counts_is_less_than_that_of_many():
    scarce, many = law(400, (1, 1), 10), law(400, (1, 1), 1e5)
    assert many == pytest.approx((399, 2 * 399), rel=1e-4)
    assert scarce[0] == 399
    assert scarce[1] < 0.97 * 2 * 399


@pytest.mark.parametrize(("places", "rate"), [(20, 100), (40, 0.5)])
def test_few_places_and_few_counts_are_left_to_draws(places, rate):
    assert law(places, (1, 1), rate) is None


def test_places_of_unequal_shares_are_left_to_draws():
    total, weight, starts = np.full(80, 1000), np.ones(80), np.arange(0, 80, 2)
    shares = np.full((80, 2), 0.5)
    assert chi_squared.moments(total, weight, shares, starts, 1) == pytest.approx(
        (39, 78), abs=0.1
    )
    shares[::2] = 0.4, 0.6
    assert chi_squared.moments(total, weight, shares, starts, 1) is None
