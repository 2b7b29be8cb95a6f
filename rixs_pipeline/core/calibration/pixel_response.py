"""What a pixel's lines tell about each other's shape: one detector sees them all.

Resolution, tail fraction and tail length of the line l in the pixel p, each as x_pl, are taken as

    x_pl = pixel_p + line_l + scatter,     pixel_p ~ N(array, spread^2),  scatter ~ N(0, tau^2)

with line_l what the array shares (a line whose tabulated shape is too narrow looks wide in every pixel), and tau, the
spread and the rest learned from the fits of all pixels. The prior of a line's fit is what its pixel's *other* lines
say: so no count is used twice, and the errors of the fit are those of a fit of all lines together (belief propagation
on a tree; Pearl, Probabilistic Reasoning in Intelligent Systems, 1988, ch. 4).
"""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration.line_fits import (
    SHAPE,
    WEAK_CENTRE,
    WEAK_WIDTH,
    LineFits,
    ShapePrior,
)

Float = NDArray[np.float64]

LINE_SPREAD = np.array(
    [0.3, 0.05, 0.3]
)  # how far a line's own term may lie from the others': log sigma, f, log tau
SCATTER_FLOOR = np.array(
    [0.03, 0.01, 0.05]
)  # no line is known to be exactly like the others
ROUNDS = 30  # of expectation maximisation, which creeps


def shared_prior(fits: LineFits, used: NDArray[np.bool_]) -> ShapePrior:
    """Priors of the shapes (pixel, line, 3) from fits with the prior `line_fits.WEAK`.

    Args:
        fits: of all lines of all pixels.
        used: bool (pixel, line), the lines that tell something.
    """
    errors = np.where(used[..., None], fits.errors[..., SHAPE], np.inf)
    # what the counts say: the fit without its prior, as Gaussians
    precision = np.maximum(1 / errors**2 - 1 / WEAK_WIDTH**2, 0.0)
    posterior = np.where(used[..., None], fits.theta[..., SHAPE], WEAK_CENTRE)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (posterior / errors**2 - WEAK_CENTRE / WEAK_WIDTH**2) / precision
    known = precision > 0.05 / WEAK_WIDTH**2
    value, precision = (
        np.where(known, value, WEAK_CENTRE),
        np.where(known, precision, 0.0),
    )
    columns = [
        _leave_one_out(value[..., k], precision[..., k], k)
        for k in range(value.shape[-1])
    ]
    return ShapePrior(
        *(np.stack(parts, axis=-1) for parts in zip(*columns, strict=True))
    )


def _leave_one_out(value: Float, precision: Float, which: int) -> tuple[Float, Float]:
    """Centre and width (pixel, line) of one quantity: `value` (pixel, line) with its `precision`."""
    line, scatter = np.zeros(value.shape[1]), 0.2 * WEAK_WIDTH[which]
    array, spread = WEAK_CENTRE[which], WEAK_WIDTH[which]
    for _ in range(ROUNDS):
        weight = 1 / (1 / np.maximum(precision, 1e-300) + scatter**2)
        prior = 1 / spread**2
        total = weight.sum(axis=1) + prior
        pixel = ((weight * (value - line)).sum(axis=1) + prior * array) / total
        seen = precision.any(axis=1)
        if not seen.any():
            break
        array = float(np.mean(pixel[seen]))
        spread = float(np.sqrt(np.mean((pixel[seen] - array) ** 2 + 1 / total[seen])))
        rest = value - pixel[:, None]
        line = (weight * rest).sum(axis=0) / (
            weight.sum(axis=0) + 1 / LINE_SPREAD[which] ** 2
        )
        scatter = max(_scatter(rest - line, precision, scatter), SCATTER_FLOOR[which])
    others = total[:, None] - weight
    centre = ((total * pixel)[:, None] - weight * (value - line)) / others
    return centre + line, np.sqrt(1 / others + scatter**2)


def _scatter(rest: Float, precision: Float, scatter: float) -> float:
    """Standard deviation beyond counting, for rest ~ N(0, scatter^2 + 1 / precision): one step of an EM algorithm."""
    told = precision > 0
    if not told.any():
        return scatter
    share = scatter**2 / (scatter**2 + 1 / precision[told])
    return float(np.sqrt(np.mean((share * rest[told]) ** 2 + scatter**2 * (1 - share))))
