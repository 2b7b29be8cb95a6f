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


NO_FEATURE = Feature(
    area=np.nan,
    area_errors=np.nan,
    centre=np.nan,
    centre_errors=np.nan,
    centre_energy_errors=np.nan,
    fwhm=np.nan,
    fwhm_errors=np.nan,
)
NO_WIDTH = Width(fwhm=np.nan, error=np.nan)


def measure_feature(spectrum: Spectrum, window: Limits) -> Feature:
    """Measure a feature above zero: subtract a background first.

    Parameters
    ----------
    spectrum : Spectrum
        The spectrum.
    window : Limits
        Of the feature on its axis, eV.

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
    is_valid = np.isfinite(spectrum.intensity)
    inside = is_valid & window.contains(spectrum.energy)
    if inside.sum() < LEAST_POINTS:
        return NO_FEATURE
    ascending = np.argsort(spectrum.energy[inside], kind="stable")
    part = spectrum.select(np.flatnonzero(inside)[ascending])
    errors = _split_errors(part)
    widths = _point_widths(part)
    area = float(widths @ part.intensity)
    centre = float("nan")
    gradient = np.full(len(widths), np.nan)
    if area > 0:
        moment = widths @ (part.energy * part.intensity)
        centre = float(moment / area)
        gradient = widths * (part.energy - centre) / area
    centre_energy_errors = np.nan
    of_scale = [part.energy_errors, part.reference_errors]
    changes = [gradient @ errors for errors in of_scale if errors is not None]
    if changes:
        centre_energy_errors = float(np.hypot.reduce(changes))
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
    if spectrum.bin_width is not None:
        return np.full(len(spectrum.energy), spectrum.bin_width)
    steps = np.diff(spectrum.energy)
    below = np.concatenate([[0], steps])
    above = np.concatenate([steps, [0]])
    return np.asarray((below + above) / 2)


@dataclass(frozen=True)
class _Errors:
    """Errors independent between points f8 (n,), and common to all f8 (part, n)."""

    independent: FloatArray
    common: FloatArray

    def propagate(self, weights: FloatArray) -> float:
        """Return the standard deviation of a sum of intensities with weights (n,)."""
        independent = weights**2 @ self.independent**2
        common_changes = self.common @ weights
        common = (common_changes**2).sum()
        return float(np.sqrt(independent + common))


def _split_errors(spectrum: Spectrum) -> _Errors:
    """Return the independent and the common errors of a spectrum."""
    is_emission = spectrum.axis is not SpectrumAxis.INCIDENT
    parts = []
    if is_emission and spectrum.i0_errors is not None:
        parts.append(spectrum.i0_errors)
    is_fitted = "background_parameters" in spectrum.facts
    is_fitted |= spectrum.background_modes is not None
    if spectrum.background_errors is not None and (is_emission or is_fitted):
        parts.append(spectrum.background_errors)
    shape = (len(parts), len(spectrum.energy))
    common = np.array(parts).reshape(shape)
    common_variance = (common**2).sum(axis=0)
    variance = spectrum.intensity_errors**2 - common_variance
    independent = np.sqrt(np.maximum(variance, 0.0))
    return _Errors(independent, common)


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

    top = int(np.argmax(intensity))
    height = float(intensity[top])
    step = float(np.median(np.diff(energy)))
    is_peak = height > 0 and step > 0
    if len(energy) < LEAST_POINTS_FWHM or not is_peak:
        return NO_WIDTH
    positive = np.maximum(intensity, 0)
    area = float(positive.sum()) * step
    equal_area_sigma = area / height / np.sqrt(2 * np.pi)
    sigma = max(equal_area_sigma, step)
    log_sigma = np.log(sigma)
    start = [1.0, energy[top], log_sigma, log_sigma]
    relative = intensity / height

    def residuals(parameters: FloatArray) -> FloatArray:
        return _split_gaussian(parameters, energy) - relative

    fit = least_squares(residuals, start, method="lm")
    fitted_height, position, *log_widths = fit.x
    log_widths = np.clip(log_widths, -MAX_LOG_WIDTH, MAX_LOG_WIDTH)
    below, above = np.exp(log_widths)
    is_inside = energy[0] < position < energy[-1]
    is_narrow = below + above < np.ptp(energy)
    if not (fit.success and fitted_height > 0 and is_inside and is_narrow):
        return NO_WIDTH
    width_gradient = SIGMA_TO_HWHM * np.array([0.0, 0.0, below, above])
    gradient = width_gradient @ np.linalg.pinv(fit.jac)
    variance = gradient**2 @ (errors / height) ** 2
    fwhm = float(SIGMA_TO_HWHM * (below + above))
    return Width(fwhm, float(np.sqrt(variance)))


def _split_gaussian(parameters: FloatArray, energy: FloatArray) -> FloatArray:
    """Return a peak of a height and position with its own width on either side.

    `parameters` (4,): height, position, logarithms of the widths below and above it.
    """
    height, position, log_below, log_above = parameters
    log_sigma = np.where(energy < position, log_below, log_above)
    log_sigma = np.clip(log_sigma, -MAX_LOG_WIDTH, MAX_LOG_WIDTH)
    sigma = np.exp(log_sigma)
    deviations = (energy - position) / sigma
    profile = np.exp(-0.5 * deviations**2)
    return np.asarray(height * profile)
