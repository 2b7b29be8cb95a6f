"""The law without draws has their mean, variance and tails, where it is used."""

import numpy as np
import pytest
from scipy import stats

from rixs_pipeline.core.stats import homogeneity
from rixs_pipeline.core.stats.chi_squared import chi_squared_law


def make_cells(places, ratios, rate, seed=1):
    """Equal spectra with a peak, exposures in these ratios, bins of unequal weights."""
    rng = np.random.default_rng(seed)
    peak = np.exp(-0.5 * ((np.arange(places) - places / 2) / (places / 8)) ** 2)
    shape = rate * (0.2 + peak)
    exposure = [ratio * rng.uniform(0.7, 1.3, places) for ratio in ratios]
    counts = []
    for seconds in exposure:
        counts.append(rng.poisson((seconds * shape)[:, None] * np.ones(3)))
    weights = np.array([0.3, 1.0, 0.6]) * np.ones((places, 1))
    return homogeneity.cells(counts, exposure, weights, False)


def pose(cells):
    """Their test with free factors, and these."""
    problem = homogeneity._pose(cells, cells, None)
    factor = homogeneity._fit_factors(cells, cells.counts[None], problem.is_fitted)
    return problem, factor


def find_law(places, ratios, rate, seed=1):
    return homogeneity._law(*pose(make_cells(places, ratios, rate, seed)))


def draw_statistic(places, ratios, rate):
    """The statistic of three times as many draws as a test takes."""
    problem, factor = pose(make_cells(places, ratios, rate))
    statistic = []
    for seed in range(3):
        for draw in homogeneity._draws(problem, factor[0], seed):
            statistic.append(homogeneity._null_statistic(problem, draw))
    return np.concatenate(statistic)


@pytest.mark.parametrize(
    ("places", "ratios", "rate"),
    [(40, (1, 1), 15), (40, (1, 0.3, 2), 15), (80, (1, 2), 12)],
)
def test_mean_variance_and_tails_are_those_of_draws(places, ratios, rate):
    law, drawn = find_law(places, ratios, rate), draw_statistic(places, ratios, rate)
    mean_error = np.sqrt(law.variance / len(drawn))
    assert drawn.mean() == pytest.approx(law.mean, abs=4 * mean_error)
    assert drawn.var() == pytest.approx(law.variance, rel=4 * np.sqrt(3 / len(drawn)))
    for p in (0.5, 0.05, 0.01):
        error = np.sqrt(p * (1 - p) / len(drawn))
        quantile = np.quantile(drawn, 1 - p)
        expected = np.mean(drawn >= quantile)
        assert law.tail(quantile) == pytest.approx(expected, abs=4 * error)


def test_equal_spectra_have_uniform_p_without_draws():
    p = []
    for seed in range(400):
        cells = make_cells(60, (1, 1.5), 12, seed)
        assert homogeneity._law(*pose(cells))
        p.append(homogeneity.homogeneity(cells, cells).p)
    assert np.sum(np.array(p) < 0.05) <= 31  # a sound test has more once in a hundred
    assert stats.kstest(p, "uniform").pvalue > 0.005


def test_the_variance_of_few_counts_is_less_than_that_of_many():
    few, many = find_law(400, (1, 1), 10), find_law(400, (1, 1), 1e5)
    assert many.mean == few.mean == 399
    assert many.variance == pytest.approx(2 * 399, rel=1e-4)
    assert few.variance < 0.97 * 2 * 399


@pytest.mark.parametrize(("places", "rate"), [(20, 100), (40, 0.5)])
def test_few_places_and_few_counts_are_left_to_draws(places, rate):
    assert find_law(places, (1, 1), rate) is None


def test_places_of_unequal_shares_are_left_to_draws():
    total, weight, starts = np.full(80, 1000), np.ones(80), np.arange(0, 80, 2)
    shares = np.full((80, 2), 0.5)
    law = chi_squared_law(total, weight, shares, starts, 1)
    assert (law.mean, law.variance) == pytest.approx((39, 78), abs=0.1)
    shares[::2] = 0.4, 0.6
    assert chi_squared_law(total, weight, shares, starts, 1) is None
