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

References
----------
.. [1] J. Pearl, Probabilistic Reasoning in Intelligent Systems (1988), ch. 4.
"""

import numpy as np

from rixs_pipeline.core.calibration.line_fits import WEAK_PRIOR, LineFits
from rixs_pipeline.core.calibration.line_shapes import N_SHAPE, SHAPE, ShapePrior
from rixs_pipeline.types import BoolArray, FloatArray

# Of log sigma, f, log tau: standard deviation of line_l ...
LINE_SPREAD = np.array([0.3, 0.05, 0.3])
# ... and the least of the scatter: no line is exactly like the others.
MIN_SCATTER = np.array([0.03, 0.01, 0.05])
START_SCATTER = 0.2  # of the width of the weak prior
ROUNDS = 30  # of expectation maximisation, which converges slowly
MIN_PRECISION = 0.05  # of the weak prior's, for a fit to count
SMALLEST = 1e-300  # precision that stands for none


def learn_shape_prior(fits: LineFits, is_used: BoolArray) -> ShapePrior:
    """Return the priors of the shapes from fits with `line_fits.WEAK_PRIOR`.

    Parameters
    ----------
    fits
        Of all lines of all pixels.
    is_used
        (pixel, line) the lines that are reliable.

    Returns
    -------
    ShapePrior
        (pixel, line, 3)
    """
    weak_precision = 1 / WEAK_PRIOR.width**2
    use_shape = is_used[..., None]
    errors = np.where(use_shape, fits.errors[..., SHAPE], np.inf)
    posterior = np.where(use_shape, fits.theta[..., SHAPE], WEAK_PRIOR.centre)
    # likelihood of the counts alone, as Gaussians: the fit without its prior
    precision = np.maximum(1 / errors**2 - weak_precision, 0.0)
    weak_part = WEAK_PRIOR.centre / WEAK_PRIOR.width**2
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (posterior / errors**2 - weak_part) / precision
    is_informative = precision > MIN_PRECISION / WEAK_PRIOR.width**2
    value = np.where(is_informative, value, WEAK_PRIOR.centre)
    precision = np.where(is_informative, precision, 0.0)
    priors = [
        _prior_from_other_lines(value[..., column], precision[..., column], column)
        for column in range(N_SHAPE)
    ]
    return ShapePrior(
        centre=np.stack([prior.centre for prior in priors], axis=-1),
        width=np.stack([prior.width for prior in priors], axis=-1),
    )


def _prior_from_other_lines(
    value: FloatArray, precision: FloatArray, column: int
) -> ShapePrior:
    """Return the prior (pixel, line) of one shape parameter.

    Parameters
    ----------
    value, precision
        (pixel, line) of the parameter as the counts have it; precision 0 without
        information.
    column
        Which parameter it is.
    """
    line = np.zeros(value.shape[1])
    array = WEAK_PRIOR.centre[column]
    spread = WEAK_PRIOR.width[column]
    scatter = START_SCATTER * WEAK_PRIOR.width[column]
    line_prior = 1 / LINE_SPREAD[column] ** 2
    has_lines = precision.any(axis=1)
    for _ in range(ROUNDS):
        weight = 1 / (1 / np.maximum(precision, SMALLEST) + scatter**2)
        pixel_prior = 1 / spread**2
        total = weight.sum(axis=1) + pixel_prior
        weighted_sum = (weight * (value - line)).sum(axis=1)
        pixel = (weighted_sum + pixel_prior * array) / total
        if not has_lines.any():
            break
        array = float(np.mean(pixel[has_lines]))
        deviation = pixel[has_lines] - array
        variance = np.mean(deviation**2 + 1 / total[has_lines])
        spread = float(np.sqrt(variance))
        rest = value - pixel[:, None]
        line = (weight * rest).sum(axis=0) / (weight.sum(axis=0) + line_prior)
        estimate = _update_scatter(rest - line, precision, scatter)
        scatter = max(estimate, MIN_SCATTER[column])
    other_weight = total[:, None] - weight
    other_sum = (total * pixel)[:, None] - weight * (value - line)
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
    share = variance / (variance + 1 / precision[has_counts])
    square = (share * rest[has_counts]) ** 2
    mean_square = np.mean(square + variance * (1 - share))
    return float(np.sqrt(mean_square))
