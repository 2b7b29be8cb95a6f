"""Resolution of the detector, and the width that lines have in it.

A fitted line is its tabulated emission, broadened with a Gaussian. The width of that
Gaussian is the resolution of the detector only where the table has the right shape: a
compound may emit broader or narrower lines than the metal of the table. Elastic light
has the bandwidth of the monochromator alone, so that it gives the resolution where the
reference run shows it. The lines of a pixel are otherwise averaged in log sigma, and
their scatter is part of the error.

Corrections for phase and drift are fitted to the same pulses, which become narrower
than others by twice the variance that the errors of the corrections bring. The
width of the elastic line over that of the lines is a constant of the array: where it
scatters between the pixels by more than counting, all errors grow by the ratio.

Everything else here follows from the pixel's own pulses: fits with a weak prior, not
with the shapes that the other pixels of the array suggest.
"""

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.calibration.line_fits import LineFits, weak_prior
from rixs_pipeline.core.calibration.line_shapes import (
    FWHM_PER_SIGMA,
    LOG_SIGMA,
    N_GRID,
    ComplexArray,
    LineGrid,
)
from rixs_pipeline.types import BoolArray, FloatArray

ELASTIC_LINE = "elastic line"
REFERENCE_LINES = "reference lines, with the tabulated shapes"
FINE = 8  # points per bin on which the width of a line is found
# largest error of log sigma of an elastic line that is used: within a factor of 1.6
MAX_LOG_ERROR = 0.5


@dataclass(frozen=True)
class Widths:
    """Full widths at half maximum and their standard deviations, of one shape, eV."""

    values: FloatArray
    errors: FloatArray


@dataclass(frozen=True)
class Resolution:
    """Resolution of the pixels of an array.

    Attributes
    ----------
    pixel : Widths
        (pixel,) Gaussian resolution; NaN without a usable line.
    is_elastic : bool (pixel,)
        Whether it is that of the elastic line, not of the reference lines.
    """

    pixel: Widths
    is_elastic: BoolArray


def without_overfit(fits: LineFits, overfit: FloatArray) -> LineFits:
    """Return fits with the widths of pulses that no correction was fitted to.

    Parameters
    ----------
    fits
        Of the lines.
    overfit
        (pixel, line) variance of energies by the errors of corrections, eV^2.

    Returns
    -------
    LineFits
    """
    theta = fits.theta.copy()
    variance = fits.sigma**2 + 2 * overfit
    theta[..., LOG_SIGMA] = np.log(variance) / 2
    return replace(fits, theta=theta)


def estimate_resolution(
    fits: LineFits,
    is_usable: BoolArray,
    is_elastic: BoolArray,
    is_ok: BoolArray,
    grid: LineGrid,
) -> Resolution:
    """Estimate the resolution of each pixel from its own lines.

    Parameters
    ----------
    fits
        With the weak prior.
    is_usable
        (pixel, line) the lines that are fitted well enough.
    is_elastic
        (line,) the elastic line.
    is_ok
        (pixel,) the pixels whose scatter counts.
    grid
        The bins of the fits.

    Returns
    -------
    Resolution
    """
    log_sigma = fits.theta[..., LOG_SIGMA]
    errors = fits.errors[..., LOG_SIGMA]
    n_pixels = len(log_sigma)
    values = np.full(n_pixels, np.nan)
    deviations = np.full(n_pixels, np.nan)
    from_elastic = np.zeros(n_pixels, dtype=bool)
    is_fitted = is_usable & is_ok[:, None] & (errors < MAX_LOG_ERROR)
    excess = _scatter_of_elastic(log_sigma, errors, is_fitted, is_elastic)
    for row in range(n_pixels):
        elastic = is_usable[row] & is_elastic & (errors[row] < MAX_LOG_ERROR)
        lines = is_usable[row] & ~is_elastic
        from_elastic[row] = elastic.any()
        used = elastic if elastic.any() else lines
        if used.any():
            mean = _average(log_sigma[row, used], errors[row, used], grid)
            values[row] = np.exp(mean.value) * FWHM_PER_SIGMA
            factor = excess if from_elastic[row] else 1.0
            deviations[row] = values[row] * mean.error * factor
    return Resolution(Widths(values, deviations), from_elastic)


def _scatter_of_elastic(
    values: FloatArray, errors: FloatArray, is_fitted: BoolArray, is_elastic: BoolArray
) -> float:
    """Return the scatter of the elastic line's width over its error, at least 1.

    Log widths (pixel, line), less those of the other lines of the pixel, whose state
    is the same in all pixels. 1 where one pixel or none has both.
    """
    weights = np.zeros_like(values)
    np.divide(1.0, errors**2, out=weights, where=is_fitted)
    values = np.where(is_fitted, values, 0.0)
    of_line = weights.sum(axis=0)
    mean = (weights * values).sum(axis=0) / np.where(of_line > 0, of_line, 1.0)
    weighted = weights * (values - mean)
    elastic = weights[:, is_elastic].sum(axis=1)
    others = weights[:, ~is_elastic].sum(axis=1)
    has_both = (elastic > 0) & (others > 0)
    n_pixels = np.count_nonzero(has_both)
    if n_pixels < 2:
        return 1.0
    difference = weighted[:, is_elastic].sum(axis=1)[has_both] / elastic[has_both]
    difference -= weighted[:, ~is_elastic].sum(axis=1)[has_both] / others[has_both]
    weight = 1 / (1 / elastic[has_both] + 1 / others[has_both])
    difference -= (weight @ difference) / weight.sum()
    chi_squared = weight @ difference**2
    return max(1.0, float(np.sqrt(chi_squared / (n_pixels - 1))))


@dataclass(frozen=True)
class _Mean:
    value: float
    error: float


def _average(values: FloatArray, errors: FloatArray, grid: LineGrid) -> _Mean:
    """Average log widths (line,), whose weak prior counts once, not for each line.

    The error is that of the mean, times the scatter where it exceeds the errors.
    """
    prior = weak_prior(grid)
    prior_weight = 1 / prior.width[0] ** 2
    prior_value = prior.centre[0]
    posterior_weight = 1 / errors**2
    weights = np.maximum(posterior_weight - prior_weight, 0.0)
    weighted = posterior_weight * values - prior_weight * prior_value
    total = weights.sum() + prior_weight
    is_informed = weights > 0
    mean = (weighted[is_informed].sum() + prior_weight * prior_value) / total
    n = len(values)
    scatter = 1.0
    if n > 1:
        chi_squared = (weights * (values - mean) ** 2).sum() / (n - 1)
        scatter = max(1.0, float(np.sqrt(chi_squared)))
    return _Mean(float(mean), scatter / float(np.sqrt(total)))


def line_widths(fits: LineFits, emitted: ComplexArray, grid: LineGrid) -> Widths:
    """Return the full widths at half maximum of the lines as the detector shows them.

    Parameters
    ----------
    fits
        With the weak prior.
    emitted
        (line, k) transforms of the emitted lines.
    grid
        The bins of the fits.

    Returns
    -------
    Widths
        (pixel, line) of the highest peak: emission and resolution, without the tail.
    """
    log_sigma = fits.theta[..., LOG_SIGMA]
    errors = fits.errors[..., LOG_SIGMA]
    is_fitted = np.isfinite(errors)
    step = np.where(is_fitted, np.minimum(errors, MAX_LOG_ERROR), 0.0)
    width = _half_maximum_widths(log_sigma, emitted, grid)
    wider = _half_maximum_widths(log_sigma + step, emitted, grid)
    narrower = _half_maximum_widths(log_sigma - step, emitted, grid)
    slope = np.zeros_like(width)
    np.divide(wider - narrower, 2 * step, out=slope, where=step > 0)
    finite_errors = np.where(is_fitted, errors, np.nan)
    deviations = np.abs(slope) * finite_errors
    return Widths(np.where(is_fitted, width, np.nan), deviations)


def _half_maximum_widths(
    log_sigma: FloatArray, emitted: ComplexArray, grid: LineGrid
) -> FloatArray:
    """Return the widths (pixel, line) eV of lines with a Gaussian log sigma."""
    widths = np.empty_like(log_sigma)
    n_points = FINE * N_GRID
    step = grid.width / FINE
    half_length = n_points // 2 * step
    middle = np.exp(-1j * grid.k * half_length)
    for pixel in range(len(log_sigma)):
        sigma = np.exp(log_sigma[pixel])
        gauss = np.exp(-0.5 * (sigma[:, None] * grid.k) ** 2)
        profiles = np.fft.irfft(emitted * gauss * middle, n=n_points, axis=1)
        widths[pixel] = [_half_maximum_width(profile, step) for profile in profiles]
    return widths


def _half_maximum_width(profile: FloatArray, step: float) -> float:
    """Return the full width at half maximum of a peak on points `step` eV apart."""
    top = int(profile.argmax())
    half = profile[top] / 2
    is_low = profile < half
    below = np.flatnonzero(is_low[:top])
    above = np.flatnonzero(is_low[top:])
    if not (len(below) and len(above)):
        return float("nan")
    left = int(below[-1])
    right = top + int(above[0])
    left_part = (half - profile[left]) / (profile[left + 1] - profile[left])
    right_part = (profile[right - 1] - half) / (profile[right - 1] - profile[right])
    return float((right - 1 + right_part - left - left_part) * step)
