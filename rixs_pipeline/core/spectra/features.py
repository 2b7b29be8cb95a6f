"""Integrated intensity, centre of mass and width of a feature of a spectrum, with errors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.spectra.yields import Spectrum

Floats = NDArray[np.float64]

HALF = float(
    np.sqrt(2 * np.log(2))
)  # half width at half maximum of a Gaussian over its standard deviation


@dataclass(frozen=True)
class Feature:
    """`area` in intensity x eV; `centre` of mass and `fwhm`, eV; each with one standard deviation (counts, background,
    I0). `centre_energy_errors`: what the energy scale adds to the centre, with its sign, NaN where not known. NaN
    where a feature has no such thing: no positive area, no peak within the window."""

    area: float
    area_errors: float
    centre: float
    centre_errors: float
    centre_energy_errors: float
    fwhm: float
    fwhm_errors: float


def feature(spectrum: Spectrum, window: tuple[float, float]) -> Feature:
    """The feature within `low <= E < high` of a spectrum's axis, above zero (subtract a background first).

    Area: sum of I dE (emission, loss: bins) or trapezoids (incident). Centre: sum of E I dE / area. Errors of points
    are independent, but for the parts that they share (I0 of emission spectra, fitted backgrounds), which move all
    alike. FWHM: of a split Gaussian, see `fwhm`.
    """
    inside = (
        np.isfinite(spectrum.intensity)
        & (spectrum.energy >= window[0])
        & (spectrum.energy < window[1])
    )
    if inside.sum() < 3:
        return Feature(*[float("nan")] * 7)
    part = spectrum.at(inside)
    order = np.argsort(part.energy, kind="stable")
    energy, intensity, w = (
        part.energy[order],
        part.intensity[order],
        _widths(part, order),
    )
    own, common = (errors[..., order] for errors in _errors(part))
    area = float(w @ intensity)
    centre = float(w @ (energy * intensity) / area) if area > 0 else float("nan")
    shape = w * (energy - centre) / area if area > 0 else np.full(len(w), np.nan)
    scale = (
        np.nan
        if part.energy_errors is None
        else float(shape @ part.energy_errors[order])
    )
    width, width_errors = fwhm(energy, intensity, own)
    return Feature(
        area=area,
        area_errors=_error(w, own, common),
        centre=centre,
        centre_errors=_error(shape, own, common),
        centre_energy_errors=scale,
        fwhm=width,
        fwhm_errors=width_errors,
    )


def _widths(part: Spectrum, order: NDArray[np.intp]) -> Floats:
    """What each point stands for, eV."""
    energy = part.energy[order]
    if part.axis != "incident_energy":
        return np.full(len(energy), float(np.median(np.diff(energy))))
    return (
        np.asarray(
            np.concatenate([[0], np.diff(energy)])
            + np.concatenate([np.diff(energy), [0]])
        )
        / 2
    )


def _errors(part: Spectrum) -> tuple[Floats, Floats]:
    """The errors that a point has of its own (n,), and those that all share, (part, n)."""
    shared = []
    if part.axis != "incident_energy" and part.i0_errors is not None:
        shared.append(part.i0_errors)
    if part.background_errors is not None and (
        part.axis != "incident_energy" or "background_parameters" in part.told
    ):
        shared.append(part.background_errors)
    common = np.array(shared).reshape(len(shared), len(part.energy))
    return np.sqrt(
        np.maximum(part.intensity_errors**2 - (common**2).sum(axis=0), 0.0)
    ), common


def _error(weights: Floats, own: Floats, common: Floats) -> float:
    """Standard deviation of sum w I."""
    return float(np.sqrt(weights**2 @ own**2 + ((common @ weights) ** 2).sum()))


def fwhm(energy: Floats, intensity: Floats, errors: Floats) -> tuple[float, float]:
    """Full width at half maximum of a split Gaussian, and its standard deviation, eV; NaN where none fits.

    Height, position and the widths of both sides by least squares, unweighted (weights from the data would bias it);
    the error from the points' own: (J^T J)^-1 J^T diag(errors^2) J (J^T J)^-1. All arrays f8 (n,).
    """
    from scipy.optimize import least_squares

    nothing = float("nan"), float("nan")
    top, step = int(np.argmax(intensity)), float(np.median(np.diff(energy)))
    if len(energy) < 5 or not intensity[top] > 0 or not step > 0:
        return nothing
    width = max(
        float(np.maximum(intensity, 0).sum())
        * step
        / float(intensity[top])
        / np.sqrt(2 * np.pi),
        step,
    )
    unit = float(intensity[top])
    start = [1.0, energy[top], np.log(width), np.log(width)]
    fit = least_squares(
        lambda p: _split_gaussian(p, energy) - intensity / unit, start, method="lm"
    )
    span = float(np.ptp(energy))
    left, right = np.exp(np.clip(fit.x[2:], -20, 20))
    if (
        not fit.success
        or not fit.x[0] > 0
        or not energy[0] < fit.x[1] < energy[-1]
        or not left + right < span
    ):
        return nothing
    pseudo = np.linalg.pinv(fit.jac)
    slope = HALF * np.array([0.0, 0.0, left, right]) @ pseudo
    return float(HALF * (left + right)), float(np.sqrt(slope**2 @ (errors / unit) ** 2))


def _split_gaussian(parameters: Floats, energy: Floats) -> Floats:
    """Height, position, logarithms of the widths below and above it."""
    height, centre, left, right = parameters
    sigma = np.exp(np.clip(np.where(energy < centre, left, right), -20, 20))
    return np.asarray(height * np.exp(-0.5 * ((energy - centre) / sigma) ** 2))
