"""Compiled loops over the pulses of one pixel, in bands of pulse height."""

from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.calibration.pulse_kernels import select_by_rank
from rixs_pipeline.core.energy.compile import exact
from rixs_pipeline.types import FloatArray, IntArray, PulseColumns


class PixelPulses(NamedTuple):
    """Pulses of one pixel, each (pulse,)."""

    time_ns: IntArray
    height: FloatArray


@exact
def select_pulses(columns: PulseColumns) -> PixelPulses:
    """Return the pulses that have a finite height above 0, in the order of the records.

    Parameters
    ----------
    columns
        Of the records.

    Returns
    -------
    PixelPulses
    """
    n_records = len(columns.time_ns)
    time_ns = np.empty(n_records, np.int64)
    height = np.empty(n_records)
    n = 0
    for i in range(n_records):
        time_ns[n] = columns.time_ns[i]
        height[n] = np.float64(columns.coefs[i, 2])
        n += int(0.0 < height[n] < np.inf)
    return PixelPulses(time_ns[:n], height[:n])


def quantile(values: FloatArray, share: float) -> float:
    """Return a quantile of finite values (n,), linear between ranks as `np.quantile`.

    Parameters
    ----------
    values
        At least one.
    share
        0 to 1.

    Returns
    -------
    float
    """
    place = share * (len(values) - 1)
    rank = int(place)
    low = select_by_rank(values, rank)
    high = select_by_rank(values, min(rank + 1, len(values) - 1))
    fraction = place - rank
    if fraction < 0.5:
        return low + (high - low) * fraction
    return high - (high - low) * (1.0 - fraction)


@exact
def add_to_bands(
    pulses: PixelPulses, start_ns: int, bin_ns: float, top: float, counts: FloatArray
) -> None:
    """Add the pulses of a pixel to bands of pulse height and bins of time.

    Parameters
    ----------
    pulses
        Of the pixel.
    start_ns, bin_ns
        Start of the first bin, ns since 1970, and width of the bins, ns.
    top
        Pulse height at which the last band ends; it takes higher ones too.
    counts
        Added to: f8 (band, bin).
    """
    n_bands, n_bins = counts.shape
    for i in range(len(pulses.time_ns)):
        time_bin = min(int((pulses.time_ns[i] - start_ns) / bin_ns), n_bins - 1)
        in_bands = min(pulses.height[i] / top * n_bands, n_bands - 1.0)
        counts[int(in_bands), time_bin] += 1.0
