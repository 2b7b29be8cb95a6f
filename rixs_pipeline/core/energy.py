"""The one energy function: pulse height -> emission energy. Fits, maps and reports all use it.

A pixel's parameters are one vector of fixed length, whatever the kind of curve, laid out as the slices below.
The curve is a uniform cubic B-spline in corrected pulse height, so that any gain curve is one lookup of four
coefficients, and its covariance is that of the coefficients. The corrections are relative to the pulse height h:

    h' = h (1 - drift - phase_effect)
    drift = (d0 + d1 (u - 1)) (pretrigger_mean - pretrigger_ref),                  u = h / height_ref
    phase_effect = sum_km p_km u^m P_k(x),  x = (phase - centre(u)) / half_width   clipped to [-1, 1]
    P_1 = x, P_2 = x^2 - 1/3, P_3 = x^3 - 3x/5  (no mean over a uniform phase: the scale does not move)

Forms: measured on real pulses of the array that the pipeline began with (the phase effect differs from line to
line; the drift is not a pure gain).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

N_COEFFICIENTS = 40
PHASE_ORDERS = 3  # P_1 ... P_3
PHASE_POWERS = 3  # u^0 ... u^2

CURVE_GRID = slice(0, 2)  # lowest pulse height of the spline, distance of its knots
CURVE = slice(2, 2 + N_COEFFICIENTS)
HEIGHT_REF = CURVE.stop
PRETRIGGER_REF = HEIGHT_REF + 1
DRIFT = slice(PRETRIGGER_REF + 1, PRETRIGGER_REF + 3)
PHASE_CENTRE = slice(DRIFT.stop, DRIFT.stop + 3)  # polynomial in u
PHASE_HALF_WIDTH = PHASE_CENTRE.stop
PHASE = slice(PHASE_HALF_WIDTH + 1, PHASE_HALF_WIDTH + 1 + PHASE_ORDERS * PHASE_POWERS)
VALIDITY = slice(PHASE.stop, PHASE.stop + 2)  # seconds since 1970, from <= time < until
N_PARAMS = VALIDITY.stop


def energy(pulse_height: Float, pretrigger_mean: Float, phase: Float, time: Float, params: Float) -> Float:
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
    values = curve(corrected_height(pulse_height, pretrigger_mean, phase, params), params)
    valid_from, valid_until = params[VALIDITY]
    return np.where((time >= valid_from) & (time < valid_until), values, np.nan)


def corrected_height(pulse_height: Float, pretrigger_mean: Float, phase: Float, params: Float) -> Float:
    """Pulse height f8 (event,) freed from base-line drift and arrival phase (formula: see the module)."""
    u = pulse_height / params[HEIGHT_REF]
    first, second = params[DRIFT]
    drift = (first + second * (u - 1.0)) * (pretrigger_mean - params[PRETRIGGER_REF])
    effect = np.zeros_like(u)
    if params[PHASE].any():
        for order, coefficients in zip(_phase_orders(u, phase, params), params[PHASE].reshape(-1, 3), strict=True):
            effect += order * (coefficients[0] + u * (coefficients[1] + u * coefficients[2]))
    return np.asarray(pulse_height * (1.0 - drift - effect))


def _phase_orders(u: Float, phase: Float, params: Float) -> tuple[Float, Float, Float]:
    """P_1, P_2, P_3 of each pulse."""
    centre = params[PHASE_CENTRE]
    x = np.clip((phase - (centre[0] + u * (centre[1] + u * centre[2]))) / params[PHASE_HALF_WIDTH], -1.0, 1.0)
    square = x * x
    return x, square - 1 / 3, x * (square - 0.6)


def drift_basis(pulse_height: Float, pretrigger_mean: Float, params: Float) -> Float:
    """The functions (event, 2) whose sum with `params[DRIFT]` is the relative drift of the pulse height."""
    difference = pretrigger_mean - params[PRETRIGGER_REF]
    return np.stack([difference, difference * (pulse_height / params[HEIGHT_REF] - 1.0)], axis=-1)


def phase_basis(pulse_height: Float, phase: Float, params: Float) -> Float:
    """The functions (event, 9) whose sum with `params[PHASE]` is the relative phase effect on the pulse height."""
    u = pulse_height / params[HEIGHT_REF]
    powers = (np.ones_like(u), u, u * u)
    return np.stack([order * power for order in _phase_orders(u, phase, params) for power in powers], axis=-1)


# cubic B-spline on uniform knots: rows are powers of t, columns the four coefficients of an interval
_BASIS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6


def _interval(corrected: Float, params: Float) -> tuple[NDArray[np.intp], Float]:
    """Interval (event,) of the spline and the place in it, 0 to 1 inside and beyond at the ends."""
    lowest, step = params[CURVE_GRID]
    x = (corrected - lowest) / step
    first = np.clip(np.nan_to_num(x), 0.0, N_COEFFICIENTS - 4).astype(np.intp)
    return first, x - first


def _power_series(params: Float) -> Float:
    """The curve as cubic polynomials in t, (4, interval)."""
    c = params[CURVE]
    return np.asarray(_BASIS @ np.stack([c[k : k + N_COEFFICIENTS - 3] for k in range(4)]))


def curve(corrected: Float, params: Float) -> Float:
    """Energy f8 (event,) eV of corrected pulse heights (event,); linear beyond the ends of the spline."""
    first, t = _interval(corrected, params)
    inside = np.clip(t, 0.0, 1.0)
    p0, p1, p2, p3 = (row[first] for row in _power_series(params))
    values = p0 + inside * (p1 + inside * (p2 + inside * p3))
    beyond = t - inside
    if beyond.any():
        values += beyond * (p1 + inside * (2 * p2 + 3 * inside * p3))
    return np.asarray(values)


def curve_slope(corrected: Float, params: Float) -> Float:
    """dE/dh' f8 (event,), eV per unit of pulse height."""
    first, t = _interval(corrected, params)
    inside = np.clip(t, 0.0, 1.0)
    _, p1, p2, p3 = (row[first] for row in _power_series(params))
    return np.asarray((p1 + inside * (2 * p2 + 3 * inside * p3)) / params[CURVE_GRID][1])


def height_of(energies: Float, params: Float) -> Float:
    """Corrected pulse height at which the curve reaches the energies f8 (n,) eV; the curve rises.

    Newton steps from a table of the curve; a few steps give it to rounding.
    """
    lowest, step = params[CURVE_GRID]
    table = lowest + step * np.linspace(0.0, N_COEFFICIENTS - 3, 2 * N_COEFFICIENTS)
    heights = np.interp(energies, curve(table, params), table)
    for _ in range(4):
        heights = heights - (curve(heights, params) - energies) / curve_slope(heights, params)
    return np.asarray(heights)


@cache
def fitting_matrix(n: int) -> Float:
    """Matrix (N_COEFFICIENTS, n) that takes energies at n equidistant heights over the whole spline, ends included,
    to the coefficients of the spline through them (least squares)."""
    unit = np.zeros(N_PARAMS)
    unit[CURVE_GRID] = 0.0, 1.0
    first, t = _interval(np.linspace(0.0, N_COEFFICIENTS - 3, n), unit)
    weights = np.stack([np.ones_like(t), t, t**2, t**3], axis=-1) @ _BASIS
    matrix = np.zeros((n, N_COEFFICIENTS))
    np.put_along_axis(matrix, first[:, None] + np.arange(4), weights, axis=1)
    return np.asarray(np.linalg.pinv(matrix))


def interpolated_energy(
    pulse_height: Float,
    pretrigger_mean: Float,
    phase: Float,
    time: Float,
    params: tuple[Float, Float],
    reference_times: tuple[float, float],
) -> Float:
    """Emission energy f8 (event,) eV between two calibrations: linear in time, constant outside.

    `params` are those of the earlier and the later calibration, `reference_times` (s) when they were measured; equal
    times mean that there is only one.
    """
    early = energy(pulse_height, pretrigger_mean, phase, time, params[0])
    first, second = reference_times
    if second <= first:
        return early
    late = energy(pulse_height, pretrigger_mean, phase, time, params[1])
    weight = np.clip((time - first) / (second - first), 0.0, 1.0)
    return np.asarray(early + weight * (late - early))
