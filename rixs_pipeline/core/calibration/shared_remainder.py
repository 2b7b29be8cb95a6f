"""What all pixels share: the mean of their own gains, or the references' disagreement. The array tells which."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

UNUSED_EV = 1e4  # the uncertainty of a line that a pixel does not have
WRONG = 8.0  # median absolute deviations
ODDS = 20.0  # that the references are right before the array is heard: pixels are rarely as independent as assumed
NEVER_WRONG_EV = 4.0  # four times the smooth remainder: the deviation of few pixels may be small by chance


def common_remainder(remainder: Float, stat: Float) -> tuple[Float, Float]:
    """The shared remainder (line,) eV and its statistical error.

    Means, so that the pixels' own remainders around it add up to nothing; a pixel that stands `WRONG` robust
    deviations aside, and `NEVER_WRONG_EV`, is not counted.

    Args:
        remainder: f8 (pixel, line), reference - form, eV; NaN where there is none.
        stat: f8 (pixel, line), statistical errors, eV.
    """
    raw = np.zeros(remainder.shape[1])
    error = np.full(remainder.shape[1], UNUSED_EV)
    for line in range(len(raw)):
        have = remainder[np.isfinite(remainder[:, line]), line]
        if len(have):
            raw[line] = np.mean(have[_typical(have)])
            error[line] = np.median(
                stat[np.isfinite(remainder[:, line]), line]
            ) / np.sqrt(len(have))
    return raw, error


def _typical(values: Float) -> NDArray[np.bool_]:
    """Which values (pixel, ...) do not stand aside from those of most pixels."""
    if not len(values):
        return np.zeros(values.shape, dtype=bool)
    distance = np.abs(values - np.median(values, axis=0))
    return np.asarray(
        distance <= np.maximum(WRONG * np.median(distance, axis=0), NEVER_WRONG_EV)
    )


def reference_share(
    remainder: Float,
    stat: Float,
    jacobian: Float,
    smooth: Float,
    reference_errors: Float,
) -> float:
    """Which share of the references' stated uncertainties shows in the array, 0 to 1.

    Only what no parameters of the form could make counts: combinations of lines orthogonal to its derivatives. Their
    mean over n pixels is N(0, S / n + share^2 U), U from the references' uncertainties, S the covariance between
    pixels. Few pixels know S badly: it has a prior (inverse Wishart, the fewest degrees of freedom that have a mean)
    of the smooth remainder's shape and the scatter's size, which makes the mean's distribution a multivariate t
    (A. Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), sec. 3.6). The result is the mean of the share's
    posterior, before which it is none with odds of `ODDS` and anything up to 1 otherwise: no threshold, so that runs of
    one beamtime, which tell nearly the same, get nearly the same scale. Fewer than two pixels, or no more lines than
    parameters, cannot tell: 1.

    Args:
        remainder: f8 (pixel, line), reference - form, eV; NaN where there is none.
        stat: f8 (pixel, line), statistical errors, eV.
        jacobian: f8 (line, k), the form's derivatives, eV.
        smooth: f8 (line, line), covariance of a pixel's smooth remainder at the lines, eV^2.
        reference_errors: f8 (line,), eV.
    """
    have = np.isfinite(remainder)
    lines = have.sum(axis=0) >= 0.5 * max(have.any(axis=1).sum(), 1)
    whole = np.flatnonzero(have[:, lines].all(axis=1) & have.any(axis=1))
    whole = whole[_typical(remainder[whole][:, lines]).all(axis=1)]
    contrasts = np.linalg.svd(jacobian[lines])[0][:, jacobian.shape[1] :]
    if len(whole) < 2 or not contrasts.size:
        return 1.0
    noise = np.median(stat[whole], axis=0) ** 2
    shape, uncertain = (
        contrasts.T @ covariance[np.ix_(lines, lines)] @ contrasts
        for covariance in (smooth + np.diag(noise), np.diag(reference_errors**2))
    )
    shares = np.linspace(0.0, 1.0, 51)
    rows = remainder[whole][:, lines] @ contrasts
    log_likelihood = _log_likelihood(
        rows, shape, shares[:, None, None] ** 2 * uncertain
    )
    odds = np.exp(log_likelihood - log_likelihood.max())
    odds[0] *= ODDS * (len(shares) - 1)
    return float(odds @ shares / odds.sum())


def _log_likelihood(rows: Float, shape: Float, common: Float) -> Float:
    """Of the mean of rows (pixel, contrast) where it has a covariance (..., contrast, contrast) beside the rows' own,
    whose prior is of this shape; but for a constant."""
    n, contrasts = rows.shape
    mean = rows.mean(axis=0)
    scatter = (rows - mean).T @ (rows - mean)
    seen = (n - 1) * contrasts  # deviations, all of which tell the prior's size
    size = np.trace(np.linalg.solve(shape, scatter)) / seen
    weight = contrasts + 2.0
    total = (
        (weight * size * shape + scatter) / (weight + n - 1) / n
        + common
        + 1e-9 * np.eye(contrasts)
    )
    misfit = (
        np.linalg.solve(total, np.broadcast_to(mean[:, None], (*total.shape[:-1], 1)))[
            ..., 0
        ]
        * mean
    ).sum(axis=-1)
    freedom = min(weight + n - 1, seen)
    return np.asarray(
        -0.5 * np.linalg.slogdet(total)[1]
        - 0.5 * (freedom + contrasts) * np.log1p(misfit / freedom)
    )
