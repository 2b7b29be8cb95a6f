"""Photons of pixels held against densities, in stretches of a scan.

References
----------
.. [1] J. Bentley, Commun. ACM 27, 865 (1984): the maximum subarray.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

BACKGROUND_SHARE = 0.05  # flat, so that a stray photon decides nothing


@dataclass(frozen=True)
class Excess:
    """How much better a hypothesis explains the photons of pixels, (pixel,) each.

    Attributes
    ----------
    value
        Of the log likelihood.
    place
        Index of the best gain or width.
    share
        Of the pieces of the scan.
    """

    value: FloatArray
    place: IntArray
    share: FloatArray


def smooth_log_density(counts: FloatArray, smoothing: float) -> FloatArray:
    """Return the logarithm of the smoothed density (..., bin) of counts (..., bin).

    `smoothing` is the standard deviation of the Gaussian in bins.
    """
    from scipy.ndimage import gaussian_filter1d

    n_bins = counts.shape[-1]
    total = counts.sum(axis=-1, keepdims=True)
    smooth = gaussian_filter1d(counts, smoothing, mode="nearest")
    scale = (1 - BACKGROUND_SHARE) / np.maximum(total, 1.0)
    return np.asarray(np.log(scale * smooth + BACKGROUND_SHARE / n_bins))


def best_stretch(excess: FloatArray) -> Excess:
    """Return the largest sum over contiguous pieces, and where it is.

    Parameters
    ----------
    excess
        (pixel, piece, hypothesis), of the log likelihood
    """
    n_pixels, n_pieces, n_hypotheses = excess.shape
    running = np.full((n_pixels, n_hypotheses), -np.inf)
    length = np.zeros((n_pixels, n_hypotheses), np.int64)
    best = running.copy()
    best_length = length.copy()
    for piece in range(n_pieces):
        goes_on = running > 0
        running = np.where(goes_on, running, 0.0) + excess[:, piece]
        length = np.where(goes_on, length, 0) + 1
        is_better = running > best
        best = np.where(is_better, running, best)
        best_length = np.where(is_better, length, best_length)
    place = np.argmax(best, axis=1)
    pixels = np.arange(n_pixels)
    return Excess(
        value=best[pixels, place],
        place=place,
        share=best_length[pixels, place] / n_pieces,
    )
