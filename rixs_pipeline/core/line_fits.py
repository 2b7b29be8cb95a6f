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
START_REACH_EV = 6.0  # provisional curves put a line this close to its place
START_SIGMA_EV = 1.5
# what a line can be; a Gaussian narrower than a bin of 0.5 eV would ring
LOWEST = np.array([-SHIFT_LIMIT, np.log(0.5), np.log(0.1), 0.0, np.log(1e-6)])
HIGHEST = np.array([SHIFT_LIMIT, np.log(15.0), 25.0, 0.6, 25.0])


@dataclass(frozen=True)
class LineFits:
    """Values and standard deviations of the fits, arrays of one shape (...,), and whether each converged."""

    shift: Float
    shift_errors: Float
    sigma: Float
    sigma_errors: Float
    counts: Float
    tail_fraction: Float
    background: Float
    converged: NDArray[np.bool_]

    def significance(self, width: float) -> Float:
        """Counts of each line over the standard deviation of all counts under it; `width` of the bins, eV."""
        return np.asarray(self.counts / np.sqrt(self.counts + self.background * 4 * self.sigma / width))

    def density(self, row: int, emitted: Complex, grid: LineGrid, tau: float) -> tuple[Float, Float]:
        """Fitted content of the bins of the lines of one row, centred on the line, and its derivative by energy.

        Both (line, N_GRID), background included; arguments as in `fit_lines`.
        """
        sigma, f = self.sigma[row], self.tail_fraction[row]
        transform = grid.detected(emitted, np.zeros_like(sigma), sigma, f, np.full_like(f, tau))
        counts = self.counts[row][:, None]
        content = counts * grid.bins(transform) + self.background[row][:, None]
        return content, counts * grid.bins(1j * grid.k * transform)


def fit_lines(histogram: Float, inside: NDArray[np.bool_], emitted: Complex, grid: LineGrid, tau: float) -> LineFits:
    """Fit the lines of all pixels at once.

    Args:
        histogram: f8 (pixel, line, N_GRID), around each line's reference energy, in bins of `grid`.
        inside: bool (line, N_GRID), the bins that belong to the fit.
        emitted: complex (line, N_GRID // 2 + 1), transforms of the emitted shapes.
        grid: the bins.
        tau: decay length of the low-energy tail, eV.

    Returns:
        Positions relative to the reference energy, widths, counts, (pixel, line), with errors from the expected
        information. Spectra without counts do not converge.
    """
    shape = histogram.shape[:2]
    everything = histogram.reshape(-1, N_GRID)
    filled = np.flatnonzero(everything.any(axis=1))
    lines = np.tile(np.arange(shape[1]), shape[0])[filled]
    theta = np.zeros((len(everything), N_FIT))
    information = np.tile(np.eye(N_FIT), (len(everything), 1, 1))
    converged = np.zeros(len(everything), dtype=bool)
    theta[filled], information[filled], converged[filled] = _maximise(
        everything[filled], inside[lines], emitted[lines], grid, tau
    )
    return _results(theta, information, converged, shape)


def _maximise(
    counts: Float, inside: NDArray[np.bool_], emitted: Complex, grid: LineGrid, tau: float
) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Parameters (n, N_FIT), expected information (n, N_FIT, N_FIT) and convergence (n,) of n fits."""
    used = np.flatnonzero(inside.any(axis=0))
    window = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)  # nothing outside is looked at
    counts, inside = counts[:, window], inside[:, window]
    theta = _start(counts, inside, grid.offsets[window])
    prior_centre = theta[:, LOG_SIGMA].copy()
    damping = np.full(len(counts), 1e-2)
    objective, gradient, information = _evaluate(theta, counts, inside, emitted, grid, window, tau, prior_centre)
    converged = np.zeros(len(counts), dtype=bool)
    for _ in range(MAX_ITERATIONS):
        active = np.flatnonzero(~converged)
        if not len(active):
            break
        trial = _clip(
            theta[active] + _damped_step(theta[active], gradient[active], information[active], damping[active])
        )
        result = _evaluate(
            trial, counts[active], inside[active], emitted[active], grid, window, tau, prior_centre[active]
        )
        better = result[0] >= objective[active] - 1e-9
        gain = np.where(better, result[0] - objective[active], np.inf)
        moved = active[better]
        theta[moved], objective[moved] = trial[better], result[0][better]
        gradient[moved], information[moved] = result[1][better], result[2][better]
        damping[active] = np.clip(np.where(better, damping[active] / 5, damping[active] * 8), 1e-7, 1e8)
        converged[active] = (gain < TOLERANCE) & (damping[active] < 1)
    return theta, information, converged


def _start(counts: Float, inside: NDArray[np.bool_], offsets: Float) -> Float:
    """Start values (n, N_FIT): half way to the highest smoothed place near the line, its counts, a flat floor."""
    from scipy.ndimage import gaussian_filter1d

    windowed = np.where(inside, counts, 0.0)
    near = np.where(np.abs(offsets) < START_REACH_EV, gaussian_filter1d(windowed, 3.0, axis=1, mode="constant"), -1.0)
    total = np.maximum(windowed.sum(axis=1), 1.0)
    theta = np.zeros((len(counts), N_FIT))
    theta[:, SHIFT] = 0.5 * offsets[near.argmax(axis=1)]
    theta[:, LOG_SIGMA] = np.log(START_SIGMA_EV)
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
    window: slice,
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


def _damped_step(theta: Float, gradient: Float, information: Float, damping: Float) -> Float:
    """Step (n, N_FIT) of the damped scoring equations; a parameter that presses against its end stays there."""
    free = ~((theta <= LOWEST) & (gradient < 0) | (theta >= HIGHEST) & (gradient > 0))
    gradient = gradient * free
    information = information * free[:, :, None] * free[:, None, :] + np.eye(N_FIT) * ~free[:, :, None]
    diagonal = np.einsum("nii->ni", information)
    damped = information + (damping[:, None] * diagonal + 1e-9)[:, :, None] * np.eye(N_FIT)
    return np.asarray(np.linalg.solve(damped, gradient[..., None])[..., 0])


def _clip(theta: Float) -> Float:
    """Parameters within what a line can be."""
    return np.clip(theta, LOWEST, HIGHEST)


def _results(theta: Float, information: Float, converged: NDArray[np.bool_], shape: tuple[int, ...]) -> LineFits:
    """Values and errors, reshaped; the covariance is the inverse of the expected information."""
    scale = 1 / np.sqrt(np.einsum("nii->ni", information) + 1e-12)
    covariance = np.linalg.pinv(information * scale[:, :, None] * scale[:, None, :], hermitian=True)
    errors = np.sqrt(np.einsum("nii->ni", covariance)) * scale
    sigma = np.exp(theta[:, LOG_SIGMA])
    at_limit = np.abs(theta[:, SHIFT]) >= SHIFT_LIMIT - 1e-6
    return LineFits(
        shift=theta[:, SHIFT].reshape(shape),
        shift_errors=errors[:, SHIFT].reshape(shape),
        sigma=sigma.reshape(shape),
        sigma_errors=(sigma * errors[:, LOG_SIGMA]).reshape(shape),
        counts=np.exp(theta[:, LOG_COUNTS]).reshape(shape),
        tail_fraction=theta[:, TAIL].reshape(shape),
        background=np.exp(theta[:, LOG_BACKGROUND]).reshape(shape),
        converged=(converged & ~at_limit).reshape(shape),
    )
