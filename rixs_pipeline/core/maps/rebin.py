"""Blocks of bins with enough counts each, for maps that are looked at.

A map is divided, and each part again, near the middle of its longer side where both
parts keep enough counts, otherwise of its shorter side. Where photons are many, blocks
are single bins; where they are few, blocks are large. Sums over blocks are exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray


@dataclass(frozen=True)
class Blocks:
    """Rectangles that cover a map of `shape` (points, bins) without overlap.

    Attributes
    ----------
    starts, ends : i8 (block, 2)
        First point and bin, and those after the last ones.
    """

    shape: tuple[int, int]
    starts: IntArray
    ends: IntArray

    def sums(self, values: FloatArray | IntArray) -> FloatArray:
        """Return the sum of values (point, bin) in each block, (block,)."""
        table = _cumulative(np.asarray(values, float))
        (first_point, first_bin), (end_point, end_bin) = self.starts.T, self.ends.T
        upper = table[end_point, end_bin] - table[first_point, end_bin]
        lower = table[end_point, first_bin] - table[first_point, first_bin]
        return np.asarray(upper - lower)

    def fill(self, values: FloatArray) -> FloatArray:
        """Return a map (point, bin) with the value of each block (block,) in it."""
        filled = np.empty(self.shape)
        corners = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        for value, ((point, first_bin), (end_point, end_bin)) in zip(
            values, corners, strict=True
        ):
            filled[point:end_point, first_bin:end_bin] = value
        return filled


def find_blocks(counts: IntArray, least_counts: int) -> Blocks:
    """Divide a map into blocks that have enough counts.

    Parameters
    ----------
    counts : i8 (point, bin)
        At least one of both.
    least_counts : int
        Of each block; a map that has fewer is one block.

    Returns
    -------
    Blocks
    """
    table = _cumulative(counts)
    corners = list(_divide(table, (0, 0, *counts.shape), least_counts))
    blocks = np.array(corners, np.int64)
    return Blocks((counts.shape[0], counts.shape[1]), blocks[:, :2], blocks[:, 2:])


def _cumulative(values: FloatArray | IntArray) -> FloatArray | IntArray:
    """Return sums (point + 1, bin + 1) of all values before a point and bin."""
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1), values.dtype)
    values.cumsum(axis=0).cumsum(axis=1, out=table[1:, 1:])
    return table


def _divide(
    table: FloatArray | IntArray, block: tuple[int, int, int, int], least_counts: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield the blocks (first point, first bin, end point, end bin) of a block."""
    undivided = [block]
    while undivided:
        point, first_bin, end_point, end_bin = block = undivided.pop()
        along_points = table[point : end_point + 1, end_bin]
        along_points = along_points - table[point : end_point + 1, first_bin]
        along_bins = table[end_point, first_bin : end_bin + 1]
        along_bins = along_bins - table[point, first_bin : end_bin + 1]
        has_more_points = end_point - point > end_bin - first_bin
        for is_along_points in (has_more_points, not has_more_points):
            passed = along_points if is_along_points else along_bins
            place = _division(passed, least_counts)
            if not place:
                continue
            if is_along_points:
                middle = point + place
                undivided.append((point, first_bin, middle, end_bin))
                undivided.append((middle, first_bin, end_point, end_bin))
            else:
                middle = first_bin + place
                undivided.append((point, first_bin, end_point, middle))
                undivided.append((point, middle, end_point, end_bin))
            break
        else:
            yield block


def _division(passed: FloatArray | IntArray, least_counts: int) -> int:
    """Return where to divide, nearest to the middle; 0 if that is not possible.

    `passed` (n + 1,): counts up to each place.
    """
    total = passed[-1] - passed[0]
    if total < 2 * least_counts:
        return 0
    first = int(np.searchsorted(passed, passed[0] + least_counts, side="left"))
    last = int(np.searchsorted(passed, passed[-1] - least_counts, side="right")) - 1
    if first > last:
        return 0
    middle = (len(passed) - 1) // 2
    return min(max(middle, first), last)
