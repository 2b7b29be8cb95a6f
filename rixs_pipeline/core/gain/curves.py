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

Energies within this module, those of `GainCurves` among them, are in the unit of the
detector's range (`energy_range`): eV for lines up to 1 keV, 8 eV for lines up to 8 keV.

References
----------
.. [1] C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning
   (2006), ch. 2.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.energy import layout, spline_fit_matrix
from rixs_pipeline.core.gain.energy_range import SOFT_RANGE, EnergyRange
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
    """Gain curves, with what is needed to evaluate them at any energy.

    Attributes
    ----------
    form
        Form of the curves.
    is_used
        (pixel,) whether the pixel has enough lines. The tables below have rows for the
        used pixels only.
    parameters
        (used, k) of the form.
    line_energy
        (line,) reference energies, eV.
    shared_weights
        (line,) weights of the common remainder, 1/eV.
    pixel_weights
        (used, line) weights of the remainders of the pixels, 1/eV.
    stat_errors
        (used, line) eV; `UNUSED_EV` where a pixel lacks a line.
    remainder
        (used, line) reference energy - form, eV; NaN where a pixel lacks a line.
    reference_share
        How much of the references' uncertainties shows in the pixels.
    energy_range
        Of the detector, with the unit of all energies here.
    """

    form: GainForm
    is_used: BoolArray
    parameters: FloatArray
    line_energy: FloatArray
    shared_weights: FloatArray
    pixel_weights: FloatArray
    stat_errors: FloatArray
    remainder: FloatArray
    reference_share: float = 1.0
    energy_range: EnergyRange = SOFT_RANGE

    @classmethod
    def without_remainder(
        cls,
        form: CurveForm,
        parameters: FloatArray,
        energy_range: EnergyRange = SOFT_RANGE,
    ) -> "GainCurves":
        """Return curves that are nothing but a form.

        Parameters
        ----------
        form
            Name of the form.
        parameters
            (pixel, k), of energies in the unit of the range.
        energy_range
            Range of the detector.

        Returns
        -------
        GainCurves
            A curve for each row of the parameters.
        """
        n_pixels = len(parameters)
        zeros = np.zeros((n_pixels, 1))
        return cls(
            form=FORMS[form],
            is_used=np.ones(n_pixels, dtype=bool),
            parameters=parameters,
            line_energy=np.zeros(1),
            shared_weights=np.zeros(1),
            pixel_weights=zeros,
            stat_errors=zeros + 1,
            remainder=zeros,
            energy_range=energy_range,
        )

    def for_all_pixels(self, values: FloatArray) -> FloatArray:
        """Return values (used, ...) with rows of NaN for the other pixels."""
        n_pixels = len(self.is_used)
        value_shape = values.shape[1:]
        expanded = np.full((n_pixels, *value_shape), np.nan)
        expanded[self.is_used] = values
        return expanded


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
    """Form fitted to the lines.

    Attributes
    ----------
    parameters
        (used, k).
    remainder
        (used, line) reference energy - form, eV; NaN where a pixel lacks a line.
    """

    parameters: FloatArray
    remainder: FloatArray


@dataclass(frozen=True)
class CurveSamples:
    """Form at equidistant pulse heights over the whole curve.

    Attributes
    ----------
    heights
        (used, n) pulse heights.
    energy
        (used, n) eV.
    jacobian
        (used, n, k) derivatives by the parameters, eV.
    """

    heights: FloatArray
    energy: FloatArray
    jacobian: FloatArray


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
    rows = first[..., :, None]
    columns = second[..., None, :]
    distance = (rows - columns) * scale
    correlation = np.exp(-distance * distance)
    covariance: FloatArray = REMAINDER_EV**2 * correlation
    return covariance


def fit_gain_curves(
    lines: LinePositions,
    curve_form: CurveForm = CurveForm.PHYSICAL,
    energy_range: EnergyRange = SOFT_RANGE,
) -> GainCurves:
    """Fit the gain curves of all pixels together.

    Parameters
    ----------
    lines
        Positions of the reference lines.
    curve_form
        Name of the form.
    energy_range
        Range of the detector.

    Returns
    -------
    GainCurves
        Curves of the pixels with at least `MIN_LINES` lines; the others are not used.
    """
    form = FORMS[curve_form]
    unit = energy_range.energy_unit
    has_height = np.isfinite(lines.heights)
    has_error = np.isfinite(lines.errors)
    is_measured = has_height & has_error
    n_lines = is_measured.sum(axis=1)
    is_used = n_lines >= MIN_LINES
    heights = np.where(is_measured, lines.heights, np.nan)
    stat_errors = np.maximum(lines.errors / unit, MIN_ERROR_EV)
    stat_errors = np.where(is_measured, stat_errors, UNUSED_EV)
    lines = LinePositions(
        heights=heights[is_used],
        errors=stat_errors[is_used],
        energy=lines.energy / unit,
        reference_errors=lines.reference_errors / unit,
    )

    fit = _fit_form(form, lines, lines.reference_errors)
    smooth = remainder_covariance(lines.energy, lines.energy)
    reference_share = 1.0
    if is_used.any():
        median_parameters = np.median(fit.parameters, axis=0)
        median_pixel = median_parameters[None]
        jacobian = form.jacobian(lines.energy, median_pixel)
        reference_share = estimate_reference_share(
            fit.remainder, lines.errors, jacobian[0], smooth, lines.reference_errors
        )
    reference_errors = reference_share * lines.reference_errors
    if reference_share < 1:
        fit = _fit_form(form, lines, reference_errors)

    shared = average_remainder(fit.remainder, lines.errors)
    shared_variance = shared.errors**2 + reference_errors**2
    shared_covariance = smooth + np.diag(shared_variance)
    shared_weights = np.linalg.solve(shared_covariance, shared.values)
    difference = fit.remainder - shared.values
    difference = np.nan_to_num(difference)
    pixel_covariance = add_noise(smooth, lines.errors)
    pixel_weights = _solve(pixel_covariance, difference)
    return GainCurves(
        form=form,
        is_used=is_used,
        parameters=fit.parameters,
        line_energy=lines.energy,
        shared_weights=np.asarray(shared_weights),
        pixel_weights=pixel_weights,
        stat_errors=lines.errors,
        remainder=fit.remainder,
        reference_share=reference_share,
        energy_range=energy_range,
    )


def add_noise(smooth: FloatArray, errors: FloatArray) -> FloatArray:
    """Return the covariance (pixel, line, line) of remainders with independent errors.

    `smooth` is (line, line) in eV^2, `errors` (pixel, line) in eV.
    """
    n_lines = errors.shape[1]
    variance = errors**2
    noise = variance[:, :, None] * np.eye(n_lines)
    covariance: FloatArray = smooth + noise
    return covariance


def _fit_form(
    form: GainForm, lines: LinePositions, reference_errors: FloatArray
) -> _FormFit:
    """Fit the form to the lines by generalised least squares, in Gauss-Newton steps.

    `lines` of the used pixels; `reference_errors` (line,) in eV.
    """
    prior = form.prior
    prior_information = np.diag(prior.precision + REGULARISATION)
    smooth = remainder_covariance(lines.energy, lines.energy)
    errors = np.hypot(lines.errors, reference_errors)
    covariance = add_noise(smooth, errors)
    weight = np.linalg.inv(covariance)
    is_measured = np.isfinite(lines.heights)
    heights = np.nan_to_num(lines.heights)
    height_per_ev = lines.heights / lines.energy
    median_height_per_ev = np.nanmedian(height_per_ev, axis=1)
    parameters = form.start(median_height_per_ev)
    for _ in range(MAX_STEPS):
        fitted = form.energies(heights, parameters)
        jacobian = fitted.jacobian * is_measured[..., None]
        misfit = (fitted.energy - lines.energy) * is_measured
        weighted = weight @ jacobian
        information = jacobian.mT @ weighted + prior_information
        misfit_row = misfit[:, None]
        gradient = (misfit_row @ weighted)[:, 0]
        deviation = parameters - prior.centre
        gradient = gradient + prior.precision * deviation
        full_step = _solve(information, gradient)
        step = np.clip(full_step, -MAX_STEP, MAX_STEP)
        parameters = parameters - step
        step_size = np.abs(step)
        largest_step = step_size.max(initial=0.0)
        if largest_step < STEP_TOLERANCE:
            break
    fitted = form.energies(heights, parameters)
    remainder = lines.energy - fitted.energy
    remainder = np.where(is_measured, remainder, np.nan)
    return _FormFit(parameters, remainder)


def fit_splines(curves: GainCurves) -> SplineCurves:
    """Return the gain curves as splines, which products store."""
    samples = sample_curves(curves, N_CURVE_HEIGHTS)
    covariance = remainder_covariance(samples.energy, curves.line_energy)
    weights = curves.shared_weights + curves.pixel_weights
    energy = samples.energy + multiply(covariance, weights)
    unit = curves.energy_range.energy_unit

    lowest = samples.heights[:, 0]
    highest = samples.heights[:, -1]
    n_intervals = layout.N_COEFFICIENTS - 3
    spacing = (highest - lowest) / n_intervals
    to_coefficients = spline_fit_matrix(N_CURVE_HEIGHTS)
    n_curves = len(energy)
    params = np.full((n_curves, layout.N_PARAMS), np.nan)
    grid = np.stack([lowest, spacing], axis=1)
    params[:, layout.CURVE_GRID] = grid
    params[:, layout.CURVE] = unit * (energy @ to_coefficients.T)

    miss_low = np.abs(samples.energy[:, 0])
    miss_high = np.abs(samples.energy[:, -1] - CURVE_TOP_EV)
    worst_miss = np.maximum(miss_low, miss_high)
    reaches_ends = worst_miss < CURVE_END_TOLERANCE_EV
    rises = np.diff(energy, axis=1) > 0
    rises_everywhere = rises.all(axis=1)
    is_ascending = spacing > 0
    is_rising = np.zeros_like(curves.is_used)
    is_rising[curves.is_used] = reaches_ends & is_ascending & rises_everywhere
    return SplineCurves(curves.for_all_pixels(params), is_rising)


def sample_curves(curves: GainCurves, n_heights: int) -> CurveSamples:
    """Evaluate the form at equidistant pulse heights."""
    form = curves.form
    end_energies = np.array([0.0, CURVE_TOP_EV])
    ends = form.heights(end_energies, curves.parameters)
    lowest = ends[:, :1]
    highest = ends[:, 1:]
    place = np.linspace(0.0, 1.0, n_heights)
    heights = lowest + (highest - lowest) * place
    values = form.energies(heights, curves.parameters)
    return CurveSamples(heights, values.energy, values.jacobian)


def multiply(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return matrices (pixel, n, m) times vectors (pixel, m)."""
    columns = vectors[..., None]
    products: FloatArray = matrices @ columns
    return products[..., 0]


def _solve(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return the solutions of matrices (pixel, n, n) for vectors (pixel, n)."""
    columns = vectors[..., None]
    solutions = np.linalg.solve(matrices, columns)
    return np.asarray(solutions[..., 0])
