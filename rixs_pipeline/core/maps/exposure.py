"""Exposure of a point: how long, by how many pixels, with how much beam."""

from collections.abc import Mapping

import numpy as np

from rixs_pipeline.core.maps.kernel_arguments import TIME_PARTS
from rixs_pipeline.core.maps.scan_counts import ScanCounts
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

MEDIAN_POINTS = 9  # window of the running median
MIN_PREDICTED = 20.0  # triggers: few where more are predicted are no chance
DARK_SHARE = 0.02  # of the predicted triggers: fewer are no beam
MIN_SILENT_PARTS = 3  # of a point, beyond the usual: a loss of a tenth or more
MIN_SURPRISE = 20.0  # -ln of the probability that triggers avoid a part of a point
BEAM_QUANTILE = 0.9  # of the positive I0: beam even where most of a scan has none


def throughput(counts: IntArray, live_time: FloatArray) -> FloatArray:
    """Return the rate of each pixel relative to the mean pixel.

    Over the pixels with counts the mean is 1, so that the exposure of the whole array
    is about its live time.

    Parameters
    ----------
    counts
        i8 (pixel,), summed over the scans that share the throughput.
    live_time
        f8 (pixel,), s, of the same scans.

    Returns
    -------
    FloatArray
        f8 (pixel,); 0 without counts, NaN without live time. Without counts of any
        pixel, every live pixel has 1.
    """
    is_alive = live_time > 0
    rate = np.full(len(counts), np.nan)
    np.divide(counts, live_time, out=rate, where=is_alive)
    has_counts = rate > 0
    if not has_counts.any():
        return np.where(is_alive, 1.0, np.nan)
    return np.asarray(rate / rate[has_counts].mean())


def complete_throughput(
    throughput: Mapping[int, float], counts: ScanCounts, live_time: FloatArray
) -> FloatArray:
    """Return the throughput of all pixels of a scan.

    A pixel without one gets its rate in this scan, on the scale that the throughputs of
    the other pixels have to their rates: w_p = r_p (sum of w) / (sum of r).

    Parameters
    ----------
    throughput
        Of the pixels of the leading scan, relative to the mean pixel.
    counts
        Counts of the pixels of this scan.
    live_time
        Their live time, f8 (pixel,), s.

    Returns
    -------
    FloatArray
        f8 (pixel,); 1 for pixels without throughput where the others have no photons.
    """
    pixels = counts.pixel.tolist()
    is_measured = np.array([pixel in throughput for pixel in pixels], bool)
    completed = np.array([throughput.get(pixel, 1.0) for pixel in pixels])
    rate = np.zeros(len(pixels))
    np.divide(counts.pixel_counts, live_time, out=rate, where=live_time > 0)
    rate_sum = rate[is_measured].sum()
    if rate_sum > 0:
        weight_sum = completed[is_measured].sum()
        completed[~is_measured] = rate[~is_measured] * weight_sum / rate_sum
    return completed


def exposure(
    live_time: FloatArray, throughput: FloatArray, i0: FloatArray | None, i0_ref: float
) -> FloatArray:
    """Return the exposure of each point: sum over pixels of w_p live_pj I0_j / I0_ref.

    Parameters
    ----------
    live_time
        f8 (pixel, point), s.
    throughput
        Weights w_p, f8 (pixel,); NaN counts as 0.
    i0
        f8 (point,), or None: its factor is 1.
    i0_ref
        I0 at which the factor is 1.

    Returns
    -------
    FloatArray
        f8 (point,), s; NaN where I0 is NaN: such a point must be excluded, see
        `beam_off`.
    """
    weights = np.where(np.isnan(throughput), 0.0, throughput)
    seconds = weights @ live_time
    return seconds if i0 is None else seconds * i0 / i0_ref


def beam_off(
    i0: FloatArray | None, triggers: IntArray, dwell: FloatArray, min_share: float
) -> BoolArray:
    """Return which points had no beam.

    With I0: where it is NaN or less than `min_share` of its 0.9 quantile; everywhere if
    it is never positive. Without I0: where the triggers are under 2 % of those
    predicted, if more than 20 are predicted; chance does that to one point in 10^8 at
    most. The rate predicted is the running median over nine points or the median over
    the points with triggers, whichever is higher: the former follows the spectrum, the
    latter detects an outage that is longer than the window.

    Parameters
    ----------
    i0
        f8 (point,), or None.
    triggers
        Of all pixels, i8 (point,).
    dwell
        Duration of the points, f8 (point,), s.
    min_share
        Of the usual I0.

    Returns
    -------
    BoolArray
        bool (point,).
    """
    if i0 is not None:
        positive = i0[i0 > 0]
        if not positive.size:
            return np.ones(len(i0), bool)
        usual_i0 = np.quantile(positive, BEAM_QUANTILE)
        return np.asarray(~(i0 >= min_share * usual_i0))
    rate = np.zeros(len(triggers))
    np.divide(triggers, dwell, out=rate, where=dwell > 0)
    if not rate.any():
        return np.zeros(len(rate), bool)
    padded = np.pad(rate, MEDIAN_POINTS // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_POINTS)
    running_median = np.median(windows, axis=1)
    usual_rate = np.maximum(running_median, np.median(rate[rate > 0]))
    predicted = usual_rate * dwell
    is_dark = (predicted > MIN_PREDICTED) & (triggers < DARK_SHARE * predicted)
    return np.asarray(is_dark)


def has_interruption(triggers: IntArray, occupied: IntArray) -> BoolArray:
    """Return in which points all pixels are silent for a part of the time.

    Points without any trigger are left to `beam_off`.

    Parameters
    ----------
    triggers
        Of the used pixels, i8 (pixel, point).
    occupied
        In which parts of each point they have records, see `ScanCounts`; pixels without
        any are not looked at.

    Returns
    -------
    BoolArray
        bool (point,): the longest silence lasts a tenth of the point more than in the
        median point (shutters and motors may take their time in each), and the n
        triggers of the point lie outside this share f of it by chance in fewer than one
        of 10^7 points: (1 - f)^n < exp(-20).
    """
    is_timed = occupied.any(axis=1)
    parts = np.bitwise_or.reduce(occupied[is_timed], axis=0)
    is_silent = (parts[:, None] >> np.arange(TIME_PARTS)) & 1 == 0
    run = np.zeros(len(parts), np.int64)
    longest = run.copy()
    for silent in is_silent.T:
        run = np.where(silent, run + 1, 0)
        longest = np.maximum(longest, run)
    has_triggers = longest < TIME_PARTS
    if not has_triggers.any():
        return has_triggers
    number = triggers[is_timed].sum(axis=0)
    # no more than usual: a burst of noise makes no silence of the rest
    number = np.minimum(number, np.median(number[has_triggers]))
    share = np.minimum(longest, TIME_PARTS - 1) / TIME_PARTS
    is_certain = -number * np.log1p(-share) > MIN_SURPRISE
    is_long = longest - np.median(longest[has_triggers]) >= MIN_SILENT_PARTS
    return np.asarray(is_long & has_triggers & is_certain)
