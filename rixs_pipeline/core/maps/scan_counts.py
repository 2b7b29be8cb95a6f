"""Counts of a scan, with what the exposure needs of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray


@dataclass(frozen=True)
class PixelCounts:
    """Pulses of one pixel in a scan.

    Attributes
    ----------
    pixel
        Channel number.
    triggers
        Records in each point, whether a cut rejects them or not, i8 (point,).
    occupied
        In which parts of each point there are records, as bits, i8 (point,), see
        `bin_kernel.find_occupied_parts`; 0 where this was not looked for.
    countable
        Records that follow the previous one by the hold-off or more and may be photons,
        i8 (point,).
    accepted
        Countable records that pass all cuts, i8 (point,).
    live_time
        Time in which a record would have been countable, f8 (point,), s.
    away_time
        Time in which its baseline was away, f8 (point,), s; not part of the live time.
    away_error
        Standard deviation of the sum of this time, s.
    after_trigger
        The part of a record that follows its trigger, s; 0 without records.
    pixel_counts
        Photons in the map.
    cut_counts
        Records left after each cut, i8 (cut,).
    cut_limits
        Lowest and highest accepted value, f8 (cut quantity, 2); NaN without cuts.
    """

    pixel: int
    triggers: IntArray
    occupied: IntArray
    countable: IntArray
    accepted: IntArray
    live_time: FloatArray
    away_time: FloatArray
    away_error: float
    after_trigger: float
    pixel_counts: int
    cut_counts: IntArray
    cut_limits: FloatArray


@dataclass(frozen=True)
class ScanCounts:
    """Counts of some or all pixels of a scan.

    Attributes
    ----------
    map_counts
        Photons of all these pixels, i8 (point, emission bin).
    pixel
        Channel numbers, i8 (pixel,). The other arrays are those of `PixelCounts`, with
        the pixel as first dimension.
    """

    map_counts: IntArray
    pixel: IntArray
    triggers: IntArray
    occupied: IntArray
    countable: IntArray
    accepted: IntArray
    live_time: FloatArray
    away_time: FloatArray
    away_error: FloatArray
    after_trigger: FloatArray
    pixel_counts: IntArray
    cut_counts: IntArray
    cut_limits: FloatArray

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled, with counts of the smallest type that holds them.

        A process that merges many blocks would spend most of its time on their zeros.
        """
        counts = self.map_counts
        dtype = np.min_scalar_type(counts.max(initial=0))
        return {**vars(self), "map_counts": counts.astype(dtype)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what was pickled."""
        vars(self).update(state, map_counts=state["map_counts"].astype(np.int64))


PIXEL_ARRAYS = tuple(field.name for field in fields(PixelCounts))


def stack_pixels(map_counts: IntArray, pixels: Sequence[PixelCounts]) -> ScanCounts:
    """Stack the counts of single pixels.

    Parameters
    ----------
    map_counts
        Photons of all pixels, i8 (point, emission bin).
    pixels
        Counts of each pixel.

    Returns
    -------
    ScanCounts
        Pixels in the order given.
    """
    columns = {
        name: np.array([getattr(pixel, name) for pixel in pixels])
        for name in PIXEL_ARRAYS
    }
    return ScanCounts(map_counts=map_counts, **columns)


def merge_blocks(first: ScanCounts, second: ScanCounts) -> ScanCounts:
    """Merge the counts of two blocks of pixels.

    Parameters
    ----------
    first, second
        Counts in the same points and emission bins.

    Returns
    -------
    ScanCounts
        Map counts are added; pixels are sorted by their number.
    """
    order = np.argsort(np.concatenate([first.pixel, second.pixel]), kind="stable")
    columns = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])[order]
        for name in PIXEL_ARRAYS
    }
    return ScanCounts(map_counts=first.map_counts + second.map_counts, **columns)
