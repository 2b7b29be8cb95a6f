"""Photons whose low-energy tail leaks from lines above a region into it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData, ResponseTail
from rixs_pipeline.core.response.tail_fit import LENGTH_FACTORS, LENGTH_WEIGHTS
from rixs_pipeline.core.spectra.regions import LeakBackground
from rixs_pipeline.types import FloatArray

BLOCK_BINS = 64  # of a matrix product
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
    c = [(1 - f) + f Q]^-1 n. Both matrices are Toeplitz, see `_Decays`.
    """
    leaked = np.zeros(weights.shape)
    covered = np.flatnonzero(weights.any(axis=0))
    if not len(covered):
        return leaked
    above = slice(int(covered[0]), None)  # tails fall to lower energies
    lengths = LENGTH_FACTORS * tail.length / data.bin_width
    rates = np.exp(-1 / lengths)
    shares = tail.fraction * LENGTH_WEIGHTS
    first = float(shares @ (1 - (1 - rates) * lengths))
    tails = _Decays(first, shares * lengths * (1 - rates) ** 2, rates)
    response = replace(tails, first=first + 1 - tail.fraction)
    received = tails.times((weights / data.efficiency)[:, above])
    from_outside = received * (1 - weights[:, above])
    leaked[:, above] = response.inverse().times(from_outside)
    return leaked


@dataclass(frozen=True)
class _Decays:
    """An upper triangular Toeplitz matrix whose rows are sums of exponentials.

    They are 0 below it, `first` on it, and sum_k amplitude_k rate_k^(m - 1) at a
    distance of m above it.
    """

    first: float
    amplitudes: FloatArray  # (term,)
    rates: FloatArray  # (term,)

    def times(self, rows: FloatArray) -> FloatArray:
        """Return rows @ matrix, (row, bin).

        Within a block of bins it is a matrix product; contributions of the blocks
        before decay term by term.
        """
        powers = self.rates[:, None] ** np.arange(BLOCK_BINS)
        elements = np.append(self.first, self.amplitudes @ powers)
        distance = np.arange(BLOCK_BINS) - np.arange(BLOCK_BINS)[:, None]
        block = np.where(distance < 0, 0.0, elements[np.abs(distance)])
        from_before = self.amplitudes[:, None] * powers
        product = np.empty(rows.shape)
        before = np.zeros((len(rows), len(self.rates)))
        for begin in range(0, rows.shape[1], BLOCK_BINS):
            part = rows[:, begin : begin + BLOCK_BINS]
            n = part.shape[1]
            inside = part @ block[:n, :n]
            product[:, begin : begin + n] = inside + before @ from_before[:, :n]
            before = before * self.rates**n + part @ powers[:, n - 1 :: -1].T
        return product

    def inverse(self) -> _Decays:
        """Return the inverse: the rates are eigenvalues, since y = x M is a filter.

        With states s_k, y = first x + a s and s' = rates s + x, so that
        x = (y - a s) / first and s' = (rates - 1 a / first) s + y / first.
        """
        roots = np.sqrt(self.amplitudes)
        symmetric = np.diag(self.rates) - np.outer(roots, roots) / self.first
        rates, vectors = np.linalg.eigh(symmetric)
        amplitudes = -((roots @ vectors / self.first) ** 2)
        return _Decays(1 / self.first, amplitudes, rates)


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
