r"""Drift that the pixels of an array have in common, between reference runs.

The energy scale is fixed in the reference runs. Between them it drifts with the
pretrigger mean, by a coefficient that reference runs hardly show, and in ways that the
baseline does not show. Each line of a sample stands still meanwhile, wherever it is: so
the position m of line l in piece k of a scan i is

    m = P_g + L_k(E_l) (d_k - d) + (E_l / E_0) s_k

with a position P_g of each group g of pieces that show the same emission, which may be
anywhere (see `equations`); the drift coefficients d (two: `layout.DRIFT`) of the
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

from rixs_pipeline.core.drift.common_drift.equations import (
    Equations,
    Unknowns,
    drift_equations,
    find_unknowns,
)
from rixs_pipeline.core.drift.common_drift.measurements import (
    N_DRIFT,
    REFERENCE_EV,
    Interval,
    LinePositions,
)
from rixs_pipeline.core.drift.common_drift.posterior import (
    FurtherColumns,
    FurtherUnknowns,
    Posterior,
    drift_posteriors,
)
from rixs_pipeline.core.drift.common_drift.priors import (
    LITTLE_DRIFT,
    weighted_assumptions,
)
from rixs_pipeline.core.drift.common_drift.scale_steps import (
    LEAST_SHARE,
    NO_STEPS,
    STEP_WIDTH,
    PossibleSteps,
    StepSet,
    find_steps,
)
from rixs_pipeline.types import FloatArray

NEGLIGIBLE = 1e-17  # share of an explanation that changes no digit
# Most steps that are undone: up to 45 runs, between any two. Of more runs, those that
# last long are two steps.
MAX_UNDONE = 2000


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
    explanations = _explain(equations, interval, unknowns, possible)
    misfit = _misfit(explanations[0], possible, positions)
    if misfit > 1:
        weight = equations.weight.copy()
        weight[: len(positions.scan)] /= misfit
        equations = replace(equations, weight=weight)
        explanations = _explain(equations, interval, unknowns, possible)
    mean, covariance = _average(explanations, possible)
    return CommonDrift(
        coefficients=mean[:N_DRIFT],
        scale=mean[N_DRIFT:],
        covariance=covariance,
        misfit=misfit,
        hidden_size=_hidden_size(explanations),
        steps=_describe_steps(explanations, possible),
    )


@dataclass(frozen=True)
class _Part:
    """An explanation for one assumption of the hidden drift.

    Attributes
    ----------
    posterior
        Without steps.
    steps
        Their sizes as unknowns, in units of their prior.
    factor
        What they add to the diagonal of L, f8 (step, step).
    solution
        What they add to `posterior.solution`, f8 (step,).
    evidence
        Log evidence, prior odds of the steps included.
    """

    posterior: Posterior
    steps: FurtherUnknowns
    factor: FloatArray
    solution: FloatArray
    evidence: float

    def drift(self, effect: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and covariance of the coefficients and scales.

        `effect` (scan, step) of the steps on the scales.
        """
        posterior, first = self.posterior, self.posterior.drift_factor
        on_drift = np.concatenate([np.zeros((N_DRIFT, effect.shape[1])), effect])
        second = self._factor_of_steps(first, on_drift)
        mean = posterior.prior.mean[: len(on_drift)] + self._move(first, second)
        return mean, posterior.drift_covariance + second.T @ second

    def unknowns(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and covariance of all unknowns, the steps last."""
        prior, n_steps = self.posterior.prior, len(self.solution)
        root = np.pad(prior.root, ((0, n_steps), (0, 0)))
        first = self.posterior.whiten(root.T)
        second = self._factor_of_steps(
            first, np.eye(len(root), n_steps, -len(prior.root))
        )
        mean = np.append(prior.mean, np.zeros(n_steps)) + self._move(first, second)
        return mean, first.T @ first + second.T @ second

    def _factor_of_steps(self, first: FloatArray, effect: FloatArray) -> FloatArray:
        """Return what the steps add to L^-1 R' of some unknowns, `first`."""
        added = STEP_WIDTH * effect.T - self.steps.factor.T @ first
        return np.asarray(np.linalg.solve(self.factor, added))

    def _move(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """Return how far the mean of some unknowns is from that of the prior."""
        moved = self.posterior.solution @ first + self.solution @ second
        return np.asarray(moved, dtype=np.float64)


@dataclass(frozen=True)
class _Explanation:
    """Steps of the scale, and the posteriors for sizes and time scales of the rest."""

    steps: StepSet
    parts: list[_Part]

    @cached_property
    def evidence(self) -> float:
        """Log evidence of the steps, prior odds included."""
        return float(np.logaddexp.reduce([part.evidence for part in self.parts]))

    @property
    def best(self) -> _Part:
        """The most probable part."""
        return max(self.parts, key=lambda part: part.evidence)


def _explain(
    equations: Equations,
    interval: Interval,
    unknowns: Unknowns,
    possible: PossibleSteps,
) -> list[_Explanation]:
    """Return what explains the positions, the most probable explanation first.

    Steps are sought beside the drift that explains most alone, and beside little drift:
    much of it can make a step of any scan.
    """
    problem = equations, interval, unknowns
    assumptions = weighted_assumptions(interval.hidden_drift)
    posteriors = drift_posteriors(*problem, assumptions)
    best = max(posteriors, key=lambda posterior: posterior.evidence)
    columns = STEP_WIDTH * possible.column
    candidates = FurtherColumns.of(equations, columns)
    sets = {NO_STEPS.candidates: NO_STEPS}
    beside = {one.assumption: one for one in posteriors}
    if LITTLE_DRIFT not in beside:  # the drift is stated
        (beside[LITTLE_DRIFT],) = drift_posteriors(*problem, {LITTLE_DRIFT: 1.0})
    for assumption in dict.fromkeys((best.assumption, LITTLE_DRIFT)):
        for steps in find_steps(beside[assumption], columns, candidates):
            sets.setdefault(tuple(sorted(steps.candidates)), steps)
    explanations = []
    for steps in sets.values():
        of_steps = columns[:, list(steps.candidates)]
        information = equations.product(of_steps, of_steps)
        further = FurtherColumns.of(equations, of_steps)
        parts = [
            _with_steps(one, one.add(further), information, steps.log_odds)
            for one in posteriors
        ]
        explanations.append(_Explanation(steps, parts))
    return sorted(explanations, key=lambda one: -one.evidence)


def _with_steps(
    posterior: Posterior,
    steps: FurtherUnknowns,
    information: FloatArray,
    log_odds: float,
) -> _Part:
    """Add the sizes of steps to a posterior, with the information (step, step)."""
    precision = information + np.eye(len(information))
    precision -= steps.factor.T @ steps.factor
    factor = np.asarray(np.linalg.cholesky(precision), dtype=np.float64)
    solution = np.asarray(np.linalg.solve(factor, steps.gradient), dtype=np.float64)
    evidence = posterior.evidence + log_odds
    evidence += 0.5 * solution @ solution - np.log(np.diag(factor)).sum()
    return _Part(posterior, steps, factor, solution, float(evidence))


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
    near = last - first <= max(MAX_UNDONE // max(len(between), 1), 1)
    first, last = first[near], last[near]
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


def _average(
    explanations: list[_Explanation], possible: PossibleSteps
) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance of coefficients and scales over all posteriors."""
    highest = max(one.best.evidence for one in explanations)
    weights, means, covariances = [], [], []
    for explanation in explanations:
        effect = possible.effect[:, list(explanation.steps.candidates)]
        for part in explanation.parts:
            if part.evidence > highest + np.log(NEGLIGIBLE):
                weights.append(np.exp(part.evidence - highest))
                mean, covariance = part.drift(effect)
                means.append(mean)
                covariances.append(covariance)
    weight = np.array(weights) / np.sum(weights)
    mean = weight @ np.stack(means)
    deviation = np.stack(means) - mean
    covariance = np.einsum("m,muv->uv", weight, covariances)
    covariance += np.einsum("m,mu,mv->uv", weight, deviation, deviation)
    return mean, covariance


def _hidden_size(explanations: list[_Explanation]) -> float:
    """Return the root of the mean square size of the hidden drift, eV."""
    parts = [part for one in explanations for part in one.parts]
    evidence = np.array([part.evidence for part in parts])
    square = np.array([part.posterior.assumption.size**2 for part in parts])
    return float(np.sqrt(np.average(square, weights=np.exp(evidence - evidence.max()))))


def _misfit(
    explanation: _Explanation, possible: PossibleSteps, positions: LinePositions
) -> float:
    """Return chi square of the positions over its degrees of freedom."""
    n = len(positions.scan)
    if n == 0:
        return np.nan
    equations = explanation.best.posterior.equations
    columns = possible.column[:, list(explanation.steps.candidates)]
    design = np.concatenate([equations.design, columns], axis=1)
    mean, covariance = explanation.best.unknowns()
    rest = (equations.target - design @ mean)[:, None]
    for of_rows in (rest, design):
        of_rows[n:] = 0.0  # of the reference runs
    chi_square = float(equations.product(rest, rest)[0, 0])
    # of the unknowns, as many as the positions determine
    determined = np.sum(covariance * equations.product(design, design))
    n_fitted = len(positions.groups.line) + float(determined)
    return chi_square / max(n - n_fitted, 1.0)


def _describe_steps(
    explanations: list[_Explanation], possible: PossibleSteps
) -> tuple[ScaleStep, ...]:
    """Return the steps of the most probable explanation, with when else they may be."""
    chosen = explanations[0].steps.candidates
    mean, covariance = explanations[0].best.unknowns()
    alternatives = [
        one.steps.candidates
        for one in explanations
        if len(one.steps.candidates) == len(chosen)
        and one.evidence > explanations[0].evidence + np.log(LEAST_SHARE)
    ]
    steps = []
    for place, candidate in enumerate(chosen):
        times = possible.begin[[candidates[place] for candidates in alternatives]]
        unknown = len(mean) - len(chosen) + place
        steps.append(
            ScaleStep(
                begin=float(possible.begin[candidate]),
                end=float(possible.end[candidate]),
                earliest=float(times.min()),
                latest=float(times.max()),
                size=float(mean[unknown]),
                error=float(np.sqrt(covariance[unknown, unknown])),
            )
        )
    return tuple(sorted(steps, key=lambda step: step.begin))
