"""Emission lines fitted in one batch: every (pixel, line) spectrum by maximum Poisson likelihood.

The model of a bin is  N p(shift, sigma, f, tau) + background,  with p from `line_shapes`. Fisher scoring with
damping: the expected information needs only first derivatives, which are products in Fourier space.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.line_shapes import N_GRID, Complex, LineGrid

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

# columns of theta, as in `line_kernels`
SHIFT, LOG_SIGMA, TAIL, LOG_TAU, LOG_COUNTS, LOG_BACKGROUND = range(6)
SHAPE = slice(LOG_SIGMA, LOG_TAU + 1)
N_FIT = 6
MAX_ITERATIONS = 60
TOLERANCE = 1e-3  # a fit ends when the next step promises less log likelihood: 0.04 standard deviations
SHIFT_LIMIT = 15.0  # eV
START_REACH_EV = 6.0  # provisional curves put a line this close to its place
# Weak knowledge that keeps a fit with few counts finite: resolution within a factor of e, tail fraction and decay
# length as arrays show them (0.12 to 0.20, 10 to 30 eV).
WEAK_CENTRE = np.array([np.log(1.5), 0.15, np.log(20.0)])
WEAK_WIDTH = np.array([1.0, 0.10, 0.4])
# What a line can be. A Gaussian narrower than a bin of 0.5 eV would ring; less background than that may drown in it.
LOWEST = np.array(
    [-SHIFT_LIMIT, np.log(0.5), 0.0, np.log(3.0), np.log(0.1), np.log(1e-3)]
)
HIGHEST = np.array([SHIFT_LIMIT, np.log(15.0), 0.6, np.log(80.0), 25.0, 25.0])


@dataclass(frozen=True)
class ShapePrior:
    """What is known of log sigma, f and log tau before a fit: Gaussians, `centre` and `width` (..., 3)."""

    centre: Float
    width: Float


WEAK = ShapePrior(WEAK_CENTRE, WEAK_WIDTH)


@dataclass(frozen=True)
class LineFits:
    """Parameters and their standard deviations, (pixel, line, N_FIT), and whether each fit converged (pixel, line)."""

    theta: Float
    errors: Float
    converged: Bool

    @property
    def shift(self) -> Float:
        """Position - reference energy (pixel, line), eV."""
        return self.theta[..., SHIFT]

    @property
    def shift_errors(self) -> Float:
        """Standard deviation of the position (pixel, line), eV."""
        return self.errors[..., SHIFT]

    @property
    def sigma(self) -> Float:
        """Gaussian resolution (pixel, line), eV."""
        return np.asarray(np.exp(self.theta[..., LOG_SIGMA]))

    @property
    def sigma_errors(self) -> Float:
        """Standard deviation of the resolution (pixel, line), eV."""
        return np.asarray(self.sigma * self.errors[..., LOG_SIGMA])

    @property
    def tail_fraction(self) -> Float:
        """Share of the line in the low-energy tail (pixel, line)."""
        return self.theta[..., TAIL]

    @property
    def tail_length(self) -> Float:
        """Decay length of the tail (pixel, line), eV."""
        return np.asarray(np.exp(self.theta[..., LOG_TAU]))

    @property
    def counts(self) -> Float:
        """Counts of the line (pixel, line)."""
        return np.asarray(np.exp(self.theta[..., LOG_COUNTS]))

    def significance(self, width: float) -> Float:
        """Counts of each line over the standard deviation of all counts under it; `width` of the bins, eV."""
        under = np.exp(self.theta[..., LOG_BACKGROUND]) * 4 * self.sigma / width
        return np.asarray(self.counts / np.sqrt(self.counts + under))

    def density(self, emitted: Complex, grid: LineGrid) -> tuple[Float, Float]:
        """Fitted content of the bins, each line in the middle of the grid, and its derivative by energy.

        Both (pixel, line, N_GRID), background included; arguments as in `fit_lines`.
        """
        theta = self.theta.reshape(-1, N_FIT).copy()
        theta[:, SHIFT] = 0.0
        line = np.tile(np.arange(len(emitted)), len(self.theta))
        bins = np.exp(theta[:, LOG_COUNTS, None, None]) * grid.bins(
            grid.detected(emitted, line, theta)[:, :2]
        )
        shape = (*self.theta.shape[:2], N_GRID)
        content = bins[:, 0] + np.exp(theta[:, LOG_BACKGROUND, None])
        return content.reshape(shape), -bins[:, 1].reshape(shape)


def fit_lines(
    histogram: Float,
    inside: Bool,
    emitted: Complex,
    grid: LineGrid,
    prior: ShapePrior = WEAK,
    start: Float | None = None,
) -> LineFits:
    """Fit the lines of all pixels at once.

    Args:
        histogram: f8 (pixel, line, N_GRID), around each line's reference energy, in bins of `grid`.
        inside: bool (line, N_GRID), the bins that belong to the fit.
        emitted: complex (line, N_GRID // 2 + 1), transforms of the emitted shapes.
        grid: the bins.
        prior: of the shape, arrays that broadcast to (pixel, line, 3).
        start: f8 (pixel, line, N_FIT), values to start from; default: looked for in the spectra.

    Returns:
        Positions relative to the reference energy, widths, counts, (pixel, line), with errors from the expected
        information. Spectra without counts do not converge.
    """
    shape = histogram.shape[:2]
    everything = histogram.reshape(-1, N_GRID)
    filled = np.flatnonzero(everything.any(axis=1))
    lines = np.tile(np.arange(shape[1]), shape[0])[filled]
    centre, width = (
        np.ascontiguousarray(
            np.broadcast_to(one, (*shape, WEAK_CENTRE.size)).reshape(
                len(everything), -1
            )[filled]
        )
        for one in (prior.centre, prior.width)
    )
    theta, errors = (
        np.zeros((len(everything), N_FIT)),
        np.full((len(everything), N_FIT), np.inf),
    )
    converged = np.zeros(len(everything), dtype=bool)
    if len(filled):
        problem = _Problem(
            everything[filled], inside, lines, emitted, grid, centre, width
        )
        first = problem.start() if start is None else start.reshape(-1, N_FIT)[filled]
        theta[filled], errors[filled], converged[filled] = problem.maximise(
            _clip(first)
        )
    return LineFits(
        theta.reshape(*shape, N_FIT),
        errors.reshape(*shape, N_FIT),
        converged.reshape(shape),
    )


class _Problem:
    """The fits of n spectra (n, bin), cut to the bins that any fit looks at."""

    def __init__(
        self,
        counts: Float,
        inside: Bool,
        line: NDArray[np.intp],
        emitted: Complex,
        grid: LineGrid,
        centre: Float,
        width: Float,
    ) -> None:
        used = np.flatnonzero(inside.any(axis=0))
        self.window = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)
        self.counts = np.ascontiguousarray(counts[:, self.window])
        self.inside = np.ascontiguousarray(inside[:, self.window])
        self.line, self.emitted, self.grid, self.centre, self.width = (
            line,
            emitted,
            grid,
            centre,
            width,
        )

    def start(self) -> Float:
        """Start values (n, N_FIT): half way to the highest smoothed place near the line, its counts, a flat floor."""
        from scipy.ndimage import gaussian_filter1d

        inside, offsets = self.inside[self.line], self.grid.offsets[self.window]
        windowed = np.where(inside, self.counts, 0.0)
        smooth = gaussian_filter1d(windowed, 3.0, axis=1, mode="constant")
        near = np.where(np.abs(offsets) < START_REACH_EV, smooth, -1.0)
        total = np.maximum(windowed.sum(axis=1), 1.0)
        theta = np.empty((len(windowed), N_FIT))
        theta[:, SHIFT] = 0.5 * offsets[near.argmax(axis=1)]
        theta[:, SHAPE] = self.centre
        theta[:, LOG_COUNTS] = np.log(0.8 * total)
        theta[:, LOG_BACKGROUND] = np.log(
            np.maximum(0.1 * total / np.maximum(inside.sum(axis=1), 1), 1e-3)
        )
        return theta

    def maximise(self, theta: Float) -> tuple[Float, Float, Bool]:
        """Parameters (n, N_FIT) of the maximum, their standard deviations, and convergence (n,)."""
        damping = np.full(len(theta), 1e-2)
        objective, gradient, information = self.evaluate(theta, np.arange(len(theta)))
        converged = np.zeros(len(theta), dtype=bool)
        for _ in range(MAX_ITERATIONS):
            active = np.flatnonzero(~converged)
            step = _damped_step(
                theta[active], gradient[active], information[active], damping[active]
            )
            promised = 0.5 * (step * gradient[active]).sum(axis=1)
            ready = (promised < TOLERANCE) & (damping[active] < 1)
            converged[active[ready]] = True
            active, step = active[~ready], step[~ready]
            if not len(active):
                break
            trial = _clip(theta[active] + step)
            result = self.evaluate(trial, active)
            better = result[0] >= objective[active] - 1e-9
            moved = active[better]
            theta[moved], objective[moved] = trial[better], result[0][better]
            gradient[moved], information[moved] = result[1][better], result[2][better]
            damping[active] = np.clip(
                np.where(better, damping[active] / 5, damping[active] * 8), 1e-7, 1e8
            )
        return (
            theta,
            _errors(information),
            converged & (np.abs(theta[:, SHIFT]) < SHIFT_LIMIT - 1e-6),
        )

    def evaluate(
        self, theta: Float, which: NDArray[np.intp]
    ) -> tuple[Float, Float, Float]:
        """Log posterior (m,), its gradient (m, N_FIT) and expected information (m, N_FIT, N_FIT) of some fits (m,)."""
        from rixs_pipeline.core.calibration import line_kernels

        line = self.line[which]
        contents = np.ascontiguousarray(
            self.grid.bins(self.grid.detected(self.emitted, line, theta))[
                ..., self.window
            ]
        )
        prior = self.centre[which], self.width[which]
        result: tuple[Float, Float, Float] = line_kernels.posterior(
            self.counts[which], self.inside, line, contents, theta, *prior
        )
        return result


def _damped_step(
    theta: Float, gradient: Float, information: Float, damping: Float
) -> Float:
    """Step (n, N_FIT) of the damped scoring equations; a parameter that presses against its end stays there."""
    free = ~((theta <= LOWEST) & (gradient < 0) | (theta >= HIGHEST) & (gradient > 0))
    gradient = gradient * free
    information = (
        information * free[:, :, None] * free[:, None, :]
        + np.eye(N_FIT) * ~free[:, :, None]
    )
    diagonal = np.einsum("nii->ni", information)
    damped = information + (damping[:, None] * diagonal + 1e-9)[:, :, None] * np.eye(
        N_FIT
    )
    return np.asarray(np.linalg.solve(damped, gradient[..., None])[..., 0])


def _clip(theta: Float) -> Float:
    """Parameters within what a line can be."""
    return np.clip(theta, LOWEST, HIGHEST)


def _errors(information: Float) -> Float:
    """Standard deviations (n, N_FIT): the covariance is the inverse of the expected information."""
    scale = 1 / np.sqrt(np.einsum("nii->ni", information) + 1e-12)
    correlation = information * scale[:, :, None] * scale[:, None, :] + 1e-9 * np.eye(
        N_FIT
    )
    return np.asarray(np.sqrt(np.einsum("nii->ni", np.linalg.inv(correlation))) * scale)
