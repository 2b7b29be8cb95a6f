"""The energy function and what is learned with it, pulse by pulse, compiled: `core.energy` and `core.corrections`
say in arrays what happens here.
"""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.energy import function as ef
from rixs_pipeline.core.energy.compile import compiled

Float = NDArray[np.float64]
Int = NDArray[np.intp]

ITERATIONS = 6  # of Fisher scoring
AT_ONCE = 256  # pulses whose intermediate values are kept, in the first-level cache
CONVERGED = 0.05  # gain in log likelihood that the next step would bring, roughly

FIRST_COEFFICIENT = ef.CURVE.start
N_INTERVALS = ef.N_COEFFICIENTS - 3
LOWEST, STEP = ef.CURVE_GRID.start, ef.CURVE_GRID.start + 1
HEIGHT_REF, PRETRIGGER_REF, DRIFT = ef.HEIGHT_REF, ef.PRETRIGGER_REF, ef.DRIFT.start
CENTRE, HALF_WIDTH, PHASE, N_PHASE = (
    ef.PHASE_CENTRE.start,
    ef.PHASE_HALF_WIDTH,
    ef.PHASE.start,
    ef.N_PHASE,
)

# An index that is known not to be negative spares the test for it, without which loops are not vectorised.
Index = np.uint64


@compiled
def within(x: float, low: float, high: float) -> float:
    """x, or the end of low ... high that it lies beyond; NaN becomes low."""
    x = x if x > low else low
    return x if x < high else high


@compiled
def corrected(
    height: Float, base: Float, phase: Float, params: Float, out: Float
) -> None:
    """Pulse heights (pulse,) freed from base-line drift and arrival phase; a phase that is not corrected may be NaN."""
    p = params[PHASE : PHASE + N_PHASE]
    with_phase = np.any(p != 0.0)
    inverse, d0, d1, ref = (
        1.0 / params[HEIGHT_REF],
        params[DRIFT],
        params[DRIFT + 1],
        params[PRETRIGGER_REF],
    )
    for i in range(len(height)):
        effect = (d0 + d1 * (height[i] * inverse - 1.0)) * (base[i] - ref)
        out[i] = height[i] * (1.0 - effect)
    if not with_phase:
        return
    c0, c1, c2 = params[CENTRE], params[CENTRE + 1], params[CENTRE + 2]
    per_width = 1.0 / params[HALF_WIDTH]
    p0, p1, p2, p3, p4, p5, p6, p7, p8 = (
        p[0],
        p[1],
        p[2],
        p[3],
        p[4],
        p[5],
        p[6],
        p[7],
        p[8],
    )
    for i in range(len(height)):
        u = height[i] * inverse
        x = (phase[i] - (c0 + u * (c1 + u * c2))) * per_width
        x = -1.0 if x < -1.0 else x
        x = 1.0 if x > 1.0 else x
        square = x * x
        effect = x * (
            p0 + u * (p1 + u * p2) + (square - 0.6) * (p6 + u * (p7 + u * p8))
        )
        effect += (square - 1.0 / 3.0) * (p3 + u * (p4 + u * p5))
        out[i] -= height[i] * effect


@compiled
def power_series(params: Float) -> Float:
    """The curve as polynomials in t, from 0 to 1 in each interval of the spline, (2 + N_INTERVALS, 4).

    The first row is the straight line below the spline, the last one that above it.
    """
    rows = np.zeros((N_INTERVALS + 2, 4))
    for k in range(N_INTERVALS):
        first = FIRST_COEFFICIENT + k
        c0, c1, c2, c3 = (
            params[first],
            params[first + 1],
            params[first + 2],
            params[first + 3],
        )
        rows[k + 1, 0] = (c0 + 4.0 * c1 + c2) / 6.0
        rows[k + 1, 1] = 0.5 * (c2 - c0)
        rows[k + 1, 2] = 0.5 * (c0 + c2) - c1
        rows[k + 1, 3] = (c3 - c0) / 6.0 + 0.5 * (c1 - c2)
    rows[0, 0], rows[0, 1] = rows[1, 0] - rows[1, 1], rows[1, 1]
    last = rows[N_INTERVALS]
    rows[-1, 0] = last[0] + last[1] + last[2] + last[3]
    rows[-1, 1] = last[1] + 2.0 * last[2] + 3.0 * last[3]
    return rows


@compiled
def on_curve(
    heights: Float, lowest: float, step: float, rows: Float, out: Float
) -> None:
    """Energies (n,) eV of corrected pulse heights (n,), on the curve `rows` from `power_series`.

    The interval of a few pulses at a time is found first: in vectors, for which looking up its row is too slow.
    """
    per_step = 1.0 / step
    interval, part = np.empty(AT_ONCE, np.int64), np.empty(AT_ONCE)
    for begin in range(0, len(heights), AT_ONCE):
        n = min(AT_ONCE, len(heights) - begin)
        for i in range(n):
            x = (heights[Index(begin + i)] - lowest) * per_step + 1.0
            interval[i] = np.int64(within(x, 0.0, N_INTERVALS + 1.0))
            part[i] = x - np.float64(interval[i])
        for i in range(n):
            k, t = Index(interval[i]), part[i]
            out[Index(begin + i)] = rows[k, 0] + t * (
                rows[k, 1] + t * (rows[k, 2] + t * rows[k, 3])
            )


@compiled
def slopes(heights: Float, params: Float) -> Float:
    """dE/dh (n,) eV per unit of corrected pulse height (n,)."""
    rows, out = power_series(params), np.empty(len(heights))
    for i in range(len(heights)):
        x = (heights[i] - params[LOWEST]) / params[STEP] + 1.0
        k = Index(within(x, 0.0, N_INTERVALS + 1.0))
        t = x - np.float64(np.int64(k))
        out[i] = (rows[k, 1] + t * (2.0 * rows[k, 2] + 3.0 * t * rows[k, 3])) / params[
            STEP
        ]
    return out


@compiled
def curve(heights: Float, params: Float) -> Float:
    """Energies (n,) eV of corrected pulse heights (n,)."""
    out = np.empty(len(heights))
    on_curve(heights, params[LOWEST], params[STEP], power_series(params), out)
    return out


@compiled
def energies(height: Float, base: Float, phase: Float, params: Float) -> Float:
    """Energies (pulse,) eV of pulses, whenever they came."""
    out = np.empty(len(height))
    corrected(height, base, phase, params, out)
    on_curve(out, params[LOWEST], params[STEP], power_series(params), out)
    return out


@compiled
def between(early: Float, late: Float, weight: float, out: Float) -> None:
    """early + weight x (late - early), element by element of arrays (n, m)."""
    for i in range(early.shape[0]):
        for k in range(early.shape[1]):
            out[i, k] = early[i, k] + weight * (late[i, k] - early[i, k])


@compiled
def interpolated(
    height: Float, base: Float, phase: Float, weight: Float, params: Float
) -> Float:
    """Energies (pulse,) eV with parameters between the two rows of `params`, by `weight` (pulse,) of the second."""
    early, late = power_series(params[0]), power_series(params[1])
    rows, now, out = early.copy(), params[:1].copy(), np.empty(len(height))
    for i in range(len(height)):
        one = slice(i, i + 1)
        between(params[:1], params[1:], weight[i], now)
        between(early, late, weight[i], rows)
        corrected(height[one], base[one], phase[one], now[0], out[one])
        on_curve(out[one], now[0, LOWEST], now[0, STEP], rows, out[one])
    return out


@compiled
def heights_of(values: Float, params: Float) -> Float:
    """Corrected pulse heights (n,) at which a rising curve reaches energies (n,) eV: Newton steps from the knots."""
    knots = params[LOWEST] + params[STEP] * np.arange(N_INTERVALS + 1)
    out = np.interp(values, curve(knots, params), knots)
    for _ in range(20):
        step = (curve(out, params) - values) / slopes(out, params)
        out -= step
        if not np.any(np.abs(step) > 1e-12 * params[STEP]):
            break
    return out


@compiled
def phase_levers(
    height: Float, base: Float, phase: Float, params: Float
) -> tuple[Float, Float]:
    """Energies (pulse,) eV without the phase correction, and their derivatives by its parameters, (9, pulse)."""
    bare = params.copy()
    bare[PHASE : PHASE + N_PHASE] = 0.0
    heights, lever = np.empty(len(height)), np.empty((N_PHASE, len(height)))
    corrected(height, base, phase, bare, heights)
    slope = slopes(heights, params)
    c0, c1, c2 = params[CENTRE], params[CENTRE + 1], params[CENTRE + 2]
    for i in range(len(height)):
        u = height[i] / params[HEIGHT_REF]
        x = (phase[i] - (c0 + u * (c1 + u * c2))) / params[HALF_WIDTH]
        x = -1.0 if x < -1.0 else x
        x = 1.0 if x > 1.0 else x
        first = -slope[i] * height[i]
        second, third = first * (x * x - 1.0 / 3.0), first * x * (x * x - 0.6)
        first *= x
        for power in range(3):
            lever[power, i], lever[3 + power, i], lever[6 + power, i] = (
                first,
                second,
                third,
            )
            first, second, third = first * u, second * u, third * u
    return curve(heights, params), lever


@compiled
def drift_levers(
    height: Float, base: Float, phase: Float, params: Float
) -> tuple[Float, Float]:
    """Energies (pulse,) eV without the drift correction, and their derivatives by its parameters, (2, pulse)."""
    bare = params.copy()
    bare[DRIFT] = bare[DRIFT + 1] = 0.0
    heights, lever = np.empty(len(height)), np.empty((2, len(height)))
    corrected(height, base, phase, bare, heights)
    slope = slopes(heights, params)
    for i in range(len(height)):
        lever[0, i] = -slope[i] * height[i] * (base[i] - params[PRETRIGGER_REF])
        lever[1, i] = lever[0, i] * (height[i] / params[HEIGHT_REF] - 1.0)
    return curve(heights, params), lever


@compiled
def looked_up(table: Float, line: Int, x: Float) -> Float:
    """A table (line, bin) at the places x (pulse,), in bins, of pulses of the lines `line` (pulse,)."""
    out = np.empty(len(x))
    for i in range(len(x)):
        at = within(x[i], 0.0, table.shape[1] - 1.001)
        low = Index(at)
        share = at - np.float64(np.int64(low))
        row = Index(line[i])
        out[i] = table[row, low] * (1.0 - share) + table[row, low + Index(1)] * share
    return out


@compiled
def learned(
    line: Int,
    x: Float,
    lever: Float,
    score: Float,
    information: Float,
    centre: Float,
    precision: float,
    start: Float,
) -> Float:
    """Parameters of a correction that maximise the posterior of pulses, by Fisher scoring; see `core.corrections`.

    `line`, `x` (pulse,); `lever` (parameter, pulse); `score` (line, bin) and `information` (line,) per bin of x;
    `centre` (parameter,) and `precision` of the Gaussian prior.
    """
    prior = np.eye(len(start)) * precision
    normal = np.dot(lever * information[line], lever.T) + prior
    beta = start.copy()
    for _ in range(ITERATIONS):
        gradient = np.dot(
            lever, looked_up(score, line, x + np.dot(beta, lever))
        ) - precision * (beta - centre)
        step = np.linalg.solve(normal, gradient)
        beta += step
        if np.sum(step * gradient) < CONVERGED:
            break
    return beta


@compiled
def cross_validated(
    line: Int,
    x: Float,
    lever: Float,
    score: Float,
    log_density: Float,
    information: Float,
    centre: Float,
    precision: float,
    start: Float,
) -> tuple[Float, float]:
    """The mean of what both halves of the pulses teach, and how much log likelihood each brings to the other half.

    `start` (parameter,) is near the maximum: from zero, an effect wider than the line takes more steps than there are.
    """
    gain, mean = 0.0, np.zeros(len(lever))
    for half in range(2):
        one, own, moves = (
            line[half::2].copy(),
            x[half::2].copy(),
            lever[:, half::2].copy(),
        )
        beta = learned(one, own, moves, score, information, centre, precision, start)
        mean += 0.5 * beta
        one, own, moves = (
            line[1 - half :: 2].copy(),
            x[1 - half :: 2].copy(),
            lever[:, 1 - half :: 2].copy(),
        )
        with_it = looked_up(log_density, one, own + np.dot(beta, moves))
        gain += np.sum(with_it - looked_up(log_density, one, own))
    return mean, gain


@compiled
def assignment_scores(
    a: Float,
    b: Float,
    d: Float,
    peaks: Float,
    strength: Float,
    lines: Float,
    weights: Float,
    offset: float,
    reach: float,
) -> Float:
    """Scores (hypothesis,) of curves h = a (1 - exp(-E/b)) + d; see `core.peaks.score`.

    `peaks`, `strength` (peak,); `lines`, `weights` (line,); `offset` of d / a and `reach` eV, standard deviations.
    """
    total = np.empty(len(a))
    missing, weakest = strength.mean(), 0.3 * strength.min()
    for i in range(len(a)):
        total[i] = -0.5 * (d[i] / (offset * a[i])) ** 2
        for k in range(len(lines)):
            falling = np.exp(-lines[k] / b[i])
            height, per_ev = a[i] * (1.0 - falling) + d[i], a[i] / b[i] * falling
            explained = 0.0
            for p in range(len(peaks)):
                distance = abs(peaks[p] - height) / (per_ev * reach)
                if distance < 5.0:
                    explained = max(
                        explained, strength[p] * np.exp(-0.5 * distance * distance)
                    )
            total[i] += explained
            if explained <= weakest:
                total[i] -= weights[k] * missing
    return total


@compiled
def prominences(values: Float, tops: Int) -> Float:
    """Heights (n,) of local maxima above the higher of their two saddles; see `core.peaks.prominence`."""
    out = np.empty(len(tops))
    for i in range(len(tops)):
        saddle = -np.inf
        for step in (-1, 1):
            lowest, k = values[tops[i]], tops[i]
            while 0 <= k < len(values) and values[k] <= values[tops[i]]:
                lowest = min(lowest, values[k])
                k += step
            saddle = max(saddle, lowest)
        out[i] = values[tops[i]] - saddle
    return out
