"""Noise of readings, estimated between passes over the same energies.

Two passes differ by noise, and by a slow change of offset, slope and size: light
elsewhere, drift of an amplifier, another spot on the sample. What remains of a pass
after the mean of all passes, a constant and a slope are fitted to it, and less what its
neighbours share, is noise; a slow drift that is left shows as scatter of the passes.
Its variance has a constant part and one that grows with the square of the reading, as
noise of the incident flux does:

    variance = a + b reading^2,   a, b >= 0.

A single pass is compared with itself: each reading with the cubic through its two
neighbours on both sides. The median over the points keeps out the few where the
spectrum bends more than that.
"""

from collections.abc import Sequence

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray

FITTED = 3  # per pass: constant, slope, size
ITERATIONS = 20  # of weights that depend on the variance
LEAST_DEVIATIONS = 8  # of a single pass, for the median to have an error of a third
SIGMA_PER_MEDIAN = 1.4826  # standard deviation over median absolute deviation, Gaussian
SMALLEST = 1e-30  # relative variance that stands for none


def estimate_noise(
    energy: FloatArray, passes: Sequence[FloatArray]
) -> list[FloatArray]:
    """Estimate the standard deviation of every reading.

    Parameters
    ----------
    energy : f8 (point,)
        eV, ascending.
    passes : sequence of f8 (point,)
        Readings, any unit; NaN where a pass has none.

    Returns
    -------
    list of f8 (point,)
        For each pass; NaN where it cannot be estimated.
    """
    values = np.array(passes)
    if len(values) == 1:
        return [np.abs(values[0]) * _relative_noise(energy, values[0])]
    squares = np.full(values.shape, np.nan)
    mean = _mean_of_passes(values)
    for row, measured in enumerate(values):
        is_valid = np.isfinite(measured) & np.isfinite(mean)
        residual = _remainder(energy, measured, mean, is_valid)
        squares[row, is_valid] = _deviation_from_neighbours(residual) ** 2
    n_used = np.isfinite(squares).sum()
    n_points = np.isfinite(squares).any(axis=0).sum()
    n_free = n_used - n_points - FITTED * (len(values) - 1)
    scale = n_used / n_free if n_free > 0 else np.nan
    return _fit_variance(values, squares * scale)


def _relative_noise(energy: FloatArray, values: FloatArray) -> float:
    """Return the noise of a single pass relative to its readings; NaN: too short."""
    used = np.isfinite(values)
    x, y = energy[used], values[used]
    deviations = []
    for point in range(2, len(x) - 2):
        neighbours = [point - 2, point - 1, point + 1, point + 2]
        places = x[neighbours]
        if len(np.unique(places)) < len(places):
            continue
        weights = [
            np.prod((x[point] - other_places) / (place - other_places))
            for place, other_places in ((p, places[places != p]) for p in places)
        ]
        interpolated = float(np.dot(weights, y[neighbours]))
        size = abs(interpolated) * np.sqrt(1 + np.dot(weights, weights))
        if size > 0:
            deviations.append(abs(y[point] - interpolated) / size)
    if len(deviations) < LEAST_DEVIATIONS:
        return float("nan")
    return float(np.median(deviations)) * SIGMA_PER_MEDIAN


def _mean_of_passes(values: FloatArray) -> FloatArray:
    """Return the mean (point,) of passes (pass, point); NaN where all lack a value."""
    number = np.isfinite(values).sum(axis=0)
    mean = np.full(values.shape[1], np.nan)
    np.divide(np.nansum(values, axis=0), number, out=mean, where=number > 0)
    return mean


def _remainder(
    energy: FloatArray, values: FloatArray, mean: FloatArray, is_valid: BoolArray
) -> FloatArray:
    """Return what is left of a pass after constant, slope and mean are fitted to it."""
    x = energy[is_valid]
    columns = np.stack([np.ones(len(x)), x - x.mean(), mean[is_valid]], axis=1)
    fitted = columns @ np.linalg.lstsq(columns, values[is_valid], rcond=None)[0]
    return np.asarray(values[is_valid] - fitted)


def _deviation_from_neighbours(values: FloatArray) -> FloatArray:
    """Return values (n,) less the mean of their neighbours, with the same variance.

    The two ends have one neighbour each.
    """
    if len(values) < FITTED:
        return values
    deviation = np.empty(len(values))
    deviation[1:-1] = (values[1:-1] - (values[:-2] + values[2:]) / 2) / np.sqrt(1.5)
    deviation[0] = (values[0] - values[1]) / np.sqrt(2)
    deviation[-1] = (values[-1] - values[-2]) / np.sqrt(2)
    return deviation


def _fit_variance(values: FloatArray, squares: FloatArray) -> list[FloatArray]:
    """Fit a + b reading^2 to squared residuals (pass, point), as of a Gaussian.

    Return the standard deviations (point,) of each pass.
    """
    used = np.isfinite(squares)
    if not used.any():
        return [np.full(values.shape[1], np.nan) for _ in values]
    square, reading = squares[used], values[used] ** 2
    mean_square = square.mean()
    a, b = 0.5 * mean_square, 0.5 * mean_square / max(reading.mean(), SMALLEST)
    floor = SMALLEST * max(reading.max(), 1.0)
    for _ in range(ITERATIONS):
        # maximum likelihood of a chi-squared law: multiplicative updates keep a, b > 0
        variance = np.maximum(a + b * reading, floor)
        excess = square / variance
        a *= float(np.sum(excess / variance) / np.sum(1 / variance))
        b *= float(np.sum(excess * reading / variance) / np.sum(reading / variance))
    return [np.sqrt(np.maximum(a + b * measured**2, 0.0)) for measured in values]
