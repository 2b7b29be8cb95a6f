"""The parts of scan points in which a pixel is exposed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.core.drift.jumps.baseline_jumps import (
    NO_STRETCHES,
    Stretches,
    find_stretches_away,
)
from rixs_pipeline.core.maps.kernel_arguments import PointSlices
from rixs_pipeline.core.maps.live_time import live_time_held_off
from rixs_pipeline.core.stats.robust import Range
from rixs_pipeline.io.runs import NS_PER_S, Points
from rixs_pipeline.stages.scan.point_records import PointRecords
from rixs_pipeline.types import Float32Array, FloatArray, IntArray

PART = 1 << 16  # pulses that are looked at together


@dataclass(frozen=True)
class ExposedWindows:
    """Windows of time in the points of a scan in which a pixel is exposed.

    Attributes
    ----------
    row
        Point of each window, i8 (window,), ascending.
    start_ns, end_ns
        Of each window, i8 (window,), ns since 1970.
    slices
        Which records lie in each window.
    away_error
        Standard deviation of the time without exposure, s.
    """

    row: IntArray
    start_ns: IntArray
    end_ns: IntArray
    slices: PointSlices
    away_error: float

    @property
    def number(self) -> IntArray:
        """Records in each window, (window,)."""
        return self.slices.stop - self.slices.first

    @property
    def duration(self) -> FloatArray:
        """Duration of each window, (window,), s."""
        return (self.end_ns - self.start_ns) / NS_PER_S

    def sum_by_point(self, values: IntArray, n_points: int) -> IntArray:
        """Return the sums (point,) of whole numbers (window,)."""
        sums = np.bincount(self.row, values, n_points)  # exact: whole numbers
        return sums.astype(np.int64)

    def live_time(self, records: PointRecords, hold_off: float) -> FloatArray:
        """Return the time of each point in which a record would be countable.

        Parameters
        ----------
        records
            Records of the pixel.
        hold_off
            Time after every record in which records do not count, s.

        Returns
        -------
        FloatArray
            f8 (point,), s: without the dead time, or the hold-off where it is longer.
        """
        if hold_off > records.dead_time:
            seconds = live_time_held_off(
                records.columns, self.start_ns, self.end_ns, hold_off
            )
        else:
            # Dead time does not extend: a trigger is followed by exactly one record.
            seconds = self.duration - self.number * records.dead_time
        seconds = np.maximum(seconds, 0.0)
        return np.asarray(np.bincount(self.row, seconds, len(records.points)))


def find_exposed_windows(
    records: PointRecords, limits: CutLimits | None
) -> ExposedWindows:
    """Find the windows in which a pixel is exposed.

    They are the points of the scan, without the stretches in which the baseline of the
    pixel is away, see `core.drift.jumps.baseline_jumps`.

    Parameters
    ----------
    records
        Records of the pixel in the points of the scan.
    limits
        Its cuts; None: the points as they are.

    Returns
    -------
    ExposedWindows
        In order of time.
    """
    points, slices = records.points, records.slices
    stretches = NO_STRETCHES if limits is None else _stretches_away(records, limits)
    if not len(stretches):
        row = np.arange(len(points))
        return ExposedWindows(row, points.start_ns, points.end_ns, slices, 0.0)
    from rixs_pipeline.core.maps import bin_kernel  # compiled: slow to import

    row, start_ns, end_ns = _subtract(points, stretches)
    slices = bin_kernel.find_point_slices(records.columns, start_ns, end_ns)
    return ExposedWindows(row, start_ns, end_ns, slices, stretches.error)


def _stretches_away(records: PointRecords, limits: CutLimits) -> Stretches:
    """Return when the baseline is away, from all records of the scan."""
    points, columns = records.points, records.columns
    if not len(points):
        return NO_STRETCHES
    first = int(records.slices.first.min())
    stop = int(records.slices.stop.max())
    return find_stretches_away(
        columns.time_ns[first:stop],
        _find_outside(columns.pretrigger_mean[first:stop], limits.pretrigger),
        int(points.start_ns.min()),
        int(points.end_ns.max()),
    )


def _find_outside(values: Float32Array, limits: Range) -> IntArray:
    """Return the indices of values (pulse,) outside limits, or NaN.

    Part by part: no array is as long as a scan.
    """
    outside = []
    for first in range(0, len(values), PART):
        part = values[first : first + PART]
        is_inside = (part >= limits.low) & (part <= limits.high)
        outside.append(np.flatnonzero(~is_inside) + first)
    return np.concatenate(outside) if outside else np.empty(0, np.int64)


def _subtract(
    points: Points, stretches: Stretches
) -> tuple[IntArray, IntArray, IntArray]:
    """Return row, start and end (window,) of the points without the stretches."""
    row = np.arange(len(points))
    start_ns, end_ns = points.start_ns, points.end_ns
    for begin, end in zip(stretches.start_ns, stretches.end_ns, strict=True):
        before = np.minimum(end_ns, begin)
        after = np.maximum(start_ns, end)
        row = np.concatenate([row, row])
        start_ns, end_ns = (
            np.concatenate([start_ns, after]),
            np.concatenate([before, end_ns]),
        )
        remains = end_ns > start_ns
        row, start_ns, end_ns = row[remains], start_ns[remains], end_ns[remains]
    order = np.lexsort([start_ns, row])
    return row[order], start_ns[order], end_ns[order]
