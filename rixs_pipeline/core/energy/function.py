r"""The energy function: pulse height to emission energy, for fits, maps and reports.

The parameters of a pixel are one vector, see `layout`. The gain curve is a uniform
cubic B-spline in the corrected pulse height, so that any curve is one lookup of four
coefficients, and its covariance is that of the coefficients. The corrections are
relative to the pulse height h::

    h' = h (1 - drift - phase_effect)
    u = h / height_ref
    drift = (d0 + d1 (u - 1)) (pretrigger_mean - pretrigger_ref)
    phase_effect = sum_km p_km u^m P_k(x)
    x = (phase - centre(u)) / half_width, clipped to [-1, 1]
    P_1 = x, P_2 = x^2 - 1/3, P_3 = x^3 - 3x/5

The P_k have no mean over a uniform phase, so that the energy scale does not move.

The forms follow measurements on real pulses of a 240-pixel array: the phase effect
differs from line to line; the drift is not a pure gain, and it follows the pretrigger
mean from pulse to pulse, so that the latter is not smoothed.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from rixs_pipeline.core.energy.layout import (
    CURVE,
    CURVE_GRID,
    HEIGHT_REF,
    N_COEFFICIENTS,
    PHASE,
    PRETRIGGER_REF,
    VALIDITY,
)
from rixs_pipeline.types import FloatArray

# Cubic B-spline on uniform knots: rows are powers of t, columns the four coefficients
# of an interval.
B_SPLINE = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6


@dataclass(frozen=True)
class CorrectionDerivatives:
    """Energies without one correction and how they depend on its parameters.

    Attributes
    ----------
    energy
        f8 (event,), eV, with the parameters of the correction at zero.
    derivatives
        dE / d parameter, f8 (parameter, event), eV.
    """

    energy: FloatArray
    derivatives: FloatArray


def energy(
    pulse_height: FloatArray,
    pretrigger_mean: FloatArray,
    phase: FloatArray,
    time: FloatArray,
    params: FloatArray,
) -> FloatArray:
    """Return the emission energy of pulses of one pixel.

    Parameters
    ----------
    pulse_height
        f8 (event,), arbitrary units of the pulse filter.
    pretrigger_mean
        Baseline before the pulse, f8 (event,).
    phase
        Arrival phase, derivativeLike / filtValue, f8 (event,).
    time
        f8 (event,), s since 1970.
    params
        Parameters of the pixel, f8 (N_PARAMS,).

    Returns
    -------
    FloatArray
        f8 (event,), eV; NaN outside the time in which the parameters are valid.
    """
    values = energy_at_any_time(pulse_height, pretrigger_mean, phase, params)
    valid_from, valid_until = params[VALIDITY]
    is_valid = (time >= valid_from) & (time < valid_until)
    return np.where(is_valid, values, np.nan)


def energy_at_any_time(
    pulse_height: FloatArray,
    pretrigger_mean: FloatArray,
    phase: FloatArray,
    params: FloatArray,
) -> FloatArray:
    """Return the emission energy of pulses, whether the parameters are valid or not.

    Parameters
    ----------
    pulse_height, pretrigger_mean, phase, params
        As in `energy`.

    Returns
    -------
    FloatArray
        f8 (event,), eV.
    """
    heights = corrected_pulse_height(pulse_height, pretrigger_mean, phase, params)
    return curve_energy(heights, params)


def corrected_pulse_height(
    pulse_height: FloatArray,
    pretrigger_mean: FloatArray,
    phase: FloatArray,
    params: FloatArray,
) -> FloatArray:
    """Return pulse heights corrected for baseline drift and arrival phase.

    Parameters
    ----------
    pulse_height, pretrigger_mean, phase, params
        As in `energy`.

    Returns
    -------
    FloatArray
        h' of the module's formulae, f8 (event,).
    """
    out = np.empty(len(pulse_height))
    columns = _contiguous(pulse_height, pretrigger_mean, phase, params)
    _kernels().correct_heights(*columns, out)
    return out


def correction_derivatives(
    pulse_height: FloatArray,
    pretrigger_mean: FloatArray,
    phase: FloatArray,
    params: FloatArray,
    block: slice,
) -> CorrectionDerivatives:
    """Return energies without one correction, and their derivatives by its parameters.

    The energy is linear in these parameters to a percent over the few eV by which they
    change it.

    Parameters
    ----------
    pulse_height, pretrigger_mean, phase, params
        As in `energy`.
    block
        Parameters of the correction: `layout.PHASE` or `layout.DRIFT`.

    Returns
    -------
    CorrectionDerivatives
        Energies with the parameters in `block` at zero, and the derivatives.
    """
    *columns, params = _contiguous(pulse_height, pretrigger_mean, phase, params)
    uncorrected = params.copy()
    uncorrected[block] = 0.0
    heights = np.empty(len(pulse_height))
    kernels = _kernels()
    kernels.correct_heights(*columns, uncorrected, heights)
    slope = kernels.curve_slopes(heights, params)
    derivatives = kernels.effect_derivatives(*columns, params, slope, block == PHASE)
    return CorrectionDerivatives(kernels.curve_energies(heights, params), derivatives)


def drift_basis(
    pulse_height: FloatArray, pretrigger_mean: FloatArray, params: FloatArray
) -> FloatArray:
    """Return the functions whose sum with `params[DRIFT]` is the relative drift.

    Parameters
    ----------
    pulse_height, pretrigger_mean
        f8 (event,).
    params
        Parameters of the pixel, f8 (N_PARAMS,).

    Returns
    -------
    FloatArray
        f8 (event, 2).
    """
    difference = pretrigger_mean - params[PRETRIGGER_REF]
    relative_height = pulse_height / params[HEIGHT_REF]
    return np.stack([difference, difference * (relative_height - 1.0)], axis=-1)


def curve_energy(corrected_height: FloatArray, params: FloatArray) -> FloatArray:
    """Return the energies of corrected pulse heights on the gain curve.

    Parameters
    ----------
    corrected_height
        Corrected pulse heights, (...).
    params
        Parameters of the pixel, f8 (N_PARAMS,).

    Returns
    -------
    FloatArray
        f8 (...), eV; the curve continues linearly beyond the ends of the spline.
    """
    heights, params = _contiguous(np.ravel(corrected_height), params)
    energies = np.asarray(_kernels().curve_energies(heights, params))
    return energies.reshape(np.shape(corrected_height))


def curve_height(energies: FloatArray, params: FloatArray) -> FloatArray:
    """Return the corrected pulse heights at which the gain curve reaches energies.

    Parameters
    ----------
    energies
        (...), eV.
    params
        Parameters of the pixel, f8 (N_PARAMS,); the curve must rise.

    Returns
    -------
    FloatArray
        f8 (...), exact to rounding.
    """
    values, params = _contiguous(np.ravel(energies), params)
    heights = np.asarray(_kernels().curve_heights(values, params))
    return heights.reshape(np.shape(energies))


def curve_covariance(
    energies: FloatArray, params: FloatArray, covariance: FloatArray
) -> FloatArray:
    """Return the covariance of energies on the gain curve.

    Parameters
    ----------
    energies
        f8 (n,), eV.
    params
        Parameters of the pixel, f8 (N_PARAMS,); the curve must rise.
    covariance
        Of the parameters, f8 (N_PARAMS, N_PARAMS).

    Returns
    -------
    FloatArray
        f8 (n, n), eV^2, at the pulse heights of these energies; beyond the spline, of
        its end.
    """
    lowest, step = params[CURVE_GRID]
    place = (curve_height(energies, params) - lowest) / step
    place = np.clip(place, 0.0, N_COEFFICIENTS - 3)
    weights = _spline_weights(place)
    of_curve = covariance[CURVE, CURVE]
    return np.asarray(weights @ of_curve @ weights.T)


def _spline_weights(place: FloatArray) -> FloatArray:
    """Return the weights (n, N_COEFFICIENTS) of the coefficients at places in knots."""
    interval = np.minimum(place, N_COEFFICIENTS - 4).astype(np.intp)
    t = place - interval
    weights = np.stack([np.ones_like(t), t, t**2, t**3], axis=-1) @ B_SPLINE
    matrix = np.zeros((len(place), N_COEFFICIENTS))
    np.put_along_axis(matrix, interval[:, None] + np.arange(4), weights, axis=1)
    return matrix


@cache
def spline_fit_matrix(n: int) -> FloatArray:
    """Return the matrix that turns energies into spline coefficients (least squares).

    It is (N_COEFFICIENTS, n) and takes the energies at `n` equidistant pulse heights
    over the whole spline, ends included.
    """
    matrix = _spline_weights(np.linspace(0.0, N_COEFFICIENTS - 3, n))
    return np.asarray(np.linalg.pinv(matrix))


def later_calibration_share(
    time: FloatArray,
    params: tuple[FloatArray, FloatArray],
    reference_times: tuple[float, float],
) -> FloatArray:
    """Return the weight of the later of two calibrations.

    Parameters
    ----------
    time
        f8 (n,), s since 1970.
    params
        Parameters of the earlier and the later calibration, f8 (N_PARAMS,) each.
    reference_times
        When they were measured, s since 1970; equal where there is only one.

    Returns
    -------
    FloatArray
        f8 (n,), 0 to 1: linear between the reference times, constant outside, 0 where
        they are equal; NaN where the earlier parameters are not valid.
    """
    first, second = reference_times
    if second > first:
        share = np.clip((time - first) / (second - first), 0.0, 1.0)
    else:
        share = np.zeros(np.shape(time))
    valid_from, valid_until = params[0][VALIDITY]
    is_valid = (time >= valid_from) & (time < valid_until)
    return np.where(is_valid, share, np.nan)


def interpolated_energy(
    pulse_height: FloatArray,
    pretrigger_mean: FloatArray,
    phase: FloatArray,
    time: FloatArray,
    params: tuple[FloatArray, FloatArray],
    reference_times: tuple[float, float],
) -> FloatArray:
    """Return the emission energy of pulses between two calibrations.

    The parameters are interpolated in time, not the energies: so pretrigger mean and
    curve refer to the same moment. Interpolated energies would keep the noise of each
    calibration's drift coefficient times the change of the pretrigger mean since then.

    Parameters
    ----------
    pulse_height, pretrigger_mean, phase, time
        As in `energy`.
    params, reference_times
        As in `later_calibration_share`.

    Returns
    -------
    FloatArray
        f8 (event,), eV; NaN where the earlier parameters are not valid.
    """
    share = later_calibration_share(time, params, reference_times)
    columns = _contiguous(pulse_height, pretrigger_mean, phase, share)
    return np.asarray(_kernels().interpolated_energies(*columns, np.stack(params)))


def _contiguous(*columns: FloatArray) -> tuple[FloatArray, ...]:
    """Return the columns as the compiled code takes them.

    It would be compiled again for an array that is read-only.
    """
    contiguous = [np.ascontiguousarray(column, np.float64) for column in columns]
    return tuple(
        column if column.flags.writeable else column.copy() for column in contiguous
    )


def _kernels() -> Any:
    """Return the compiled kernels, imported when an energy is needed: numba is slow."""
    from rixs_pipeline.core.energy import kernels

    return kernels
