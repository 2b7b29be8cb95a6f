"""Maximum of a spectrum from a fit around it, not from its largest point.

The largest of n noisy points is too high, by about a standard deviation, and stands
where noise puts it. A parabola through the points around the maximum, weighted with
their distance [1]_, averages their noise. Its value at its vertex is linear in the
points to first order, since a small shift of the vertex changes nothing there; so the
error of the maximum, and its correlation with every point, follow from the weights.

References
----------
.. [1] W. S. Cleveland, J. Am. Stat. Assoc. 74, 829 (1979): tricube weights.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray

ROUNDS = 3  # of places and widths, each from the fits of the one before
# Of the height above the lowest point, at which the width of a peak is taken. At 0.75
# shoulders of multiplets widen the fit, and it cuts off 1 to 9 % of their tops; at 0.85
# less than 1 %, with an error that is a tenth larger.
LEVEL = 0.85
# Reach of the last parabola over the half width: tricube weights use half of it well.
REACH = 1.5
LEAST_POINTS = 5  # within that reach: two more than the parameters
AROUND = 3.0  # reaches around the maximum in which it is looked for again
SMALLEST_REACH_EV = 1e-9
MIN_FIT_POINTS = 3
RIDGE = 1e-9  # of the normal equations, whose largest element is about 1


@dataclass(frozen=True)
class LocalMaximum:
    """Maximum of a spectrum.

    Attributes
    ----------
    position : float
        Energy of the maximum, eV.
    weights : f8 (n,)
        The maximum is weights @ values.
    """

    position: float
    weights: FloatArray


def find_local_maximum(
    energy: FloatArray, values: FloatArray, is_valid: BoolArray
) -> LocalMaximum:
    """Find the maximum of a spectrum by a local parabola.

    Parameters
    ----------
    energy : f8 (n,)
        eV, in any order.
    values : f8 (n,)
        Any unit.
    is_valid : bool (n,)
        Points that have a value.

    Returns
    -------
    LocalMaximum
        At the vertex of the parabola, or at the end of the spectrum where it rises to
        it. With fewer than three points it is the largest one.
    """
    used = np.flatnonzero(is_valid)
    order = used[np.argsort(energy[used], kind="stable")]
    x, y = energy[order], values[order]
    weights = np.zeros(len(values))
    if len(np.unique(x)) < MIN_FIT_POINTS:
        top = int(np.argmax(y))
        weights[order[top]] = 1.0
        return LocalMaximum(float(x[top]), weights)
    least = _least_reach(x)
    smooth = _smooth(x, y, least)
    lowest = float(smooth.min())
    top = int(np.argmax(smooth))
    reach = least
    for _ in range(ROUNDS):
        half_width = _half_width(x, smooth, top, lowest)
        reach = np.maximum(least, REACH * half_width)
        near = np.abs(x - x[top]) <= AROUND * reach[top]
        first = int(np.argmax(near))
        smooth = _smooth(x[near], y[near], reach[near])
        top = first + int(np.argmax(smooth))
        smooth = np.concatenate(
            [
                np.full(first, -np.inf),
                smooth,
                np.full(len(x) - first - len(smooth), -np.inf),
            ]
        )
    position = float(x[top])
    for _ in range(ROUNDS):
        fit = _parabola(x, position, float(np.interp(position, x, reach)))
        position = _vertex(fit, y, position, x)
    fit = _parabola(x, position, float(np.interp(position, x, reach)))
    weights[order] = fit.weights
    return LocalMaximum(position, weights)


def _least_reach(x: FloatArray) -> FloatArray:
    """Return how far (n,) tricube weights reach to include `LEAST_POINTS` points."""
    n = len(x)
    number = min(LEAST_POINTS, n)
    places = np.arange(n)[:, None] + np.arange(-number, number + 1)
    is_there = (places >= 0) & (places < n)
    distances = np.abs(x[np.clip(places, 0, n - 1)] - x[:, None])
    distances = np.sort(np.where(is_there, distances, np.inf), axis=1)
    inside = distances[:, number - 1]
    # points at the reach itself have no weight
    beyond = np.where(np.isfinite(distances[:, number]), distances[:, number], inside)
    return np.asarray(np.maximum(beyond, inside * 1.001) + SMALLEST_REACH_EV)


def _smooth(x: FloatArray, y: FloatArray, reach: FloatArray) -> FloatArray:
    """Return the local parabolas at their centres, the points (n,), by their reach."""
    first = np.searchsorted(x, x - reach)
    last = np.searchsorted(x, x + reach, side="right")
    places = first[:, None] + np.arange((last - first).max())
    is_there = places < last[:, None]
    places = np.minimum(places, len(x) - 1)
    scaled = (x[places] - x[:, None]) / reach[:, None]
    tricube = np.where(is_there, _tricube(scaled), 0.0)
    powers = np.stack([np.ones_like(scaled), scaled, scaled**2])
    normal = np.einsum("acp,cp,bcp->cab", powers, tricube, powers)
    # points of equal energy: a small ridge leaves the other parameters as they are
    normal += RIDGE * np.eye(MIN_FIT_POINTS)
    moments = np.einsum("acp,cp,cp->ca", powers, tricube, y[places])
    return np.asarray(np.linalg.solve(normal, moments[..., None])[:, 0, 0])


def _tricube(scaled: FloatArray) -> FloatArray:
    """Return tricube weights of distances over the reach."""
    is_near = np.abs(scaled) < 1
    weights = np.where(is_near, 1 - np.abs(scaled) ** 3, 0.0) ** 3
    return np.asarray(weights)


@dataclass(frozen=True)
class _Parabola:
    """Weights (n,) of the value, the slope and the curvature at a place."""

    weights: FloatArray
    slope: FloatArray
    curvature: FloatArray


def _parabola(x: FloatArray, centre: float, reach: float) -> _Parabola:
    """Return the weighted fit of a parabola around a place."""
    scaled = (x - centre) / reach
    is_near = np.abs(scaled) < 1
    tricube = _tricube(scaled)
    powers = np.stack([np.ones(len(x)), scaled, scaled**2])
    n_free = min(MIN_FIT_POINTS, len(np.unique(x[is_near])))
    powers = powers[:n_free]
    normal = (powers * tricube) @ powers.T
    solution = np.linalg.lstsq(normal, powers * tricube, rcond=None)[0]
    rows = np.zeros((MIN_FIT_POINTS, len(x)))
    rows[:n_free] = solution
    return _Parabola(rows[0], rows[1] / reach, rows[2] / reach**2)


def _vertex(fit: _Parabola, y: FloatArray, centre: float, x: FloatArray) -> float:
    """Return the vertex of a parabola, at most one point away and within the points."""
    slope = float(fit.slope @ y)
    curvature = float(fit.curvature @ y)
    if curvature >= 0:
        return centre
    place = int(np.searchsorted(x, centre))
    low = x[max(place - 2, 0)]
    high = x[min(place + 1, len(x) - 1)]
    return float(np.clip(centre - slope / (2 * curvature), low, high))


def _half_width(x: FloatArray, smooth: FloatArray, top: int, lowest: float) -> float:
    """Return the half width of a peak at `LEVEL` of its height, eV.

    At the end of a spectrum it is the width of the side that is there.
    """
    level = lowest + LEVEL * (smooth[top] - lowest)
    widths = []
    for side in (slice(top, None, -1), slice(top, None)):
        places, heights = x[side], smooth[side]
        below = np.flatnonzero(heights < level)
        if len(below):
            end = int(below[0])
            low = max(float(heights[end]), lowest)
            drop = heights[end - 1] - low
            part = (heights[end - 1] - level) / drop if drop > 0 else 0.0
            crossing = places[end - 1] + part * (places[end] - places[end - 1])
            widths.append(abs(float(crossing) - float(x[top])))
    return float(np.mean(widths)) if widths else 0.0
