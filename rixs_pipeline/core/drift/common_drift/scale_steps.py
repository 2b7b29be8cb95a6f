r"""Steps of the energy scale that all pixels share.

A step of size x at the time T moves all lines after T, or up to the time at which it is
undone. Slow processes do not describe it: they would spread it over the scans around. A
step is added to the unknowns where the measured positions require one. For each step
that is possible, with its column c, its information kappa and gradient g beyond the
other unknowns, the Bayes factor is

    ln B = (g^2 / (kappa + 1/sigma^2) - ln(1 + kappa sigma^2)) / 2

for a Gaussian prior of x with the standard deviation sigma [1]_. The step is at one of
the times: the odds are the mean of B over them. Steps of similar B remain alternatives,
so that the error covers a step of which no scan tells when it was.

References
----------
.. [1] R. E. Kass, A. E. Raftery, J. Am. Stat. Assoc. 90, 773 (1995).
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.drift.common_drift.posterior import FurtherColumns, Posterior
from rixs_pipeline.types import FloatArray

STEP_WIDTH = 2.0  # eV at E_0, prior of the size
STEP_ODDS = 0.05  # prior odds of one more step
MAX_STEPS = 6
LEAST_ODDS = 0.1  # for a step that is possible, but not assumed
LEAST_SHARE = 0.03  # of the odds of the best step, for an alternative
MAX_ALTERNATIVES = 24


@dataclass(frozen=True)
class PossibleSteps:
    """Steps of the scale that are possible, (candidate,) each.

    Attributes
    ----------
    begin, end
        Times of the step and of its end, s; infinite: it stays.
    column
        Change of the rows of the equations a unit of the step, f8 (row, candidate).
    effect
        Change of the scale of scans at E_0, f8 (scan, candidate).
    """

    begin: FloatArray
    end: FloatArray
    column: FloatArray
    effect: FloatArray


@dataclass(frozen=True)
class StepSet:
    """Candidates that together are one explanation, and the log of its prior odds."""

    candidates: tuple[int, ...]
    log_odds: float


NO_STEPS = StepSet((), 0.0)


def find_steps(
    posterior: Posterior, columns: FloatArray, further: FurtherColumns
) -> list[StepSet]:
    """Find the steps of the scale that the equations require.

    Parameters
    ----------
    posterior
        Of the unknowns without steps.
    columns
        Of the steps that are possible, in units of their prior, f8 (row, candidate).
    further
        What the equations say of these.

    Returns
    -------
    list of StepSet
        The most probable set first; it is empty where no step is needed. Then its
        alternatives: another step in place of one, or one more.
    """
    n_possible = columns.shape[1]
    each = np.log(STEP_ODDS / max(n_possible, 1))
    judged = _JudgedSteps(posterior, columns, further)
    chosen: tuple[int, ...] = ()
    more: list[int] = []
    while n_possible:
        evidence = judged.evidence_beside(chosen)
        best = int(np.argmax(evidence))
        mean = np.exp(evidence - evidence[best]).mean()
        log_odds = evidence[best] + np.log(mean * STEP_ODDS)
        if log_odds < 0 or len(chosen) == MAX_STEPS:
            more = _most_probable(evidence) if log_odds > np.log(LEAST_ODDS) else []
            break
        chosen = (*chosen, best)
    sets = [chosen]
    for place, step in enumerate(chosen):
        before, after = chosen[:place], chosen[place + 1 :]
        evidence = judged.evidence_beside((*before, *after))
        others = [other for other in _most_probable(evidence) if other != step]
        sets += [(*before, other, *after) for other in others]
    sets += [(*chosen, other) for other in more]
    return [StepSet(candidates, each * len(candidates)) for candidates in sets]


def _most_probable(evidence: FloatArray) -> list[int]:
    """Return the candidates whose ln B (candidate,) is not far below the highest."""
    relative = np.exp(evidence - evidence.max())
    order = np.argsort(-relative)[:MAX_ALTERNATIVES]
    return [int(one) for one in order if relative[one] > LEAST_SHARE]


class _JudgedSteps:
    """What the equations say of steps, in units of their prior."""

    def __init__(
        self, posterior: Posterior, columns: FloatArray, further: FurtherColumns
    ) -> None:
        """Prepare all candidates."""
        self._columns = columns
        self._equations = posterior.equations
        self._unknowns = posterior.add(further)
        explained = (self._unknowns.factor**2).sum(axis=0)
        self._information = further.information - explained

    def evidence_beside(self, chosen: tuple[int, ...]) -> FloatArray:
        """Return ln B (candidate,) of one more step; -inf for those that are chosen."""
        steps = list(chosen)
        factor, gradient = self._unknowns.factor, self._unknowns.gradient
        columns = self._columns
        shared = self._equations.product(columns[:, steps], columns)
        shared -= factor[:, steps].T @ factor
        precision = shared[:, steps] + np.eye(len(steps))
        explained = np.linalg.solve(precision, shared)
        information = self._information - (shared * explained).sum(axis=0)
        information = np.maximum(information, 0.0)
        gradient = gradient - gradient[steps] @ explained
        evidence = 0.5 * (gradient**2 / (1 + information) - np.log1p(information))
        evidence[steps] = -np.inf
        return np.asarray(evidence)
