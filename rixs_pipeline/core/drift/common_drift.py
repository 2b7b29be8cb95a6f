r"""Drift that the pixels of an array have in common, between reference runs.

The energy scale is fixed in the reference runs. Between them it drifts with the
pretrigger mean, by a coefficient that reference runs hardly show, and in ways that the
baseline does not show. Each line of a sample stands still meanwhile, wherever it is: so
the position m of line l in piece k of a scan i is

    m = P_g + L_k(E_l) (d_k - d) + (E_l / E_0) s_i

with a free position P_g of each group g of pieces that show the same emission; the
drift coefficients d (two: `layout.DRIFT`) of the array and those in use d_k; the change
of energy L_k a unit of d, which follows from the pretrigger mean; and the hidden change
s_i of the scale since the reference runs, in proportion to the energy. Further
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

from dataclasses import dataclass
from itertools import product

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

REFERENCE_EV = 851.0  # E_0: Ni La, at which sizes of drifts are stated
N_DRIFT = 2  # drift coefficients
# Prior of the coefficients: the largest found in real pixels (relative a unit).
DRIFT_WIDTH = 7e-5
# Spread of the coefficients between the pixels of an array: 3e-5 to 7e-5 in real ones.
PIXEL_WIDTH = 2e-5
# How far the coefficient of slow changes may be from that of pulse to pulse: in real
# pulses 1.7 +- 0.6 and 3.5 +- 0.5 e-5.
SLOW_WIDTHS = (0.0, 2e-5)
# Hidden drift: rms, eV at E_0, and its prior: a fifth for none, and half-Cauchy on
# sizes that are about a factor of two apart.
TYPICAL_SIZE = 0.2  # eV at E_0: the hidden drift of real pixels
NO_DRIFT_WEIGHT = 0.5
SIZE_WEIGHTS = {0.0: NO_DRIFT_WEIGHT} | {
    size: size / TYPICAL_SIZE / (1 + (size / TYPICAL_SIZE) ** 2)
    for size in (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
}
TIME_SCALES = (1800.0, 5400.0, 14400.0)  # s, of a Matern-3/2 process
# A line may differ that much between edges of one sample (satellites), eV.
EDGE_WIDTH = 0.05
# Deviation of what lines moved between reference runs from the forms above, eV.
FORM_WIDTH = 0.05


@dataclass(frozen=True)
class LinePositions:
    """Positions of lines in pieces of scans, (position,) each.

    Attributes
    ----------
    scan
        Index of the scan.
    group
        Index of the group of pieces that show the same emission.
    edge
        Index of what the position may differ by in the group; -1: it does not.
    energy
        Of the line, eV.
    shift, error
        Position relative to its group, and its standard deviation, eV.
    lever
        L: change of energy a unit of the drift coefficients, f8 (position, 2), eV.
    in_use
        Mean drift coefficients in use, f8 (position, 2).
    """

    scan: IntArray
    group: IntArray
    edge: IntArray
    energy: FloatArray
    shift: FloatArray
    error: FloatArray
    lever: FloatArray
    in_use: FloatArray


@dataclass(frozen=True)
class ReferenceDrift:
    """Drift coefficients from the pulses of a reference run.

    Attributes
    ----------
    time
        Of the run, s.
    in_use
        Mean coefficients of its pixels, f8 (2,).
    mean
        What its pulses say of them, f8 (2,).
    covariance
        f8 (2, 2).
    """

    time: float
    in_use: FloatArray
    mean: FloatArray
    covariance: FloatArray


@dataclass(frozen=True)
class ReferenceShifts:
    """What lines moved from one reference run to the next, (line,) each.

    Attributes
    ----------
    energy
        eV.
    shift, error
        On the scale of the first run, less the change by the coefficients in use; eV.
    lever
        f8 (line, 2), eV.
    """

    energy: FloatArray
    shift: FloatArray
    error: FloatArray
    lever: FloatArray


@dataclass(frozen=True)
class Interval:
    """Scans between reference runs.

    Attributes
    ----------
    time, later_share
        Middle of each scan, s, and weight of the later reference run, (scan,).
    references
        One or two reference runs.
    shifts
        Between them; None for one.
    pixel_drift
        Rms at E_0 of the mean of the pixels' own hidden drifts, eV.
    """

    time: FloatArray
    later_share: FloatArray
    references: tuple[ReferenceDrift, ...]
    shifts: ReferenceShifts | None
    pixel_drift: float


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
    """

    coefficients: FloatArray
    scale: FloatArray
    covariance: FloatArray
    misfit: float


@dataclass(frozen=True)
class _Normal:
    """Normal equations: Fisher information and gradient at 0, of all unknowns."""

    information: FloatArray
    gradient: FloatArray


@dataclass(frozen=True)
class _Posterior:
    """Gaussian posterior, and log evidence of its assumptions."""

    mean: FloatArray
    covariance: FloatArray
    evidence: float


def combine_pixels(
    drifts: FloatArray, score: FloatArray, information: FloatArray, time: float
) -> ReferenceDrift:
    """Return the mean drift coefficients of an array from those of its pixels.

    Parameters
    ----------
    drifts
        In use, f8 (pixel, 2).
    score, information
        Slope and curvature of each pixel's log likelihood there, (pixel, 2) and
        (pixel, 2, 2).
    time
        Of the reference run, s.

    Returns
    -------
    ReferenceDrift
        Pixels are drawn from a Gaussian of `PIXEL_WIDTH` around an unknown mean, which
        counts where a pixel's own pulses say little.
    """
    if not len(drifts):  # a reference run without a good pixel
        prior = np.eye(N_DRIFT) * DRIFT_WIDTH**2
        return ReferenceDrift(time, np.zeros(N_DRIFT), np.zeros(N_DRIFT), prior)
    spread = np.eye(N_DRIFT) * PIXEL_WIDTH**-2  # its inverse
    pixel_covariance = np.linalg.inv(information + spread)  # given the array's mean
    # information of a pixel on the mean of the array, and its gradient at 0
    pull = information @ drifts[..., None] + score[..., None]
    on_mean = spread - spread @ pixel_covariance @ spread
    array = np.linalg.inv(on_mean.sum(axis=0) + np.eye(N_DRIFT) * DRIFT_WIDTH**-2)
    array_mean = array @ (spread @ pixel_covariance @ pull).sum(axis=0)
    weight = (pixel_covariance @ spread).mean(axis=0)
    mean = (pixel_covariance @ pull).mean(axis=0) + weight @ array_mean
    covariance = (
        pixel_covariance.sum(axis=0) / len(drifts) ** 2 + weight @ array @ weight.T
    )
    return ReferenceDrift(time, drifts.mean(axis=0), mean[:, 0], covariance)


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
    n_scans = len(interval.time)
    normal = _position_normal(positions, n_scans)
    posteriors, n_kept = _posteriors(normal, interval)
    best = max(posteriors, key=lambda part: part.evidence)
    misfit = _misfit(positions, normal, best.mean)
    if misfit > 1:
        scaled = _Normal(normal.information / misfit, normal.gradient / misfit)
        posteriors, n_kept = _posteriors(scaled, interval)
    mean, covariance = _average(posteriors, n_kept)
    return CommonDrift(mean[:N_DRIFT], mean[N_DRIFT:], covariance, misfit)


def _position_normal(positions: LinePositions, n_scans: int) -> _Normal:
    """Return the normal equations of the positions, without those of the groups.

    Unknowns: coefficients, scale of each scan, what the reference runs moved by, and
    what lines differ by between edges.
    """
    n_edges = int(positions.edge.max(initial=-1)) + 1
    n_unknowns = N_DRIFT + n_scans + 1 + n_edges
    n = len(positions.scan)
    design = np.zeros((n, n_unknowns))
    design[:, :N_DRIFT] = -positions.lever
    rows = np.arange(n)
    design[rows, N_DRIFT + positions.scan] = positions.energy / REFERENCE_EV
    differs = positions.edge >= 0
    first_edge = N_DRIFT + n_scans + 1
    design[rows[differs], first_edge + positions.edge[differs]] = 1.0
    target = _target(positions)
    weight = positions.error**-2
    information = design.T @ (design * weight[:, None])
    gradient = design.T @ (weight * target)
    # a free position of each group
    n_groups = int(positions.group.max(initial=-1)) + 1
    sums = np.zeros((n_groups, n_unknowns))
    np.add.at(sums, positions.group, design * weight[:, None])
    total = np.bincount(positions.group, weight, n_groups)
    target_sum = np.bincount(positions.group, weight * target, n_groups)
    information -= sums.T @ (sums / total[:, None])
    gradient -= sums.T @ (target_sum / total)
    return _Normal(information, gradient)


def _target(positions: LinePositions) -> FloatArray:
    """Return the shifts (position,) without the drift coefficients in use, eV."""
    in_use = (positions.lever * positions.in_use).sum(axis=1)
    return np.asarray(positions.shift - in_use)


def _posteriors(normal: _Normal, interval: Interval) -> tuple[list[_Posterior], int]:
    """Return the posterior for each size and time scale, and how many unknowns to keep.

    The kept ones are the coefficients and the scales of the scans.
    """
    n_scans = len(interval.time)
    n_unknowns = len(normal.gradient)
    posteriors = []
    for size, time_scale, slow in product(SIZE_WEIGHTS, TIME_SCALES, SLOW_WIDTHS):
        prior = np.eye(n_unknowns) * EDGE_WIDTH**2
        drift, hidden = slice(0, N_DRIFT), slice(N_DRIFT, N_DRIFT + n_scans + 1)
        prior[hidden, hidden] = _hidden_covariance(interval, size, time_scale)
        prior_mean = np.zeros(n_unknowns)
        reference = _reference_prior(interval, slow)
        prior[drift, drift] = reference.covariance
        prior_mean[drift] = reference.mean
        total = _with_reference_shifts(normal, interval, N_DRIFT + n_scans)
        posterior = _solve(total, prior, prior_mean)
        evidence = posterior.evidence + reference.evidence + np.log(SIZE_WEIGHTS[size])
        posteriors.append(_Posterior(posterior.mean, posterior.covariance, evidence))
    return posteriors, N_DRIFT + n_scans


def _hidden_covariance(
    interval: Interval, size: float, time_scale: float
) -> FloatArray:
    """Return the prior covariance of the scales of scans and between reference runs."""
    n_scans = len(interval.time)
    references = [reference.time for reference in interval.references]
    times = np.concatenate([interval.time, references])
    distance = np.abs(times[:, None] - times[None, :]) * np.sqrt(3) / time_scale
    variance = size**2 + interval.pixel_drift**2
    process = variance * (1 + distance) * np.exp(-distance)
    change = np.zeros((n_scans + 1, len(times)))
    change[:n_scans, :n_scans] = np.eye(n_scans)
    change[:n_scans, n_scans] = -1 + interval.later_share
    change[:n_scans, -1] -= interval.later_share
    change[n_scans, n_scans] -= 1
    change[n_scans, -1] += 1
    covariance = change @ process @ change.T
    return np.asarray(covariance + 1e-12 * np.eye(n_scans + 1))


def _reference_prior(interval: Interval, slow: float) -> _Posterior:
    """Return what the reference runs' own pulses say of the coefficients."""
    prior = np.eye(N_DRIFT) * DRIFT_WIDTH**2
    information = np.zeros((N_DRIFT, N_DRIFT))
    gradient = np.zeros(N_DRIFT)
    for reference in interval.references:
        inverse = np.linalg.inv(reference.covariance)
        information += inverse
        gradient += inverse @ reference.mean
    fast = np.linalg.inv(information)
    mean = fast @ gradient
    # pulse to pulse, with what slow changes may differ by
    measured = fast + np.eye(N_DRIFT) * slow**2
    gain = prior @ np.linalg.inv(prior + measured)
    return _Posterior(gain @ mean, prior - gain @ prior, 0.0)


def _with_reference_shifts(normal: _Normal, interval: Interval, row: int) -> _Normal:
    """Add what lines moved from one reference run to the next, the unknown in `row`."""
    shifts = interval.shifts
    if shifts is None:
        return normal
    design = np.zeros((len(shifts.energy), len(normal.gradient)))
    design[:, :N_DRIFT] = -shifts.lever
    design[:, row] = shifts.energy / REFERENCE_EV
    weight = 1 / (shifts.error**2 + FORM_WIDTH**2)
    in_use = shifts.lever @ interval.references[0].in_use
    target = shifts.shift - in_use
    return _Normal(
        normal.information + design.T @ (design * weight[:, None]),
        normal.gradient + design.T @ (weight * target),
    )


def _solve(normal: _Normal, prior: FloatArray, prior_mean: FloatArray) -> _Posterior:
    """Return the posterior of a Gaussian prior and normal equations."""
    root = np.linalg.cholesky(prior)
    gradient = normal.gradient - normal.information @ prior_mean
    inner = root.T @ normal.information @ root
    inner = 0.5 * (inner + inner.T) + np.eye(len(inner))
    factor = np.linalg.cholesky(inner)
    whitened = np.linalg.solve(factor, root.T)
    covariance = whitened.T @ whitened
    change = covariance @ gradient
    # log evidence, but for terms that are the same for all priors
    at_prior_mean = prior_mean @ (
        normal.gradient - 0.5 * normal.information @ prior_mean
    )
    evidence = at_prior_mean + 0.5 * gradient @ change
    evidence -= np.log(np.diag(factor)).sum()
    return _Posterior(prior_mean + change, covariance, float(evidence))


def _average(
    posteriors: list[_Posterior], n_kept: int
) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance of the first unknowns over all posteriors."""
    evidence = np.array([part.evidence for part in posteriors])
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    means = np.stack([part.mean[:n_kept] for part in posteriors])
    mean = weight @ means
    covariance = np.zeros((n_kept, n_kept))
    for share, part in zip(weight, posteriors, strict=True):
        deviation = part.mean[:n_kept] - mean
        covariance += share * part.covariance[:n_kept, :n_kept]
        covariance += share * np.outer(deviation, deviation)
    # the unknown after the scales of the scans is what the reference runs moved by
    return mean, covariance


def _misfit(positions: LinePositions, normal: _Normal, mean: FloatArray) -> float:
    """Return chi square of the positions over its degrees of freedom."""
    n = len(positions.scan)
    if n == 0:
        return np.nan
    weight = positions.error**-2
    target = _target(positions)
    total = np.bincount(positions.group, weight)
    group_mean = np.bincount(positions.group, weight * target) / total
    chi_square = weight @ (target - group_mean[positions.group]) ** 2
    chi_square -= 2 * mean @ normal.gradient
    chi_square += mean @ normal.information @ mean
    n_fitted = len(total) + N_DRIFT + len(np.unique(positions.scan))
    return float(chi_square / max(n - n_fitted, 1))
