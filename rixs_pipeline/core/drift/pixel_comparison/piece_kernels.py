"""Compiled loops over the pulses of pixels in the pieces of a scan."""

import numpy as np

from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.core.energy.compile import exact
from rixs_pipeline.core.energy.kernels import Index
from rixs_pipeline.core.maps.bin_kernel import find_bins
from rixs_pipeline.core.maps.kernel_arguments import UniformBins
from rixs_pipeline.types import Float32Array, FloatArray, IntArray, PulseColumns


@exact
def count_in_pieces(
    energy: Float32Array, ends: IntArray, bins: UniformBins, n_bins: int
) -> PieceCounts:
    """Count the photons of a pixel in the pieces of a scan.

    Parameters
    ----------
    energy
        f4 (record,), eV, piece by piece; NaN for records that are not photons.
    ends
        Number of records up to the end of each piece, i8 (piece,).
    bins, n_bins
        The bins and their number.

    Returns
    -------
    PieceCounts
        Of one pixel.
    """
    n_pieces = len(ends)
    longest = 0
    for piece in range(n_pieces):
        begin = ends[piece - 1] if piece else 0
        longest = max(longest, ends[piece] - begin)
    is_photon = np.empty(longest, np.bool_)
    bin_of_record = np.empty(longest, np.int64)
    spectrum = np.zeros(n_bins + 1, np.int32)  # the last bin takes what is in no other
    bounds = np.zeros((1, n_pieces + 1), np.int64)
    bins_with_photons = np.empty(min(len(energy), n_pieces * n_bins), np.int32)
    photons = np.empty(len(bins_with_photons), np.int32)
    number = 0
    for piece in range(n_pieces):
        begin = ends[piece - 1] if piece else 0
        of_piece = energy[begin : ends[piece]]
        for i in range(len(of_piece)):
            is_photon[i] = of_piece[i] == of_piece[i]
        find_bins(of_piece, is_photon, bins, n_bins, bin_of_record)
        for i in range(len(of_piece)):
            place = bin_of_record[i]
            if spectrum[Index(place)] == 0 and place < n_bins:
                bins_with_photons[number] = place
                number += 1
            spectrum[Index(place)] += 1
        for cell in range(bounds[0, piece], number):
            place = bins_with_photons[cell]
            photons[cell] = spectrum[Index(place)]
            spectrum[Index(place)] = 0
        bounds[0, piece + 1] = number
    return PieceCounts(bounds, bins_with_photons[:number], photons[:number], n_bins)


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
        Longer pieces are thinned out to at least so many records, less than twice them.

    Returns
    -------
    FloatArray
        f8 (piece,); NaN without any.
    """
    means = np.empty(len(first))
    for piece in range(len(first)):
        step = max(1, (stop[piece] - first[piece]) // enough)
        total = 0.0
        number = 0
        for i in range(first[piece], stop[piece], step):
            value = np.float64(records.pretrigger_mean[Index(i)])
            if low <= value <= high:
                total += value
                number += 1
        means[piece] = total / number if number else np.nan
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
