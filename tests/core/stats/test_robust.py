import numpy as np
import pytest

from rixs_pipeline.core.stats.robust import robust_sigma


def test_the_sigma_of_a_gaussian_is_its_standard_deviation() -> None:
    values = np.random.default_rng(1).normal(7.0, 3.0, 100_000)
    # the MAD of 1e5 values is known to 0.4 %
    assert robust_sigma(values) == pytest.approx(3.0, rel=0.02)


def test_outliers_do_not_matter() -> None:
    values = np.random.default_rng(2).normal(0.0, 1.0, 1000)
    values[:50] = 1e6
    assert robust_sigma(values) == pytest.approx(1.0, rel=0.15)


def test_equal_values_have_no_spread_and_no_values_have_none() -> None:
    assert robust_sigma(np.full(3, 4.2)) == 0.0
    assert np.isnan(robust_sigma(np.empty(0)))
