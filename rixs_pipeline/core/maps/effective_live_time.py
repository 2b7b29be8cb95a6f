"""Live time in which a photon of a pixel would have been counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.maps import exposure, pile_up
from rixs_pipeline.core.maps.scan_counts import ScanCounts
from rixs_pipeline.types import BoolArray, FloatArray


@dataclass(frozen=True)
class EffectiveLiveTime:
    """Live time of pixels in the points of a scan, less what pile-up spoils."""

    seconds: FloatArray  # (pixel, point), s; 0 for pixels that are not used
    spoiling_time: pile_up.SpoilingTime


def effective_live_time(counts: ScanCounts, is_used: BoolArray) -> EffectiveLiveTime:
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

    Returns
    -------
    EffectiveLiveTime
        The time (pixel, point), s, and T.
    """
    live = counts.live_time * is_used[:, None]
    live[is_used] *= ~exposure.silent_stretches(counts.triggers[is_used])
    is_live = live > 0
    countable = counts.countable * is_live
    accepted = counts.accepted * is_live
    pulses = pile_up.CountedPulses(countable, accepted, live)
    expected = 0.0
    if is_used.any():
        expected = float(np.median(counts.after_trigger[is_used]))
    spoiling_time = pile_up.fit_spoiling_time(pulses, expected)
    efficiency = pile_up.efficiency(pulses, spoiling_time)
    return EffectiveLiveTime(live * efficiency, spoiling_time)
