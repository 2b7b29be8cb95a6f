r"""Drift that the pixels of an array have in common, between reference runs.

The energy scale is fixed in the reference runs. Between them it drifts with the
pretrigger mean, by a coefficient that reference runs hardly show, and in ways that the
baseline does not show. Each line of a sample stands still meanwhile, wherever it is: so
the position m of line l in piece k of a scan i is

    m = P_g + L_k(E_l) (d_k - d) + (E_l / E_0) s_k

with a position P_g of each group g of pieces that show the same emission, which may be
anywhere (see `drift_equations`); the drift coefficients d (two: `layout.DRIFT`) of the
array and those in use d_k; the change of energy L_k a unit of d, which follows from the
pretrigger mean; and the hidden change s_k of the scale since the reference runs, in
proportion to the energy. The scale may also step (see `scale_steps`). Further
measurements are the drift coefficients from the reference runs themselves, what lines
move by within these, and what they moved by from one to the next.

The s are a Gaussian process h less its means over the reference runs, interpolated as
the calibrations are; a scan has their mean. Unless it is known, the size and time scale
of h follow from the data: results are averaged over a grid of them, weighted with their
posterior probability [1]_, so that errors include what is not known of them.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, MIT
   Press (2006), ch. 2 and 5.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from rixs_pipeline.core.drift.drift_equations import (
    Equations,
    Unknowns,
    drift_equations,
    find_unknowns,
)
from rixs_pipeline.core.drift.drift_measurements import (
    N_DRIFT,
    REFERENCE_EV,
    Interval,
    LinePositions,
)
from rixs_pipeline.core.drift.drift_priors import (
    LITTLE_DRIFT,
    Assumption,
    Priors,
    drift_priors,
    weighted_assumptions,
    with_step_sizes,
)
from rixs_pipeline.core.drift.scale_steps import (
    LEAST_SHARE,
    NO_STEPS,
    PossibleSteps,
    StepSet,
    find_steps,
)
from rixs_pipeline.types import FloatArray


@dataclass(frozen=True)
class ScaleStep:
    """A step of the scale that all pixels share.

    Attributes
    ----------
    begin, end
        When it is, and when it is undone, s; infinite: it stays.
    earliest, latest
        Between which times nothing tells when it begins, s.
    size, error
        At E_0, and its standard deviation, eV.
    """

    begin: float
    end: float
    earliest: float
    latest: float
    size: float
    error: float


@dataclass(frozen=True)
class CommonDrift:
    """Drift of the array between its reference runs.

    Attributes
    ----------
    coefficients
        Drift coefficients, f8 (2,).
    scale
        Hidden change of the scale of each scan at E_0, f8 (scan,), eV.
    covariance
        Of both together, f8 (2 + scan, 2 + scan).
    misfit
        Chi square of the line positions over its degrees of freedom; errors of the
        positions are scaled where it exceeds 1. NaN without positions.
    steps
        Of the scale, in order of time; part of `scale`.
    hidden_size
        Rms at E_0 of what the baseline does not show, steps and the pixels' own drifts
        apart, eV: learned, or as stated.
    """

    coefficients: FloatArray
    scale: FloatArray
    covariance: FloatArray
    misfit: float
    steps: tuple[ScaleStep, ...] = ()
    hidden_size: float = 0.0


@dataclass(frozen=True)
class _Posterior:
    """Gaussian posterior, and log evidence of its assumptions."""

    mean: FloatArray
    covariance: FloatArray
    evidence: float
    assumption: Assumption


def fit_common_drift(positions: LinePositions, interval: Interval) -> CommonDrift:
    """Fit the drift that the pixels have in common.

    Parameters
    ----------
    positions
        Of lines in the scans; there may be none.
    interval
        The scans and the reference runs around them.

    Returns
    -------
    CommonDrift
        Without positions, what the reference runs say, with the errors of that.
    """
    unknowns = find_unknowns(positions, interval)
    equations = drift_equations(positions, interval, unknowns)
    possible = _possible_steps(positions, interval, unknowns)
    problem = _Problem(interval, unknowns, equations, possible)
    explanations = _explain(problem)
    misfit = _misfit(problem, explanations[0], positions)
    if misfit > 1:
        weight = equations.weight.copy()
        weight[: len(positions.scan)] /= misfit
        problem = replace(problem, equations=replace(equations, weight=weight))
        explanations = _explain(problem)
    mean, covariance = _average(
        [
            _keep(part, possible.effect[:, list(explanation.steps.candidates)])
            for explanation in explanations
            for part in explanation.posteriors
        ]
    )
    return CommonDrift(
        coefficients=mean[:N_DRIFT],
        scale=mean[N_DRIFT:],
        covariance=covariance,
        misfit=misfit,
        hidden_size=_hidden_size(explanations),
        steps=_describe_steps(explanations, possible),
    )


@dataclass(frozen=True)
class _Problem:
    """What is to be explained, by which unknowns and steps."""

    interval: Interval
    unknowns: Unknowns
    equations: Equations
    possible: PossibleSteps


@dataclass(frozen=True)
class _Explanation:
    """Steps of the scale, and the posteriors for sizes and time scales of the rest."""

    steps: StepSet
    posteriors: list[_Posterior]

    @cached_property
    def evidence(self) -> float:
        """Log evidence of the steps, prior odds included."""
        return float(np.logaddexp.reduce([part.evidence for part in self.posteriors]))

    @property
    def best(self) -> _Posterior:
        """The most probable posterior."""
        return max(self.posteriors, key=lambda part: part.evidence)


def _explain(problem: _Problem) -> list[_Explanation]:
    """Return what explains the positions, the most probable explanation first.

    Steps are sought beside the drift that explains most alone, and beside little drift:
    much of it can make a step of any scan.
    """
    equations, possible = problem.equations, problem.possible
    without = _Explanation(NO_STEPS, _posteriors(problem))
    found = {NO_STEPS.candidates: without}
    for assumption in (without.best.assumption, LITTLE_DRIFT):
        priors = drift_priors(problem.interval, problem.unknowns, assumption)
        for steps in find_steps(equations, priors.covariance, priors.mean, possible):
            key = tuple(sorted(steps.candidates))
            if key not in found:
                posteriors = _posteriors(problem, steps)
                found[key] = _Explanation(steps, posteriors)
    return sorted(found.values(), key=lambda one: -one.evidence)


def _possible_steps(
    positions: LinePositions, interval: Interval, unknowns: Unknowns
) -> PossibleSteps:
    """Return steps between pieces of scans, and those between two scans and undone."""
    times = unknowns.pieces
    references = [np.array([reference.time]) for reference in interval.references]
    pieces = np.unique(np.concatenate([*times, *references]))
    runs = sorted([*times, *references], key=lambda of_run: float(of_run.min()))
    between = np.array([(one.max() + other.min()) / 2 for one, other in pairwise(runs)])
    first, last = np.triu_indices(len(between), 1)
    begin = np.concatenate([(pieces[1:] + pieces[:-1]) / 2, between[first]])
    end = np.concatenate([np.full(len(pieces) - 1, np.inf), between[last]])

    def is_moved(time: FloatArray) -> FloatArray:
        moved = (time[:, None] > begin) & (time[:, None] < end)
        return moved.astype(np.float64)

    column = is_moved(positions.time)
    effect = np.stack([is_moved(of_scan).mean(axis=0) for of_scan in times])
    if len(references) > 1:  # the calibrations are interpolated
        stays = is_moved(references[-1])
        column -= interval.later_share[positions.scan][:, None] * stays
        effect -= interval.later_share[:, None] * stays
    column *= (positions.energy / REFERENCE_EV)[:, None]
    if interval.shifts is not None:
        of_runs = (interval.shifts.energy / REFERENCE_EV)[:, None] * stays
        column = np.concatenate([column, of_runs])
    # a step is not within a reference run
    within = [one.times for one in interval.references if one.offsets is not None]
    still = np.zeros((sum(map(len, within)), len(begin)))
    column = np.concatenate([column, still])
    return PossibleSteps(begin, end, column, effect)


def _posteriors(problem: _Problem, steps: StepSet = NO_STEPS) -> list[_Posterior]:
    """Return the posterior for each assumption of the hidden drift.

    The sizes of the steps are further unknowns.
    """
    interval, unknowns = problem.interval, problem.unknowns
    columns = problem.possible.column[:, list(steps.candidates)]
    equations = _with_columns(problem.equations, columns)
    posteriors = []
    for assumption, weight in weighted_assumptions(interval.hidden_drift).items():
        priors = with_step_sizes(
            drift_priors(interval, unknowns, assumption), columns.shape[1]
        )
        mean, covariance, evidence = _solve(equations, priors)
        evidence += np.log(weight) + steps.log_odds
        posteriors.append(_Posterior(mean, covariance, evidence, assumption))
    return posteriors


def _with_columns(equations: Equations, columns: FloatArray) -> Equations:
    """Add columns (row, step) of further unknowns."""
    design = np.concatenate([equations.design, columns], axis=1)
    return replace(equations, design=design)


def _keep(part: _Posterior, effect: FloatArray) -> _Posterior:
    """Return the posterior of the coefficients and scales, steps of the scale added.

    `effect` (scan, step) of the last unknowns, the steps.
    """
    n_scans, n_steps = effect.shape
    kept = np.eye(N_DRIFT + n_scans, len(part.mean))
    if n_steps:
        kept[N_DRIFT:, -n_steps:] = effect
    return replace(
        part, mean=kept @ part.mean, covariance=kept @ part.covariance @ kept.T
    )


def _solve(
    equations: Equations, priors: Priors
) -> tuple[FloatArray, FloatArray, float]:
    """Return mean and covariance of the posterior, and its log evidence.

    The evidence lacks terms that are the same for all priors.
    """
    information, prior_mean = equations.information, priors.mean
    root = np.linalg.cholesky(priors.covariance)
    gradient = equations.gradient - information @ prior_mean
    inner = root.T @ information @ root
    inner = 0.5 * (inner + inner.T) + np.eye(len(inner))
    factor = np.linalg.cholesky(inner)
    whitened = np.linalg.solve(factor, root.T)
    covariance = whitened.T @ whitened
    change = covariance @ gradient
    at_prior_mean = prior_mean @ (equations.gradient - 0.5 * information @ prior_mean)
    evidence = at_prior_mean + 0.5 * gradient @ change
    evidence -= np.log(np.diag(factor)).sum()
    return prior_mean + change, covariance, float(evidence)


def _average(posteriors: list[_Posterior]) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance over all posteriors."""
    evidence = np.array([part.evidence for part in posteriors])
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    means = np.stack([part.mean for part in posteriors])
    mean = weight @ means
    deviation = means - mean
    covariance = np.einsum("m,muv->uv", weight, [p.covariance for p in posteriors])
    covariance += np.einsum("m,mu,mv->uv", weight, deviation, deviation)
    return mean, covariance


def _hidden_size(explanations: list[_Explanation]) -> float:
    """Return the root of the mean square size of the hidden drift, eV."""
    parts = [part for one in explanations for part in one.posteriors]
    evidence = np.array([part.evidence for part in parts])
    square = np.array([part.assumption.size**2 for part in parts])
    return float(np.sqrt(np.average(square, weights=np.exp(evidence - evidence.max()))))


def _misfit(
    problem: _Problem, explanation: _Explanation, positions: LinePositions
) -> float:
    """Return chi square of the positions over its degrees of freedom."""
    n = len(positions.scan)
    if n == 0:
        return np.nan
    columns = problem.possible.column[:, list(explanation.steps.candidates)]
    complete = _with_columns(problem.equations, columns)
    best = explanation.best
    rest = (complete.target - complete.design @ best.mean)[:, None]
    design = complete.design.copy()
    for of_rows in (rest, design):
        of_rows[n:] = 0.0  # of the reference runs
    chi_square = float(complete.product(rest, rest)[0, 0])
    # of the unknowns, as many as the positions determine
    determined = np.sum(best.covariance * complete.product(design, design))
    n_fitted = len(positions.groups.line) + float(determined)
    return chi_square / max(n - n_fitted, 1.0)


def _describe_steps(
    explanations: list[_Explanation], possible: PossibleSteps
) -> tuple[ScaleStep, ...]:
    """Return the steps of the most probable explanation, with when else they may be."""
    chosen = explanations[0].steps.candidates
    best = explanations[0].best
    alternatives = [
        one.steps.candidates
        for one in explanations
        if len(one.steps.candidates) == len(chosen)
        and one.evidence > explanations[0].evidence + np.log(LEAST_SHARE)
    ]
    steps = []
    for place, candidate in enumerate(chosen):
        times = possible.begin[[candidates[place] for candidates in alternatives]]
        unknown = len(best.mean) - len(chosen) + place
        steps.append(
            ScaleStep(
                begin=float(possible.begin[candidate]),
                end=float(possible.end[candidate]),
                earliest=float(times.min()),
                latest=float(times.max()),
                size=float(best.mean[unknown]),
                error=float(np.sqrt(best.covariance[unknown, unknown])),
            )
        )
    return tuple(sorted(steps, key=lambda step: step.begin))
