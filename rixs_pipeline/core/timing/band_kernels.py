"""Compiled loops over the pulses of one pixel, in bands of pulse height."""

from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.energy.compile import exact
from rixs_pipeline.types import FloatArray, IntArray, PulseColumns


class PulseHeights(NamedTuple):
    """Pulse heights of one pixel and their times, ns since 1970; each (pulse,)."""

    time_ns: IntArray
    height: FloatArray


@exact
def select_pulses(columns: PulseColumns) -> PulseHeights:
    """Return the pulses that have a finite height above 0, in the order of the records.

    Parameters
    ----------
    columns
        Columns (record,) of the file; filtValue is the third of `coefs`.

    Returns
    -------
    PulseHeights
    """
    n_records = len(columns.time_ns)
    time_ns = np.empty(n_records, np.int64)
    height = np.empty(n_records)
    n = 0
    for i in range(n_records):
        time_ns[n] = columns.time_ns[i]
        height[n] = np.float64(columns.coefs[i, 2])
        n += int(0.0 < height[n] < np.inf)
    return PulseHeights(time_ns[:n], height[:n])


@exact
def add_to_bands(
    pulses: PulseHeights, start_ns: int, bin_ns: float, top: float, counts: FloatArray
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
