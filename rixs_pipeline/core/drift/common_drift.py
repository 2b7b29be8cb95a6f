r"""Drift that the pixels of an array have in common, between reference runs.

The energy scale is fixed in the reference runs. Between them it drifts with the
pretrigger mean, by a coefficient that reference runs hardly show, and in ways that the
baseline does not show. Each line of a sample stands still meanwhile, wherever it is: so
the position m of line l in piece k of a scan i is

    m = P_g + L_k(E_l) (d_k - d) + (E_l / E_0) s_i

with a position P_g of each group g of pieces that show the same emission, which may be
anywhere (see `drift_equations`); the drift coefficients d (two: `layout.DRIFT`) of the
array and those in use d_k; the change of energy L_k a unit of d, which follows from the
pretrigger mean; and the hidden change s_i of the scale since the reference runs, in
proportion to the energy. The scale may also step (see `scale_steps`). Further
measurements are the drift coefficients from the reference runs themselves, and what
lines moved from one to the next.

The s are a Gaussian process h less its values in the reference runs, interpolated as
the calibrations are. Its size and time scale follow from the data: results are averaged
over a grid of them, weighted with their posterior probability [1]_, so that errors
include what is not known of them.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, MIT
   Press (2006), ch. 2 and 5.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from rixs_pipeline.core.drift.drift_equations import Equations
from rixs_pipeline.core.drift.drift_measurements import (
    N_DRIFT,
    REFERENCE_EV,
    Interval,
    LinePositions,
)
from rixs_pipeline.core.drift.drift_priors import (
    LITTLE_DRIFT,
    SIZE_WEIGHTS,
    SLOW_WIDTHS,
    TIME_SCALES,
    Priors,
    drift_priors,
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

# Deviation of what lines moved between reference runs from the forms above: eV, and
# share. A gain changes energies in proportion to the pulse height.
FORM_WIDTH = 0.05
FORM_SHARE = 0.1


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
    """

    coefficients: FloatArray
    scale: FloatArray
    covariance: FloatArray
    misfit: float
    steps: tuple[ScaleStep, ...] = ()


@dataclass(frozen=True)
class _Posterior:
    """Gaussian posterior, and log evidence of its assumptions."""

    mean: FloatArray
    covariance: FloatArray
    evidence: float
    assumption: tuple[float, float, float]  # size, time scale, slow width


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
    equations = _equations(positions, interval)
    possible = _possible_steps(positions, interval)
    explanations = _explain(equations, interval, possible)
    misfit = _misfit(equations, interval, possible, explanations[0], positions)
    if misfit > 1:
        weight = equations.weight.copy()
        weight[: len(positions.scan)] /= misfit
        equations = replace(equations, weight=weight)
        explanations = _explain(equations, interval, possible)
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
        steps=_describe_steps(explanations, possible),
    )


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


def _explain(
    equations: Equations, interval: Interval, possible: PossibleSteps
) -> list[_Explanation]:
    """Return what explains the positions, the most probable explanation first.

    Steps are sought beside the drift that explains most alone, and beside little drift:
    much of it can make a step of any scan.
    """
    n_unknowns = equations.design.shape[1]
    without = _Explanation(NO_STEPS, _posteriors(equations, interval))
    found = {NO_STEPS.candidates: without}
    for assumption in (without.best.assumption, LITTLE_DRIFT):
        priors = drift_priors(interval, n_unknowns, *assumption)
        for steps in find_steps(equations, priors.covariance, priors.mean, possible):
            key = tuple(sorted(steps.candidates))
            if key not in found:
                columns = possible.column[:, list(steps.candidates)]
                posteriors = _posteriors(equations, interval, columns, steps.log_odds)
                found[key] = _Explanation(steps, posteriors)
    return sorted(found.values(), key=lambda one: -one.evidence)


def _equations(positions: LinePositions, interval: Interval) -> Equations:
    """Return the equations of positions and of what the reference runs moved by.

    Unknowns: coefficients, scale of each scan, what the reference runs moved by, and
    what lines differ by between edges.
    """
    n_scans = len(interval.time)
    n_edges = int(positions.edge.max(initial=-1)) + 1
    first_edge = N_DRIFT + n_scans + 1
    n = len(positions.scan)
    design = np.zeros((n, first_edge + n_edges))
    design[:, :N_DRIFT] = -positions.lever
    rows = np.arange(n)
    design[rows, N_DRIFT + positions.scan] = positions.energy / REFERENCE_EV
    differs = positions.edge >= 0
    design[rows[differs], first_edge + positions.edge[differs]] = 1.0
    in_use = (positions.lever * positions.in_use).sum(axis=1)
    target = positions.shift - in_use
    weight, group = positions.error**-2, positions.group
    shifts = interval.shifts
    if shifts is not None:
        of_runs = np.zeros((len(shifts.energy), design.shape[1]))
        of_runs[:, :N_DRIFT] = -shifts.lever
        of_runs[:, N_DRIFT + n_scans] = shifts.energy / REFERENCE_EV
        design = np.concatenate([design, of_runs])
        moved = shifts.shift - shifts.lever @ interval.references[0].in_use
        target = np.concatenate([target, moved])
        deviation = np.hypot(FORM_WIDTH, FORM_SHARE * shifts.shift)
        weight = np.append(weight, 1 / (shifts.error**2 + deviation**2))
        group = np.append(group, np.full(len(moved), -1))
    return Equations(design, target, weight, group, positions.groups)


def _possible_steps(positions: LinePositions, interval: Interval) -> PossibleSteps:
    """Return steps between pieces of scans, and those between two scans and undone."""
    times = [
        positions.time[positions.scan == scan] for scan in range(len(interval.time))
    ]
    times = [
        of_scan if len(of_scan) else interval.time[scan : scan + 1]
        for scan, of_scan in enumerate(times)
    ]
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
    return PossibleSteps(begin, end, column, effect)


def _posteriors(
    equations: Equations,
    interval: Interval,
    steps: FloatArray | None = None,
    log_odds: float = 0.0,
) -> list[_Posterior]:
    """Return the posterior for each size and time scale of the hidden drift.

    `steps` (row, step): columns of steps of the scale, further unknowns; `log_odds` of
    them.
    """
    n_unknowns = equations.design.shape[1]
    columns = np.empty((len(equations.target), 0)) if steps is None else steps
    equations = _with_columns(equations, columns)
    posteriors = []
    for assumption in product(SIZE_WEIGHTS, TIME_SCALES, SLOW_WIDTHS):
        priors = with_step_sizes(
            drift_priors(interval, n_unknowns, *assumption), columns.shape[1]
        )
        mean, covariance, evidence = _solve(equations, priors)
        evidence += np.log(SIZE_WEIGHTS[assumption[0]]) + log_odds
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


def _misfit(
    equations: Equations,
    interval: Interval,
    possible: PossibleSteps,
    explanation: _Explanation,
    positions: LinePositions,
) -> float:
    """Return chi square of the positions over its degrees of freedom."""
    n = len(positions.scan)
    if n == 0:
        return np.nan
    columns = possible.column[:, list(explanation.steps.candidates)]
    complete = _with_columns(equations, columns)
    rest = (complete.target - complete.design @ explanation.best.mean)[:, None]
    rest[n:] = 0.0  # what the reference runs moved by
    chi_square = float(equations.product(rest, rest)[0, 0])
    is_fitted = np.any(complete.design[:n] != 0, axis=0)
    n_fitted = len(positions.groups.line) + int(is_fitted.sum())
    return chi_square / max(n - n_fitted, 1)


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
