"""Absorption spectra from readings (TEY, TFY): pre-edge line, normalisation, mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.normalisation import line_weights, scale_values
from rixs_pipeline.core.spectra.regions import Scale
from rixs_pipeline.types import BoolArray, FloatArray

# least span of the pre-edge points, over the distance that their line is extrapolated
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


@dataclass(frozen=True)
class NormalisedPasses:
    """Passes after normalisation.

    Attributes
    ----------
    values : list of f8 (point,)
        The passes.
    divisor : float
        What the last pass was divided by.
    sign : int
        -1 where the signal decreases at the edge: it is -1 at its minimum, or after its
        edge jump.
    has_linear_pre_edge : bool
        Whether a line was subtracted, not a constant.
    """

    values: list[FloatArray]
    divisor: float
    sign: int
    has_linear_pre_edge: bool

    def average(self) -> PassAverage:
        """Return the mean of the passes with its standard error."""
        return average_passes(self.values)


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
        divisor = float(np.nan_to_num(scaled.factor))
        return NormalisedValues(scaled.intensity, divisor)
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
    return np.isfinite(values) & windows.pre_edge.contains(energy)


def _pre_edge_line(
    energy: FloatArray, values: FloatArray, before: BoolArray
) -> FloatArray:
    """Return the line (point,) through the points before the edge."""
    finite_values = np.where(np.isfinite(values), values, 0.0)
    weights = line_weights(energy, before, energy)
    return np.asarray(weights @ finite_values)


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
    above_line = values - _pre_edge_line(energy, values, before)
    residuals = above_line[before]
    last = energy[is_valid].max()
    weights = line_weights(energy, before, np.array([last]))[0]
    variance = (residuals**2).sum() / (number - 2)
    error = np.sqrt(variance * (weights**2).sum())
    distance = last - energy[before].max()
    if np.ptp(energy[before]) < LEAST_REACH * distance:
        return False
    span = np.ptp(values[is_valid])
    return bool(error <= LARGEST_LINE_ERROR * span)


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

    The scatter at one point rests on few passes, so that one size is taken for the
    whole spectrum, the root mean square over the points. With one pass the errors are
    NaN.
    """
    values = np.array(passes)
    n_points = values.shape[1]
    n_passes = np.isfinite(values).sum(axis=0)
    is_measured = n_passes > 0
    mean = np.full(n_points, np.nan)
    errors = np.full(n_points, np.nan)
    np.divide(np.nansum(values, axis=0), n_passes, out=mean, where=is_measured)
    degrees_of_freedom = n_passes.sum() - is_measured.sum()
    if degrees_of_freedom > 0:
        squares = np.nansum((values - mean) ** 2)
        scatter = np.sqrt(squares / degrees_of_freedom)
        np.divide(scatter, np.sqrt(n_passes), out=errors, where=is_measured)
    return PassAverage(mean, errors)


def normalise_passes(
    energy: FloatArray,
    passes: Sequence[FloatArray],
    scale: Scale,
    windows: EdgeWindows,
    *,
    is_sloped: bool,
) -> NormalisedPasses:
    """Subtract the pre-edge line of each pass, and divide it by its maximum or jump.

    Parameters
    ----------
    energy : f8 (point,)
        Incident energies, eV.
    passes : sequence of f8 (point,)
        Any unit; NaN where a pass has no value.
    scale : Scale
        MAX or EDGE.
    windows : EdgeWindows
        Before and after the edge.
    is_sloped : bool
        For MAX: subtract a line, or else the mean before the edge.

    Returns
    -------
    NormalisedPasses
        All with the sign of their mean.
    """
    mean = average_passes(passes).mean
    decreases = decreases_at_edge(energy, mean, scale, windows, is_sloped)
    sign = -1 if decreases else 1
    values, divisor = [], 0.0
    for measured in passes:
        upward = sign * measured
        normalised = normalise_absorption(energy, upward, scale, windows, is_sloped)
        values.append(sign * normalised.values)
        divisor = normalised.divisor
    has_linear_pre_edge = is_sloped or scale is Scale.EDGE
    return NormalisedPasses(values, divisor, sign, has_linear_pre_edge)
