"""Fits of emission lines in one batch: every spectrum (pixel, line) by itself.

The expected counts of a bin are  N p(shift, sigma, f, tau) + background,  with p from
`line_shapes`. The maximum of the Poisson likelihood is found by Fisher scoring with
damping: the expected information needs only first derivatives, which are products in
Fourier space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    batches,
)
from rixs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from rixs_pipeline.core.calibration.line_kernels import Posterior

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
# parameters that are energies, or logarithms of energies
IS_ENERGY = np.array([1, 0, 0, 0, 0, 0])
IS_LOG_ENERGY = np.array([0, 1, 0, 1, 0, 0])


@dataclass(frozen=True)
class ParameterRanges:
    """Ranges of the parameters, each (N_FIT,)."""

    lowest: FloatArray
    highest: FloatArray


def parameter_ranges(grid: LineGrid) -> ParameterRanges:
    """Return the ranges of the parameters of fits on a grid."""
    width = grid.width_unit
    factor = np.where(IS_ENERGY, width, 1.0)
    offset = np.where(IS_LOG_ENERGY, np.log(width), 0.0)
    return ParameterRanges(LOWEST * factor + offset, HIGHEST * factor + offset)


def narrowest_fwhm(grid: LineGrid) -> float:
    """Return the smallest resolution of fits on a grid, eV FWHM."""
    log_sigma = parameter_ranges(grid).lowest[LOG_SIGMA]
    return float(np.exp(log_sigma) * FWHM_PER_SIGMA)


def weak_prior(grid: LineGrid) -> ShapePrior:
    """Return the weak prior of the shapes of lines on a grid."""
    offset = np.where(IS_LOG_ENERGY[SHAPE], np.log(grid.width_unit), 0.0)
    return ShapePrior(WEAK_PRIOR.centre + offset, WEAK_PRIOR.width)


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
        sigma: FloatArray = np.exp(self.theta[..., LOG_SIGMA])
        return sigma

    @property
    def sigma_errors(self) -> FloatArray:
        """Standard deviation of the resolution (pixel, line), eV."""
        relative_errors = self.errors[..., LOG_SIGMA]
        return self.sigma * relative_errors

    @property
    def fwhm(self) -> FloatArray:
        """Resolution (pixel, line), full width at half maximum, eV."""
        return self.sigma * FWHM_PER_SIGMA

    def are_widest(self, grid: LineGrid) -> BoolArray:
        """Return whether resolutions (pixel, line) stand at the fit's upper limit."""
        highest = parameter_ranges(grid).highest[LOG_SIGMA]
        is_widest: BoolArray = self.theta[..., LOG_SIGMA] >= highest - ROUNDING
        return is_widest

    @property
    def fwhm_errors(self) -> FloatArray:
        """Standard deviation of the resolution (pixel, line), eV FWHM."""
        return self.sigma_errors * FWHM_PER_SIGMA

    def are_narrowest(self, grid: LineGrid) -> BoolArray:
        """Return whether resolutions (pixel, line) stand at the fit's lower limit."""
        lowest = parameter_ranges(grid).lowest[LOG_SIGMA]
        is_narrowest: BoolArray = self.theta[..., LOG_SIGMA] <= lowest + ROUNDING
        return is_narrowest

    @property
    def tail_fraction(self) -> FloatArray:
        """Share of the line in the low-energy tail (pixel, line)."""
        return self.theta[..., TAIL]

    @property
    def tail_length(self) -> FloatArray:
        """Decay length of the tail (pixel, line), eV."""
        tau: FloatArray = np.exp(self.theta[..., LOG_TAU])
        return tau

    @property
    def counts(self) -> FloatArray:
        """Counts of the line (pixel, line)."""
        counts: FloatArray = np.exp(self.theta[..., LOG_COUNTS])
        return counts

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
        total = self.counts + background_counts
        significance: FloatArray = self.counts / np.sqrt(total)
        return significance

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
        line = _line_of_spectrum(n_pixels, n_lines)
        line_counts = np.exp(theta[:, LOG_COUNTS, None, None])
        background = np.exp(theta[:, LOG_BACKGROUND, None])
        content = np.empty((len(theta), N_GRID))
        slope = np.empty((len(theta), N_GRID))
        for batch in batches(len(theta)):
            transforms = grid.detected_transforms(emitted, line[batch], theta[batch])
            line_and_derivative = transforms[:, [0, 1 + SHIFT]]
            unit_contents = grid.bin_contents(line_and_derivative)
            contents = line_counts[batch] * unit_contents
            content[batch] = contents[:, 0] + background[batch]
            slope[batch] = -contents[:, 1]  # by energy, opposite to that by shift
        shape = (n_pixels, n_lines, N_GRID)
        return LineDensities(content=content.reshape(shape), slope=slope.reshape(shape))


def fit_lines(
    spectra: LineSpectra,
    *,
    prior: ShapePrior | None = None,
    start: FloatArray | None = None,
) -> LineFits:
    """Fit the lines of all pixels.

    Parameters
    ----------
    spectra
        Spectra around the lines.
    prior
        Of the shapes; its arrays broadcast to (pixel, line, 3). By default a weak one.
    start
        (pixel, line, N_FIT) parameters to start from. By default they are estimated
        from the spectra.

    Returns
    -------
    LineFits
        With errors from the expected information. Spectra without counts do not
        converge.
    """
    n_pixels, n_lines = spectra.counts.shape[:2]
    n_spectra = n_pixels * n_lines
    counts = spectra.counts.reshape(n_spectra, N_GRID)
    has_counts = counts.any(axis=1)
    filled = np.flatnonzero(has_counts)
    theta = np.zeros((n_spectra, N_FIT))
    errors = np.full((n_spectra, N_FIT), np.inf)
    is_converged = np.zeros(n_spectra, dtype=bool)
    if len(filled):
        problem = _Problem(spectra, prior or weak_prior(spectra.grid), filled)
        if start is None:
            first = problem.estimate_start()
        else:
            first = start.reshape(n_spectra, N_FIT)[filled]
        maximum = problem.maximise(first)
        theta[filled] = maximum.theta
        errors[filled] = maximum.errors
        is_converged[filled] = maximum.is_converged
    return LineFits(
        theta=theta.reshape(n_pixels, n_lines, N_FIT),
        errors=errors.reshape(n_pixels, n_lines, N_FIT),
        is_converged=is_converged.reshape(n_pixels, n_lines),
    )


def _line_of_spectrum(n_pixels: int, n_lines: int) -> NDArray[np.intp]:
    """Return the line of each spectrum, which are in the order (pixel, line)."""
    lines = np.arange(n_lines)
    return np.tile(lines, n_pixels)


class _Problem:
    """Fits of the n spectra that have counts, in the bins that any fit uses."""

    def __init__(
        self, spectra: LineSpectra, prior: ShapePrior, filled: NDArray[np.intp]
    ) -> None:
        """Select spectra by their indices (n,) in the order (pixel, line)."""
        n_pixels, n_lines = spectra.counts.shape[:2]
        is_used = spectra.is_inside.any(axis=0)
        used = np.flatnonzero(is_used)
        self.window = slice(0, 1)
        if len(used):
            first = used[0]
            last = used[-1]
            self.window = slice(first, last + 1)
        counts = spectra.counts.reshape(-1, N_GRID)[filled]
        counts = counts[:, self.window]
        is_inside = spectra.is_inside[:, self.window]
        self.counts = np.ascontiguousarray(counts)
        self.is_inside = np.ascontiguousarray(is_inside)
        line = _line_of_spectrum(n_pixels, n_lines)
        self.line = line[filled]
        self.emitted = spectra.emitted
        self.grid = spectra.grid
        self.ranges = parameter_ranges(spectra.grid)
        shape = (n_pixels, n_lines, N_SHAPE)
        centre = np.broadcast_to(prior.centre, shape)
        centre = centre.reshape(-1, N_SHAPE)[filled]
        width = np.broadcast_to(prior.width, shape)
        width = width.reshape(-1, N_SHAPE)[filled]
        self.prior = ShapePrior(
            centre=np.ascontiguousarray(centre), width=np.ascontiguousarray(width)
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
        is_near = np.abs(offsets) < START_REACH_EV * self.grid.width_unit
        near = np.where(is_near, smooth, -1.0)
        highest = near.argmax(axis=1)
        total = counts.sum(axis=1)
        total = np.maximum(total, 1.0)
        n_bins = is_inside.sum(axis=1)
        n_bins = np.maximum(n_bins, 1)
        background = 0.1 * total / n_bins
        background = np.maximum(background, 1e-3)
        n_fits = len(counts)
        theta = np.empty((n_fits, N_FIT))
        theta[:, SHIFT] = 0.5 * offsets[highest]
        theta[:, SHAPE] = self.prior.centre
        theta[:, LOG_COUNTS] = np.log(0.8 * total)
        theta[:, LOG_BACKGROUND] = np.log(background)
        return theta

    def evaluate(self, parameters: FloatArray, index: NDArray[np.intp]) -> Posterior:
        """Evaluate the fits `index` (m,) at parameters (m, N_FIT)."""
        from rixs_pipeline.core.calibration import line_kernels  # numba: slow to import

        parts = []
        for batch in batches(len(index)):
            fits, theta = index[batch], parameters[batch]
            line = self.line[fits]
            transforms = self.grid.detected_transforms(self.emitted, line, theta)
            contents = self.grid.bin_contents(transforms)
            contents = np.ascontiguousarray(contents[..., self.window])
            spectra = line_kernels.WindowedSpectra(
                self.counts[fits], self.is_inside, line
            )
            prior = ShapePrior(self.prior.centre[fits], self.prior.width[fits])
            parts.append(
                line_kernels.evaluate_posterior(spectra, contents, theta, prior)
            )
        joined = map(np.concatenate, zip(*parts, strict=True))
        return line_kernels.Posterior(*joined)

    def maximise(self, theta: FloatArray) -> LineFits:
        """Return the fits, with axes (n, ...), from start parameters (n, N_FIT)."""
        theta = _clip(theta, self.ranges)
        n_fits = len(theta)
        damping = np.full(n_fits, START_DAMPING)
        is_converged = np.zeros(n_fits, dtype=bool)
        all_fits = np.arange(n_fits)
        value, gradient, information = self.evaluate(theta, all_fits)
        for _ in range(MAX_ITERATIONS):
            active = np.flatnonzero(~is_converged)
            step = _damped_step(
                theta=theta[active],
                gradient=gradient[active],
                information=information[active],
                damping=damping[active],
                ranges=self.ranges,
            )
            slope = step * gradient[active]
            expected_gain = 0.5 * slope.sum(axis=1)
            is_ready = expected_gain < TOLERANCE
            is_ready &= damping[active] < MAX_FINAL_DAMPING
            is_converged[active[is_ready]] = True
            active = active[~is_ready]
            if not len(active):
                break
            trial = _clip(theta[active] + step[~is_ready], self.ranges)
            posterior = self.evaluate(trial, active)
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
        distance = np.abs(theta[:, SHIFT])
        is_converged &= distance < self.ranges.highest[SHIFT] - 1e-6
        errors = _standard_deviations(information)
        return LineFits(theta, errors, is_converged)


def _damped_step(
    theta: FloatArray,
    gradient: FloatArray,
    information: FloatArray,
    damping: FloatArray,
    ranges: ParameterRanges,
) -> FloatArray:
    """Return the step (n, N_FIT) of the damped scoring equations.

    A parameter at the end of its range that would leave it stays there.
    """
    is_stuck_low = (theta <= ranges.lowest) & (gradient < 0)
    is_stuck_high = (theta >= ranges.highest) & (gradient > 0)
    is_free = ~(is_stuck_low | is_stuck_high)
    identity = np.eye(N_FIT)
    free_row = is_free[:, :, None]
    free_column = is_free[:, None, :]
    free_information = information * free_row * free_column
    information = free_information + identity * ~free_row
    diagonal = np.einsum("nii->ni", information)
    added = damping[:, None] * diagonal + 1e-9
    damped = information + added[:, :, None] * identity
    free_gradient = gradient * is_free
    columns = free_gradient[..., None]
    step: FloatArray = np.linalg.solve(damped, columns)
    return step[..., 0]


def _clip(theta: FloatArray, ranges: ParameterRanges) -> FloatArray:
    """Return parameters (n, N_FIT) within their ranges."""
    return np.clip(theta, ranges.lowest, ranges.highest)


def _standard_deviations(information: FloatArray) -> FloatArray:
    """Return the standard deviations (n, N_FIT) from the expected information.

    The covariance is its inverse, here of a matrix scaled to a diagonal of 1.
    """
    diagonal = np.einsum("nii->ni", information)
    scale = 1 / np.sqrt(diagonal + 1e-12)
    row_scale = scale[:, :, None]
    column_scale = scale[:, None, :]
    scaled = information * row_scale * column_scale
    regularisation = 1e-9 * np.eye(N_FIT)
    covariance = np.linalg.inv(scaled + regularisation)
    variance = np.einsum("nii->ni", covariance)
    errors: FloatArray = np.sqrt(variance) * scale
    return errors
