"""Exposure of a point: how long, by how many pixels, with how much beam."""

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray, IntArray

MEDIAN_POINTS = 9  # window of the running median
MIN_PREDICTED = 20.0  # triggers: none or few where more are predicted are no chance
DARK_SHARE = 0.02  # of the predicted triggers: fewer are no beam
BEAM_QUANTILE = 0.9  # of the positive I0: beam even where most of a scan has none


def live_time(
    dwell: FloatArray, triggers: IntArray, dead_time: FloatArray
) -> FloatArray:
    """Return the time in which pixels were alive: dwell - triggers x dead time.

    The dead time does not extend: a trigger is followed by exactly one record.

    Parameters
    ----------
    dwell
        Duration of the points, f8 (point,), s.
    triggers
        Records of each pixel, whether a cut rejects them or not, i8 (pixel, point):
        each of them blinds the pixel.
    dead_time
        Length of a record, f8 (pixel,), s.

    Returns
    -------
    FloatArray
        f8 (pixel, point), s, at least 0.
    """
    return np.maximum(dwell - triggers * dead_time[:, None], 0.0)


def live_time_held_off(
    time_ns: IntArray, start_ns: IntArray, end_ns: IntArray, hold_off: float
) -> FloatArray:
    """Return the time of each point without a trigger less than a hold-off ago.

    The blind stretches of all triggers are joined before they are subtracted, so that
    overlaps count once; in integer ns, so that the result is exact.

    Parameters
    ----------
    time_ns
        Triggers of one pixel, i8 (trigger,), ascending; including the last one before a
        point, whose hold-off reaches into it.
    start_ns, end_ns
        Windows of the points, i8 (point,).
    hold_off
        In s.

    Returns
    -------
    FloatArray
        f8 (point,), s.
    """
    from rixs_pipeline.core.maps import bin_kernel  # numba: slow import

    hold_off_ns = round(hold_off * 1e9)
    points = bin_kernel.find_point_slices(time_ns, start_ns, end_ns)
    blind = bin_kernel.blind_time_ns(time_ns, points, start_ns, end_ns, hold_off_ns)
    return np.asarray((end_ns - start_ns - blind) / 1e9)


def silent_stretches(triggers: IntArray) -> BoolArray:
    """Return where pixels were silent for too long to be chance, bool (pixel, point).

    In a stretch of points without triggers of a pixel (`triggers` i8 (pixel, point), of
    the used pixels), its share of the other pixels' triggers is expected, the share
    taken from the rest of the scan. More than `MIN_PREDICTED` come out as none once in
    10^8. In such a stretch the pixel was out of lock: it is no exposure.
    """
    other_triggers = triggers.sum(axis=0)[None, :] - triggers
    is_silent = np.zeros(triggers.shape, bool)
    for pixel, counts in enumerate(triggers):
        is_zero = np.concatenate([[0], counts == 0, [0]])
        ends = np.flatnonzero(np.diff(is_zero))
        for first, stop in zip(ends[::2], ends[1::2], strict=True):
            others_inside = other_triggers[pixel, first:stop].sum()
            others_outside = other_triggers[pixel].sum() - others_inside
            if others_outside > 0:
                expected = counts.sum() / others_outside * others_inside
                is_silent[pixel, first:stop] = expected > MIN_PREDICTED
    return is_silent


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
        return np.asarray(~(i0 >= min_share * np.quantile(positive, BEAM_QUANTILE)))
    rate = np.zeros(len(triggers))
    np.divide(triggers, dwell, out=rate, where=dwell > 0)
    if not rate.any():
        return np.zeros(len(rate), bool)
    usual_rate = np.maximum(_running_median(rate), np.median(rate[rate > 0]))
    predicted = usual_rate * dwell
    is_dark = (predicted > MIN_PREDICTED) & (triggers < DARK_SHARE * predicted)
    return np.asarray(is_dark)


def _running_median(values: FloatArray) -> FloatArray:
    """Return the median of the window around each value, mirrored at the ends."""
    padded = np.pad(values, MEDIAN_POINTS // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_POINTS)
    return np.asarray(np.median(windows, axis=1))
