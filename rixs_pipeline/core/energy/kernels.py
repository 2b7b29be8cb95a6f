"""The energy function, compiled. `function` gives the formulae in arrays."""

import numpy as np

from rixs_pipeline.core.energy import layout
from rixs_pipeline.core.energy.compile import compiled
from rixs_pipeline.types import FloatArray

NEWTON_STEPS = 20  # more than a rising curve needs

# numba takes plain integers as constants.
FIRST_COEFFICIENT = layout.CURVE.start
N_INTERVALS = layout.N_COEFFICIENTS - 3
LOWEST = layout.CURVE_GRID.start
STEP = layout.CURVE_GRID.start + 1
HEIGHT_REF = layout.HEIGHT_REF
PRETRIGGER_REF = layout.PRETRIGGER_REF
DRIFT = layout.DRIFT.start
CENTRE = layout.PHASE_CENTRE.start
HALF_WIDTH = layout.PHASE_HALF_WIDTH
PHASE = layout.PHASE.start
N_PHASE = layout.N_PHASE

# An index that cannot be negative needs no test for it; with the test, loops are not
# vectorised.
Index = np.uint64


@compiled
def clip(x: float, low: float, high: float) -> float:
    """Return x within low ... high; NaN becomes low."""
    x = x if x > low else low
    return x if x < high else high


@compiled
def correct_heights(
    height: FloatArray,
    base: FloatArray,
    phase: FloatArray,
    params: FloatArray,
    out: FloatArray,
) -> None:
    """Write pulse heights corrected for baseline drift and arrival phase.

    The phase may be NaN where its correction is zero.

    Parameters
    ----------
    height, base, phase
        Pulse height, pretrigger mean and arrival phase, f8 (pulse,).
    params
        f8 (N_PARAMS,).
    out
        Written: f8 (pulse,).
    """
    p = params[PHASE : PHASE + N_PHASE]
    inverse = 1.0 / params[HEIGHT_REF]
    d0, d1 = params[DRIFT], params[DRIFT + 1]
    base_ref = params[PRETRIGGER_REF]
    for i in range(len(height)):
        drift = (d0 + d1 * (height[i] * inverse - 1.0)) * (base[i] - base_ref)
        out[i] = height[i] * (1.0 - drift)
    is_zero = True
    for k in range(N_PHASE):
        is_zero &= p[k] == 0.0
    if is_zero:
        return
    c0, c1, c2 = params[CENTRE], params[CENTRE + 1], params[CENTRE + 2]
    inverse_width = 1.0 / params[HALF_WIDTH]
    p0, p1, p2 = p[0], p[1], p[2]
    p3, p4, p5 = p[3], p[4], p[5]
    p6, p7, p8 = p[6], p[7], p[8]
    for i in range(len(height)):
        u = height[i] * inverse
        x = (phase[i] - (c0 + u * (c1 + u * c2))) * inverse_width
        x = -1.0 if x < -1.0 else x
        x = 1.0 if x > 1.0 else x
        square = x * x
        first_order = p0 + u * (p1 + u * p2)
        third_order = (square - 0.6) * (p6 + u * (p7 + u * p8))
        effect = x * (first_order + third_order)
        effect += (square - 1.0 / 3.0) * (p3 + u * (p4 + u * p5))
        out[i] -= height[i] * effect


@compiled
def spline_polynomials(params: FloatArray) -> FloatArray:
    """Return the curve as polynomials in t, 0 to 1 within each interval of the spline.

    Rows (N_INTERVALS + 2, 4) hold the powers of t; the first is the straight line below
    the spline, the last the one above it.
    """
    rows = np.zeros((N_INTERVALS + 2, 4))
    for k in range(N_INTERVALS):
        c0 = params[FIRST_COEFFICIENT + k]
        c1 = params[FIRST_COEFFICIENT + k + 1]
        c2 = params[FIRST_COEFFICIENT + k + 2]
        c3 = params[FIRST_COEFFICIENT + k + 3]
        rows[k + 1, 0] = (c0 + 4.0 * c1 + c2) / 6.0
        rows[k + 1, 1] = 0.5 * (c2 - c0)
        rows[k + 1, 2] = 0.5 * (c0 + c2) - c1
        rows[k + 1, 3] = (c3 - c0) / 6.0 + 0.5 * (c1 - c2)
    rows[0, 0] = rows[1, 0] - rows[1, 1]
    rows[0, 1] = rows[1, 1]
    last = rows[N_INTERVALS]
    rows[-1, 0] = last[0] + last[1] + last[2] + last[3]
    rows[-1, 1] = last[1] + 2.0 * last[2] + 3.0 * last[3]
    return rows


@compiled
def evaluate_curve(
    heights: FloatArray,
    lowest: float,
    step: float,
    polynomials: FloatArray,
    out: FloatArray,
) -> None:
    """Write the energies of corrected pulse heights.

    Places on the spline are computed first, in vectors; looking up rows does not
    vectorise.

    Parameters
    ----------
    heights
        f8 (n,).
    lowest, step
        Lowest pulse height of the spline, distance of its knots.
    polynomials
        From `spline_polynomials`.
    out
        Written: f8 (n,), eV; may be `heights`.
    """
    inverse_step = 1.0 / step
    for i in range(len(heights)):
        out[i] = (heights[i] - lowest) * inverse_step + 1.0
    for i in range(len(heights)):
        x = out[i]
        interval = np.int64(clip(x, 0.0, N_INTERVALS + 1.0))
        k = Index(interval)
        t = x - np.float64(interval)
        out[i] = polynomials[k, 0] + t * (
            polynomials[k, 1] + t * (polynomials[k, 2] + t * polynomials[k, 3])
        )


@compiled
def curve_slopes(heights: FloatArray, params: FloatArray) -> FloatArray:
    """Return the slope of the gain curve.

    Parameters
    ----------
    heights
        Corrected pulse heights, f8 (n,).
    params
        f8 (N_PARAMS,).

    Returns
    -------
    FloatArray
        dE/dh, f8 (n,), eV per unit of pulse height.
    """
    rows = spline_polynomials(params)
    lowest, step = params[LOWEST], params[STEP]
    out = np.empty(len(heights))
    for i in range(len(heights)):
        out[i] = (heights[i] - lowest) / step + 1.0
    for i in range(len(heights)):
        x = out[i]
        interval = np.int64(clip(x, 0.0, N_INTERVALS + 1.0))
        k = Index(interval)
        t = x - np.float64(interval)
        per_interval = rows[k, 1] + t * (2.0 * rows[k, 2] + 3.0 * t * rows[k, 3])
        out[i] = per_interval / step
    return out


@compiled
def curve_energies(heights: FloatArray, params: FloatArray) -> FloatArray:
    """Return the energies of corrected pulse heights.

    Parameters
    ----------
    heights
        f8 (n,).
    params
        f8 (N_PARAMS,).

    Returns
    -------
    FloatArray
        f8 (n,), eV.
    """
    out = np.empty(len(heights))
    polynomials = spline_polynomials(params)
    evaluate_curve(heights, params[LOWEST], params[STEP], polynomials, out)
    return out


@compiled
def interpolate(
    before: FloatArray, after: FloatArray, weight: float, out: FloatArray
) -> None:
    """Write before + weight x (after - before), element by element of (n, m)."""
    for i in range(before.shape[0]):
        for k in range(before.shape[1]):
            out[i, k] = before[i, k] + weight * (after[i, k] - before[i, k])


@compiled
def interpolated_energies(
    height: FloatArray,
    base: FloatArray,
    phase: FloatArray,
    later_share: FloatArray,
    params: FloatArray,
) -> FloatArray:
    """Return the energies of pulses with parameters between those of two calibrations.

    Parameters
    ----------
    height, base, phase
        Pulse height, pretrigger mean and arrival phase, f8 (pulse,).
    later_share
        Weight of the later calibration for each pulse, f8 (pulse,).
    params
        Parameters of both calibrations, f8 (2, N_PARAMS).

    Returns
    -------
    FloatArray
        f8 (pulse,), eV.
    """
    before = spline_polynomials(params[0])
    after = spline_polynomials(params[1])
    polynomials = before.copy()
    pulse_params = params[:1].copy()
    out = np.empty(len(height))
    for i in range(len(height)):
        pulse = slice(i, i + 1)
        share = later_share[i]
        interpolate(params[:1], params[1:], share, pulse_params)
        interpolate(before, after, share, polynomials)
        correct_heights(
            height[pulse], base[pulse], phase[pulse], pulse_params[0], out[pulse]
        )
        lowest = pulse_params[0, LOWEST]
        step = pulse_params[0, STEP]
        evaluate_curve(out[pulse], lowest, step, polynomials, out[pulse])
    return out


@compiled
def curve_heights(energies: FloatArray, params: FloatArray) -> FloatArray:
    """Return the corrected pulse heights at which a rising curve reaches energies.

    Newton steps from the middle of the interval between two knots.

    Parameters
    ----------
    energies
        f8 (n,), eV.
    params
        f8 (N_PARAMS,).

    Returns
    -------
    FloatArray
        f8 (n,).
    """
    rows = spline_polynomials(params)
    out = np.empty(len(energies))
    for i in range(len(energies)):
        k = 0
        while k <= N_INTERVALS and energies[i] >= rows[k + 1, 0]:
            k += 1
        c0, c1, c2, c3 = rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3]
        t = 0.5
        for _ in range(NEWTON_STEPS):
            difference = c0 + t * (c1 + t * (c2 + t * c3)) - energies[i]
            step = difference / (c1 + t * (2.0 * c2 + 3.0 * t * c3))
            t -= step
            if not abs(step) > 1e-12:
                break
        out[i] = params[LOWEST] + params[STEP] * (k - 1.0 + t)
    return out


@compiled
def effect_derivatives(
    height: FloatArray,
    base: FloatArray,
    phase: FloatArray,
    params: FloatArray,
    slope: FloatArray,
    of_phase: bool,
) -> FloatArray:
    """Return the derivatives of energies by the parameters of a correction.

    Parameters
    ----------
    height, base, phase
        Pulse height, pretrigger mean and arrival phase, f8 (pulse,).
    params
        f8 (N_PARAMS,).
    slope
        Of the gain curve, f8 (pulse,), eV per unit of pulse height.
    of_phase
        Whether the correction is that of the phase; else that of the drift.

    Returns
    -------
    FloatArray
        f8 (parameter, pulse), eV.
    """
    derivatives = np.empty((N_PHASE if of_phase else 2, len(height)))
    c0, c1, c2 = params[CENTRE], params[CENTRE + 1], params[CENTRE + 2]
    for i in range(len(height)):
        u = height[i] / params[HEIGHT_REF]
        per_effect = -slope[i] * height[i]
        if not of_phase:
            derivatives[0, i] = per_effect * (base[i] - params[PRETRIGGER_REF])
            derivatives[1, i] = derivatives[0, i] * (u - 1.0)
            continue
        x = (phase[i] - (c0 + u * (c1 + u * c2))) / params[HALF_WIDTH]
        x = -1.0 if x < -1.0 else x
        x = 1.0 if x > 1.0 else x
        first_order = per_effect * x
        second_order = per_effect * (x * x - 1.0 / 3.0)
        third_order = per_effect * x * (x * x - 0.6)
        for power in range(3):
            derivatives[power, i] = first_order
            derivatives[3 + power, i] = second_order
            derivatives[6 + power, i] = third_order
            first_order = first_order * u
            second_order = second_order * u
            third_order = third_order * u
    return derivatives
