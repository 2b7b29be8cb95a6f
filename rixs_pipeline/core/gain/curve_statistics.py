"""What lines say of gain curves: covariance, left-out residuals, misfit.

Energies are in the unit of the curves' range, as in `curves`, except where eV is
stated.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.energy import layout, spline_fit_matrix
from rixs_pipeline.core.gain.curves import (
    GainCurves,
    add_noise,
    multiply,
    remainder_covariance,
    sample_curves,
)
from rixs_pipeline.types import FloatArray

# pulse heights at which the covariance, which is smoother than a curve, is evaluated
N_COVARIANCE_HEIGHTS = 2 * layout.N_COEFFICIENTS


@dataclass(frozen=True)
class CurveMisfits:
    """Misfit of smooth gain curves to the lines of the pixels.

    Attributes
    ----------
    chi_squared
        (pixel,) NaN without a curve.
    freedom
        (pixel,) degrees of freedom.
    """

    chi_squared: FloatArray
    freedom: FloatArray


@dataclass(frozen=True)
class _UniversalResiduals:
    """Lines of the used pixels relative to the prior of the form.

    Attributes
    ----------
    data
        (used, line) reference energy - form of the prior.
    precision
        (used, line, line) after the parameters are fitted.
    weighted
        (used, line) precision times data.
    """

    data: FloatArray
    precision: FloatArray
    weighted: FloatArray


@dataclass(frozen=True)
class _LineCovariance:
    """Covariances of the pixels at their lines.

    Attributes
    ----------
    inverse
        (used, line, line) inverse covariance of the lines, 1/eV^2.
    jacobian
        (used, line, k) derivatives of the form by its parameters, eV.
    parameters
        (used, k, k) covariance of the parameters.
    """

    inverse: FloatArray
    jacobian: FloatArray
    parameters: FloatArray


def left_out_residuals(curves: GainCurves, reference_errors: FloatArray) -> FloatArray:
    """Return where each line lies on the curve through the pixel's other lines.

    Parameters
    ----------
    curves
        Fitted curves.
    reference_errors
        (line,) uncertainties of the reference energies, eV.

    Returns
    -------
    FloatArray
        (pixel, line) energy on that curve - reference energy, eV; NaN where a pixel has
        no curve or lacks the line.

    Notes
    -----
    In universal kriging, the residual of a datum left out is (P y)_l / P_ll, with P the
    precision of the data after the parameters are fitted [1]_. No second fit is needed.

    References
    ----------
    .. [1] O. Dubrule, Math. Geology 15, 687 (1983).
    """
    unit = curves.energy_range.energy_unit
    reference_noise = curves.reference_share * reference_errors / unit
    universal = _universal_residuals(curves, reference_noise)
    diagonal = np.einsum("pll->pl", universal.precision)
    residual = -unit * universal.weighted / diagonal
    is_missing = np.isnan(curves.remainder)
    residual[is_missing] = np.nan
    return curves.for_all_pixels(residual)


def curve_misfits(curves: GainCurves, reference_errors: FloatArray) -> CurveMisfits:
    """Return how well a smooth curve passes through the lines of each pixel.

    Parameters
    ----------
    curves
        Fitted curves.
    reference_errors
        (line,) uncertainties of the reference energies, eV.

    Returns
    -------
    CurveMisfits
        Chi-squared of the lines, of the curve's freedom, and of the pixel's errors.

    Notes
    -----
    With P the precision of the data y after the parameters are fitted, y' P y follows a
    chi-squared distribution [1]_. The scale of the gain is the only parameter without a
    prior, so that n lines have n - 1 degrees of freedom.

    References
    ----------
    .. [1] C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine
       Learning (2006), sec. 2.7.
    """
    unit = curves.energy_range.energy_unit
    universal = _universal_residuals(curves, reference_errors / unit)
    terms = universal.data * universal.weighted
    is_measured = np.isfinite(curves.remainder)
    n_lines = is_measured.sum(axis=1)
    return CurveMisfits(
        chi_squared=curves.for_all_pixels(terms.sum(axis=1)),
        freedom=curves.for_all_pixels(n_lines - 1.0),
    )


def _universal_residuals(
    curves: GainCurves, reference_noise: FloatArray
) -> _UniversalResiduals:
    """Return the data of the curves and their precision, as universal kriging does.

    `reference_noise` (line,) of the reference energies, in the unit of the curves.
    """
    errors = np.hypot(curves.stat_errors, reference_noise)
    lines = _line_covariance(curves, errors)
    weighted = lines.inverse @ lines.jacobian
    explained = weighted @ lines.parameters @ weighted.mT
    precision = lines.inverse - explained
    # the precision includes the prior of the shape, so the data are relative to it
    deviation = curves.parameters - curves.form.prior.centre
    by_shape = lines.jacobian[:, :, 1:]
    from_shape = multiply(by_shape, deviation[:, 1:])
    data = np.nan_to_num(curves.remainder) + from_shape
    return _UniversalResiduals(data, precision, multiply(precision, data))


def spline_covariance(curves: GainCurves) -> FloatArray:
    """Return the covariance of the curves' spline coefficients.

    Returns
    -------
    FloatArray
        (pixel, N_COEFFICIENTS, N_COEFFICIENTS) eV^2; NaN where a pixel has no curve.

    Notes
    -----
    It includes counting statistics and the freedom of the smooth remainder, by
    universal kriging [1]_, but not the uncertainties of the references, which all
    pixels share.

    References
    ----------
    .. [1] C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine
       Learning (2006), eq. 2.41.
    """
    lines = _line_covariance(curves, curves.stat_errors)
    samples = sample_curves(curves, N_COVARIANCE_HEIGHTS)
    to_coefficients = spline_fit_matrix(N_COVARIANCE_HEIGHTS)
    to_lines = remainder_covariance(samples.energy, curves.line_energy)
    smooth = remainder_covariance(samples.energy, samples.energy)
    influence = to_coefficients @ to_lines
    prediction = influence @ lines.inverse
    at_coefficients = to_coefficients @ samples.jacobian
    predicted = prediction @ lines.jacobian
    by_parameters = at_coefficients - predicted
    from_parameters = by_parameters @ lines.parameters @ by_parameters.mT
    smooth_products = smooth @ to_coefficients.T
    prior = to_coefficients @ smooth_products
    explained = prediction @ influence.mT
    covariance = prior + (from_parameters - explained)
    covariance = covariance * curves.energy_range.energy_unit**2
    return curves.for_all_pixels(covariance)


def _line_covariance(curves: GainCurves, errors: FloatArray) -> _LineCovariance:
    """Return the covariances at lines with given errors (used, line) eV."""
    jacobian = curves.form.jacobian(curves.line_energy, curves.parameters)
    smooth = remainder_covariance(curves.line_energy, curves.line_energy)
    covariance = add_noise(smooth, errors)
    inverse = np.linalg.inv(covariance)
    prior = curves.form.prior
    prior_information = np.diag(prior.precision)
    line_information = jacobian.mT @ inverse @ jacobian
    information = line_information + prior_information
    parameters = np.linalg.inv(information)
    return _LineCovariance(
        inverse=np.asarray(inverse),
        jacobian=jacobian,
        parameters=np.asarray(parameters),
    )
