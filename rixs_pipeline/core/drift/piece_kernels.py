"""Compiled loops over the photons of pixels in the pieces of a scan."""

import numpy as np

from rixs_pipeline.core.drift.piece_counts import PieceCounts
from rixs_pipeline.core.energy.compile import exact
from rixs_pipeline.core.energy.kernels import Index
from rixs_pipeline.types import FloatArray, IntArray, PulseColumns

STRIDE = 16  # bins that are looked at together: most of them have no photons


@exact
def take_counts(counts: IntArray, n_photons: int) -> PieceCounts:
    """Return the counts of a pixel, and set them to 0.

    Parameters
    ----------
    counts
        i8 (piece, bin + 1); the last column is left out.
    n_photons
        How many photons there are, or more.

    Returns
    -------
    PieceCounts
        Of one pixel.
    """
    n_pieces = counts.shape[0]
    n_bins = counts.shape[1] - 1
    bounds = np.zeros((1, n_pieces + 1), np.int64)
    bins = np.empty(n_photons, np.int32)
    photons = np.empty(n_photons, np.int32)
    number = 0
    for piece in range(n_pieces):
        counts[piece, n_bins] = 0
        for begin in range(0, n_bins, STRIDE):
            part = counts[piece, begin : min(begin + STRIDE, n_bins)]
            any_photons = 0
            for k in range(len(part)):
                any_photons |= part[k]
            if any_photons:
                for k in range(len(part)):
                    if part[k]:
                        bins[number] = begin + k
                        photons[number] = part[k]
                        number += 1
                        part[k] = 0
        bounds[0, piece + 1] = number
    return PieceCounts(bounds, bins[:number].copy(), photons[:number].copy(), n_bins)


@exact
def mean_baselines(
    records: PulseColumns,
    first: IntArray,
    stop: IntArray,
    low: float,
    high: float,
    enough: int,
) -> FloatArray:
    """Return the mean of some accepted pretrigger means in each piece of a scan.

    Parameters
    ----------
    records
        Columns of the records of a pixel.
    first, stop
        Records of each piece, `first[piece]:stop[piece]`, i8 (piece,).
    low, high
        Accepted range of the pretrigger mean.
    enough
        Number of records to which longer pieces are thinned out, within a factor of 2.

    Returns
    -------
    FloatArray
        f8 (piece,); NaN without any.
    """
    means = np.full(len(first), np.nan)
    for piece in range(len(first)):
        step = max(1, (stop[piece] - first[piece]) // enough)
        total = 0.0
        number = 0
        for i in range(first[piece], stop[piece], step):
            value = np.float64(records.pretrigger_mean[Index(i)])
            if low <= value <= high:
                total += value
                number += 1
        if number:
            means[piece] = total / number
    return means


@exact
def add_pixels(counts: PieceCounts, row: IntArray, total: FloatArray) -> None:
    """Add the counts of pixels to sums.

    Parameters
    ----------
    counts
        Of the pixels.
    row
        Row of the sums to which each pixel adds, i8 (pixel,); -1: none.
    total
        Added to: f8 (row, piece, bin).
    """
    bounds = counts.bounds
    for pixel in range(bounds.shape[0]):
        if row[pixel] < 0:
            continue
        for piece in range(bounds.shape[1] - 1):
            of_piece = total[row[pixel], piece]
            for i in range(bounds[pixel, piece], bounds[pixel, piece + 1]):
                of_piece[Index(counts.bin[i])] += counts.photons[i]


@exact
def sum_surprise(
    counts: PieceCounts, surprise: FloatArray, per_photon: float
) -> FloatArray:
    """Return the surprise at the photons of each pixel in each piece.

    Parameters
    ----------
    counts
        Of the pixels.
    surprise
        At a photon, f8 (group, piece, bin); pixels belong to the groups in turn.
    per_photon
        Surprise that a photon may cause.

    Returns
    -------
    FloatArray
        f8 (pixel, piece).
    """
    bounds = counts.bounds
    n_pixels = bounds.shape[0]
    n_pieces = bounds.shape[1] - 1
    total = np.zeros((n_pixels, n_pieces))
    for pixel in range(n_pixels):
        for piece in range(n_pieces):
            of_piece = surprise[pixel % surprise.shape[0], piece]
            for i in range(bounds[pixel, piece], bounds[pixel, piece + 1]):
                excess = of_piece[Index(counts.bin[i])] - per_photon
                total[pixel, piece] += counts.photons[i] * excess
    return total
