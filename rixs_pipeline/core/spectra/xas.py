"""Absorption spectra from readings (TEY, TFY): pre-edge line, normalisation, mean.

Each pass is normalised by itself, since offset, slope and size of a reading drift. A
normalised pass is y = J r of its readings r to first order (`normalisation`), so that
independent errors sigma of the readings become the covariance J diag(sigma^2) J^T: that
of pre-edge line and divisor is part of it, and common to all points. Errors are the
square root of its diagonal; those of the mean of K passes fall as 1/sqrt(K).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.spectra.edge_significance import is_significant
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.normalisation import (
    line_weights,
    pre_edge_weights,
    scale_values,
)
from rixs_pipeline.core.spectra.regions import Limits, Scale
from rixs_pipeline.types import FloatArray

# least span of the pre-edge points, over the distance that their line is extrapolated:
# fewer are the foot of the edge
LEAST_REACH = 0.1
# largest error of the line at the end of the scan, over that of a reading
LARGEST_AMPLIFICATION = 8.0
LEAST_POINTS = 3  # before the edge, for a line
# probability below which passes differ by more than their errors
INCONSISTENT_P = 0.01


@dataclass(frozen=True)
class NormalisedSpectrum:
    """Mean of normalised passes.

    Attributes
    ----------
    values, errors : f8 (point,)
        Mean of the passes and its standard deviation, that of pre-edge line and divisor
        included; NaN where unknown.
    divisors, divisor_errors : f8 (pass,)
        What each pass was divided by.
    sign : int
        -1 where the signal decreases at the edge: it is -1 at its minimum, or after its
        edge jump.
    pre_edge : str
        What was subtracted: linear, constant or none.
    scatter : float
        Of the passes around their mean, over their errors; the errors are multiplied
        with it where it exceeds 1 by more than chance. NaN of a single pass.
    """

    values: FloatArray
    errors: FloatArray
    divisors: FloatArray
    divisor_errors: FloatArray
    sign: int
    pre_edge: str
    scatter: float


def supports_line(energy: FloatArray, pre_edge: Limits) -> bool:
    """Return whether pre-edge points determine a line to the end of a scan.

    Only the incident energies matter, not the readings: spectra of the same energies
    are all treated in the same way.

    Parameters
    ----------
    energy : f8 (point,)
        Of the scan, eV.
    pre_edge : Limits
        Window before the edge, eV.

    Returns
    -------
    bool
        Whether the points span a tenth of the distance to the end or more, and the
        error of the line there is at most 8 times that of a reading.
    """
    before = pre_edge.contains(energy)
    if len(np.unique(energy[before])) < LEAST_POINTS:
        return False
    last = energy.max()
    distance = last - energy[before].max()
    if np.ptp(energy[before]) < LEAST_REACH * distance:
        return False
    weights = line_weights(energy, before, np.array([last]))[0]
    return bool(np.sqrt((weights**2).sum()) <= LARGEST_AMPLIFICATION)


@dataclass(frozen=True)
class _Pass:
    """A normalised pass.

    `values` f8 (point,); `covariance` f8 (point, point); `divisor` 0 where the pass
    cannot be normalised.
    """

    values: FloatArray
    covariance: FloatArray
    divisor: float
    divisor_error: float


def _normalise_pass(
    energy: FloatArray,
    values: FloatArray,
    errors: FloatArray,
    scale: Scale,
    windows: EdgeWindows,
    *,
    is_linear: bool,
) -> _Pass:
    """Subtract what is before the edge, and divide by the maximum or the edge jump."""
    is_valid = np.isfinite(values)
    baseline = None
    if scale is Scale.MAX:
        baseline = pre_edge_weights(energy, is_valid, windows, is_linear=is_linear)
    scaled = scale_values(energy, values, errors, scale, windows, baseline=baseline)
    n = len(values)
    if scaled.factor_weights is None:
        unknown = np.full((n, n), np.nan)
        return _Pass(np.full(n, np.nan), unknown, 0.0, np.nan)
    jacobian = np.eye(n) - np.outer(
        np.nan_to_num(scaled.intensity), scaled.factor_weights
    )
    if scaled.baseline is not None:
        jacobian -= scaled.baseline
    variance = np.where(is_valid, errors, 0.0) ** 2
    covariance = (jacobian * variance) @ jacobian.T / scaled.factor**2
    return _Pass(scaled.intensity, covariance, scaled.factor, scaled.factor_error)


def decreases_at_edge(
    energy: FloatArray,
    values: FloatArray,
    errors: FloatArray,
    scale: Scale,
    windows: EdgeWindows,
    *,
    is_linear: bool,
) -> bool:
    """Return whether a spectrum decreases at the edge, as light of other elements does.

    Parameters
    ----------
    energy, values, errors : f8 (point,)
        eV and any unit; NaN where there is no value. Errors are independent; where they
        are 0, any decrease counts.
    scale : Scale
        MAX or EDGE.
    windows : EdgeWindows
        Before and after the edge.
    is_linear : bool
        For MAX: subtract a line, or else the mean before the edge.

    Returns
    -------
    bool
        MAX: whether its largest excursion below the pre-edge line exceeds that above it
        beyond the error of the difference, to which the line contributes. EDGE: whether
        its jump is negative, significant or not.
    """
    is_valid = np.isfinite(values)
    baseline = None
    if scale is Scale.MAX:
        baseline = pre_edge_weights(energy, is_valid, windows, is_linear=is_linear)
    excess = np.zeros(len(values))  # weights of the decrease less the increase
    for sign in (1, -1):
        signed = scale_values(
            energy, sign * values, errors, scale, windows, baseline=baseline
        )
        if signed.factor_weights is not None:
            excess -= signed.factor_weights
    decrease = float(excess @ np.where(is_valid, values, 0.0))
    if scale is Scale.EDGE:
        return decrease > 0
    variance = np.where(is_valid, errors, 0.0) ** 2
    return is_significant(decrease, float(np.sqrt(excess**2 @ variance)))


def normalise_passes(
    energy: FloatArray,
    passes: Sequence[FloatArray],
    errors: Sequence[FloatArray],
    scale: Scale,
    windows: EdgeWindows,
    *,
    is_linear: bool,
) -> NormalisedSpectrum:
    """Normalise each pass and return their mean with its errors.

    Parameters
    ----------
    energy : f8 (point,)
        Incident energies, eV.
    passes : sequence of f8 (point,)
        Any unit; NaN where a pass has no value.
    errors : sequence of f8 (point,)
        Independent standard deviations of the passes; NaN if unknown.
    scale : Scale
        MAX: the maximum of a local parabola is 1. EDGE: the edge jump is 1.
    windows : EdgeWindows
        Before and after the edge.
    is_linear : bool
        For MAX: subtract a line, or else the mean before the edge.

    Returns
    -------
    NormalisedSpectrum
        All passes have the sign of their mean. NaN where nothing positive remains, or
        EDGE lacks points.
    """
    if scale is Scale.MAX:
        passes = _without_unequal(energy, passes, windows, is_linear=is_linear)
    mean = _mean_of_passes(np.array(passes))
    has_value = np.isfinite(passes)
    known_errors = np.where(has_value, np.nan_to_num(errors), 0.0)
    number = np.maximum(has_value.sum(axis=0), 1)
    mean_errors = np.sqrt((known_errors**2).sum(axis=0)) / number
    decreases = decreases_at_edge(
        energy, mean, mean_errors, scale, windows, is_linear=is_linear
    )
    sign = -1 if decreases else 1
    normalised = [
        _normalise_pass(
            energy, sign * values, deviations, scale, windows, is_linear=is_linear
        )
        for values, deviations in zip(passes, errors, strict=True)
    ]
    values = sign * np.array([part.values for part in normalised])
    variances = np.array([np.diag(part.covariance) for part in normalised])
    number = np.isfinite(values).sum(axis=0)
    is_measured = number > 0
    deviations = np.full(len(energy), np.nan)
    total = np.where(np.isfinite(values), variances, 0.0).sum(axis=0)
    np.divide(np.sqrt(total), number, out=deviations, where=is_measured)
    scatter = _scatter(values, normalised)
    return NormalisedSpectrum(
        values=_mean_of_passes(values),
        errors=deviations * scatter.factor,
        divisors=np.array([part.divisor for part in normalised]),
        divisor_errors=np.array([part.divisor_error for part in normalised]),
        sign=sign,
        pre_edge=_pre_edge_text(energy, mean, scale, windows, is_linear=is_linear),
        scatter=scatter.relative,
    )


def _without_unequal(
    energy: FloatArray,
    passes: Sequence[FloatArray],
    windows: EdgeWindows,
    *,
    is_linear: bool,
) -> list[FloatArray]:
    """Replace passes by NaN that lack the points before the edge that others have.

    Another model of what is before the edge would normalise them differently.
    """
    used_energies = [energy[np.isfinite(values)] for values in passes]
    if is_linear:
        has_model = [
            bool(len(used)) and supports_line(used, windows.pre_edge)
            for used in used_energies
        ]
    else:
        has_model = [
            bool(windows.pre_edge.contains(used).any()) for used in used_energies
        ]
    if not any(has_model):
        return list(passes)
    unknown = np.full(len(energy), np.nan)
    return [
        values if is_equal else unknown
        for values, is_equal in zip(passes, has_model, strict=True)
    ]


def _pre_edge_text(
    energy: FloatArray,
    mean: FloatArray,
    scale: Scale,
    windows: EdgeWindows,
    *,
    is_linear: bool,
) -> str:
    """Return what is subtracted: linear, constant, or none."""
    before = np.isfinite(mean) & windows.pre_edge.contains(energy)
    is_line = is_linear or scale is Scale.EDGE
    if len(np.unique(energy[before])) < (2 if is_line else 1):
        return "none"
    return "linear" if is_line else "constant"


@dataclass(frozen=True)
class _Scatter:
    """Scatter of passes over their errors, and what the errors are multiplied with."""

    relative: float
    factor: float


def _scatter(values: FloatArray, passes: Sequence[_Pass]) -> _Scatter:
    """Compare the scatter of passes (pass, point) with their errors.

    Errors that are common to all points leave fewer degrees of freedom than there are
    points; their number is that of a chi-squared law of the same mean and variance
    [1]_.

    .. [1] F. E. Satterthwaite, Biometrics Bulletin 2, 110 (1946).
    """
    from scipy.special import chdtri  # scipy.stats takes a second to load

    variances = np.array([np.diag(part.covariance) for part in passes])
    mean = _mean_of_passes(values)
    is_used = np.isfinite(values) & np.isfinite(variances) & (variances > 0)
    is_used &= is_used.sum(axis=0) > 1
    n_points = int(is_used.any(axis=0).sum())
    freedom = is_used.sum() - n_points
    if freedom <= 0:
        return _Scatter(np.nan, 1.0)
    deviation = np.where(is_used, values - mean, 0.0)
    weights = np.where(is_used, 1 / np.where(is_used, variances, 1.0), 0.0)
    mean_square = float((weights * deviation**2).sum() / freedom)
    effective = 0.0
    for part, weight, used in zip(passes, weights, is_used, strict=True):
        scale = np.sqrt(weight)
        covariance = np.where(np.outer(used, used), part.covariance, 0.0)
        effective += float(((covariance * np.outer(scale, scale)) ** 2).sum())
    independent = freedom * freedom / effective
    limit = float(chdtri(independent, INCONSISTENT_P)) / independent
    relative = float(np.sqrt(mean_square))
    return _Scatter(relative, relative if mean_square > limit else 1.0)


def _mean_of_passes(values: FloatArray) -> FloatArray:
    """Return the mean (point,) of passes (pass, point); NaN where all lack a value."""
    number = np.isfinite(values).sum(axis=0)
    mean = np.full(values.shape[1], np.nan)
    np.divide(np.nansum(values, axis=0), number, out=mean, where=number > 0)
    return mean
