"""The one energy function: pulse height -> emission energy. Fits, maps and reports all use it.

A pixel's parameters are one vector of fixed length, whatever the kind of curve, laid out as the slices below.
The curve is a uniform cubic B-spline in corrected pulse height, so that any gain curve is one lookup of four
coefficients, and its covariance is that of the coefficients. The corrections are relative to the pulse height h:

    h' = h (1 - drift - phase_effect)
    drift = (d0 + d1 (u - 1)) (pretrigger_mean - pretrigger_ref),                  u = h / height_ref
    phase_effect = sum_km p_km u^m P_k(x),  x = (phase - centre(u)) / half_width   clipped to [-1, 1]
    P_1 = x, P_2 = x^2 - 1/3, P_3 = x^3 - 3x/5  (no mean over a uniform phase: the scale does not move)

Forms: measured on real pulses of the array that the pipeline began with (the phase effect differs from line to
line; the drift is not a pure gain, and follows the base line from pulse to pulse, so that this is not smoothed).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

N_COEFFICIENTS = 40
PHASE_ORDERS = 3  # P_1 ... P_3
PHASE_POWERS = 3  # u^0 ... u^2
N_PHASE = PHASE_ORDERS * PHASE_POWERS

CURVE_GRID = slice(0, 2)  # lowest pulse height of the spline, distance of its knots
CURVE = slice(2, 2 + N_COEFFICIENTS)
HEIGHT_REF = CURVE.stop
PRETRIGGER_REF = HEIGHT_REF + 1
DRIFT = slice(PRETRIGGER_REF + 1, PRETRIGGER_REF + 3)
PHASE_CENTRE = slice(DRIFT.stop, DRIFT.stop + 3)  # polynomial in u
PHASE_HALF_WIDTH = PHASE_CENTRE.stop
PHASE = slice(PHASE_HALF_WIDTH + 1, PHASE_HALF_WIDTH + 1 + N_PHASE)
VALIDITY = slice(PHASE.stop, PHASE.stop + 2)  # seconds since 1970, from <= time < until
N_PARAMS = VALIDITY.stop


def energy(
    pulse_height: Float,
    pretrigger_mean: Float,
    phase: Float,
    time: Float,
    params: Float,
) -> Float:
    """Emission energy of pulses of one pixel.

    Args:
        pulse_height: f8 (event,), arbitrary units of the pulse filter.
        pretrigger_mean: f8 (event,), base line before the pulse.
        phase: f8 (event,), arrival phase, derivativeLike / filtValue.
        time: f8 (event,), seconds since 1970.
        params: f8 (N_PARAMS,), the pixel's parameters.

    Returns:
        f8 (event,) eV; NaN outside the time in which the parameters are valid.
    """
    values = energies(pulse_height, pretrigger_mean, phase, params)
    valid_from, valid_until = params[VALIDITY]
    return np.where((time >= valid_from) & (time < valid_until), values, np.nan)


def energies(
    pulse_height: Float, pretrigger_mean: Float, phase: Float, params: Float
) -> Float:
    """`energy` f8 (event,) eV whatever the time."""
    from rixs_pipeline.core.energy import kernels

    return np.asarray(
        kernels.energies(*_columns(pulse_height, pretrigger_mean, phase, params))
    )


def corrected_height(
    pulse_height: Float, pretrigger_mean: Float, phase: Float, params: Float
) -> Float:
    """Pulse height f8 (event,) freed from base-line drift and arrival phase (formula: see the module)."""
    from rixs_pipeline.core.energy import kernels

    out = np.empty(len(pulse_height))
    height, base, at, now = _columns(pulse_height, pretrigger_mean, phase, params)
    kernels.corrected(height, base, at, now, out)
    return out


def levers(
    pulse_height: Float,
    pretrigger_mean: Float,
    phase: Float,
    params: Float,
    block: slice,
) -> tuple[Float, Float]:
    """Energies f8 (event,) eV with the parameters in `block`, PHASE or DRIFT, at zero; derivatives (parameter, event).

    The energy is linear in these parameters to a percent over the few eV that they move it.
    """
    from rixs_pipeline.core.energy import kernels

    function = kernels.phase_levers if block == PHASE else kernels.drift_levers
    values, derivatives = function(
        *_columns(pulse_height, pretrigger_mean, phase, params)
    )
    return np.asarray(values), np.asarray(derivatives)


def _columns(*columns: Float) -> tuple[Float, ...]:
    """As the compiled code takes them."""
    return tuple(np.ascontiguousarray(column, dtype=np.float64) for column in columns)


def drift_basis(pulse_height: Float, pretrigger_mean: Float, params: Float) -> Float:
    """The functions (event, 2) whose sum with `params[DRIFT]` is the relative drift of the pulse height."""
    difference = pretrigger_mean - params[PRETRIGGER_REF]
    return np.stack(
        [difference, difference * (pulse_height / params[HEIGHT_REF] - 1.0)], axis=-1
    )


# cubic B-spline on uniform knots: rows are powers of t, columns the four coefficients of an interval
_BASIS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6


def curve(corrected: Float, params: Float) -> Float:
    """Energy f8 (...,) eV of corrected pulse heights (...,); linear beyond the ends of the spline."""
    from rixs_pipeline.core.energy import kernels

    return np.asarray(kernels.curve(*_columns(np.ravel(corrected), params))).reshape(
        np.shape(corrected)
    )


def height_of(energies: Float, params: Float) -> Float:
    """Corrected pulse heights (...,) at which the curve, which rises, reaches energies f8 (...,) eV, to rounding."""
    from rixs_pipeline.core.energy import kernels

    return np.asarray(
        kernels.heights_of(*_columns(np.ravel(energies), params))
    ).reshape(np.shape(energies))


@cache
def fitting_matrix(n: int) -> Float:
    """Matrix (N_COEFFICIENTS, n) that takes energies at n equidistant heights over the whole spline, ends included,
    to the coefficients of the spline through them (least squares)."""
    x = np.linspace(0.0, N_COEFFICIENTS - 3, n)
    first = np.minimum(x, N_COEFFICIENTS - 4).astype(np.intp)
    t = x - first
    weights = np.stack([np.ones_like(t), t, t**2, t**3], axis=-1) @ _BASIS
    matrix = np.zeros((n, N_COEFFICIENTS))
    np.put_along_axis(matrix, first[:, None] + np.arange(4), weights, axis=1)
    return np.asarray(np.linalg.pinv(matrix))


def late_share(
    time: Float, params: tuple[Float, Float], reference_times: tuple[float, float]
) -> Float:
    """The share f8 (n,) of the later of two calibrations at times f8 (n,) s: linear between `reference_times`, when
    they were measured, and constant outside; 0 where these are equal, which means that there is only one.

    NaN at times for which the parameters of the earlier one are not valid.
    """
    first, second = reference_times
    share = (
        np.clip((time - first) / (second - first), 0.0, 1.0)
        if second > first
        else np.zeros(np.shape(time))
    )
    valid_from, valid_until = params[0][VALIDITY]
    return np.where((time >= valid_from) & (time < valid_until), share, np.nan)


def interpolated_energy(
    pulse_height: Float,
    pretrigger_mean: Float,
    phase: Float,
    time: Float,
    params: tuple[Float, Float],
    reference_times: tuple[float, float],
) -> Float:
    """Emission energy f8 (event,) eV between two calibrations, whose parameters are interpolated in time.

    So base line and curve are referred to the same moment: interpolated energies would keep the noise of each
    calibration's drift coefficient times how far the base line has moved since. Arguments as in `late_share`.
    """
    from rixs_pipeline.core.energy import kernels

    share = late_share(time, params, reference_times)
    height, base, at, late = _columns(pulse_height, pretrigger_mean, phase, share)
    return np.asarray(kernels.interpolated(height, base, at, late, np.stack(params)))
