"""Compiled loops over spectra whose energies are multiplied by a factor."""

import numpy as np

from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.core.energy.compile import exact
from rixs_pipeline.core.energy.kernels import Index
from rixs_pipeline.types import FloatArray, IndexArray


@exact
def find_old_edges(
    edges: FloatArray, gain: float, old_bin: IndexArray, share: FloatArray
) -> None:
    """Find where edges were before energies E became E (1 - gain).

    Parameters
    ----------
    edges
        Edges of the bins before and after, f8 (bin + 1,), uniform.
    gain
        Relative, far below 1.
    old_bin, share
        Written: the bin in which each edge was, (bin + 1,), and the share of the bin
        below it, f8 (bin + 1,). Edges that were outside all bins are at their ends.
    """
    last = len(edges) - 2
    per_width = 1.0 / (edges[1] - edges[0])
    for k in range(len(edges)):
        share[k] = min(max(edges[k] / (1.0 - gain), edges[0]), edges[last + 1])
    place = 0
    for k in range(len(edges)):
        while place < last and edges[place + 1] <= share[k]:
            place += 1
        old_bin[k] = place
        share[k] = (share[k] - edges[place]) * per_width


@exact
def add_stretched(
    counts: FloatArray,
    old_bin: IndexArray,
    share: FloatArray,
    below: FloatArray,
    total: FloatArray,
) -> None:
    """Add a spectrum whose energies E became E (1 - gain).

    Counts of a bin that a new edge divides are shared by width, as with `np.interp` of
    the counts below each edge.

    Parameters
    ----------
    counts
        f8 (bin,).
    old_bin, share
        From `find_old_edges`.
    below
        Overwritten, f8 (bin + 1,).
    total
        Added to: f8 (bin,).
    """
    n_bins = len(counts)
    below[0] = 0.0
    for k in range(n_bins):
        below[k + 1] = below[k] + counts[k]
    last = 0.0
    for k in range(n_bins + 1):
        place = Index(old_bin[k])
        value = below[place] + counts[place] * share[k]
        if k > 0:
            total[k - 1] += value - last
        last = value


@exact
def stretch(counts: FloatArray, edges: FloatArray, gain: FloatArray) -> FloatArray:
    """Return spectra after their energies E became E (1 - gain).

    Parameters
    ----------
    counts
        f8 (spectrum, bin).
    edges
        Edges of the bins before and after, f8 (bin + 1,), uniform.
    gain
        Relative, far below 1, f8 (spectrum,).

    Returns
    -------
    FloatArray
        f8 (spectrum, bin).
    """
    stretched = np.zeros(counts.shape)
    below = np.empty(len(edges))
    share = np.empty(len(edges))
    old_bin = np.empty(len(edges), np.intp)
    for row in range(len(counts)):
        find_old_edges(edges, gain[row], old_bin, share)
        add_stretched(counts[row], old_bin, share, below, stretched[row])
    return stretched


@exact
def sum_stretched(
    counts: PieceCounts, edges: FloatArray, gain: FloatArray
) -> FloatArray:
    """Return the sum over pixels after their energies E became E (1 - gain).

    Parameters
    ----------
    counts
        Of the pixels.
    edges
        Edges of the bins before and after, f8 (bin + 1,), uniform.
    gain
        Of each pixel, relative, far below 1, f8 (pixel,).

    Returns
    -------
    FloatArray
        f8 (piece, bin).
    """
    n_pixels = counts.bounds.shape[0]
    n_pieces = counts.bounds.shape[1] - 1
    total = np.zeros((n_pieces, counts.n_bins))
    spectrum = np.empty(counts.n_bins)
    below = np.empty(len(edges))
    share = np.empty(len(edges))
    old_bin = np.empty(len(edges), np.intp)
    for pixel in range(n_pixels):
        find_old_edges(edges, gain[pixel], old_bin, share)
        for piece in range(n_pieces):
            for k in range(counts.n_bins):
                spectrum[k] = 0.0
            begin = counts.bounds[pixel, piece]
            for i in range(begin, counts.bounds[pixel, piece + 1]):
                spectrum[Index(counts.bin[i])] += counts.photons[i]
            add_stretched(spectrum, old_bin, share, below, total[piece])
    return total
