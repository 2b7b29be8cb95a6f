"""Gain curves: a form, a smooth remainder common to all pixels, and one of each pixel.

A form (see `forms`) describes a real pixel to 0.5-1 eV. The remainder, reference
energy - form, is split:

* what a pixel shows beyond the other pixels is its smooth gain, as precise as the
  counting statistics;
* what all pixels share is either the mean of their gains or an error of the reference
  energies (0.5 eV and more), and the scatter between the pixels tells which (see
  `shared_remainder`). The curves follow it only as far as the uncertainties of the
  references allow.

Both are Gaussian processes over energy [1]_: smooth between the lines, and zero far
outside them, where the form alone remains.

References
----------
.. [1] C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning
   (2006), ch. 2.
"""

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.energy import layout, spline_fit_matrix
from rixs_pipeline.core.gain.forms import FORMS, CurveForm, GainForm
from rixs_pipeline.core.gain.shared_remainder import (
    UNUSED_EV,
    average_remainder,
    estimate_reference_share,
)
from rixs_pipeline.types import BoolArray, FloatArray

# amplitude of the smooth remainder, as real pixels show it
REMAINDER_EV = 1.0
# energy over which the remainder keeps its value: about the distance of the lines
REMAINDER_LENGTH_EV = 200.0
# highest energy of a curve; the lowest is 0 eV
CURVE_TOP_EV = 1500.0
# largest distance of the ends of the form from 0 eV and `CURVE_TOP_EV`
CURVE_END_TOLERANCE_EV = 1.0
# pulse heights at which a curve is evaluated before it becomes a spline
N_CURVE_HEIGHTS = 4 * layout.N_COEFFICIENTS
# pulse heights at which its covariance, which is smoother, is evaluated
N_COVARIANCE_HEIGHTS = 2 * layout.N_COEFFICIENTS
# lines that a pixel must have
MIN_LINES = 3
# smallest statistical error of a line's position
MIN_ERROR_EV = 1e-3
# Gauss-Newton fit of the form: steps, largest step of a parameter, step that ends it,
# and what keeps its matrix regular
MAX_STEPS = 40
MAX_STEP = 0.3
STEP_TOLERANCE = 1e-9
REGULARISATION = 1e-9


@dataclass(frozen=True)
class LinePositions:
    """Pulse heights of the reference lines, through which gain curves are fitted.

    Attributes
    ----------
    heights
        (pixel, line) corrected pulse height; NaN where a pixel lacks a line.
    errors
        (pixel, line) statistical errors of the positions, eV.
    energy
        (line,) reference energies, eV.
    reference_errors
        (line,) uncertainties of the reference energies, eV.
    """

    heights: FloatArray
    errors: FloatArray
    energy: FloatArray
    reference_errors: FloatArray


@dataclass(frozen=True)
class GainCurves:
    """Gain curves of all pixels, with what is needed to evaluate them at any energy.

    Attributes
    ----------
    form
        Form of the curves.
    parameters
        (pixel, k) of the form; NaN where a pixel is not used.
    line_energy
        (line,) reference energies, eV.
    shared_weights
        (line,) weights of the common remainder, 1/eV.
    pixel_weights
        (pixel, line) weights of the pixels' remainders, 1/eV.
    stat_errors
        (pixel, line) eV; `UNUSED_EV` where a pixel lacks a line.
    is_used
        (pixel,) whether the pixel has enough lines.
    remainder
        (pixel, line) reference energy - form, eV; NaN where not measured.
    reference_share
        How much of the references' uncertainties shows in the pixels.
    """

    form: GainForm
    parameters: FloatArray
    line_energy: FloatArray
    shared_weights: FloatArray
    pixel_weights: FloatArray
    stat_errors: FloatArray
    is_used: BoolArray
    remainder: FloatArray
    reference_share: float = 1.0

    @classmethod
    def without_remainder(cls, form: CurveForm, parameters: FloatArray) -> "GainCurves":
        """Return curves that are nothing but a form.

        Parameters
        ----------
        form
            Name of the form.
        parameters
            (pixel, k).

        Returns
        -------
        GainCurves
            Curves of as many pixels as there are rows of parameters.
        """
        n_pixels = len(parameters)
        zeros = np.zeros((n_pixels, 1))
        return cls(
            form=FORMS[form],
            parameters=parameters,
            line_energy=np.zeros(1),
            shared_weights=np.zeros(1),
            pixel_weights=zeros,
            stat_errors=zeros + 1,
            is_used=np.ones(n_pixels, dtype=bool),
            remainder=zeros,
        )


@dataclass(frozen=True)
class SplineCurves:
    """Gain curves as spline parameters of `core.energy`.

    Attributes
    ----------
    params
        (pixel, N_PARAMS) only the curve filled in; NaN without a curve.
    is_rising
        (pixel,) whether the curve rises everywhere.
    """

    params: FloatArray
    is_rising: BoolArray


@dataclass(frozen=True)
class _FormFit:
    """Form fitted to the lines: parameters (pixel, k), remainder (pixel, line) eV."""

    parameters: FloatArray
    remainder: FloatArray


@dataclass(frozen=True)
class _CurveSamples:
    """Form of the used pixels at equidistant pulse heights over the whole curve.

    Attributes
    ----------
    heights
        (used, n).
    energy
        (used, n) eV.
    jacobian
        (used, n, k) derivatives by the parameters, eV.
    """

    heights: FloatArray
    energy: FloatArray
    jacobian: FloatArray


@dataclass(frozen=True)
class _LineCovariance:
    """Covariances of the used pixels at their lines.

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


def remainder_covariance(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the prior covariance of the smooth remainder between two energies.

    Parameters
    ----------
    first
        (..., n) eV.
    second
        (..., m) eV.

    Returns
    -------
    FloatArray
        (..., n, m) eV^2.
    """
    scale = np.sqrt(0.5) / REMAINDER_LENGTH_EV
    distance = (first[..., :, None] - second[..., None, :]) * scale
    return np.asarray(REMAINDER_EV**2 * np.exp(-distance * distance))


def fit_gain_curves(
    lines: LinePositions, curve_form: CurveForm = CurveForm.PHYSICAL
) -> GainCurves:
    """Fit the gain curves of all pixels together.

    Parameters
    ----------
    lines
        Positions of the reference lines.
    curve_form
        Name of the form.

    Returns
    -------
    GainCurves
        Curves of the pixels with at least `MIN_LINES` lines; the others are not used.
    """
    form = FORMS[curve_form]
    is_measured = np.isfinite(lines.heights) & np.isfinite(lines.errors)
    is_used = is_measured.sum(axis=1) >= MIN_LINES
    stat_errors = np.maximum(lines.errors, MIN_ERROR_EV)
    stat_errors = np.where(is_measured, stat_errors, UNUSED_EV)
    is_measured &= is_used[:, None]
    heights = np.where(is_measured, lines.heights, np.nan)
    lines = replace(lines, heights=heights, errors=stat_errors)

    fit = _fit_form(form, lines, lines.reference_errors)
    smooth = remainder_covariance(lines.energy, lines.energy)
    reference_share = 1.0
    if is_used.any():
        median_pixel = np.median(fit.parameters[is_used], axis=0)[None]
        reference_share = estimate_reference_share(
            fit.remainder,
            stat_errors,
            form.jacobian(lines.energy, median_pixel)[0],
            smooth,
            lines.reference_errors,
        )
    reference_errors = reference_share * lines.reference_errors
    if reference_share < 1:
        fit = _fit_form(form, lines, reference_errors)

    shared = average_remainder(fit.remainder, stat_errors)
    shared_noise = np.diag(shared.errors**2 + reference_errors**2)
    shared_weights = np.linalg.solve(smooth + shared_noise, shared.values)
    difference = fit.remainder - shared.values
    difference = np.where(np.isfinite(fit.remainder), difference, 0.0)
    covariance = _add_noise(smooth, stat_errors)
    pixel_weights = np.linalg.solve(covariance, difference[..., None])[..., 0]
    return GainCurves(
        form=form,
        parameters=fit.parameters,
        line_energy=lines.energy,
        shared_weights=np.asarray(shared_weights),
        pixel_weights=np.asarray(pixel_weights),
        stat_errors=stat_errors,
        is_used=is_used,
        remainder=fit.remainder,
        reference_share=reference_share,
    )


def _add_noise(smooth: FloatArray, errors: FloatArray) -> FloatArray:
    """Return the covariance (pixel, line, line) of remainders with independent errors.

    `smooth` is (line, line) in eV^2, `errors` (pixel, line) in eV.
    """
    return np.asarray(smooth + (errors**2)[:, :, None] * np.eye(errors.shape[1]))


def _fit_form(
    form: GainForm, lines: LinePositions, reference_errors: FloatArray
) -> _FormFit:
    """Fit the form to the measured lines of every pixel; NaN where there are none."""
    is_measured = np.isfinite(lines.heights)
    used = np.asarray(is_measured.any(axis=1))
    parameters = np.full((len(used), form.n_parameters), np.nan)
    remainder = np.full(is_measured.shape, np.nan)
    if used.any():
        errors = np.hypot(lines.errors[used], reference_errors)
        smooth = remainder_covariance(lines.energy, lines.energy)
        weight = np.asarray(np.linalg.inv(_add_noise(smooth, errors)))
        # any finite pulse height will do for a line that is not measured
        mean_height = np.nanmean(lines.heights[used])
        heights = np.where(is_measured, lines.heights, mean_height)[used]
        parameters[used] = _fit_parameters(
            form, heights, is_measured[used], lines.energy, weight
        )
        energy = form.energies(heights, parameters[used]).energy
        remainder[used] = lines.energy - energy
    return _FormFit(parameters, np.where(is_measured, remainder, np.nan))


def _fit_parameters(
    form: GainForm,
    heights: FloatArray,
    is_measured: BoolArray,
    line_energy: FloatArray,
    weight: FloatArray,
) -> FloatArray:
    """Fit the parameters (pixel, k) by generalised least squares, Gauss-Newton steps.

    `heights` and `is_measured` are (pixel, line), `weight` (pixel, line, line) in
    1/eV^2.
    """
    prior = form.prior
    height_per_ev = np.where(is_measured, heights, np.nan) / line_energy
    parameters = form.start(np.nanmedian(height_per_ev, axis=1))
    prior_information = np.diag(prior.precision + REGULARISATION)
    for _ in range(MAX_STEPS):
        fitted = form.energies(heights, parameters)
        jacobian = fitted.jacobian * is_measured[..., None]
        misfit = (fitted.energy - line_energy) * is_measured
        weighted = weight @ jacobian
        information = _transpose(jacobian) @ weighted + prior_information
        gradient = (misfit[:, None] @ weighted)[:, 0]
        gradient = gradient + prior.precision * (parameters - prior.centre)
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        step = np.clip(step, -MAX_STEP, MAX_STEP)
        parameters = parameters - step
        if np.abs(step).max() < STEP_TOLERANCE:
            break
    return parameters


def fit_splines(curves: GainCurves) -> SplineCurves:
    """Return the gain curves as splines, the form in which products store them."""
    n_pixels = len(curves.is_used)
    params = np.full((n_pixels, layout.N_PARAMS), np.nan)
    is_rising = np.zeros(n_pixels, dtype=bool)
    samples = _sample_curves(curves, N_CURVE_HEIGHTS)
    covariance = remainder_covariance(samples.energy, curves.line_energy)
    weights = curves.shared_weights + curves.pixel_weights[curves.is_used]
    energy = samples.energy + (covariance @ weights[:, :, None])[:, :, 0]

    lowest = samples.heights[:, 0]
    spacing = (samples.heights[:, -1] - lowest) / (layout.N_COEFFICIENTS - 3)
    params[curves.is_used, layout.CURVE_GRID] = np.stack([lowest, spacing], axis=1)
    params[curves.is_used, layout.CURVE] = energy @ spline_fit_matrix(N_CURVE_HEIGHTS).T

    misses = np.abs(samples.energy[:, [0, -1]] - [0.0, CURVE_TOP_EV])
    reaches_ends = misses.max(axis=1) < CURVE_END_TOLERANCE_EV
    rises = np.all(np.diff(energy, axis=1) > 0, axis=1)
    is_rising[curves.is_used] = reaches_ends & (spacing > 0) & rises
    return SplineCurves(params, is_rising)


def _sample_curves(curves: GainCurves, n_heights: int) -> _CurveSamples:
    """Evaluate the form of every used pixel at equidistant pulse heights."""
    parameters = curves.parameters[curves.is_used]
    ends = curves.form.heights(np.array([0.0, CURVE_TOP_EV]), parameters)
    lowest, highest = ends[:, :1], ends[:, 1:]
    heights = lowest + (highest - lowest) * np.linspace(0.0, 1.0, n_heights)
    values = curves.form.energies(heights, parameters)
    return _CurveSamples(heights, values.energy, values.jacobian)


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
    reference_noise = curves.reference_share * reference_errors
    errors = np.hypot(curves.stat_errors[curves.is_used], reference_noise)
    lines = _line_covariance(curves, errors)
    weighted = lines.inverse @ lines.jacobian
    precision = lines.inverse - weighted @ lines.parameters @ _transpose(weighted)
    # the precision includes the prior of the shape, so the data are relative to it
    deviation = curves.parameters[curves.is_used] - curves.form.prior.centre
    shape_deviation = deviation[:, 1:, None]
    remainder = np.nan_to_num(curves.remainder[curves.is_used])[:, :, None]
    data = remainder + lines.jacobian[:, :, 1:] @ shape_deviation
    diagonal = np.einsum("pll->pl", precision)
    result = np.full(curves.remainder.shape, np.nan)
    result[curves.is_used] = -((precision @ data)[:, :, 0] / diagonal)
    result[~np.isfinite(curves.remainder)] = np.nan
    return result


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
    lines = _line_covariance(curves, curves.stat_errors[curves.is_used])
    samples = _sample_curves(curves, N_COVARIANCE_HEIGHTS)
    to_coefficients = spline_fit_matrix(N_COVARIANCE_HEIGHTS)
    to_lines = remainder_covariance(samples.energy, curves.line_energy)
    smooth = remainder_covariance(samples.energy, samples.energy)
    influence = to_coefficients @ to_lines
    prediction = influence @ lines.inverse
    by_parameters = to_coefficients @ samples.jacobian - prediction @ lines.jacobian
    total = to_coefficients @ (smooth @ to_coefficients.T)
    total += by_parameters @ lines.parameters @ _transpose(
        by_parameters
    ) - prediction @ _transpose(influence)
    shape = (len(curves.is_used), layout.N_COEFFICIENTS, layout.N_COEFFICIENTS)
    covariance = np.full(shape, np.nan)
    covariance[curves.is_used] = total
    return covariance


def _line_covariance(curves: GainCurves, errors: FloatArray) -> _LineCovariance:
    """Return covariances of the used pixels whose lines have `errors` (used, line)."""
    parameters = curves.parameters[curves.is_used]
    jacobian = curves.form.jacobian(curves.line_energy, parameters)
    smooth = remainder_covariance(curves.line_energy, curves.line_energy)
    inverse = np.asarray(np.linalg.inv(_add_noise(smooth, errors)))
    prior_information = np.diag(curves.form.prior.precision)
    information = _transpose(jacobian) @ inverse @ jacobian + prior_information
    return _LineCovariance(inverse, jacobian, np.asarray(np.linalg.inv(information)))


def _transpose(matrices: FloatArray) -> FloatArray:
    """Return the transposes of matrices (pixel, n, m)."""
    return matrices.transpose(0, 2, 1)
