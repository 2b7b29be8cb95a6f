"""Exposure: how long, by how many pixels and with how much beam each scan point was looked at."""

import numpy as np
from numpy.typing import NDArray

_WINDOW = 9  # points of the running median
_MIN_PREDICTED = 20.0  # triggers: with fewer predicted, few triggers may be chance
_DARK_SHARE = 0.02


def live_time(
    dwell_s: NDArray[np.float64],
    triggers: NDArray[np.int64],
    dead_time_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Seconds that each pixel was alive in each point, f8 (pixel, point): dwell - triggers x dead time, at least 0.

    `dwell_s` (point,); `triggers` (pixel, point) counts every record of the pixel in the point's window, whether a
    cut takes it or not, since each blinds the pixel; `dead_time_s` (pixel,) is the length of a record. The dead time
    does not extend: a trigger is followed by exactly one record.
    """
    return np.maximum(dwell_s - triggers * dead_time_s[:, None], 0.0)


def live_time_held_off(
    time_ns: NDArray[np.int64],
    start_ns: NDArray[np.int64],
    end_ns: NDArray[np.int64],
    hold_off_s: float,
) -> NDArray[np.float64]:
    """Seconds of each point in which no trigger of the pixel was less than a hold-off ago, f8 (point,).

    `time_ns` (trigger,) ascends; the last one before a point holds into it, so it must be there. The stretches
    [t, t + hold-off) of all triggers are joined before they are taken off, so that what overlaps counts once; all in
    integer ns, so that the result is exact. Nothing as long as `time_ns` is made.
    """
    from rixs_pipeline.core.maps import bin_kernel

    points = bin_kernel.find_point_slices(time_ns, start_ns, end_ns)
    blind = bin_kernel.blind_time_ns(
        time_ns, points, start_ns, end_ns, round(hold_off_s * 1e9)
    )
    return np.asarray((end_ns - start_ns - blind) / 1e9)


def silent_stretches(triggers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a pixel was silent for too long to be chance, bool (pixel, point).

    `triggers` (pixel, point) of the used pixels. In a row of points without a trigger from a pixel, as many as its
    share of the others' triggers are expected, the share taken from the rest of the scan; more than
    `_MIN_PREDICTED` come out as none once in 10^8. In such a stretch the pixel was out of lock, not exposed.
    """
    others = triggers.sum(axis=0)[None, :] - triggers
    silent = np.zeros(triggers.shape, bool)
    for pixel, counts in enumerate(triggers):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], counts == 0, [0]])))
        for first, stop in zip(edges[::2], edges[1::2], strict=True):
            seen = others[pixel, first:stop].sum()
            elsewhere = others[pixel].sum() - seen
            if elsewhere > 0 and counts.sum() / elsewhere * seen > _MIN_PREDICTED:
                silent[pixel, first:stop] = True
    return silent


def throughput(
    counts: NDArray[np.int64], live_time_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rate of each pixel relative to the mean pixel, f8 (pixel,).

    `counts`, `live_time_s` (pixel,), summed over the set of scans that shares the throughput. Over the pixels with
    counts the mean is 1, so that the exposure of the whole array is about its live time. A pixel without counts has
    0, one without live time NaN; without any counts at all every live pixel has 1.
    """
    alive = live_time_s > 0
    rate = np.divide(counts, live_time_s, out=np.full(len(counts), np.nan), where=alive)
    seen = rate > 0
    return rate / rate[seen].mean() if seen.any() else np.where(alive, 1.0, np.nan)


def exposure(
    live_time_s: NDArray[np.float64],
    throughput: NDArray[np.float64],
    i0: NDArray[np.float64] | None,
    i0_ref: float,
) -> NDArray[np.float64]:
    """Exposure of each point in s, f8 (point,): sum over the pixels of w_p x live_pj x I0_j / I0_ref.

    `live_time_s` (pixel, point); `throughput` (pixel,), where NaN counts as 0; `i0` (point,), or None: the factor is
    1. A point whose I0 is NaN has the exposure NaN: it belongs left out, see `beam_off`.
    """
    seconds = np.where(np.isnan(throughput), 0.0, throughput) @ live_time_s
    return seconds if i0 is None else seconds * i0 / i0_ref


def beam_off(
    i0: NDArray[np.float64] | None,
    triggers: NDArray[np.int64],
    dwell_s: NDArray[np.float64],
    below: float,
) -> NDArray[np.bool_]:
    """Which points had no beam, bool (point,).

    With `i0` (point,): I0 is NaN, or under `below` x the 0.9 quantile of the positive I0, which is beam even where
    most of the scan has none; all, where none is positive.
    Without: the pixels' summed `triggers` (point,) are under 2 % of what the rate around predicts for the point's
    `dwell_s` (point,), where more than 20 are predicted: chance does that to one point in 10^8 at most. The rate
    around is the running median over nine points or the median over the scan's points with triggers, whichever is
    higher: the former follows the spectrum, the latter sees an outage that is longer than the window.
    """
    if i0 is not None:
        positive = i0[i0 > 0]
        return (
            ~(i0 >= below * np.quantile(positive, 0.9))
            if positive.size
            else np.ones(len(i0), bool)
        )
    rate = np.divide(triggers, dwell_s, out=np.zeros(len(triggers)), where=dwell_s > 0)
    if not rate.any():
        return np.zeros(len(rate), bool)
    predicted = np.maximum(_running_median(rate), np.median(rate[rate > 0])) * dwell_s
    return np.asarray(
        (predicted > _MIN_PREDICTED) & (triggers < _DARK_SHARE * predicted)
    )


def _running_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the window around each value, (value,); at the ends the values are mirrored."""
    padded = np.pad(values, _WINDOW // 2, mode="reflect")
    return np.asarray(
        np.median(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW), axis=1)
    )
