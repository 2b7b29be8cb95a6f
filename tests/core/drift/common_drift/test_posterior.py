import numpy as np
import pytest

from rixs_pipeline.core.drift.common_drift.equations import (
    MAX_PIECES,
    drift_equations,
    find_unknowns,
)
from rixs_pipeline.core.drift.common_drift.posterior import (
    FurtherColumns,
    drift_posteriors,
)
from rixs_pipeline.core.drift.common_drift.priors import Assumption
from tests.core.drift.common_drift.test_fit import beamtime

ASSUMPTIONS = {
    Assumption(0.1, 1800.0, 0.0): 0.4,
    Assumption(0.3, 1800.0, 2e-5): 0.2,
    Assumption(0.3, 5400.0, 0.0): 0.1,
}


@pytest.fixture(scope="module")
def posteriors():
    positions, interval, _ = beamtime(np.random.default_rng(3), hidden=0.2)
    unknowns = find_unknowns(positions, interval)
    equations = drift_equations(positions, interval, unknowns)
    return drift_posteriors(equations, interval, unknowns, ASSUMPTIONS)


def dense(posterior, columns):
    """Mean, covariance and log evidence with further unknowns, by inverses."""
    equations, prior = posterior.equations, posterior.prior
    n = columns.shape[1]
    design = np.concatenate([equations.design, columns], axis=1)
    of_prior = np.eye(design.shape[1])
    of_prior[:-n, :-n] = prior.root @ prior.root.T
    mean = np.append(prior.mean, np.zeros(n))
    rest = (equations.target - design @ mean)[:, None]
    gradient = equations.product(design, rest)[:, 0]
    information = equations.product(design, design)
    covariance = np.linalg.inv(np.linalg.inv(of_prior) + information)
    sign, log_det = np.linalg.slogdet(np.eye(len(of_prior)) + of_prior @ information)
    assert sign > 0
    # of the target itself, as much as the priors differ in
    evidence = -0.5 * equations.product(rest, rest)[0, 0]
    evidence += 0.5 * gradient @ covariance @ gradient - 0.5 * log_det
    return mean + covariance @ gradient, covariance, evidence


def test_they_are_those_of_the_dense_covariance(posteriors):
    columns = np.random.default_rng(4).normal(
        size=(len(posteriors[0].equations.target), 2)
    )
    columns[:, 0] = 0.0
    for posterior in posteriors:
        mean, covariance, _ = dense(posterior, columns[:, :1])
        first = posterior.unknowns.moved
        np.testing.assert_allclose(
            posterior.drift_covariance,
            covariance[:first, :first],
            rtol=1e-4,
            atol=1e-12,
        )
        moved = posterior.solution @ posterior.drift_factor
        expected = mean[:first] - posterior.prior.mean[:first]
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-9)


def test_evidence_differs_as_that_of_the_dense_covariance(posteriors):
    nothing = np.zeros((len(posteriors[0].equations.target), 1))
    expected = [
        dense(one, nothing)[2] + np.log(ASSUMPTIONS[one.assumption])
        for one in posteriors
    ]
    evidence = [one.evidence for one in posteriors]
    np.testing.assert_allclose(np.diff(evidence), np.diff(expected), atol=1e-4)


def test_further_unknowns_are_those_of_the_dense_covariance(posteriors):
    posterior = posteriors[0]
    columns = np.random.default_rng(4).normal(size=(len(posterior.equations.target), 2))
    further = posterior.add(FurtherColumns.of(posterior.equations, columns))
    precision = posterior.equations.product(columns, columns) + np.eye(2)
    covariance = np.linalg.inv(precision - further.factor.T @ further.factor)
    mean, expected, _ = dense(posterior, columns)
    np.testing.assert_allclose(covariance, expected[-2:, -2:], rtol=1e-4)
    np.testing.assert_allclose(covariance @ further.gradient, mean[-2:], rtol=1e-4)


def test_pieces_of_many_scans_are_joined():
    positions, interval, _ = beamtime(np.random.default_rng(5), n_scans=250)
    unknowns = find_unknowns(positions, interval)
    assert [len(times) for times in unknowns.pieces] == [1] * 250
    assert unknowns.total < 2 * MAX_PIECES
    few = find_unknowns(*beamtime(np.random.default_rng(5), n_scans=8)[:2])
    assert [len(times) for times in few.pieces] == [3] * 8
