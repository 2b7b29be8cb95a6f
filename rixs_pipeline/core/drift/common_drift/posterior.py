"""Posteriors of the unknowns of the common drift, one for each assumption of its prior.

The prior is x = m + R u with unit Gaussians u. With the information V and the gradient
g of the log likelihood at x = 0, the precision of u is 1 + R'VR = LL', and the log
evidence of the assumption is [1]_

    m'(g - Vm/2) + |L^-1 R'(g - Vm)|^2 / 2 - ln det L.

Steps of the scale are few further unknowns: they add rows to L, and the rest of it is
that without steps.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, MIT
   Press (2006), ch. 2 and 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from rixs_pipeline.core.drift.common_drift.equations import Equations, Unknowns
from rixs_pipeline.core.drift.common_drift.measurements import Interval
from rixs_pipeline.core.drift.common_drift.priors import (
    Assumption,
    Prior,
    drift_prior,
    hidden_process,
)
from rixs_pipeline.types import FloatArray


@dataclass(frozen=True)
class FurtherColumns:
    """Columns of further unknowns in the equations.

    Attributes
    ----------
    crossed
        Information that they share with the unknowns, f8 (unknown, further).
    information
        Of each of them alone, f8 (further,).
    gradient
        Of the log likelihood by them where all unknowns are 0, f8 (further,).
    """

    crossed: FloatArray
    information: FloatArray
    gradient: FloatArray

    @classmethod
    def of(cls, equations: Equations, columns: FloatArray) -> Self:
        """Return what the equations say of columns (row, further)."""
        crossed = equations.product(equations.design, columns)
        gradient = equations.product(columns, equations.target[:, None])
        return cls(crossed, equations.squares(columns), gradient[:, 0])


@dataclass(frozen=True)
class FurtherUnknowns:
    """Unknowns that are added to those of a posterior, with unit Gaussians as priors.

    Attributes
    ----------
    factor
        The columns that they add to L', above the diagonal, f8 (unknown, further).
    gradient
        Of the log likelihood by them where the others are most probable, (further,).
    """

    factor: FloatArray
    gradient: FloatArray


@dataclass(frozen=True)
class Posterior:
    """Posterior of the unknowns without steps, for one assumption.

    Attributes
    ----------
    assumption
        Of the hidden drift.
    equations
        What is measured.
    unknowns
        Their places.
    prior
        Of the unknowns.
    factor
        L, f8 (unknown, unknown), lower triangular.
    solution
        L^-1 R'(g - Vm), f8 (unknown,).
    evidence
        Log evidence of the assumption and its weight. Terms that are the same for all
        assumptions are left out.
    """

    assumption: Assumption
    equations: Equations
    unknowns: Unknowns
    prior: Prior
    factor: FloatArray
    solution: FloatArray
    evidence: float

    def add(self, columns: FurtherColumns) -> FurtherUnknowns:
        """Add further unknowns."""
        factor = self.whiten(self.prior.times_root(columns.crossed))
        expected = self.prior.mean @ columns.crossed + self.solution @ factor
        return FurtherUnknowns(factor, columns.gradient - expected)

    def whiten(self, columns: FloatArray) -> FloatArray:
        """Return L^-1 times columns (unknown, n)."""
        return _solve_lower(self.factor, columns)

    @cached_property
    def drift_factor(self) -> FloatArray:
        """L^-1 R' of the coefficients and scales, the first unknowns."""
        return self.whiten(self.prior.root[: self.unknowns.moved].T)

    @cached_property
    def drift_covariance(self) -> FloatArray:
        """Covariance of the coefficients and scales."""
        return np.asarray(self.drift_factor.T @ self.drift_factor)


def drift_posteriors(
    equations: Equations,
    interval: Interval,
    unknowns: Unknowns,
    assumptions: Mapping[Assumption, float],
) -> list[Posterior]:
    """Return the posterior for each assumption of the hidden drift.

    Parameters
    ----------
    equations
        What is measured.
    interval
        The scans and reference runs.
    unknowns
        Their places.
    assumptions
        With their prior weights.
    """
    posteriors = []
    for time_scale in dict.fromkeys(one.time_scale for one in assumptions):
        process = hidden_process(interval, unknowns, time_scale)
        information = process.root.T @ equations.information @ process.root
        for assumption, weight in assumptions.items():
            if assumption.time_scale == time_scale:
                prior = drift_prior(interval, process, assumption)
                factor = _factor(prior.scale_sides(information))
                solution, evidence = _solve(equations, prior, factor)
                posteriors.append(
                    Posterior(
                        assumption=assumption,
                        equations=equations,
                        unknowns=unknowns,
                        prior=prior,
                        factor=factor,
                        solution=solution,
                        evidence=evidence + float(np.log(weight)),
                    )
                )
    return posteriors


def _factor(information: FloatArray) -> FloatArray:
    """Return L of the information R'VR."""
    precision = information + np.eye(len(information))
    return np.asarray(np.linalg.cholesky(precision), dtype=np.float64)


def _solve(
    equations: Equations, prior: Prior, factor: FloatArray
) -> tuple[FloatArray, float]:
    """Return the solution (unknown,) with the factor L, and its log evidence."""
    moved = equations.information @ prior.mean
    gradient = prior.times_root((equations.gradient - moved)[:, None])
    solution = _solve_lower(factor, gradient)[:, 0]
    evidence = prior.mean @ (equations.gradient - 0.5 * moved)
    evidence += 0.5 * solution @ solution - np.log(np.diag(factor)).sum()
    return solution, float(evidence)


def _solve_lower(factor: FloatArray, columns: FloatArray) -> FloatArray:
    """Return L^-1 times columns (unknown, n)."""
    from scipy.linalg import solve_triangular

    solved = solve_triangular(factor, columns, lower=True, check_finite=False)
    return np.asarray(solved, dtype=np.float64)
