"""Throughput of pixels: those that the leading scan of a sample does not have."""

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray, IntArray


def complete_throughput(
    throughput: FloatArray,
    is_known: BoolArray,
    photons: IntArray,
    live_time: FloatArray,
) -> FloatArray:
    """Return the throughput of all pixels of a scan.

    A pixel without one gets its rate in this scan, on the scale that the throughputs of
    the other pixels have to their rates: w_p = r_p (sum of w) / (sum of r).

    Parameters
    ----------
    throughput
        f8 (pixel,), relative to the mean pixel.
    is_known
        Which pixels have one, (pixel,).
    photons
        Photons of each pixel in the map, i8 (pixel,).
    live_time
        Live time of each pixel, f8 (pixel,), s.

    Returns
    -------
    FloatArray
        f8 (pixel,); 1 for unknown pixels where the others have no photons.
    """
    rate = np.zeros(len(photons))
    np.divide(photons, live_time, out=rate, where=live_time > 0)
    completed = np.where(is_known, throughput, 1.0)
    rate_sum = rate[is_known].sum()
    if rate_sum > 0:
        weight_sum = completed[is_known].sum()
        completed[~is_known] = rate[~is_known] * weight_sum / rate_sum
    return completed
