"""Fits of emission lines in one batch: every spectrum (pixel, line) by itself.

The expected counts of a bin are  N p(shift, sigma, f, tau) + background,  with p from
`line_shapes`. The maximum of the Poisson likelihood is found by Fisher scoring with
damping: the expected information needs only first derivatives, which are products in
Fourier space.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.line_shapes import (
    FWHM_PER_SIGMA,
    LOG_BACKGROUND,
    LOG_COUNTS,
    LOG_SIGMA,
    LOG_TAU,
    N_FIT,
    N_GRID,
    N_SHAPE,
    SHAPE,
    SHIFT,
    TAIL,
    ComplexArray,
    LineGrid,
    ShapePrior,
)
from rixs_pipeline.types import BoolArray, FloatArray

MAX_ITERATIONS = 60
# Gain in log likelihood of the next step below which a fit ends: 0.04 standard
# deviations.
TOLERANCE = 1e-3
ROUNDING = 1e-9  # loss in log likelihood that counts as none
# Damping of the steps: its start, its change after a good or a bad step, its limits,
# and the one below which a fit may end.
START_DAMPING = 1e-2
GOOD_STEP_DIVISOR, BAD_STEP_FACTOR = 5, 8
DAMPING_RANGE = 1e-7, 1e8
MAX_FINAL_DAMPING = 1
SHIFT_LIMIT_EV = 15.0
START_REACH_EV = 6.0  # provisional curves place a line this close to its energy
START_SMOOTHING = 3.0  # bins
# Weak priors that keep fits of few counts finite: resolution within a factor of e, tail
# fraction and decay length as in real arrays (0.12 to 0.20, 10 to 30 eV).
WEAK_PRIOR = ShapePrior(
    centre=np.array([np.log(1.5), 0.15, np.log(20.0)]),  # 1.5 eV, 15 %, 20 eV
    width=np.array([1.0, 0.10, 0.4]),
)
# Ranges of the parameters. A Gaussian narrower than a bin of 0.5 eV would ring, and
# a background that falls without limit would make the information singular.
RANGES = np.array(
    [
        (-SHIFT_LIMIT_EV, SHIFT_LIMIT_EV),
        (np.log(0.5), np.log(15.0)),  # sigma, eV
        (0.0, 0.6),  # f
        (np.log(3.0), np.log(80.0)),  # tau, eV
        (np.log(0.1), 25.0),  # counts
        (np.log(1e-3), 25.0),  # background, counts per bin
    ]
)
LOWEST, HIGHEST = RANGES.T


@dataclass(frozen=True)
class LineSpectra:
    """Spectra of all pixels around all lines."""

    counts: FloatArray  # (pixel, line, N_GRID) around each line's reference energy
    is_inside: BoolArray  # (line, N_GRID) bins that belong to the fit
    emitted: ComplexArray  # (line, k) transforms of the emitted lines
    grid: LineGrid


@dataclass(frozen=True)
class LineDensities:
    """Fitted spectra of lines in the middle of the grid."""

    content: FloatArray  # (pixel, line, N_GRID) counts, background included
    slope: FloatArray  # (pixel, line, N_GRID) derivative by energy, counts per eV


@dataclass(frozen=True)
class LineFits:
    """Fitted lines of all pixels."""

    theta: FloatArray  # (pixel, line, N_FIT) parameters
    errors: FloatArray  # (pixel, line, N_FIT) their standard deviations
    is_converged: BoolArray  # (pixel, line)

    @property
    def shift(self) -> FloatArray:
        """Position - reference energy (pixel, line), eV."""
        return self.theta[..., SHIFT]

    @property
    def shift_errors(self) -> FloatArray:
        """Standard deviation of the position (pixel, line), eV."""
        return self.errors[..., SHIFT]

    @property
    def sigma(self) -> FloatArray:
        """Gaussian resolution (pixel, line), eV."""
        return np.asarray(np.exp(self.theta[..., LOG_SIGMA]))

    @property
    def sigma_errors(self) -> FloatArray:
        """Standard deviation of the resolution (pixel, line), eV."""
        return np.asarray(self.sigma * self.errors[..., LOG_SIGMA])

    @property
    def fwhm(self) -> FloatArray:
        """Resolution (pixel, line), full width at half maximum, eV."""
        return self.sigma * FWHM_PER_SIGMA

    @property
    def tail_fraction(self) -> FloatArray:
        """Share of the line in the low-energy tail (pixel, line)."""
        return self.theta[..., TAIL]

    @property
    def tail_length(self) -> FloatArray:
        """Decay length of the tail (pixel, line), eV."""
        return np.asarray(np.exp(self.theta[..., LOG_TAU]))

    @property
    def counts(self) -> FloatArray:
        """Counts of the line (pixel, line)."""
        return np.asarray(np.exp(self.theta[..., LOG_COUNTS]))

    def significance(self, bin_width: float) -> FloatArray:
        """Return the counts of each line in standard deviations of all counts there.

        Parameters
        ----------
        bin_width
            Width of the bins, eV.

        Returns
        -------
        float array
            (pixel, line)
        """
        background = np.exp(self.theta[..., LOG_BACKGROUND])
        background_counts = background * 4 * self.sigma / bin_width
        return np.asarray(self.counts / np.sqrt(self.counts + background_counts))

    def densities(self, emitted: ComplexArray, grid: LineGrid) -> LineDensities:
        """Return the fitted spectra, with each line in the middle of the grid.

        Parameters
        ----------
        emitted
            (line, k) transforms of the emitted lines.
        grid
            The bins.

        Returns
        -------
        LineDensities
            (pixel, line, N_GRID)
        """
        n_pixels, n_lines = self.theta.shape[:2]
        theta = self.theta.reshape(-1, N_FIT).copy()
        theta[:, SHIFT] = 0.0
        line = np.tile(np.arange(n_lines), n_pixels)
        transforms = grid.detected_transforms(emitted, line, theta)
        line_counts = np.exp(theta[:, LOG_COUNTS, None, None])
        line_and_derivative = transforms[:, [0, 1 + SHIFT]]
        contents = line_counts * grid.bin_contents(line_and_derivative)
        background = np.exp(theta[:, LOG_BACKGROUND, None])
        content = contents[:, 0] + background
        slope = -contents[:, 1]  # by energy, opposite to that by shift
        shape = (n_pixels, n_lines, N_GRID)
        return LineDensities(content.reshape(shape), slope.reshape(shape))


def fit_lines(
    spectra: LineSpectra,
    *,
    prior: ShapePrior = WEAK_PRIOR,
    start: FloatArray | None = None,
) -> LineFits:
    """Fit the lines of all pixels.

    Parameters
    ----------
    spectra
        Spectra around the lines.
    prior
        Of the shapes; its arrays broadcast to (pixel, line, 3).
    start
        (pixel, line, N_FIT) parameters to start from. By default they are estimated
        from the spectra.

    Returns
    -------
    LineFits
        With errors from the expected information. Spectra without counts do not
        converge.
    """
    shape = spectra.counts.shape[:2]
    n_spectra = shape[0] * shape[1]
    counts = spectra.counts.reshape(n_spectra, N_GRID)
    filled = np.flatnonzero(counts.any(axis=1))
    theta = np.zeros((n_spectra, N_FIT))
    errors = np.full((n_spectra, N_FIT), np.inf)
    is_converged = np.zeros(n_spectra, dtype=bool)
    if len(filled):
        problem = _Problem(spectra, prior, filled)
        if start is None:
            first = problem.estimate_start()
        else:
            first = start.reshape(n_spectra, N_FIT)[filled]
        maximum = problem.maximise(_clip(first))
        theta[filled] = maximum.theta
        errors[filled] = maximum.errors
        is_converged[filled] = maximum.is_converged
    return LineFits(
        theta.reshape(*shape, N_FIT),
        errors.reshape(*shape, N_FIT),
        is_converged.reshape(shape),
    )


class _Problem:
    """Fits of the n spectra that have counts, in the bins that any fit uses."""

    def __init__(
        self, spectra: LineSpectra, prior: ShapePrior, filled: NDArray[np.intp]
    ) -> None:
        """Select spectra by their indices (n,) in the order (pixel, line)."""
        n_pixels, n_lines = spectra.counts.shape[:2]
        used = np.flatnonzero(spectra.is_inside.any(axis=0))
        self.window = slice(0, 1)
        if len(used):
            self.window = slice(used[0], used[-1] + 1)
        counts = spectra.counts.reshape(-1, N_GRID)[filled]
        self.counts = np.ascontiguousarray(counts[:, self.window])
        self.is_inside = np.ascontiguousarray(spectra.is_inside[:, self.window])
        self.line = np.tile(np.arange(n_lines), n_pixels)[filled]
        self.emitted = spectra.emitted
        self.grid = spectra.grid
        shape = (n_pixels, n_lines, N_SHAPE)
        centre = np.broadcast_to(prior.centre, shape).reshape(-1, N_SHAPE)[filled]
        width = np.broadcast_to(prior.width, shape).reshape(-1, N_SHAPE)[filled]
        self.prior = ShapePrior(
            np.ascontiguousarray(centre), np.ascontiguousarray(width)
        )

    def estimate_start(self) -> FloatArray:
        """Return parameters (n, N_FIT) to start from.

        The shift is half way to the highest smoothed bin near the line; the background
        is flat.
        """
        from scipy.ndimage import gaussian_filter1d

        is_inside = self.is_inside[self.line]
        offsets = self.grid.offsets[self.window]
        counts = np.where(is_inside, self.counts, 0.0)
        smooth = gaussian_filter1d(counts, START_SMOOTHING, axis=1, mode="constant")
        is_near = np.abs(offsets) < START_REACH_EV
        near = np.where(is_near, smooth, -1.0)
        total = np.maximum(counts.sum(axis=1), 1.0)
        background = 0.1 * total / np.maximum(is_inside.sum(axis=1), 1)
        theta = np.empty((len(counts), N_FIT))
        theta[:, SHIFT] = 0.5 * offsets[near.argmax(axis=1)]
        theta[:, SHAPE] = self.prior.centre
        theta[:, LOG_COUNTS] = np.log(0.8 * total)
        theta[:, LOG_BACKGROUND] = np.log(np.maximum(background, 1e-3))
        return theta

    def maximise(self, theta: FloatArray) -> LineFits:
        """Return the fits, with axes (n, ...), from start parameters (n, N_FIT)."""
        from rixs_pipeline.core.calibration.line_kernels import (  # numba: slow import
            Posterior,
            WindowedSpectra,
            evaluate_posterior,
        )

        def evaluate(parameters: FloatArray, index: NDArray[np.intp]) -> Posterior:
            """Evaluate the fits `index` (m,) at parameters (m, N_FIT)."""
            line = self.line[index]
            transforms = self.grid.detected_transforms(self.emitted, line, parameters)
            contents = self.grid.bin_contents(transforms)[..., self.window]
            spectra = WindowedSpectra(self.counts[index], self.is_inside, line)
            prior = ShapePrior(self.prior.centre[index], self.prior.width[index])
            return evaluate_posterior(
                spectra, np.ascontiguousarray(contents), parameters, prior
            )

        n_fits = len(theta)
        damping = np.full(n_fits, START_DAMPING)
        is_converged = np.zeros(n_fits, dtype=bool)
        value, gradient, information = evaluate(theta, np.arange(n_fits))
        for _ in range(MAX_ITERATIONS):
            active = np.flatnonzero(~is_converged)
            step = _damped_step(
                theta[active], gradient[active], information[active], damping[active]
            )
            expected_gain = 0.5 * (step * gradient[active]).sum(axis=1)
            is_ready = expected_gain < TOLERANCE
            is_ready &= damping[active] < MAX_FINAL_DAMPING
            is_converged[active[is_ready]] = True
            active = active[~is_ready]
            if not len(active):
                break
            trial = _clip(theta[active] + step[~is_ready])
            posterior = evaluate(trial, active)
            is_better = posterior.value >= value[active] - ROUNDING
            better = active[is_better]
            theta[better] = trial[is_better]
            value[better] = posterior.value[is_better]
            gradient[better] = posterior.gradient[is_better]
            information[better] = posterior.information[is_better]
            less_damping = damping[active] / GOOD_STEP_DIVISOR
            more_damping = damping[active] * BAD_STEP_FACTOR
            new_damping = np.where(is_better, less_damping, more_damping)
            damping[active] = np.clip(new_damping, *DAMPING_RANGE)
        is_converged &= np.abs(theta[:, SHIFT]) < SHIFT_LIMIT_EV - 1e-6
        return LineFits(theta, _standard_deviations(information), is_converged)


def _damped_step(
    theta: FloatArray,
    gradient: FloatArray,
    information: FloatArray,
    damping: FloatArray,
) -> FloatArray:
    """Return the step (n, N_FIT) of the damped scoring equations.

    A parameter at the end of its range that would leave it stays there.
    """
    is_stuck_low = (theta <= LOWEST) & (gradient < 0)
    is_stuck_high = (theta >= HIGHEST) & (gradient > 0)
    is_free = ~(is_stuck_low | is_stuck_high)
    identity = np.eye(N_FIT)
    free_information = information * is_free[:, :, None] * is_free[:, None, :]
    information = free_information + identity * ~is_free[:, :, None]
    diagonal = np.einsum("nii->ni", information)
    added = damping[:, None] * diagonal + 1e-9
    damped = information + added[:, :, None] * identity
    free_gradient = gradient * is_free
    step = np.linalg.solve(damped, free_gradient[..., None])
    return np.asarray(step[..., 0])


def _clip(theta: FloatArray) -> FloatArray:
    """Return parameters (n, N_FIT) within their ranges."""
    return np.clip(theta, LOWEST, HIGHEST)


def _standard_deviations(information: FloatArray) -> FloatArray:
    """Return the standard deviations (n, N_FIT) from the expected information.

    The covariance is its inverse, here of a matrix scaled to a diagonal of 1.
    """
    diagonal = np.einsum("nii->ni", information)
    scale = 1 / np.sqrt(diagonal + 1e-12)
    scaled = information * scale[:, :, None] * scale[:, None, :]
    covariance = np.linalg.inv(scaled + 1e-9 * np.eye(N_FIT))
    variance = np.einsum("nii->ni", covariance)
    return np.asarray(np.sqrt(variance) * scale)
