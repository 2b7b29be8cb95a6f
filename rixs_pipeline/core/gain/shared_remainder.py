"""What the pixels' remainders have in common: their mean, and where it comes from.

The remainder of a pixel is what its form of the gain curve misses at each line. A
remainder that all pixels share is either the mean of the pixels' gains, or an error of
the reference energies. The scatter between pixels tells which.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray

# uncertainty of a line that a pixel does not have
UNUSED_EV = 1e4
# A pixel is left out of the mean where it differs from the median by more than this
# many median absolute deviations, ...
OUTLIER_DEVIATIONS = 8.0
# ... and by more than four times the amplitude of the smooth remainder: the deviation
# of few pixels may be small by chance.
OUTLIER_MIN_EV = 4.0
# prior odds that the references are right: high, since pixels are rarely as
# independent as the likelihood assumes
PRIOR_ODDS = 20.0
# shares of the references' uncertainties at which the posterior is computed
SHARES = np.linspace(0.0, 1.0, 51)


@dataclass(frozen=True)
class SharedRemainder:
    """Mean remainder of the pixels.

    Attributes
    ----------
    values
        (line,) reference energy - form, eV; 0 where no pixel has the line.
    errors
        (line,) statistical errors, eV; `UNUSED_EV` where no pixel has the line.
    """

    values: FloatArray
    errors: FloatArray


def average_remainder(
    remainder: FloatArray, stat_errors: FloatArray
) -> SharedRemainder:
    """Return the mean remainder of the pixels, outliers left out.

    It is a mean, and not a median, so that the pixels' differences from it add up to
    zero.

    Parameters
    ----------
    remainder
        (pixel, line) reference energy - form, eV; NaN where not measured.
    stat_errors
        (pixel, line) statistical errors, eV.

    Returns
    -------
    SharedRemainder
        Mean and error of each line.
    """
    n_lines = remainder.shape[1]
    values = np.zeros(n_lines)
    errors = np.full(n_lines, UNUSED_EV)
    for line in range(n_lines):
        is_measured = np.isfinite(remainder[:, line])
        measured = remainder[is_measured, line]
        n_measured = len(measured)
        if n_measured:
            is_typical = _is_typical(measured)
            values[line] = np.mean(measured[is_typical])
            line_errors = stat_errors[is_measured, line]
            typical_error = np.median(line_errors)
            errors[line] = typical_error / np.sqrt(n_measured)
    return SharedRemainder(values, errors)


def _is_typical(values: FloatArray) -> BoolArray:
    """Return which values (pixel, ...) are no outliers among the pixels."""
    if not len(values):
        return np.zeros(values.shape, dtype=bool)
    centre = np.median(values, axis=0)
    distance = np.abs(values - centre)
    median_distance = np.median(distance, axis=0)
    limit = OUTLIER_DEVIATIONS * median_distance
    limit = np.maximum(limit, OUTLIER_MIN_EV)
    is_near: BoolArray = distance <= limit
    return is_near


def estimate_reference_share(
    remainder: FloatArray,
    stat_errors: FloatArray,
    jacobian: FloatArray,
    smooth_covariance: FloatArray,
    reference_errors: FloatArray,
) -> float:
    """Estimate how much of the references' stated uncertainties shows in the pixels.

    Parameters
    ----------
    remainder
        (pixel, line) reference energy - form, eV; NaN where not measured.
    stat_errors
        (pixel, line) statistical errors, eV.
    jacobian
        (line, k) derivatives of the form by its parameters, eV.
    smooth_covariance
        (line, line) of a pixel's smooth remainder, eV^2.
    reference_errors
        (line,) uncertainties of the references, eV.

    Returns
    -------
    float
        Share of the uncertainties, 0 to 1: the mean of its posterior. 1 with fewer than
        two pixels, or with no more lines than parameters.

    Notes
    -----
    Only contrasts count: combinations of lines that are orthogonal to the derivatives
    of the form, so that no choice of its parameters can make them. Over n pixels, the
    mean of the contrasts is N(0, S / n + share^2 U), with U from the uncertainties of
    the references and S the covariance between pixels. As few pixels determine S badly,
    it has an inverse Wishart prior with the shape of the smooth remainder, the size of
    the scatter, and the fewest degrees of freedom for which a mean exists. The mean of
    the contrasts then follows a multivariate t distribution [1]_.

    The prior of the share is 0 with odds of `PRIOR_ODDS` and uniform up to 1 otherwise.
    There is no threshold, so that similar runs of one beamtime get similar scales.

    References
    ----------
    .. [1] A. Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), sec. 3.6.
    """
    is_measured = np.isfinite(remainder)
    has_lines = is_measured.any(axis=1)
    n_pixels = has_lines.sum()
    min_pixels = 0.5 * max(n_pixels, 1)
    pixels_of_line = is_measured.sum(axis=0)
    lines = pixels_of_line >= min_pixels
    has_all_lines = is_measured[:, lines].all(axis=1)
    complete = np.flatnonzero(has_all_lines & has_lines)
    is_typical = _is_typical(remainder[complete][:, lines])
    is_typical_pixel = is_typical.all(axis=1)
    complete = complete[is_typical_pixel]
    n_parameters = jacobian.shape[1]
    # the left singular vectors beyond the parameters are orthogonal to the derivatives
    singular_vectors = np.linalg.svd(jacobian[lines])[0]
    contrasts = singular_vectors[:, n_parameters:]
    if len(complete) < 2 or not contrasts.size:
        return 1.0
    noise = np.median(stat_errors[complete], axis=0)
    pixel_covariance = smooth_covariance + np.diag(noise**2)
    reference_covariance = np.diag(reference_errors**2)
    chosen = np.ix_(lines, lines)
    from_pixels = contrasts.T @ pixel_covariance[chosen] @ contrasts
    from_references = contrasts.T @ reference_covariance[chosen] @ contrasts
    square_share = SHARES[:, None, None] ** 2
    measured = remainder[complete][:, lines]
    log_likelihood = _log_likelihood(
        rows=measured @ contrasts,
        prior_shape=from_pixels,
        mean_covariance=square_share * from_references,
    )
    highest = log_likelihood.max()
    posterior = np.exp(log_likelihood - highest)
    n_positive = len(SHARES) - 1
    posterior[0] *= PRIOR_ODDS * n_positive
    mean_share = posterior @ SHARES / posterior.sum()
    return float(mean_share)


def _log_likelihood(
    rows: FloatArray, prior_shape: FloatArray, mean_covariance: FloatArray
) -> FloatArray:
    """Return the log likelihood of the mean of rows, up to a constant.

    Parameters
    ----------
    rows
        (pixel, contrast) eV.
    prior_shape
        (contrast, contrast) shape of the prior of the rows' covariance.
    mean_covariance
        (share, contrast, contrast) covariance of the mean beyond that of the rows,
        eV^2.

    Returns
    -------
    FloatArray
        (share,).
    """
    n_pixels, n_contrasts = rows.shape
    mean = rows.mean(axis=0)
    deviation = rows - mean
    scatter = deviation.T @ deviation
    # the size of the prior is that of all deviations from the mean
    n_deviations = (n_pixels - 1) * n_contrasts
    relative_scatter = np.linalg.solve(prior_shape, scatter)
    size = np.trace(relative_scatter) / n_deviations
    prior_weight = n_contrasts + 2.0
    weight = prior_weight + n_pixels - 1
    row_covariance = (prior_weight * size * prior_shape + scatter) / weight
    rounding = 1e-9 * np.eye(n_contrasts)
    total = row_covariance / n_pixels + mean_covariance + rounding
    column_shape = (*total.shape[:-1], 1)
    means = np.broadcast_to(mean[:, None], column_shape)
    weighted_mean = np.linalg.solve(total, means)[..., 0]
    misfit = (weighted_mean * mean).sum(axis=-1)
    freedom = min(weight, n_deviations)
    exponent = 0.5 * (freedom + n_contrasts)
    log_determinant = np.linalg.slogdet(total)[1]
    log_kernel = np.log1p(misfit / freedom)
    log_likelihood = -0.5 * log_determinant - exponent * log_kernel
    return np.asarray(log_likelihood)
