"""Whether the reading that is taken for I0 shows the sample: another channel's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.types import FloatArray

# Relative scatter of the ratio of two readings below which one is a copy of the other:
# rounding of a log that has six digits.
COPY = 1e-5
# White line in I0, logarithmic: contamination of optics makes dips, and no peak.
LEAST_PEAK = np.log(1.15)
PEAK_OVER_NOISE = 6.0  # of the scatter from point to point
FLAT_SHARE = 0.3  # of the peak in I0: a reading with less does not show it,
FLAT = 0.08  # and with less than this, logarithmic: the beam drifts by as much
AROUND_EDGE = (-4.0, 8.0)  # where a white line is, eV from the edge
SAME_PEAK = 1.0  # distance of two white lines that are one, eV
LEAST_POINTS = 8  # of a pass
DENSE = 15  # points around the edge, from which on five of them are averaged, not three


@dataclass(frozen=True)
class WrongChannel:
    """Why a reading is hardly I0.

    Attributes
    ----------
    channel
        The other reading.
    reason
        In words, with the other reading.
    is_certain
        False where the beam itself may have this structure.
    """

    channel: str
    reason: str
    is_certain: bool = True


@dataclass(frozen=True)
class _Peak:
    """White line of a reading: logarithmic height, its place in eV, and its noise.

    `over_both` is the height over the higher one of the levels before and after it: a
    step of the beam has none.
    """

    height: float
    over_both: float
    energy: float
    noise: float

    @property
    def is_clear(self) -> bool:
        least = max(LEAST_PEAK, PEAK_OVER_NOISE * self.noise)
        return bool(self.height > least and self.over_both > least / 2)


def find_wrong_channel(
    energy: FloatArray,
    i0: FloatArray,
    readings: Mapping[str, FloatArray],
    windows: EdgeWindows,
) -> WrongChannel | None:
    """Return why I0 of a pass is hardly the incident flux; None where it may be.

    Parameters
    ----------
    energy
        Incident energies of the used points, f8 (point,), eV.
    i0
        I0, f8 (point,).
    readings
        Channel -> reading that follows the flux, f8 (point,).
    windows
        Before and after the edge of the sample.

    Returns
    -------
    WrongChannel or None
        A copy of another reading; a white line in I0, which another reading lacks
        (their columns are swapped) or shows at the same energy.
    """
    is_used = i0 > 0
    if is_used.sum() < LEAST_POINTS:
        return None
    for channel, reading in readings.items():
        if _is_copy(i0[is_used], reading[is_used]):
            return WrongChannel(channel, f"is the same reading as '{channel}'")
    peak = _find_peak(energy, i0, windows)
    if peak is None or not peak.is_clear:
        return None
    peaks = {
        channel: found
        for channel, reading in readings.items()
        if (found := _find_peak(energy, reading, windows)) is not None
    }
    for channel, other in peaks.items():
        largest = min(FLAT_SHARE * peak.height, FLAT)
        if abs(other.height) < largest and other.noise < peak.height:
            return WrongChannel(
                channel, f"shows the absorption edge and '{channel}' does not"
            )
    for channel, other in peaks.items():
        if other.is_clear and abs(other.energy - peak.energy) < SAME_PEAK:
            reason = f"shows the absorption edge as '{channel}' does"
            return WrongChannel(channel, reason, is_certain=False)
    return None


def _is_copy(i0: FloatArray, reading: FloatArray) -> bool:
    """Whether two readings that vary have one ratio at all points."""
    if not (reading > 0).all():
        return False
    ratio = np.log(reading / i0)
    return bool(np.ptp(ratio) < COPY and np.ptp(np.log(i0)) > 100 * COPY)


def _find_peak(
    energy: FloatArray, values: FloatArray, windows: EdgeWindows
) -> _Peak | None:
    """Return the white line above the line from before to after the edge."""
    is_used = values > 0
    x, y = energy[is_used], np.log(values[is_used])
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    before = windows.pre_edge.contains(x)
    after = windows.post_edge.contains(x)
    if before.sum() < 2:
        before = x < windows.position + AROUND_EDGE[0]
    if after.sum() < 2:
        after = x > windows.position + AROUND_EDGE[1]
    distance = x - windows.position
    near = (distance > AROUND_EDGE[0]) & (distance < AROUND_EDGE[1]) & ~before
    if before.sum() < 2 or after.sum() < 2 or near.sum() < 3:
        return None
    ends = [float(np.median(x[part])) for part in (before, after)]
    levels = [float(np.median(y[part])) for part in (before, after)]
    above = y - np.interp(x, ends, levels)
    # one or two spikes of I0 are no white line
    reach = 2 if near.sum() >= DENSE else 1
    padded = np.pad(above, reach, mode="edge")
    windows_of_points = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    smooth = np.median(windows_of_points, axis=1)
    inside = np.where(near, smooth, -np.inf)
    top = int(np.argmax(inside))
    steps = np.diff(y)
    noise = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / np.sqrt(2)
    height = float(smooth[top])
    level = height + float(np.interp(x[top], ends, levels))
    return _Peak(height, level - max(levels), float(x[top]), noise)
