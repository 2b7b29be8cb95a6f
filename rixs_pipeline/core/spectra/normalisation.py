"""What a spectrum is divided by, with its error: maximum, area, a window's mean, or the jump at an edge.

But for the maximum, the scaled spectrum is y = (I - P I) / (a . I) with fixed weights P (baseline) and a (factor), so
that its errors follow from those of I exactly to first order, the correlation with the factor included:

    dy_i = sum_k [delta_ik - P_ik - y_i a_k] dI_k / (a . I)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Limits = tuple[float, float]

LEAST, OUTERMOST = (
    3,
    0.1,
)  # points of a line that tell more than themselves; share of a scan


@dataclass(frozen=True)
class EdgeWindows:
    """Where the lines before and after an edge are fitted, and where their distance is the jump, eV."""

    pre: Limits
    post: Limits
    position: float


def within(windows: EdgeWindows, incident: Floats) -> EdgeWindows:
    """The same windows for a scan (point,) eV: one that holds fewer than `LEAST` energies becomes the outermost
    `OUTERMOST` of the scan's span on its side of the edge."""
    energies = np.unique(incident)
    low, high = float(energies[0]), float(energies[-1])
    part = OUTERMOST * (high - low)

    def held(window: Limits) -> int:
        return int(((energies >= window[0]) & (energies < window[1])).sum())

    pre, post = windows.pre, windows.post
    if held(pre) < LEAST:
        pre = (low, max(min(low + part, windows.position), low))
    if held(post) < LEAST:
        post = (
            min(max(high - part, windows.position), high),
            float(np.nextafter(high, np.inf)),
        )
    return EdgeWindows(pre, post, windows.position)


@dataclass(frozen=True)
class Scaled:
    """`intensity` and its standard deviation `errors`, f8 (n,); `factor` +- `factor_error`; `stretch` f8 (n,): what
    distances to the ends of an interval are multiplied by."""

    intensity: Floats
    errors: Floats
    factor: float
    factor_error: float
    stretch: Floats
    baseline: Floats | None  # P I
    weights: Floats | None  # a

    def moved(self, change: Floats) -> Floats:
        """The change of the scaled spectrum for a small change (n,) of the spectrum."""
        shift = (
            change
            if self.baseline is None
            else change - self.baseline @ np.nan_to_num(change)
        )
        own = 0.0 if self.weights is None else self.weights @ np.nan_to_num(change)
        return np.asarray((shift - self.intensity * own) / self.factor)


def scale(
    energy: Floats,
    intensity: Floats,
    errors: Floats,
    how: str | Limits,
    edge: EdgeWindows | None = None,
) -> Scaled:
    """Scale a spectrum with independent errors, all f8 (n,), NaN where there is no value.

    - max: the largest value. Its place is chosen by noise: the errors of factor and values count as independent.
    - area: trapezoids, eV.
    - a window [low, high]: the mean over `low <= E < high`.
    - edge: straight lines through the points of the windows before and after the edge, unweighted (weights from the
      data would bias them); the one before is subtracted, and their distance at `edge.position` is the factor. Points
      after the edge that span less than their distance to it tell no slope: their mean is the line.

    Where the factor is not positive, or a window holds too few points, all is NaN.
    """
    good = np.isfinite(intensity)
    y, variance = np.where(good, intensity, 0.0), np.where(good, errors, 0.0) ** 2
    if how == "max":
        return _by_maximum(intensity, errors)
    baseline, weights = _weights(energy, good, how, edge)
    factor = float(weights @ y)
    if not factor > 0:
        return _nothing(intensity)
    values = (y - (0.0 if baseline is None else baseline @ y)) / factor
    deviation = np.sqrt(_variance(values, variance, baseline, weights)) / factor
    stretch = np.divide(
        deviation, errors, out=np.full(len(y), 1 / factor), where=good & (errors > 0)
    )
    error = float(np.sqrt(weights**2 @ variance))
    empty = np.where(good, 0.0, np.nan)
    return Scaled(
        values + empty, deviation + empty, factor, error, stretch, baseline, weights
    )


def _variance(
    values: Floats, variance: Floats, baseline: Floats | None, weights: Floats
) -> Floats:
    """Diagonal of J diag(variance) J^T with J = 1 - P - y a^T."""
    if baseline is None:
        return np.asarray(
            variance
            - 2 * values * weights * variance
            + values**2 * (weights**2 @ variance)
        )
    jacobian = np.eye(len(values)) - baseline - values[:, None] * weights[None, :]
    return np.asarray(jacobian**2 @ variance)


def _by_maximum(intensity: Floats, errors: Floats) -> Scaled:
    top = int(np.nanargmax(intensity)) if np.isfinite(intensity).any() else 0
    factor = float(intensity[top]) if len(intensity) else 0.0
    if not factor > 0:
        return _nothing(intensity)
    values, relative = intensity / factor, float(errors[top]) / factor
    deviation = np.hypot(errors / factor, values * relative)
    stretch = np.divide(
        deviation, errors, out=np.full(len(values), 1 / factor), where=errors > 0
    )
    return Scaled(values, deviation, factor, float(errors[top]), stretch, None, None)


def _nothing(intensity: Floats) -> Scaled:
    none = np.full(len(intensity), np.nan)
    return Scaled(none, none, float("nan"), float("nan"), none, None, None)


def _weights(
    energy: Floats, good: NDArray[np.bool_], how: str | Limits, edge: EdgeWindows | None
) -> tuple[Floats | None, Floats]:
    """P (n, n), None for no baseline, and a (n,); a of zeros where the points do not suffice."""
    none = np.zeros(len(energy))
    if how == "area":
        return None, _trapezoids(energy, good)
    if how != "edge":
        window = good & (energy >= float(how[0])) & (energy < float(how[1]))
        return None, window / window.sum() if window.any() else none
    if edge is None:
        return None, none
    pre, post = (
        good & (energy >= low) & (energy < high) for low, high in (edge.pre, edge.post)
    )
    if min(len(np.unique(energy[w])) for w in (pre, post)) < 2:
        return None, none
    at = np.array([edge.position])
    reach, span = (
        float(np.abs(energy[post] - edge.position).min()),
        float(np.ptp(energy[post])),
    )
    after = line_weights(energy, post, at)[0] if span >= reach else post / post.sum()
    return line_weights(energy, pre, energy), after - line_weights(energy, pre, at)[0]


def _trapezoids(energy: Floats, good: NDArray[np.bool_]) -> Floats:
    order = np.flatnonzero(good)[np.argsort(energy[good])]
    weights = np.zeros(len(energy))
    width = np.diff(energy[order]) / 2
    weights[order[1:]] += width
    weights[order[:-1]] += width
    return weights


def line_weights(energy: Floats, window: NDArray[np.bool_], at: Floats) -> Floats:
    """W (m, n) with W I = the straight line through the points in `window` (n,), at energies `at` (m,)."""
    x = np.where(window, energy - energy[window].mean(), 0.0)
    place = at - energy[window].mean()
    return np.asarray(window / window.sum() + place[:, None] * x / (x**2).sum())
