"""Live time: when a photon of a pixel would have been counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.maps import pile_up
from rixs_pipeline.core.maps.scan_counts import ScanCounts
from rixs_pipeline.types import BoolArray, FloatArray, IntArray, PulseColumns

MIN_PREDICTED = 20.0  # triggers: none where more are predicted is no chance


@dataclass(frozen=True)
class EffectiveLiveTime:
    """Live time of pixels in the points of a scan, less what pile-up spoils."""

    seconds: FloatArray  # (pixel, point), s; 0 for pixels that are not used
    spoiling_time: pile_up.SpoilingTime
    efficiency: pile_up.Efficiency


def live_time_held_off(
    records: PulseColumns, start_ns: IntArray, end_ns: IntArray, hold_off: float
) -> FloatArray:
    """Return the time of each point without a trigger less than a hold-off ago.

    The blind stretches of all triggers are joined before they are subtracted, so that
    overlaps count once; in integer ns, so that the result is exact.

    Parameters
    ----------
    records
        Of one pixel in order of time, one for each trigger; including the last one
        before a point, whose hold-off reaches into it.
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
    points = bin_kernel.find_point_slices(records, start_ns, end_ns)
    blind = bin_kernel.blind_time_ns(records, points, start_ns, end_ns, hold_off_ns)
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
    for pixel in np.flatnonzero((triggers == 0).any(axis=1)):
        counts = triggers[pixel]
        is_zero = np.concatenate([[0], counts == 0, [0]])
        ends = np.flatnonzero(np.diff(is_zero))
        for first, stop in zip(ends[::2], ends[1::2], strict=True):
            others_inside = other_triggers[pixel, first:stop].sum()
            others_outside = other_triggers[pixel].sum() - others_inside
            if others_outside > 0:
                pixel_share = counts.sum() / others_outside
                expected = pixel_share * others_inside
                is_silent[pixel, first:stop] = expected > MIN_PREDICTED
    return is_silent


def effective_live_time(
    counts: ScanCounts, is_used: BoolArray, pile_up_time: float | None = None
) -> EffectiveLiveTime:
    """Return the live time in which a photon would have passed the cuts.

    Stretches in which a pixel is silent are no live time. The rest is multiplied by the
    share of photons that pass the cuts, which falls with the rate: a second photon in
    the same record spoils the first. The time T in which it does is measured in this
    scan, since the cuts are those of this scan, later scans leave the result unchanged,
    and the error of T averages out over the passes like that of the counts.

    Parameters
    ----------
    counts
        Counts of all pixels of the scan.
    is_used
        Which pixels are used, (pixel,).
    pile_up_time
        T, s, if it is known; 0: the share of photons does not depend on the rate.

    Returns
    -------
    EffectiveLiveTime
        The time (pixel, point), s, and T.
    """
    live = counts.live_time * is_used[:, None]
    live[is_used] *= ~silent_stretches(counts.triggers[is_used])
    is_live = live > 0
    countable = counts.countable * is_live
    accepted = counts.accepted * is_live
    pulses = pile_up.CountedPulses(countable, accepted, live)
    if pile_up_time is not None:
        all_pixels = np.ones(len(live), bool)
        spoiling_time = pile_up.SpoilingTime(pile_up_time, 0.0, all_pixels)
    else:
        expected = 0.0
        if is_used.any():
            expected = float(np.median(counts.after_trigger[is_used]))
        spoiling_time = pile_up.fit_spoiling_time(pulses, expected)
    efficiency = pile_up.efficiency(pulses, spoiling_time)
    return EffectiveLiveTime(live * efficiency.share, spoiling_time, efficiency)
