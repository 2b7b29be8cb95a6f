"""Sparse counts of pixels in the pieces of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import CountArray, FloatArray, IndexArray, IntArray


class PieceCounts(NamedTuple):
    """Counts (pixel, piece, bin) without the empty bins, which are most of them.

    A named tuple, which compiled functions accept.

    Attributes
    ----------
    bounds
        Cells of each piece of a pixel, `bounds[pixel, piece]:bounds[pixel, piece + 1]`,
        i8 (pixel, piece + 1).
    bin, photons
        Bin and number of photons of each cell, i4 (cell,). Where pieces were joined, a
        bin may have several cells.
    n_bins
        Number of bins.
    """

    bounds: IntArray
    bin: NDArray[np.int32]
    photons: NDArray[np.int32]
    n_bins: int

    @classmethod
    def stack(cls, parts: Sequence[PieceCounts]) -> PieceCounts:
        """Return the counts of the pixels of all parts, at least one."""
        numbers = [len(part.bin) for part in parts]
        before = np.cumsum(numbers) - numbers
        bounds = [part.bounds + n for part, n in zip(parts, before, strict=True)]
        return cls(
            bounds=np.concatenate(bounds),
            bin=np.concatenate([part.bin for part in parts]),
            photons=np.concatenate([part.photons for part in parts]),
            n_bins=parts[0].n_bins,
        )

    @classmethod
    def from_array(cls, counts: CountArray) -> PieceCounts:
        """Return the counts of an array (pixel, piece, bin)."""
        n_pixels, n_pieces, n_bins = counts.shape
        pixel, piece, column = np.nonzero(counts)
        row = pixel * n_pieces + piece
        ends = np.searchsorted(row, np.arange(1, n_pixels * n_pieces + 1))
        bounds = np.zeros((n_pixels, n_pieces + 1), np.int64)
        bounds[:, 1:] = ends.reshape(n_pixels, n_pieces)
        bounds[1:, 0] = bounds[:-1, -1]
        photons = counts[pixel, piece, column].astype(np.int32)
        return cls(bounds, column.astype(np.int32), photons, n_bins)

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return len(self.bounds)

    @property
    def n_pieces(self) -> int:
        """Number of pieces."""
        return int(self.bounds.shape[1]) - 1

    def select(self, pixels: IndexArray) -> PieceCounts:
        """Return the counts of some pixels."""
        return self._replace(bounds=self.bounds[pixels])

    def join(self, first: IntArray) -> PieceCounts:
        """Return the counts of longer pieces, which begin at `first`, i8 (piece,)."""
        places = np.append(first, self.n_pieces)
        return self._replace(bounds=np.take(self.bounds, places, axis=1))

    def join_evenly(self, n_pieces: int) -> PieceCounts:
        """Return the counts of fewer, about equally long pieces."""
        joined = np.arange(self.n_pieces) * n_pieces // max(self.n_pieces, 1)
        return self.join(np.searchsorted(joined, np.arange(n_pieces)))

    def count_photons(self) -> IntArray:
        """Return the number of photons, i8 (pixel, piece)."""
        before = np.zeros(len(self.photons) + 1, np.int64)
        np.cumsum(self.photons, out=before[1:])
        return np.diff(before[self.bounds], axis=1)

    def sum_pixels(self, row: IndexArray, n_rows: int) -> FloatArray:
        """Return sums over pixels.

        Parameters
        ----------
        row
            Row of the sums to which each pixel adds, (pixel,); -1: none.
        n_rows
            Number of rows.

        Returns
        -------
        FloatArray
            f8 (row, piece, bin).
        """
        # numba: slow to import
        from rixs_pipeline.core.drift.pixel_comparison import piece_kernels

        total = np.zeros((n_rows, self.n_pieces, self.n_bins))
        piece_kernels.add_pixels(self, row, total)
        return total

    def to_array(self) -> FloatArray:
        """Return the counts, f8 (pixel, piece, bin)."""
        return self.sum_pixels(np.arange(self.n_pixels), self.n_pixels)

    def sum_pieces(self) -> FloatArray:
        """Return the counts of the whole scan, f8 (pixel, bin)."""
        return np.asarray(self.join_evenly(1).to_array()[:, 0])
