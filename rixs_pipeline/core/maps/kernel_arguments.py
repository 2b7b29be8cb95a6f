"""What the binning kernel takes and returns: named tuples, as numba takes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

TIME_PARTS = 32  # of each point, in which records are looked for: bits of an integer


class UniformBins(NamedTuple):
    """Uniform emission bins: lowest edge, width and highest edge, eV."""

    lowest: float
    width: float
    highest: float


class PointSlices(NamedTuple):
    """Records of each scan point: `first[j]:stop[j]`, i8 (point,) each."""

    first: IntArray
    stop: IntArray


class PointBatch(NamedTuple):
    """Scan points to be binned together.

    Attributes
    ----------
    first, stop
        Records of each point, `first[j]:stop[j]`, i8 (point,).
    row
        Row of `counts` to which a point adds, i8 (point,).
    later_share
        Weight of the later of two calibrations, f8 (point,), 0 to 1.
    """

    first: IntArray
    stop: IntArray
    row: IntArray
    later_share: FloatArray

    def select(self, points: slice) -> PointBatch:
        """Return the batch of some of the points."""
        return PointBatch(
            first=self.first[points],
            stop=self.stop[points],
            row=self.row[points],
            later_share=self.later_share[points],
        )


class KernelHeights(NamedTuple):
    """Pulse heights: one for which the energy is finite, and the lowest of photons."""

    safe: float
    lowest: float


class BinOptions(NamedTuple):
    """How records of one pixel become counts.

    Attributes
    ----------
    cut_limits
        Lowest and highest accepted value, f8 (4, 2), of residual, pretrigger mean,
        arrival phase and time since the previous record (s); NaN accepts nothing.
    params
        Parameters of the energy function in the earlier and the later calibration,
        f8 (2, N_PARAMS).
    bins
        The emission bins.
    lowest_height
        Rejected records below this pulse height are no photons.
    """

    cut_limits: FloatArray
    params: FloatArray
    bins: UniformBins
    lowest_height: float = 0.0


class RecordTally(NamedTuple):
    """How many records were counted.

    Attributes
    ----------
    accepted
        Records that pass all cuts, i8 (point,).
    countable
        Records that follow the previous one by the hold-off or more and may be photons,
        i8 (point,).
    cut_counts
        Records left after each cut, i8 (N_CUTS,).
    """

    accepted: IntArray
    countable: IntArray
    cut_counts: IntArray


NO_PHOTON_LIST = np.empty(0, np.float32)
"""Given to the kernel where the energies of the photons are not kept."""
