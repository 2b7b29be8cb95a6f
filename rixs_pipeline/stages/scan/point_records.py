"""Pulse records of a pixel within the points of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.maps.kernel_arguments import PointSlices
from rixs_pipeline.io.formats import off
from rixs_pipeline.types import IntArray, PulseColumns


@dataclass(frozen=True)
class PointRecords:
    """Pulse records of a pixel, and which of them lie in each point of a scan."""

    columns: PulseColumns  # in order of time within the points
    slices: PointSlices

    @property
    def number(self) -> IntArray:
        """Records in each point, (point,)."""
        return self.slices.stop - self.slices.first


def find_point_records(
    records: NDArray[np.void], start_ns: IntArray, end_ns: IntArray
) -> PointRecords:
    """Find the records in the points of a scan; only these are read.

    The acquisition writes records in order of time; others are sorted in memory.

    Parameters
    ----------
    records
        All records (record,) of the pixel's file.
    start_ns, end_ns
        Start and end of the points, i8 (point,), ns since 1970.

    Returns
    -------
    PointRecords
        Columns of all records, and the slice of each point.
    """
    from rixs_pipeline.core.maps import bin_kernel  # compiled, or read from its cache

    columns = off.columns(records)
    slices = bin_kernel.find_point_slices(columns.time_ns, start_ns, end_ns)
    if not bin_kernel.is_in_order(columns.time_ns, slices):
        columns = off.columns(records[np.argsort(columns.time_ns, kind="stable")])
        slices = bin_kernel.find_point_slices(columns.time_ns, start_ns, end_ns)
    return PointRecords(columns, slices)
