"""Gain curves: a form, plus what is common to all pixels, plus each pixel's own smooth remainder.

A form (`gain_forms`; a sensor that saturates unless told otherwise) describes a real pixel to 0.5-1 eV. What remains is
split:

* what a pixel shows beyond the other pixels is its own smooth gain, known to counting statistics;
* what all pixels share is the mean of their own gains, or the references' disagreement (0.5 eV and more). The array
  tells which: where the shared pattern stands out from what the pixels' scatter leaves in a mean of so many, it is the
  references', and the curve follows it only as far as their uncertainties allow.

Both are Gaussian processes over energy (Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, ch. 2):
smooth between the lines, and falling back to the form outside them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import CurveName
from rixs_pipeline.core.calibration.gain_forms import FORMS, Form
from rixs_pipeline.core.calibration.shared_remainder import (
    UNUSED_EV,
    common_remainder,
    reference_share,
)
from rixs_pipeline.core.energy import function as ef

Float = NDArray[np.float64]

REMAINDER_EV = 1.0  # amplitude of the smooth remainder, as seen in real pixels
REMAINDER_LENGTH_EV = (
    200.0  # over which energies it keeps its value: about the distance of the lines
)
CURVE_TOP_EV = 1500.0
N_ALONG = (
    4 * ef.N_COEFFICIENTS
)  # heights at which a curve is computed before it becomes a spline
N_COVARIANCE = 2 * ef.N_COEFFICIENTS  # and at which its covariance is: that is smoother
MIN_LINES = 3


@dataclass(frozen=True)
class GainCurves:
    """Curves of all pixels: their form and its parameters (pixel, k), remainder's weights at the lines, and what is
    needed to evaluate them anywhere."""

    form: Form
    parameters: Float  # (pixel, k); NaN where the pixel is not used
    line_energy: Float
    common: Float  # weights (line,) of the common remainder
    own: Float  # weights (pixel, line) of each pixel's own remainder
    stat_errors: Float  # (pixel, line), UNUSED_EV where a pixel does not have the line
    used: NDArray[np.bool_]  # (pixel,) whether the pixel has enough lines
    remainder: Float  # (pixel, line) eV, reference - form; NaN where a pixel does not have the line
    reference_share: float = (
        1.0  # of the references' uncertainties that shows in the array
    )


def kernel(first: Float, second: Float) -> Float:
    """Covariance (..., n, m) eV^2 of the remainder between energies (..., n) and (..., m) eV."""
    distance = (first[..., :, None] - second[..., None, :]) * (
        np.sqrt(0.5) / REMAINDER_LENGTH_EV
    )
    return np.asarray(REMAINDER_EV**2 * np.exp(-distance * distance))


def fit(
    heights: Float,
    height_errors_ev: Float,
    line_energy: Float,
    reference_errors: Float,
    curve: CurveName = "physical",
) -> GainCurves:
    """Fit the curves of all pixels.

    Args:
        heights: f8 (pixel, line), corrected pulse height of each line; NaN where a pixel does not have it.
        height_errors_ev: f8 (pixel, line), statistical error of the position, eV.
        line_energy: f8 (line,), reference energies, eV.
        reference_errors: f8 (line,), their uncertainties, eV.
        curve: name of the form.
    """
    form = FORMS[curve]
    present = np.isfinite(heights) & np.isfinite(height_errors_ev)
    used = present.sum(axis=1) >= MIN_LINES
    stat = np.where(present, np.maximum(height_errors_ev, 1e-3), UNUSED_EV)
    present &= used[:, None]
    parameters, remainder = _fit_form(
        form, heights, present, line_energy, stat, reference_errors
    )
    smooth = kernel(line_energy, line_energy)
    share = 1.0
    if used.any():
        middle = np.median(parameters[used], axis=0)[None]
        share = reference_share(
            remainder,
            stat,
            form.jacobian(line_energy, middle)[0],
            smooth,
            reference_errors,
        )
    if share < 1:
        parameters, remainder = _fit_form(
            form, heights, present, line_energy, stat, share * reference_errors
        )
    raw, error = common_remainder(remainder, stat)
    common = np.linalg.solve(
        smooth + np.diag(error**2 + (share * reference_errors) ** 2), raw
    )
    own_data = np.where(np.isfinite(remainder), remainder - raw, 0.0)
    own = np.linalg.solve(_with_noise(smooth, stat), own_data[..., None])[..., 0]
    return GainCurves(
        form,
        parameters,
        line_energy,
        np.asarray(common),
        np.asarray(own),
        stat,
        used,
        remainder,
        share,
    )


def bare(curve: CurveName, parameters: Float) -> GainCurves:
    """Curves of the form alone, without remainder: parameters (pixel, k) as in `Form`."""
    none = np.zeros((len(parameters), 1))
    used = np.ones(len(parameters), dtype=bool)
    return GainCurves(
        FORMS[curve], parameters, np.zeros(1), np.zeros(1), none, none + 1, used, none
    )


def _with_noise(smooth: Float, errors: Float) -> Float:
    """Covariance (pixel, line, line) eV^2 of lines with a smooth remainder and errors (pixel, line) of their own."""
    return np.asarray(smooth + (errors**2)[:, :, None] * np.eye(errors.shape[1]))


def _fit_form(
    form: Form,
    heights: Float,
    present: NDArray[np.bool_],
    line_energy: Float,
    stat: Float,
    reference_errors: Float,
) -> tuple[Float, Float]:
    """Parameters (pixel, k) and the remainder (pixel, line) eV: reference - form; both NaN where there is none."""
    used = present.any(axis=1)
    parameters = np.full((len(heights), 1 + len(form.centre)), np.nan)
    remainder = np.full(heights.shape, np.nan)
    if used.any():
        errors = np.hypot(stat[used], reference_errors)
        weight = np.asarray(
            np.linalg.inv(_with_noise(kernel(line_energy, line_energy), errors))
        )
        filled = np.where(present, heights, np.nanmean(heights[used]))[used]
        parameters[used] = _least_squares(
            form, filled, present[used], line_energy, weight
        )
        remainder[used] = line_energy - form.energy(filled, parameters[used])[0]
    return parameters, np.where(present, remainder, np.nan)


def _least_squares(
    form: Form,
    heights: Float,
    present: NDArray[np.bool_],
    line_energy: Float,
    weight: Float,
) -> Float:
    """Generalised least squares for all pixels at once by Gauss-Newton steps: (pixel, k)."""
    centre, precision = form.prior
    slope = np.nanmedian(np.where(present, heights, np.nan) / line_energy, axis=1)
    parameters = form.start(slope)
    for _ in range(40):
        values, jacobian = form.energy(heights, parameters)
        jacobian *= present[..., None]
        weighted = weight @ jacobian
        normal = _transposed(jacobian) @ weighted + np.diag(precision + 1e-9)
        pull = ((values - line_energy) * present)[:, None] @ weighted
        pull = pull[:, 0] + precision * (parameters - centre)
        step = np.clip(np.linalg.solve(normal, pull[..., None])[..., 0], -0.3, 0.3)
        parameters = parameters - step
        if np.abs(step).max() < 1e-9:
            break
    return parameters


def spline_params(curves: GainCurves) -> tuple[Float, NDArray[np.bool_]]:
    """The curves as spline parameters of `core.energy`.

    Returns:
        params (pixel, N_PARAMS) with only the curve filled in, and whether each curve rises everywhere (pixel,).
        Rows of pixels without a curve are NaN.
    """
    params = np.full((len(curves.used), ef.N_PARAMS), np.nan)
    rising = np.zeros(len(curves.used), dtype=bool)
    heights, form, _ = _along(curves, N_ALONG)
    weights = (curves.common + curves.own[curves.used])[:, :, None]
    values = form + (kernel(form, curves.line_energy) @ weights)[:, :, 0]
    spacing = (heights[:, -1] - heights[:, 0]) / (ef.N_COEFFICIENTS - 3)
    params[curves.used, ef.CURVE_GRID] = np.stack([heights[:, 0], spacing], axis=1)
    params[curves.used, ef.CURVE] = values @ ef.fitting_matrix(N_ALONG).T
    whole = (
        np.abs(form[:, [0, -1]] - [0.0, CURVE_TOP_EV]).max(axis=1) < 1.0
    )  # the form does reach both ends
    rising[curves.used] = (
        whole & (spacing > 0) & np.all(np.diff(values, axis=1) > 0, axis=1)
    )
    return params, rising


def _along(curves: GainCurves, n: int) -> tuple[Float, Float, Float]:
    """Pulse heights over the whole curve of every used pixel, the form's energies there (used, n), and their
    derivatives (used, n, k)."""
    parameters = curves.parameters[curves.used]
    ends = curves.form.height(np.array([0.0, CURVE_TOP_EV]), parameters)
    heights = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * np.linspace(0.0, 1.0, n)
    return heights, *curves.form.energy(heights, parameters)


def left_out(curves: GainCurves, reference_errors: Float) -> Float:
    """Where a line would stand if it were not used: its energy on the curve through the other lines - reference, eV.

    f8 (pixel, line), NaN where a pixel has no curve or not the line. The curve is refitted in closed form: for
    universal kriging the residual of a datum left out is (P y)_l / P_ll with P the precision of the data after the
    parameters (Dubrule, Math. Geology 15, 687 (1983)).
    """
    noise = np.hypot(
        curves.stat_errors[curves.used], curves.reference_share * reference_errors
    )
    inverse, jacobian, parameters = _at_lines(curves, noise)
    weighted = inverse @ jacobian
    precision = inverse - weighted @ parameters @ _transposed(weighted)
    shape = (curves.parameters[curves.used] - curves.form.prior[0])[
        :, 1:
    ]  # seen from the prior, as `precision` is
    remainder = (
        np.nan_to_num(curves.remainder[curves.used])[:, :, None]
        + jacobian[:, :, 1:] @ shape[:, :, None]
    )
    residual = (precision @ remainder)[:, :, 0] / np.einsum("pll->pl", precision)
    result = np.full(curves.remainder.shape, np.nan)
    result[curves.used] = -residual
    result[~np.isfinite(curves.remainder)] = np.nan
    return result


def spline_covariance(curves: GainCurves) -> Float:
    """Covariance (pixel, N_COEFFICIENTS, N_COEFFICIENTS) eV^2 of the curves' coefficients.

    Counting statistics and the freedom of the smooth remainder (universal kriging: Rasmussen & Williams, eq. 2.41);
    the references' uncertainties are not part of it: they are common to all pixels and stand beside.
    """
    inverse, at_lines, parameters = _at_lines(curves, curves.stat_errors[curves.used])
    _, form, at_heights = _along(curves, N_COVARIANCE)
    to_coefficients = ef.fitting_matrix(N_COVARIANCE)
    influence = to_coefficients @ kernel(form, curves.line_energy)
    known = influence @ inverse
    left = to_coefficients @ at_heights - known @ at_lines
    total = to_coefficients @ (kernel(form, form) @ to_coefficients.T)
    total += left @ parameters @ _transposed(left) - known @ _transposed(influence)
    covariance = np.full(
        (len(curves.used), ef.N_COEFFICIENTS, ef.N_COEFFICIENTS), np.nan
    )
    covariance[curves.used] = total
    return covariance


def _at_lines(curves: GainCurves, errors: Float) -> tuple[Float, Float, Float]:
    """Of every used pixel, for errors (used, line): the inverse covariance (used, line, line) of its lines, the form's
    derivatives there (used, line, k), and the parameters' covariance (used, k, k)."""
    parameters = curves.parameters[curves.used]
    jacobian = curves.form.jacobian(curves.line_energy, parameters)
    inverse = np.asarray(
        np.linalg.inv(
            _with_noise(kernel(curves.line_energy, curves.line_energy), errors)
        )
    )
    precision = np.diag(curves.form.prior[1])
    parameters_covariance = np.linalg.inv(
        _transposed(jacobian) @ inverse @ jacobian + precision
    )
    return inverse, jacobian, np.asarray(parameters_covariance)


def _transposed(matrices: Float) -> Float:
    return matrices.transpose(0, 2, 1)
