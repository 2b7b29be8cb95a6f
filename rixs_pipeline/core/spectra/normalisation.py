"""Division of a spectrum by its maximum, its area, a window's mean, or the edge jump.

The scaled spectrum is y = (I - P I) / (a . I) with weights P (baseline) and a (factor),
so that its errors follow from those of I exactly to first order, the correlation with
the factor included:

    dy_i = sum_k [delta_ik - P_ik - y_i a_k] dI_k / (a . I)
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.spectra.edge_significance import SIGNIFICANT, is_significant
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.regions import Limits, Scale
from rixs_pipeline.core.stats.local_maximum import find_local_maximum
from rixs_pipeline.types import BoolArray, FloatArray


@dataclass(frozen=True)
class ScaledValues:
    """A spectrum after division by a factor.

    Attributes
    ----------
    intensity, errors : f8 (n,)
        Values and their standard deviation.
    factor, factor_error : float
        What was divided by, and its standard deviation.
    stretch : f8 (n,)
        Factor for the distances to the ends of an interval.
    baseline : f8 (n, n) or None
        P of the module's formula; None: nothing was subtracted.
    factor_weights : f8 (n,) or None
        a of the module's formula; None where the spectrum cannot be scaled.
    """

    intensity: FloatArray
    errors: FloatArray
    factor: float
    factor_error: float
    stretch: FloatArray
    baseline: FloatArray | None
    factor_weights: FloatArray | None

    def propagate(self, change: FloatArray) -> FloatArray:
        """Return the change (n,) of the scaled for a small change of the spectrum."""
        finite_change = np.nan_to_num(change)
        factor_change = 0.0
        if self.factor_weights is not None:
            factor_change = float(self.factor_weights @ finite_change)
        if self.baseline is not None:
            change = change - self.baseline @ finite_change
        return np.asarray((change - self.intensity * factor_change) / self.factor)


def scale_values(
    energy: FloatArray,
    intensity: FloatArray,
    errors: FloatArray,
    scale: Scale | Limits,
    windows: EdgeWindows | None = None,
    *,
    baseline: FloatArray | None = None,
) -> ScaledValues:
    """Scale a spectrum with independent errors.

    Parameters
    ----------
    energy, intensity, errors : f8 (n,)
        eV, and any unit; NaN where there is no value.
    scale : Scale or Limits
        MAX: the maximum of a local fit (`local_maximum`), above the baseline.
        AREA: trapezoids, in eV.
        Limits: the mean over `low <= E < high`, eV.
        EDGE: straight lines through the points before and after the edge, unweighted
        (weights from the data would bias them); the line before is subtracted, and
        the distance of both at the edge is the factor. Points after the edge that
        span less than their distance to it give no slope: their mean is the line.
    windows : EdgeWindows or None
        For EDGE.
    baseline : f8 (n, n) or None
        For MAX: weights of what is subtracted first, as `pre_edge_weights` gives them.

    Returns
    -------
    ScaledValues
        All NaN where the factor is not positive or a window holds too few points.
    """
    is_valid = np.isfinite(intensity)
    if not is_valid.any():
        return _no_values(intensity)
    values = np.where(is_valid, intensity, 0.0)
    variance = np.where(is_valid, errors, 0.0) ** 2
    if scale is Scale.MAX:
        weights = _maximum_weights(energy, values, variance, is_valid, baseline)
    elif scale is Scale.EDGE:
        lines = _edge_lines(energy, is_valid, windows)
        if lines is None:
            return _no_values(intensity)
        baseline, weights = lines.baseline, lines.jump
    elif isinstance(scale, Limits):
        weights = _mean_weights(energy, is_valid, scale)
    else:
        weights = _trapezoid_weights(energy, is_valid)
    factor = float(weights @ values)
    if not factor > 0:
        return _no_values(intensity)
    above_baseline = values
    if baseline is not None:
        above_baseline = values - baseline @ values
    scaled = above_baseline / factor
    scaled_variance = _propagate_variance(scaled, variance, baseline, weights)
    deviation = np.sqrt(scaled_variance) / factor
    stretch = np.full(len(values), 1 / factor)
    has_error = is_valid & (errors > 0)
    np.divide(deviation, errors, out=stretch, where=has_error)
    missing = np.where(is_valid, 0.0, np.nan)
    return ScaledValues(
        intensity=scaled + missing,
        errors=deviation + missing,
        factor=factor,
        factor_error=float(np.sqrt(weights**2 @ variance)),
        stretch=stretch,
        baseline=baseline,
        factor_weights=weights,
    )


def _propagate_variance(
    scaled: FloatArray,
    variance: FloatArray,
    baseline: FloatArray | None,
    weights: FloatArray,
) -> FloatArray:
    """Return the diagonal of J diag(variance) J^T with J = 1 - P - y a^T."""
    if baseline is None:
        correlation = 2 * scaled * weights * variance
        factor_variance = scaled**2 * (weights**2 @ variance)
        return np.asarray(variance - correlation + factor_variance)
    factor_part = scaled[:, None] * weights[None, :]
    jacobian = np.eye(len(scaled)) - baseline - factor_part
    return np.asarray(jacobian**2 @ variance)


def _maximum_weights(
    energy: FloatArray,
    values: FloatArray,
    variance: FloatArray,
    is_valid: BoolArray,
    baseline: FloatArray | None,
) -> FloatArray:
    """Return the weights (n,) of the maximum above a baseline.

    Far from the points of the baseline its error may be larger than the edge: the
    maximum stands where the spectrum is highest less this error, unless another place
    is higher beyond the error of the difference.
    """
    if baseline is None:
        return find_local_maximum(energy, values, is_valid).weights
    above = values - baseline @ values
    highest = find_local_maximum(energy, above, is_valid)
    weights = np.asarray(highest.weights - highest.weights @ baseline)
    baseline_errors = np.sqrt(baseline**2 @ np.nan_to_num(variance))
    surest = find_local_maximum(energy, above - SIGNIFICANT * baseline_errors, is_valid)
    fitted = energy[highest.weights != 0]
    if fitted.min() <= surest.position <= fitted.max():
        return weights  # the same maximum
    surest_weights = np.asarray(surest.weights - surest.weights @ baseline)
    difference = weights - surest_weights
    error = float(np.sqrt(difference**2 @ variance))
    is_higher = is_significant(float(difference @ values), error)
    return weights if is_higher else surest_weights


def pre_edge_weights(
    energy: FloatArray, is_valid: BoolArray, windows: EdgeWindows, *, is_linear: bool
) -> FloatArray | None:
    """Return the weights of a line, or a constant, through the points before the edge.

    Parameters
    ----------
    energy : f8 (n,)
        eV.
    is_valid : bool (n,)
        Points that have a value.
    windows : EdgeWindows
        Before and after the edge.
    is_linear : bool
        A line, by least squares, or else the mean.

    Returns
    -------
    f8 (n, n) or None
        P of the module's formula; None with too few energies before the edge: a line
        needs two, a constant one.
    """
    before = is_valid & windows.pre_edge.contains(energy)
    if len(np.unique(energy[before])) < (2 if is_linear else 1):
        return None
    if is_linear:
        return line_weights(energy, before, energy)
    return np.tile(before / before.sum(), (len(energy), 1))


def _no_values(intensity: FloatArray) -> ScaledValues:
    """Return NaN for a spectrum that cannot be scaled."""
    nan = np.full(len(intensity), np.nan)
    return ScaledValues(
        intensity=nan,
        errors=nan,
        factor=float("nan"),
        factor_error=float("nan"),
        stretch=nan,
        baseline=None,
        factor_weights=None,
    )


def _mean_weights(
    energy: FloatArray, is_valid: BoolArray, limits: Limits
) -> FloatArray:
    """Return weights (n,) of the mean over a window; 0 without points in it."""
    window = is_valid & limits.contains(energy)
    if not window.any():
        return np.zeros(len(energy))
    return np.asarray(window / window.sum())


def _trapezoid_weights(energy: FloatArray, is_valid: BoolArray) -> FloatArray:
    """Return weights (n,) of the area below the points, eV."""
    ascending = np.argsort(energy[is_valid])
    order = np.flatnonzero(is_valid)[ascending]
    weights = np.zeros(len(energy))
    half_widths = np.diff(energy[order]) / 2
    weights[order[1:]] += half_widths
    weights[order[:-1]] += half_widths
    return weights


@dataclass(frozen=True)
class _EdgeLines:
    """Weights of the line before the edge (n, n), and of the edge jump (n,)."""

    baseline: FloatArray
    jump: FloatArray


def _edge_lines(
    energy: FloatArray, is_valid: BoolArray, windows: EdgeWindows | None
) -> _EdgeLines | None:
    """Return the weights of the lines around an edge; None without enough points."""
    if windows is None:
        return None
    before = is_valid & windows.pre_edge.contains(energy)
    after = is_valid & windows.post_edge.contains(energy)
    for window in (before, after):
        if len(np.unique(energy[window])) < 2:
            return None
    position = np.array([windows.position])
    distance = np.abs(energy[after] - windows.position).min()
    if np.ptp(energy[after]) >= distance:
        level = line_weights(energy, after, position)[0]
    else:
        level = after / after.sum()
    baseline = line_weights(energy, before, energy)
    jump = level - line_weights(energy, before, position)[0]
    return _EdgeLines(baseline, jump)


def line_weights(
    energy: FloatArray, window: BoolArray, positions: FloatArray
) -> FloatArray:
    """Return the weights of a straight line through points, by least squares.

    Parameters
    ----------
    energy : f8 (n,)
        Energies of all points, eV.
    window : bool (n,)
        The points that the line goes through.
    positions : f8 (m,)
        Where the line is evaluated, eV.

    Returns
    -------
    f8 (m, n)
        Weights W: W @ intensity is the line at the positions.
    """
    mean = energy[window].mean()
    x = np.where(window, energy - mean, 0.0)
    distance = positions - mean
    mean_weights = window / window.sum()
    slope_part = distance[:, None] * x / (x**2).sum()
    return np.asarray(mean_weights + slope_part)
