"""Offset between the emission scales of two samples, from the gains of their pixels.

Both scales rest on the same reference runs, so that most of their errors are shared.
What is not: pixels drift between the runs, each by itself, and the errors of the
reference runs are shared out differently in time. Every pixel is a replica of that.
"""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

MIN_PIXELS = 4  # fewer do not show how they scatter


@dataclass(frozen=True)
class PixelMeans:
    """Mean gains of the pixels of several scans.

    Attributes
    ----------
    pixel
        Channel numbers, ascending, i8 (pixel,).
    gain
        Mean relative gains, f8 (pixel,).
    photons
        Photons that they rest on, i8 (pixel,).
    """

    pixel: IntArray
    gain: FloatArray
    photons: IntArray


@dataclass(frozen=True)
class ScaleDifference:
    """Standard deviation of the difference of two scales, relative to the energy.

    With its degrees of `freedom`; NaN and 0 where there are too few pixels.
    """

    deviation: float
    freedom: int


def mean_gains(
    pixels: list[IntArray], gains: list[FloatArray], photons: list[IntArray]
) -> PixelMeans:
    """Return the mean gain of each pixel over several scans, weighted by photons.

    Parameters
    ----------
    pixels
        Channel numbers of each scan, (pixel,).
    gains
        Relative gains of each scan, (pixel,); NaN has no weight.
    photons
        Of each scan, (pixel,).

    Returns
    -------
    PixelMeans
        Without the pixels that have no weight in any scan.
    """
    gain = np.concatenate(gains)
    weight = np.where(np.isfinite(gain), np.concatenate(photons), 0.0)
    pixel, row = np.unique(np.concatenate(pixels), return_inverse=True)
    total = np.bincount(row, weight)
    weighted_sum = np.bincount(row, weight * np.nan_to_num(gain))
    has_weight = total > 0
    total = total[has_weight]
    mean = weighted_sum[has_weight] / total
    return PixelMeans(pixel[has_weight], mean, total.astype(np.int64))


def scale_difference(
    first: FloatArray, second: FloatArray, photons: IntArray
) -> ScaleDifference:
    """Return the error of the difference of the scales of two samples.

    Parameters
    ----------
    first, second
        Gains of the pixels relative to each other in the two samples, f8 (pixel,).
    photons
        Their weights, (pixel,).

    Returns
    -------
    ScaleDifference
        That of a weighted mean of pixels that differ as these do.
    """
    n = len(photons)
    if n < MIN_PIXELS:
        return ScaleDifference(float("nan"), 0)
    weight = photons / photons.sum()
    difference = first - second
    deviation = difference - weight @ difference
    scatter = float((weight**2 * deviation**2).sum())
    return ScaleDifference(float(np.sqrt(n / (n - 1) * scatter)), n - 1)
