"""Photons whose low-energy tail leaks from lines above a region into it."""

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData, ResponseTail
from rixs_pipeline.core.response.tail_fit import LENGTH_FACTORS, LENGTH_WEIGHTS
from rixs_pipeline.core.spectra.regions import LeakBackground
from rixs_pipeline.types import FloatArray

UNKNOWN_TAIL = ResponseTail(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Leak:
    """Photons from outside a region whose tail falls into it.

    Attributes
    ----------
    value, variance : f8 (point,)
        Counts; the errors of the tail, common to all points, are in the variance.
    weights : f8 (point, bin)
        What each count of the map adds.
    """

    value: FloatArray
    variance: FloatArray
    weights: FloatArray


def estimate_leak(data: MapData, tail: ResponseTail, weights: FloatArray) -> Leak:
    """Estimate the photons that leak into a region.

    Parameters
    ----------
    data : MapData
        The map.
    tail : ResponseTail
        Low-energy tail of the response.
    weights : f8 (point, bin)
        Of the region.

    Returns
    -------
    Leak
        Linear in the counts, so that their variance is exact.
    """
    leak_weights = tail_weights(data, tail, weights)
    leaks = leak_weights * data.counts
    variances = leak_weights**2 * data.counts
    value = leaks.sum(axis=1)
    variance = variances.sum(axis=1) + _tail_variance(data, tail, weights, value)
    return Leak(value, variance, leak_weights)


def _tail_variance(
    data: MapData, tail: ResponseTail, weights: FloatArray, value: FloatArray
) -> FloatArray:
    """Return the variance (point,) of a leak from the errors of the tail."""
    changes = []
    for name, error in (
        ("fraction", tail.fraction_error),
        ("length", tail.length_error),
    ):
        change = np.zeros(len(value))
        if error > 0:
            # a step within the range of both, for the derivative
            step = min(error, 0.5 * getattr(tail, name))
            changed = replace(tail, **{name: getattr(tail, name) + step})
            leaks = tail_weights(data, changed, weights) * data.counts
            change = (leaks.sum(axis=1) - value) * error / step
        changes.append(change)
    of_fraction, of_length = changes
    covariance = 2 * tail.correlation * of_fraction * of_length
    return np.asarray(of_fraction**2 + of_length**2 + covariance)


def tail_weights(data: MapData, tail: ResponseTail, weights: FloatArray) -> FloatArray:
    """Return what each count adds to the tails that leak into a region.

    Parameters
    ----------
    data : MapData
        The map.
    tail : ResponseTail
        Low-energy tail of the response.
    weights : f8 (point, bin)
        Of the region.

    Returns
    -------
    f8 (point, bin)
        g: the leak of a point is g @ counts.

    Notes
    -----
    A bin's counts are n = [(1 - f) + f Q] c, with c the counts of a detector without
    tail and Q_ik the part of the tail of bin k that falls into bin i: an exponential,
    integrated over both bins, averaged over the decay lengths of the pixels
    (`tail_fit.LENGTH_FACTORS`). The leak is sum_ik w_i f Q_ik (1 - w_k) c_k with
    c = [(1 - f) + f Q]^-1 n.
    """
    from scipy.linalg import solve_triangular, toeplitz  # takes long to load

    leaked = np.zeros(weights.shape)
    covered = np.flatnonzero(weights.any(axis=0))
    if not len(covered):
        return leaked
    above = slice(int(covered[0]), None)  # tails fall to lower energies
    step = data.bin_width
    distance = np.arange(weights[:, above].shape[1]) - 1.0
    row = np.zeros(len(distance))
    for factor, weight in zip(LENGTH_FACTORS, LENGTH_WEIGHTS, strict=True):
        length = factor * tail.length
        decay = np.exp(-step / length)
        part = length / step * (1 - decay) ** 2 * decay**distance
        part[0] = 1 - (1 - decay) * length / step
        row += weight * part
    tails = tail.fraction * np.triu(toeplitz(row))
    response = tails + (1 - tail.fraction) * np.eye(len(row))
    count_weights = (weights / data.efficiency)[:, above]
    received = count_weights @ tails
    from_outside = received * (1 - weights[:, above])
    leaked[:, above] = solve_triangular(response, from_outside.T, trans="T").T
    return leaked


def find_tail(data: MapData, background: LeakBackground) -> ResponseTail:
    """Return the response's tail: the config's, else that of the reference runs.

    Parameters
    ----------
    data : MapData
        The map, with the tail of the reference runs.
    background : LeakBackground
        What the config sets.

    Returns
    -------
    ResponseTail

    Raises
    ------
    ValueError
        Neither knows the tail.
    """
    measured = data.tail or UNKNOWN_TAIL
    fraction = measured.fraction
    fraction_error = measured.fraction_error
    length = measured.length
    length_error = measured.length_error
    correlation = measured.correlation
    if background.tail_fraction is not None:
        fraction = background.tail_fraction
        fraction_error = 0.0
        correlation = 0.0
    if background.tail_fraction_errors is not None:
        fraction_error = background.tail_fraction_errors
    if background.tail_length is not None:
        length = background.tail_length
        length_error = 0.0
        correlation = 0.0
    is_known = fraction > 0 and length > 0 and fraction_error >= 0
    if not is_known:
        raise ValueError(
            "background leak: low-energy tail of the lines unknown for this map; "
            "set `tail_fraction`, `tail_fraction_errors` and `tail_length`"
        )
    return ResponseTail(fraction, fraction_error, length, length_error, correlation)
