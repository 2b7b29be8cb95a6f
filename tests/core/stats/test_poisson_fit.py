"""Fits of Poisson counts against what they were drawn from."""

import numpy as np

from rixs_pipeline.core.stats.poisson_fit import fit_poisson


def test_covariance_of_the_fit_is_its_scatter() -> None:
    rng, x = np.random.default_rng(2), np.linspace(-4, 4, 20)
    design = np.stack([np.full(20, 10.0), 10 * x], axis=1)
    fits = [
        fit_poisson(
            rng.poisson(design @ [0.4, 0.05]).astype(float), design, np.zeros(20)
        )
        for _ in range(600)
    ]
    theta, covariance = (
        np.array([f.parameters for f in fits]),
        np.mean([f.covariance for f in fits], axis=0),
    )
    np.testing.assert_allclose(np.diag(covariance), theta.var(axis=0), rtol=0.2)
    np.testing.assert_allclose(theta.mean(axis=0), [0.4, 0.05], rtol=0.03)


def test_a_known_part_of_the_mean_is_not_fitted() -> None:
    number, design = np.full(5, 12.0), np.ones((5, 1))
    fit = fit_poisson(number, design, offset=np.full(5, 10.0))
    np.testing.assert_allclose(fit.parameters, [2.0], rtol=1e-6)
    np.testing.assert_allclose(fit.covariance, [[12 / 5]], rtol=1e-6)


def test_without_counts_the_mean_is_zero_and_the_error_that_of_one_count() -> None:
    fit = fit_poisson(np.zeros(4), np.full((4, 1), 25.0), np.zeros(4))
    assert fit.parameters.tolist() == [0.0]
    np.testing.assert_allclose(fit.covariance, [[1 / 100**2]])
