"""Emission lines fitted in one batch: every (pixel, line) spectrum by maximum Poisson likelihood.

The model of a bin is  N p(shift, sigma, f) + background,  with p from `line_shapes`. Fisher scoring with damping:
the expected information needs only first derivatives, which are products in Fourier space.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.line_shapes import N_GRID, Complex, LineGrid

Float = NDArray[np.float64]

SHIFT, LOG_SIGMA, LOG_COUNTS, TAIL, LOG_BACKGROUND = range(5)
N_FIT = 5
MAX_ITERATIONS = 60
TOLERANCE = 1e-3  # gain in log likelihood that ends a fit: 0.04 standard deviations
# Weak knowledge that keeps a fit with few counts finite: sigma within a factor of e^1 of the start value, tail
# fraction 0.15 +- 0.10 (what the array shows: 0.12 to 0.20).
PRIOR_LOG_SIGMA = 1.0
PRIOR_TAIL = (0.15, 0.10)
SHIFT_LIMIT = 15.0  # eV


@dataclass(frozen=True)
class LineFits:
    """Results of n fits: values and standard deviations (n,), and whether each converged (n,)."""

    shift: Float
    shift_errors: Float
    sigma: Float
    sigma_errors: Float
    counts: Float
    tail_fraction: Float
    background: Float
    converged: NDArray[np.bool_]


def fit_lines(counts: Float, inside: NDArray[np.bool_], emitted: Complex, grid: LineGrid, tau: float) -> LineFits:
    """Fit n lines at once.

    Args:
        counts: f8 (n, N_GRID), histogram around each line's reference energy, in bins of `grid`.
        inside: bool (n, N_GRID), the bins that belong to the fit.
        emitted: complex (n, N_GRID // 2 + 1), transforms of the emitted shapes.
        grid: the bins.
        tau: decay length of the low-energy tail, eV.

    Returns:
        Positions relative to the reference energy, widths, counts, with errors from the expected information.
    """
    theta = _start(counts, inside)
    prior_centre = theta[:, LOG_SIGMA].copy()
    damping = np.full(len(counts), 1e-2)
    objective, gradient, information = _evaluate(theta, counts, inside, emitted, grid, tau, prior_centre)
    converged = np.zeros(len(counts), dtype=bool)
    for _ in range(MAX_ITERATIONS):
        active = np.flatnonzero(~converged)
        if not len(active):
            break
        trial = _clip(theta[active] + _damped_step(gradient[active], information[active], damping[active]))
        result = _evaluate(trial, counts[active], inside[active], emitted[active], grid, tau, prior_centre[active])
        better = result[0] >= objective[active] - 1e-9
        gain = np.where(better, result[0] - objective[active], np.inf)
        moved = active[better]
        theta[moved], objective[moved] = trial[better], result[0][better]
        gradient[moved], information[moved] = result[1][better], result[2][better]
        damping[active] = np.clip(np.where(better, damping[active] / 5, damping[active] * 8), 1e-7, 1e8)
        converged[active] = (gain < TOLERANCE) & (damping[active] < 1)
    return _results(theta, information, converged)


def _start(counts: Float, inside: NDArray[np.bool_]) -> Float:
    """Start values (n, N_FIT): the window's highest smoothed place, its counts, a flat floor."""
    windowed = np.where(inside, counts, 0.0)
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 3.0) ** 2)
    smooth = np.apply_along_axis(np.convolve, 1, windowed, kernel / kernel.sum(), "same")
    # searched within 8 bins of the window's reference, where provisional curves put the line
    near = np.abs(np.arange(N_GRID) - N_GRID // 2) <= 12
    top = np.where(near, smooth, -1.0).argmax(axis=1) - N_GRID // 2
    total = np.maximum(windowed.sum(axis=1), 1.0)
    theta = np.zeros((len(counts), N_FIT))
    theta[:, SHIFT] = top * 0.25  # half way: the maximum of few counts is a poor guide
    theta[:, LOG_SIGMA] = np.log(1.5)
    theta[:, LOG_COUNTS] = np.log(0.8 * total)
    theta[:, TAIL] = PRIOR_TAIL[0]
    theta[:, LOG_BACKGROUND] = np.log(np.maximum(0.1 * total / np.maximum(inside.sum(axis=1), 1), 1e-3))
    return theta


def _evaluate(
    theta: Float,
    counts: Float,
    inside: NDArray[np.bool_],
    emitted: Complex,
    grid: LineGrid,
    tau: float,
    prior_centre: Float,
) -> tuple[Float, Float, Float]:
    """Log posterior (n,), its gradient (n, N_FIT) and expected information (n, N_FIT, N_FIT)."""
    shift, sigma = theta[:, SHIFT], np.exp(theta[:, LOG_SIGMA])
    number, f = np.exp(theta[:, LOG_COUNTS]), theta[:, TAIL]
    background = np.exp(theta[:, LOG_BACKGROUND])
    k, ik = grid.k, 1j * grid.k
    narrow = grid.detected(emitted, shift, sigma, np.zeros_like(f), np.full_like(f, tau))
    tail = narrow / (1 - ik * tau)
    line = narrow * (1 - f)[:, None] + tail * f[:, None]
    used = np.flatnonzero(inside.any(axis=0))
    window = slice(used[0], used[-1] + 1)  # nothing outside is looked at
    counts, inside = counts[:, window], inside[:, window]
    columns = np.empty((len(theta), N_FIT, counts.shape[1]))
    columns[:, SHIFT] = number[:, None] * grid.bins(-ik * line)[:, window]
    columns[:, LOG_SIGMA] = number[:, None] * grid.bins(-((sigma[:, None] * k) ** 2) * line)[:, window]
    columns[:, LOG_COUNTS] = number[:, None] * grid.bins(line)[:, window]
    columns[:, TAIL] = number[:, None] * grid.bins(tail - narrow)[:, window]
    columns[:, LOG_BACKGROUND] = background[:, None]
    expected = np.maximum(columns[:, LOG_COUNTS] + background[:, None], 1e-9)
    columns *= inside[:, None, :]
    objective = np.where(inside, counts * np.log(expected) - expected, 0.0).sum(axis=1)
    gradient = np.matmul(columns, (counts / expected - 1.0)[..., None])[..., 0]
    information = np.matmul(columns / expected[:, None, :], columns.transpose(0, 2, 1))
    for index, centre, width in ((LOG_SIGMA, prior_centre, PRIOR_LOG_SIGMA), (TAIL, *PRIOR_TAIL)):
        pull = (theta[:, index] - centre) / width
        objective -= 0.5 * pull**2
        gradient[:, index] -= pull / width
        information[:, index, index] += 1 / width**2
    return objective, gradient, information


def _damped_step(gradient: Float, information: Float, damping: Float) -> Float:
    """Step (n, N_FIT) of the damped scoring equations."""
    diagonal = np.einsum("nii->ni", information)
    damped = information + (damping[:, None] * diagonal + 1e-9)[:, :, None] * np.eye(N_FIT)
    return np.asarray(np.linalg.solve(damped, gradient[..., None])[..., 0])


def _clip(theta: Float) -> Float:
    """Parameters within what a line can be: the fit may touch these ends, and its status then says so."""
    low = np.array([-SHIFT_LIMIT, np.log(0.2), np.log(0.1), 0.0, np.log(1e-6)])
    high = np.array([SHIFT_LIMIT, np.log(15.0), 25.0, 0.6, 25.0])
    return np.clip(theta, low, high)


def _results(theta: Float, information: Float, converged: NDArray[np.bool_]) -> LineFits:
    """Values and errors; the covariance is the inverse of the expected information."""
    scale = 1 / np.sqrt(np.einsum("nii->ni", information) + 1e-12)
    covariance = np.linalg.pinv(information * scale[:, :, None] * scale[:, None, :], hermitian=True)
    errors = np.sqrt(np.einsum("nii->ni", covariance)) * scale
    sigma = np.exp(theta[:, LOG_SIGMA])
    at_limit = np.abs(theta[:, SHIFT]) >= SHIFT_LIMIT - 1e-6
    return LineFits(
        theta[:, SHIFT],
        errors[:, SHIFT],
        sigma,
        sigma * errors[:, LOG_SIGMA],
        np.exp(theta[:, LOG_COUNTS]),
        theta[:, TAIL],
        np.exp(theta[:, LOG_BACKGROUND]),
        converged & ~at_limit,
    )
