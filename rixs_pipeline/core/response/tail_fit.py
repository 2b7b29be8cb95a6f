"""Low-energy tail of the response: one fit of all lines of the pooled pixels.

A share f of the photons of every line loses energy, distributed as an exponential of
decay length tau [1]_. A line of one pixel has too few photons in its tail: f and tau
are then exchanged for background, and their average over lines and pixels is too small.
So the spectra of all pixels are added, and all lines are fitted together with one f and
one tau; shift, width, counts and background are free for each line. The fit reaches
further down than that of a line's position: several decay lengths.

References
----------
.. [1] J. W. Fowler et al., Metrologia 54, 494 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.line_fits import (
    ParameterRanges,
    parameter_ranges,
    weak_prior,
)
from rixs_pipeline.core.calibration.line_shapes import (
    LOG_TAU,
    N_DETECTOR,
    N_FIT,
    N_SHAPE,
    TAIL,
    ComplexArray,
    LineGrid,
    ShapePrior,
)
from rixs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from rixs_pipeline.core.calibration.line_kernels import Posterior

SHARED = np.array([TAIL, LOG_TAU])
MAX_ITERATIONS = 60
TOLERANCE = 1e-4  # gain in log likelihood of the next step below which the fit ends
START_DAMPING = 1e-2
GOOD_STEP_DIVISOR, BAD_STEP_FACTOR = 5, 8
DAMPING_RANGE = 1e-7, 1e8
MAX_FINAL_DAMPING = 1
# Decay lengths of the pixels of an array, relative to their mean: those of real arrays,
# 10 to 30 eV, have a standard deviation of 0.3. Three points and weights stand for the
# distribution (Gauss-Hermite).
LENGTH_SPREAD = 0.3
LENGTH_FACTORS = 1 + LENGTH_SPREAD * np.sqrt(3) * np.array([-1.0, 0.0, 1.0])
LENGTH_WEIGHTS = np.array([1.0, 4.0, 1.0]) / 6
MIN_LINES = 2  # fewer leave no line out
# Relative, of the fraction: what one fit of lines that several pixels show shifted and
# broadened leaves, measured on simulated reference runs (tests/truth/errors.py).
MODEL_ERROR = 0.03


@dataclass(frozen=True)
class TailFit:
    """Low-energy tail of the response of an array.

    Attributes
    ----------
    fraction
        Of the photons of a line in its tail.
    length
        Decay length, eV.
    covariance
        (2, 2) of fraction and log length: the larger one of counting statistics and
        the scatter between the lines, which deviate from their tabulated shapes.
    """

    fraction: float
    length: float
    covariance: FloatArray


@dataclass(frozen=True)
class PooledLines:
    """Spectra of n lines, added over pixels, on a `LineGrid`.

    Attributes
    ----------
    counts
        (line, N_GRID) around each line's reference energy.
    is_inside
        (line, N_GRID) bins of the fit.
    emitted
        (line, k) transforms of the emitted lines.
    grid
        The bins.
    """

    counts: FloatArray
    is_inside: BoolArray
    emitted: ComplexArray
    grid: LineGrid

    def without(self, line: int) -> PooledLines:
        """Return the lines but one."""
        return PooledLines(
            counts=np.delete(self.counts, line, axis=0),
            is_inside=np.delete(self.is_inside, line, axis=0),
            emitted=np.delete(self.emitted, line, axis=0),
            grid=self.grid,
        )


def fit_tail(lines: PooledLines, start: FloatArray) -> TailFit | None:
    """Fit the tail of all lines together.

    Parameters
    ----------
    lines
        The spectra.
    start
        (line, N_FIT) parameters of `line_shapes` to start from.

    Returns
    -------
    TailFit or None
        None where the fit does not converge, or with fewer than two lines.
    """
    n_lines = len(start)
    if n_lines < MIN_LINES:
        return None
    best = _maximise(lines, start)
    if best is None:
        return None
    left_out = []
    for line in range(n_lines):
        partial_fit = _maximise(
            lines.without(line), np.delete(best.theta, line, axis=0)
        )
        if partial_fit is not None:
            left_out.append(partial_fit.shared)
    covariance = best.covariance
    if len(left_out) > 1:
        covariance = _larger(covariance, _jackknife_covariance(np.array(left_out)))
    fraction, log_length = best.shared
    covariance[0, 0] += (MODEL_ERROR * fraction) ** 2
    return TailFit(float(fraction), float(np.exp(log_length)), covariance)


def _jackknife_covariance(values: FloatArray) -> FloatArray:
    """Return the covariance (2, 2) from estimates (n, 2) that leave out one of n."""
    deviation = values - values.mean(axis=0)
    n = len(values)
    covariance: FloatArray = (n - 1) / n * deviation.T @ deviation
    return covariance


def _larger(counting: FloatArray, scatter: FloatArray) -> FloatArray:
    """Return the counting covariance, scaled to the scatter where that is larger."""
    ratio = np.diag(scatter) / np.diag(counting)
    scale = np.sqrt(np.maximum(ratio, 1.0))
    return np.asarray(counting * np.outer(scale, scale))


@dataclass(frozen=True)
class _Maximum:
    """Parameters (line, N_FIT) at the maximum, the shared ones (2,), covariance."""

    theta: FloatArray
    shared: FloatArray
    covariance: FloatArray


def _maximise(lines: PooledLines, start: FloatArray) -> _Maximum | None:
    """Maximise the likelihood from start parameters (line, N_FIT), shared by mean."""
    from rixs_pipeline.core.calibration.line_kernels import (  # numba: slow import
        WindowedSpectra,
        evaluate_posterior,
    )

    n_lines = len(start)
    index: NDArray[np.intp] = np.arange(n_lines)
    counts = np.ascontiguousarray(lines.counts)
    spectra = WindowedSpectra(counts, np.ascontiguousarray(lines.is_inside), index)
    weak = weak_prior(lines.grid)
    ranges = parameter_ranges(lines.grid)
    shape = (n_lines, N_SHAPE)
    # each line repeats the prior of the shared parameters
    repeats = np.array([1.0, np.sqrt(n_lines), np.sqrt(n_lines)])
    prior = ShapePrior(
        centre=np.ascontiguousarray(np.broadcast_to(weak.centre, shape)),
        width=np.ascontiguousarray(np.broadcast_to(weak.width * repeats, shape)),
    )

    def evaluate(theta: FloatArray) -> Posterior:
        contents = _contents(lines, index, theta)
        return evaluate_posterior(spectra, contents, theta, prior)

    theta = np.clip(start, ranges.lowest, ranges.highest)
    theta[:, SHARED] = theta[:, SHARED].mean(axis=0)
    place = _places(n_lines)
    posterior = evaluate(theta)
    damping = START_DAMPING
    for _ in range(MAX_ITERATIONS):
        equations = _assemble(posterior, theta, place, ranges)
        step = _damped_step(equations, damping)
        gain = 0.5 * step @ equations.gradient
        if gain < TOLERANCE and damping < MAX_FINAL_DAMPING:
            n = len(step)
            information = equations.information + 1e-9 * np.eye(n)
            covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
            return _Maximum(theta, theta[0, SHARED], covariance[:2, :2])
        trial = np.clip(theta + step[place], ranges.lowest, ranges.highest)
        moved = evaluate(trial)
        if moved.value.sum() >= posterior.value.sum():
            theta, posterior = trial, moved
            damping /= GOOD_STEP_DIVISOR
        else:
            damping *= BAD_STEP_FACTOR
        damping = float(np.clip(damping, *DAMPING_RANGE))
    return None


def _contents(
    lines: PooledLines, index: NDArray[np.intp], theta: FloatArray
) -> FloatArray:
    """Return the contents (line, 5, N_GRID) of the bins and their derivatives.

    The transforms and their derivatives are averaged over the decay lengths.
    """
    n_transforms = 1 + N_DETECTOR
    total = np.zeros((len(theta), n_transforms, len(lines.grid.k)), np.complex128)
    for factor, weight in zip(LENGTH_FACTORS, LENGTH_WEIGHTS, strict=True):
        of_length = theta.copy()
        of_length[:, LOG_TAU] += np.log(factor)
        transforms = lines.grid.detected_transforms(lines.emitted, index, of_length)
        total += weight * transforms
    return np.ascontiguousarray(lines.grid.bin_contents(total))


def _places(n_lines: int) -> NDArray[np.intp]:
    """Return the place (line, N_FIT) of each parameter; the shared ones come first."""
    n_free = N_FIT - len(SHARED)
    is_free = ~np.isin(np.arange(N_FIT), SHARED)
    place = np.empty((n_lines, N_FIT), dtype=np.intp)
    place[:, SHARED] = np.arange(len(SHARED))
    free_places = len(SHARED) + np.arange(n_lines * n_free)
    place[:, is_free] = free_places.reshape(n_lines, n_free)
    return place


@dataclass(frozen=True)
class _Equations:
    """Gradient (n,) and information (n, n) by all parameters."""

    gradient: FloatArray
    information: FloatArray


def _assemble(
    posterior: Posterior,
    theta: FloatArray,
    place: NDArray[np.intp],
    ranges: ParameterRanges,
) -> _Equations:
    """Add the lines' gradients and information at the places of their parameters.

    A parameter at the end of its range that would leave it stays there.
    """
    n = int(place.max()) + 1
    gradient = np.zeros(n)
    information = np.zeros((n, n))
    np.add.at(gradient, place, posterior.gradient)
    rows = place[:, :, None]
    columns = place[:, None, :]
    np.add.at(information, (rows, columns), posterior.information)
    is_low = np.zeros(n, dtype=bool)
    is_high = np.zeros(n, dtype=bool)
    is_low[place] = theta <= ranges.lowest
    is_high[place] = theta >= ranges.highest
    is_stuck = (is_low & (gradient < 0)) | (is_high & (gradient > 0))
    gradient[is_stuck] = 0.0
    information[is_stuck] = 0.0
    information[:, is_stuck] = 0.0
    information[is_stuck, is_stuck] = 1.0
    return _Equations(gradient, information)


def _damped_step(equations: _Equations, damping: float) -> FloatArray:
    """Return the step (n,) of the damped scoring equations."""
    information = equations.information
    added = damping * np.diag(information) + 1e-9
    step = np.linalg.solve(information + np.diag(added), equations.gradient)
    return np.asarray(step, dtype=np.float64)
