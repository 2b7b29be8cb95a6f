"""Area, centre of mass and width of a feature of a spectrum, with errors."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.core.spectra.regions import Limits
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.types import FloatArray

SIGMA_TO_HWHM = float(np.sqrt(2 * np.log(2)))  # of a Gaussian
LEAST_POINTS = 3  # for area and centre
LEAST_POINTS_FWHM = 5  # for the four parameters of the width
MAX_LOG_WIDTH = 20  # of exp: keeps steps of the fit finite


@dataclass(frozen=True)
class Feature:
    """A feature of a spectrum; each value with one standard deviation.

    The errors hold counts, background and I0. NaN where a value is undefined: no
    positive area, no peak within the window.

    Attributes
    ----------
    area, area_errors : float
        Intensity x eV.
    centre, centre_errors : float
        Centre of mass, eV.
    centre_energy_errors : float
        What the energy scale adds to the centre, with its sign, eV; NaN if unknown.
    fwhm, fwhm_errors : float
        Full width at half maximum, eV.
    """

    area: float
    area_errors: float
    centre: float
    centre_errors: float
    centre_energy_errors: float
    fwhm: float
    fwhm_errors: float


@dataclass(frozen=True)
class Width:
    """Full width at half maximum and one standard deviation, eV; NaN without a peak."""

    fwhm: float
    error: float


def measure_feature(spectrum: Spectrum, window: Limits) -> Feature:
    """Measure a feature above zero: subtract a background first.

    Parameters
    ----------
    spectrum : Spectrum
        The spectrum.
    window : (low, high)
        The points with low <= E < high on its axis, eV.

    Returns
    -------
    Feature
        Area: sum of I dE with bins for emission and loss, trapezoids for incident
        energy. Centre: sum of E I dE / area. FWHM: see `fit_fwhm`.

    Notes
    -----
    Errors of points are independent, apart from the parts that all points share (I0 of
    emission spectra, fitted backgrounds).
    """
    inside = np.isfinite(spectrum.intensity)
    inside &= (spectrum.energy >= window[0]) & (spectrum.energy < window[1])
    if inside.sum() < LEAST_POINTS:
        return Feature(*[float("nan")] * 7)
    order = np.argsort(spectrum.energy[inside], kind="stable")
    part = spectrum.select(np.flatnonzero(inside)[order])
    errors = _split_errors(part)
    widths = _point_widths(part)
    area = float(widths @ part.intensity)
    centre, gradient = float("nan"), np.full(len(widths), np.nan)
    if area > 0:
        centre = float(widths @ (part.energy * part.intensity) / area)
        gradient = widths * (part.energy - centre) / area
    centre_energy_errors = np.nan
    if part.energy_errors is not None:
        centre_energy_errors = float(gradient @ part.energy_errors)
    width = fit_fwhm(part.energy, part.intensity, errors.independent)
    return Feature(
        area=area,
        area_errors=errors.propagate(widths),
        centre=centre,
        centre_errors=errors.propagate(gradient),
        centre_energy_errors=centre_energy_errors,
        fwhm=width.fwhm,
        fwhm_errors=width.error,
    )


def _point_widths(spectrum: Spectrum) -> FloatArray:
    """Return the width (n,) that each point stands for, eV."""
    steps = np.diff(spectrum.energy)
    if spectrum.axis is not SpectrumAxis.INCIDENT:
        return np.full(len(spectrum.energy), float(np.median(steps)))
    below, above = np.concatenate([[0], steps]), np.concatenate([steps, [0]])
    return np.asarray(below + above) / 2


@dataclass(frozen=True)
class _Errors:
    """Errors independent between points, f8 (n,), and parts common to all, (part, n)."""

    independent: FloatArray
    common: FloatArray

    def propagate(self, weights: FloatArray) -> float:
        """Return the standard deviation of a sum of intensities with weights (n,)."""
        independent = weights**2 @ self.independent**2
        return float(np.sqrt(independent + ((self.common @ weights) ** 2).sum()))


def _split_errors(spectrum: Spectrum) -> _Errors:
    """Return the independent and the common errors of a spectrum."""
    is_emission = spectrum.axis is not SpectrumAxis.INCIDENT
    parts = []
    if is_emission and spectrum.i0_errors is not None:
        parts.append(spectrum.i0_errors)
    is_fitted = "background_parameters" in spectrum.facts
    if spectrum.background_errors is not None and (is_emission or is_fitted):
        parts.append(spectrum.background_errors)
    common = np.array(parts).reshape(len(parts), len(spectrum.energy))
    variance = spectrum.intensity_errors**2 - (common**2).sum(axis=0)
    return _Errors(np.sqrt(np.maximum(variance, 0.0)), common)


def fit_fwhm(energy: FloatArray, intensity: FloatArray, errors: FloatArray) -> Width:
    """Fit a split Gaussian, and return its full width at half maximum.

    Parameters
    ----------
    energy : f8 (n,)
        Ascending, eV.
    intensity, errors : f8 (n,)
        Any unit; one standard deviation.

    Returns
    -------
    Width
        NaN where none fits.

    Notes
    -----
    Height, position and the widths of both sides by least squares, unweighted (weights
    from the data would bias it); the error from the points' errors:
    (J^T J)^-1 J^T diag(errors^2) J (J^T J)^-1.
    """
    from scipy.optimize import least_squares  # takes long to load

    no_width = Width(float("nan"), float("nan"))
    top, step = int(np.argmax(intensity)), float(np.median(np.diff(energy)))
    height = float(intensity[top])
    if len(energy) < LEAST_POINTS_FWHM or not height > 0 or not step > 0:
        return no_width
    area = float(np.maximum(intensity, 0).sum()) * step
    sigma = max(area / height / np.sqrt(2 * np.pi), step)
    start = [1.0, energy[top], np.log(sigma), np.log(sigma)]
    fit = least_squares(
        lambda parameters: _split_gaussian(parameters, energy) - intensity / height,
        start,
        method="lm",
    )
    position = fit.x[1]
    left, right = np.exp(np.clip(fit.x[2:], -MAX_LOG_WIDTH, MAX_LOG_WIDTH))
    is_peak = fit.success and fit.x[0] > 0 and energy[0] < position < energy[-1]
    if not is_peak or not left + right < float(np.ptp(energy)):
        return no_width
    gradient = (
        SIGMA_TO_HWHM * np.array([0.0, 0.0, left, right]) @ np.linalg.pinv(fit.jac)
    )
    error = float(np.sqrt(gradient**2 @ (errors / height) ** 2))
    return Width(float(SIGMA_TO_HWHM * (left + right)), error)


def _split_gaussian(parameters: FloatArray, energy: FloatArray) -> FloatArray:
    """Return a peak of a height and position with its own width on either side.

    `parameters` (4,): height, position, logarithms of the widths below and above it.
    """
    height, position, log_below, log_above = parameters
    log_sigma = np.where(energy < position, log_below, log_above)
    sigma = np.exp(np.clip(log_sigma, -MAX_LOG_WIDTH, MAX_LOG_WIDTH))
    return np.asarray(height * np.exp(-0.5 * ((energy - position) / sigma) ** 2))
