"""Absorption spectra from readings (TEY, TFY): pre-edge line, normalisation, mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.normalisation import line_weights, scale_values
from rixs_pipeline.core.spectra.regions import Scale
from rixs_pipeline.types import BoolArray, FloatArray

# least span of the pre-edge points, over the distance to which their line is extrapolated
LEAST_REACH = 0.1
LARGEST_LINE_ERROR = 0.1  # of the extrapolated line, over the spectrum's span
LEAST_POINTS = 3  # before the edge, for a slope with an error


@dataclass(frozen=True)
class NormalisedValues:
    """A normalised spectrum f8 (point,), and what it was divided by."""

    values: FloatArray
    divisor: float


@dataclass(frozen=True)
class PassAverage:
    """Mean of passes and its standard error, f8 (point,) each."""

    mean: FloatArray
    errors: FloatArray


def normalise_absorption(
    energy: FloatArray,
    values: FloatArray,
    scale: Scale,
    windows: EdgeWindows,
    is_sloped: bool = True,
) -> NormalisedValues:
    """Subtract the pre-edge line, and divide by the maximum or the edge jump.

    Parameters
    ----------
    energy, values : f8 (point,)
        eV and any unit; NaN where there is no value.
    scale : Scale
        MAX or EDGE.
    windows : EdgeWindows
        Before and after the edge.
    is_sloped : bool
        For MAX: fit a line to the pre-edge points by least squares, or else subtract
        their mean. With fewer than two points nothing is subtracted.

    Returns
    -------
    NormalisedValues
        NaN and 0 where nothing positive remains, or EDGE lacks points.
    """
    if scale is Scale.EDGE:
        no_errors = np.zeros(len(values))
        scaled = scale_values(energy, values, no_errors, scale, windows)
        return NormalisedValues(scaled.intensity, float(np.nan_to_num(scaled.factor)))
    before = _select_pre_edge(energy, values, windows)
    above = values
    if len(np.unique(energy[before])) > 1:
        if is_sloped:
            above = values - _pre_edge_line(energy, values, before)
        else:
            above = values - values[before].mean()
    maximum = float(np.nanmax(above, initial=0.0))
    if not maximum > 0:
        return NormalisedValues(np.full(len(values), np.nan), 0.0)
    return NormalisedValues(above / maximum, maximum)


def _select_pre_edge(
    energy: FloatArray, values: FloatArray, windows: EdgeWindows
) -> BoolArray:
    """Mark the points (point,) before the edge."""
    low, high = windows.pre_edge
    return np.asarray(np.isfinite(values) & (energy >= low) & (energy < high))


def _pre_edge_line(
    energy: FloatArray, values: FloatArray, before: BoolArray
) -> FloatArray:
    """Return the line (point,) through the points before the edge."""
    finite_values = np.where(np.isfinite(values), values, 0.0)
    return np.asarray(line_weights(energy, before, energy) @ finite_values)


def has_pre_edge_slope(
    energy: FloatArray, values: FloatArray, windows: EdgeWindows
) -> bool:
    """Return whether the pre-edge points determine a line to the end of the scan.

    Parameters
    ----------
    energy, values : f8 (point,)
        eV and any unit; NaN where there is no value.
    windows : EdgeWindows
        Before and after the edge.

    Returns
    -------
    bool
        Whether they span a tenth of the distance to the end or more (fewer are the foot
        of the edge), and the line's error there, from their scatter, is a tenth of the
        spectrum's span or less.
    """
    is_valid = np.isfinite(values)
    before = _select_pre_edge(energy, values, windows)
    number = int(before.sum())
    if len(np.unique(energy[before])) < LEAST_POINTS:
        return False
    residuals = (values - _pre_edge_line(energy, values, before))[before]
    last = energy[is_valid].max()
    weights = line_weights(energy, before, np.array([last]))[0]
    variance = (residuals**2).sum() / (number - 2)
    error = np.sqrt(variance * (weights**2).sum())
    distance = last - energy[before].max()
    if np.ptp(energy[before]) < LEAST_REACH * distance:
        return False
    return bool(error <= LARGEST_LINE_ERROR * np.ptp(values[is_valid]))


def decreases_at_edge(
    energy: FloatArray,
    values: FloatArray,
    scale: Scale,
    windows: EdgeWindows,
    is_sloped: bool = True,
) -> bool:
    """Return whether a spectrum decreases at the edge, as light of other elements does.

    Parameters
    ----------
    energy, values, scale, windows, is_sloped
        As of `normalise_absorption`.

    Returns
    -------
    bool
        Whether its largest excursion from the pre-edge line, or its jump, is negative.
    """
    upward = normalise_absorption(energy, values, scale, windows, is_sloped)
    downward = normalise_absorption(energy, -values, scale, windows, is_sloped)
    return downward.divisor > upward.divisor


def average_passes(passes: Sequence[FloatArray]) -> PassAverage:
    """Return the mean of passes (point,) with its standard error from their scatter.

    The scatter at one point rests on few passes, so that one size is taken for the whole
    spectrum, the root mean square over the points. With one pass the errors are NaN.
    """
    values = np.array(passes)
    n_points = values.shape[1]
    n_passes = np.isfinite(values).sum(axis=0)
    is_measured = n_passes > 0
    mean, errors = np.full(n_points, np.nan), np.full(n_points, np.nan)
    np.divide(np.nansum(values, axis=0), n_passes, out=mean, where=is_measured)
    degrees_of_freedom = n_passes.sum() - is_measured.sum()
    if degrees_of_freedom > 0:
        squares = np.nansum((values - mean) ** 2)
        scatter = np.sqrt(squares / degrees_of_freedom)
        np.divide(scatter, np.sqrt(n_passes), out=errors, where=is_measured)
    return PassAverage(mean, errors)
