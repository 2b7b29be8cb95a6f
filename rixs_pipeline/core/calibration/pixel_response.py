"""Priors for the shape of a line from the other lines of its pixel.

One detector sees all lines of a pixel. Resolution, tail fraction and tail length of the
line l in the pixel p, each as x_pl, are taken as

    x_pl = pixel_p + line_l + scatter,
    pixel_p ~ N(array, spread^2),   scatter ~ N(0, tau^2)

where line_l is common to the array: a line whose tabulated shape is too narrow looks
wide in every pixel. All other quantities are estimated from the fits of all pixels. The
prior of a line follows from the *other* lines of its pixel, so that no count is used
twice, and the errors of the fit are those of a fit of all lines together: belief
propagation on a tree [1]_.

Few counts overestimate a resolution below the natural width of a line, in all pixels
alike, and this shifts the position of an asymmetric line. So the mean over the pixels
is that of the lines in the sum of their spectra.

References
----------
.. [1] J. Pearl, Probabilistic Reasoning in Intelligent Systems (1988), ch. 4.
"""

import numpy as np

from rixs_pipeline.core.calibration.line_fits import LineFits, weak_prior
from rixs_pipeline.core.calibration.line_shapes import (
    N_SHAPE,
    SHAPE,
    SOFT_BIN_EV,
    LineGrid,
    ShapePrior,
)
from rixs_pipeline.types import BoolArray, FloatArray

# Of log sigma, f, log tau: standard deviation of line_l ...
LINE_SPREAD = np.array([0.3, 0.05, 0.3])
# ... and the least of the scatter: no line is exactly like the others.
MIN_SCATTER = np.array([0.03, 0.01, 0.05])
SOFT_GRID = LineGrid(SOFT_BIN_EV)
START_SCATTER = 0.2  # of the width of the weak prior
ROUNDS = 30  # of expectation maximisation, which converges slowly
MIN_PRECISION = 0.05  # of the weak prior's, for a fit to count
SMALLEST = 1e-300  # precision that stands for none


def learn_shape_prior(
    fits: LineFits, summed: LineFits, is_used: BoolArray, grid: LineGrid = SOFT_GRID
) -> ShapePrior:
    """Return the priors of the shapes from fits with `line_fits.weak_prior`.

    Parameters
    ----------
    fits
        Of all lines of all pixels.
    summed
        Of the sums of the spectra that are used, as one pixel.
    is_used
        (pixel, line) the lines that are reliable.
    grid
        Bins of the fits.

    Returns
    -------
    ShapePrior
        (pixel, line, 3)
    """
    prior = _prior_from_pixels(fits, is_used, grid)
    used_pixels = is_used.any(axis=1)
    if not used_pixels.any():
        return prior
    used_lines = np.atleast_2d(is_used.any(axis=0))
    in_sum = _prior_from_pixels(summed, used_lines, grid)
    mean = prior.centre[used_pixels].mean(axis=0)
    return ShapePrior(prior.centre - mean + in_sum.centre, prior.width)


def _prior_from_pixels(
    fits: LineFits, is_used: BoolArray, grid: LineGrid
) -> ShapePrior:
    """Return the priors from the fits of each pixel alone."""
    weak = weak_prior(grid)
    weak_centre = weak.centre
    weak_variance = weak.width**2
    use_shape = is_used[..., None]
    shape = fits.theta[..., SHAPE]
    shape_errors = fits.errors[..., SHAPE]
    posterior = np.where(use_shape, shape, weak_centre)
    errors = np.where(use_shape, shape_errors, np.inf)
    variance = errors**2
    # likelihood of the counts alone, as Gaussians: the fit without its prior
    precision = 1 / variance - 1 / weak_variance
    precision = np.maximum(precision, 0.0)
    weak_part = weak_centre / weak_variance
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (posterior / variance - weak_part) / precision
    is_informative = precision > MIN_PRECISION / weak_variance
    value = np.where(is_informative, value, weak_centre)
    precision = np.where(is_informative, precision, 0.0)
    centre = np.empty_like(value)
    width = np.empty_like(value)
    for column in range(N_SHAPE):
        prior = _prior_from_other_lines(
            value[..., column], precision[..., column], column, weak
        )
        centre[..., column] = prior.centre
        width[..., column] = prior.width
    return ShapePrior(centre, width)


def _prior_from_other_lines(
    value: FloatArray, precision: FloatArray, column: int, weak: ShapePrior
) -> ShapePrior:
    """Return the prior (pixel, line) of one shape parameter.

    Parameters
    ----------
    value, precision
        (pixel, line) of the parameter as the counts have it; precision 0 without
        information.
    column
        Which parameter it is.
    weak
        Weak prior of the shapes.
    """
    n_lines = value.shape[1]
    line = np.zeros(n_lines)
    array = weak.centre[column]
    spread = weak.width[column]
    scatter = START_SCATTER * spread
    line_prior = 1 / LINE_SPREAD[column] ** 2
    min_scatter = MIN_SCATTER[column]
    has_lines = precision.any(axis=1)
    counting_variance = 1 / np.maximum(precision, SMALLEST)
    for _ in range(ROUNDS):
        weight = 1 / (counting_variance + scatter**2)
        pixel_prior = 1 / spread**2
        total = weight.sum(axis=1) + pixel_prior
        weighted = weight * (value - line)
        weighted_sum = weighted.sum(axis=1)
        prior_part = pixel_prior * array
        pixel = (weighted_sum + prior_part) / total
        if not has_lines.any():
            break
        pixels_with_lines = pixel[has_lines]
        pixel_variance = 1 / total[has_lines]
        array = float(np.mean(pixels_with_lines))
        from_mean = pixels_with_lines - array
        mean_square = np.mean(from_mean**2 + pixel_variance)
        spread = float(np.sqrt(mean_square))
        rest = value - pixel[:, None]
        weighted_rest = weight * rest
        rest_sum = weighted_rest.sum(axis=0)
        line_precision = weight.sum(axis=0) + line_prior
        line = rest_sum / line_precision
        deviation = rest - line
        estimate = _update_scatter(deviation, precision, scatter)
        scatter = max(estimate, min_scatter)
    other_weight = total[:, None] - weight
    pixel_sum = total * pixel
    line_part = weight * (value - line)
    other_sum = pixel_sum[:, None] - line_part
    centre = other_sum / other_weight + line
    variance = 1 / other_weight + scatter**2
    return ShapePrior(centre, np.sqrt(variance))


def _update_scatter(rest: FloatArray, precision: FloatArray, scatter: float) -> float:
    """Return the standard deviation beyond counting after one step of an EM algorithm.

    The model is rest ~ N(0, scatter^2 + 1 / precision), each (pixel, line).
    """
    has_counts = precision > 0
    if not has_counts.any():
        return scatter
    variance = scatter**2
    counting_variance = 1 / precision[has_counts]
    share = variance / (variance + counting_variance)
    expected = share * rest[has_counts]
    remaining_variance = variance * (1 - share)
    mean_square = np.mean(expected**2 + remaining_variance)
    return float(np.sqrt(mean_square))
