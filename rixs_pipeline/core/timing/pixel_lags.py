"""How late the clock of each pixel is, from photon rates that all pixels share.

The rate of photons changes at the same moments in all pixels: where the beam comes and
goes, and where the sample absorbs more or less. For each lag, the counts of a pixel in
bins of time are compared with those of all other pixels, moved by their own lags.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

ROUNDS = 4  # of lags against the other pixels, moved by theirs
SHARP_BINS, SMOOTH_BINS = 3, 33  # odd numbers of bins, over which rates are averaged
CLEAR = 3.0  # standard deviations of a sudden change
RATE_FLOOR = 0.02  # of the mean rate, smallest one
BLOCK_PIXELS = 8  # pixels at a time: their arrays stay in the processor's cache
MIN_COUNTS = 100  # photons of a pixel that is compared


@dataclass(frozen=True)
class PixelLags:
    """Lags of the clocks of pixels.

    Attributes
    ----------
    lag
        i8 (pixel,), bins by which the times of a pixel are later than those of most
        pixels.
    log_ratio
        Logarithm of the likelihood ratio of this lag and none, f8 (pixel,); 0 where a
        part of the data contradicts it.
    """

    lag: IntArray
    log_ratio: FloatArray


def fit_lags(windows: list[FloatArray], margin: int) -> PixelLags:
    """Fit the lag of each pixel.

    Parameters
    ----------
    windows
        Counts of each window of time, f8 (pixel, bin).
    margin
        Largest lag, bins; at either end of a window as many bins are not compared.

    Returns
    -------
    PixelLags
        Of pixels with few counts it is zero.
    """
    n_pixels = len(windows[0])
    total = np.sum([window.sum(axis=1) for window in windows], axis=0)
    is_counted = total >= MIN_COUNTS
    lags = np.arange(-margin, margin + 1)
    lag = np.zeros(n_pixels, np.int64)
    deviance = np.zeros((n_pixels, len(windows), len(lags)))
    freedom = sum(window.shape[1] - 2 * margin for window in windows)
    counted = np.flatnonzero(is_counted)
    blocks = [
        counted[n : n + BLOCK_PIXELS] for n in range(0, len(counted), BLOCK_PIXELS)
    ]
    usual = 0
    for _ in range(ROUNDS):
        previous = lag
        for number, window in enumerate(windows):
            moved = _moved(window * is_counted[:, None], lag - usual)
            total = moved.sum(axis=0)
            for rows in blocks:
                others = total - moved[rows]
                deviance[rows, number] = _misfits(window[rows], others, margin)
        lag = np.where(is_counted, lags[deviance.sum(axis=1).argmin(axis=1)], 0)
        usual = _most_frequent(lag[is_counted])
        if (lag == previous).all():
            break
    rows = np.arange(n_pixels)
    best = deviance[rows, :, lag + margin]
    gain = (deviance[:, :, usual + margin] - best) / 2
    excess = np.maximum(best.sum(axis=1) / max(freedom, 1), 1.0)
    is_consistent = (gain > 0).all(axis=1)
    log_ratio = np.where(is_consistent, gain.sum(axis=1) / excess, 0.0)
    return PixelLags(np.where(is_counted, lag - usual, 0), log_ratio)


def _most_frequent(values: IntArray) -> int:
    """Return the most frequent value, the smallest of them; 0 without values."""
    distinct, numbers = np.unique(values, return_counts=True)
    return int(distinct[int(numbers.argmax())]) if len(distinct) else 0


def _moved(counts: FloatArray, lag: IntArray) -> FloatArray:
    """Return counts (pixel, bin) without the lags; the ends wrap around."""
    rows = [np.roll(row, -shift) for row, shift in zip(counts, lag, strict=True)]
    return np.array(rows).reshape(counts.shape)


def _misfits(counts: FloatArray, others: FloatArray, margin: int) -> FloatArray:
    """Return -2 log-likelihood (pixel, lag) of pixels with the rates of others.

    Relative to rates of their own; the factor between the rates is fitted.

    Parameters
    ----------
    counts
        Of each pixel, (pixel, bin).
    others
        Of all other pixels together, (pixel, bin).
    margin
        Largest lag, bins.

    Returns
    -------
    ndarray
        0 for a pixel without counts.
    """
    middle = counts[:, margin : counts.shape[1] - margin]
    total = middle.sum(axis=1, keepdims=True)
    rate = _rates(others)
    of_lags = _running_sum(rate, middle.shape[1])[:, ::-1]
    saturated = np.vecdot(middle, np.log(np.maximum(middle, 1.0)))[:, None]
    log_rate = np.log(rate)
    pairs = zip(log_rate, middle, strict=True)
    modelled = [np.correlate(row, pixel, "valid")[::-1] for row, pixel in pairs]
    log_factor = np.log(np.maximum(total, 1.0) / of_lags)
    misfit = 2 * (saturated - np.array(modelled) - total * log_factor)
    return np.asarray(np.where(total > 0, misfit, 0.0))


def _rates(counts: FloatArray) -> FloatArray:
    """Return counts without their noise, (pixel, bin), where nothing sudden happens.

    Changes within `SMOOTH_BINS` remain where they exceed the noise: a deviation of z
    standard deviations is multiplied by 1 - (`CLEAR` / z)^2, or left out.
    """
    smooth = _running_mean(counts, SMOOTH_BINS)
    short = _running_mean(counts, SHARP_BINS)
    variance = np.maximum(smooth, 1 / SMOOTH_BINS) / SHARP_BINS
    deviation = short - smooth
    kept = np.maximum(1 - CLEAR**2 * variance / np.maximum(deviation**2, 1e-12), 0.0)
    floor = RATE_FLOOR * np.maximum(counts.mean(axis=1, keepdims=True), 1e-6)
    return np.asarray(np.maximum(smooth + kept * deviation, floor))


def _running_mean(counts: FloatArray, length: int) -> FloatArray:
    margin = length // 2
    padded = np.pad(counts, ((0, 0), (margin, margin)), mode="edge")
    return np.asarray(_running_sum(padded, length) / length)


def _running_sum(values: FloatArray, length: int) -> FloatArray:
    """Return the sums of `length` values each, (pixel, bin)."""
    before = np.cumsum(values, axis=1)
    sums = before[:, length - 1 :].copy()
    sums[:, 1:] -= before[:, :-length]
    return sums
