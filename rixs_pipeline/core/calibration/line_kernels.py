"""Compiled loops of the line fits; `line_shapes` and `line_fits` give the formulae."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.line_shapes import (
    LOG_BACKGROUND,
    LOG_COUNTS,
    LOG_SIGMA,
    LOG_TAU,
    N_DETECTOR,
    N_FIT,
    N_SHAPE,
    SHIFT,
    TAIL,
    ComplexArray,
    ShapePrior,
)
from rixs_pipeline.core.energy.compile import compiled
from rixs_pipeline.types import BoolArray, FloatArray

MIN_EXPECTED = 1e-9  # counts in a bin: keeps the logarithm finite


class WindowedSpectra(NamedTuple):
    """Spectra of n fits in the bins that the fits use."""

    counts: FloatArray  # (n, bin)
    is_inside: BoolArray  # (line, bin) whether the bin belongs to the fit of the line
    line: NDArray[np.intp]  # (n,)


class Posterior(NamedTuple):
    """Log posterior of n fits, and its derivatives by the parameters."""

    value: FloatArray  # (n,)
    gradient: FloatArray  # (n, N_FIT)
    information: FloatArray  # (n, N_FIT, N_FIT) expected information


@compiled
def transform_lines(
    emitted: ComplexArray, line: NDArray[np.intp], theta: FloatArray, dk: float
) -> ComplexArray:
    """Return the transforms of lines in the detector, and of their derivatives.

    Parameters
    ----------
    emitted
        (line, k) transforms of the emitted lines at k = 0, dk, 2 dk, ...
    line
        (n,) row of `emitted` for each detected line.
    theta
        (n, >= 4) shift, log sigma, f, log tau.
    dk
        Distance of the wave numbers, 1/eV.

    Returns
    -------
    complex array
        (n, 5, k) the lines, then their derivatives by the parameters.

    Notes
    -----
    Phase and Gaussian follow by recurrence, without an exponential for each k.
    """
    n_k = emitted.shape[1]
    n_lines = len(line)
    n_transforms = 1 + N_DETECTOR
    transforms = np.empty((n_lines, n_transforms, n_k), dtype=np.complex128)
    for i in range(n_lines):
        sigma = np.exp(theta[i, LOG_SIGMA])
        f = theta[i, TAIL]
        tau = np.exp(theta[i, LOG_TAU])
        angle = dk * theta[i, SHIFT]
        phase_step = complex(np.cos(angle), -np.sin(angle))
        # The ratio of successive values of a Gaussian falls by a constant factor.
        ratio = np.exp(-0.5 * (sigma * dk) ** 2)
        ratio_step = ratio * ratio
        gauss = 1.0
        phase = complex(1.0, 0.0)
        for j in range(n_k):
            k = j * dk
            narrow = emitted[line[i], j] * phase * gauss
            tail_phase = 1j * k * tau
            tail = (1.0 + tail_phase) / (1.0 + (k * tau) ** 2)
            detected = narrow * (1.0 - f + f * tail)
            by_shift = -1j * k * detected
            by_log_sigma = -((sigma * k) ** 2) * detected
            by_tail = narrow * (tail - 1.0)
            by_log_tau = narrow * f * tail_phase * tail * tail
            transforms[i, 0, j] = detected
            transforms[i, 1 + SHIFT, j] = by_shift
            transforms[i, 1 + LOG_SIGMA, j] = by_log_sigma
            transforms[i, 1 + TAIL, j] = by_tail
            transforms[i, 1 + LOG_TAU, j] = by_log_tau
            phase *= phase_step
            gauss *= ratio
            ratio *= ratio_step
    return transforms


@compiled
def evaluate_posterior(
    spectra: WindowedSpectra, contents: FloatArray, theta: FloatArray, prior: ShapePrior
) -> Posterior:
    """Return the log posterior of n fits, its gradient and expected information.

    Parameters
    ----------
    spectra
        Spectra of the fits.
    contents
        (n, 5, bin) contents of the bins for lines of area 1, and their derivatives.
    theta
        (n, N_FIT) parameters.
    prior
        (n, 3)

    Returns
    -------
    Posterior
        Poisson likelihood of the counts times the priors of the shapes.
    """
    counts = spectra.counts
    n_fits = len(counts)
    value = np.zeros(n_fits)
    gradient = np.zeros((n_fits, N_FIT))
    information = np.zeros((n_fits, N_FIT, N_FIT))
    derivative = np.empty(N_FIT)  # of the expected counts in a bin
    for i in range(n_fits):
        line_counts = np.exp(theta[i, LOG_COUNTS])
        background = np.exp(theta[i, LOG_BACKGROUND])
        is_inside = spectra.is_inside[spectra.line[i]]
        for b in range(counts.shape[1]):
            if not is_inside[b]:
                continue
            for p in range(N_DETECTOR):
                content_slope = contents[i, p + 1, b]
                derivative[p] = line_counts * content_slope
            line_content = line_counts * contents[i, 0, b]
            derivative[LOG_COUNTS] = line_content
            derivative[LOG_BACKGROUND] = background
            expected = max(line_content + background, MIN_EXPECTED)
            observed = counts[i, b]
            value[i] += observed * np.log(expected) - expected
            excess = observed / expected - 1.0
            for p in range(N_FIT):
                gradient[i, p] += excess * derivative[p]
                weighted = derivative[p] / expected
                for q in range(p + 1):
                    information[i, p, q] += weighted * derivative[q]
        for s in range(N_SHAPE):
            p = LOG_SIGMA + s
            width = prior.width[i, s]
            deviation = theta[i, p] - prior.centre[i, s]
            pull = deviation / width
            value[i] -= 0.5 * pull**2
            gradient[i, p] -= pull / width
            information[i, p, p] += 1.0 / width**2
        for p in range(N_FIT):
            for q in range(p):
                lower = information[i, p, q]
                information[i, q, p] = lower
    return Posterior(value, gradient, information)
