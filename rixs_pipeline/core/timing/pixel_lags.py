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
    usual = 0
    for _ in range(ROUNDS):
        moved = [
            _moved(window * is_counted[:, None], lag - usual) for window in windows
        ]
        previous, sums = lag.copy(), [aligned.sum(axis=0) for aligned in moved]
        for row in np.flatnonzero(is_counted):
            deviance[row] = [
                _misfit(window[row], total - aligned[row], margin)
                for window, aligned, total in zip(windows, moved, sums, strict=True)
            ]
            lag[row] = lags[int(deviance[row].sum(axis=0).argmin())]
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


def _misfit(counts: FloatArray, others: FloatArray, margin: int) -> FloatArray:
    """Return -2 log-likelihood (lag,) of a pixel with the rates of others, (bin,).

    Relative to rates of its own; the factor between the rates is fitted.
    """
    middle = counts[margin : len(counts) - margin]
    if not middle.any():
        return np.zeros(2 * margin + 1)
    rate = _rates(others)
    of_lags = np.correlate(rate, np.ones(len(middle)), "valid")[::-1]
    log_factor = np.log(middle.sum() / of_lags)
    saturated = middle @ np.log(np.maximum(middle, 1.0))
    modelled = np.correlate(np.log(rate), middle, "valid")[::-1]
    return np.asarray(2 * (saturated - modelled - middle.sum() * log_factor))


def _rates(counts: FloatArray) -> FloatArray:
    """Return counts without their noise, (bin,), where nothing sudden happens.

    Changes within `SMOOTH_BINS` remain where they exceed the noise: a deviation of z
    standard deviations is multiplied by 1 - (`CLEAR` / z)^2, or left out.
    """
    smooth = _running_mean(counts, SMOOTH_BINS)
    short = _running_mean(counts, SHARP_BINS)
    variance = np.maximum(smooth, 1 / SMOOTH_BINS) / SHARP_BINS
    deviation = short - smooth
    kept = np.maximum(1 - CLEAR**2 * variance / np.maximum(deviation**2, 1e-12), 0.0)
    floor = RATE_FLOOR * max(float(counts.mean()), 1e-6)
    return np.maximum(smooth + kept * deviation, floor)


def _running_mean(counts: FloatArray, length: int) -> FloatArray:
    padded = np.pad(counts, length // 2, mode="edge")
    return np.convolve(padded, np.full(length, 1 / length), mode="valid")
