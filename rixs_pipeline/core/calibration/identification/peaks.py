"""Find peaks in the pulse heights of a pixel."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

# resolution of the peak search: about that of a TES pixel
SMOOTHING_EV = 2.5
# bins up to the highest pulses of a reference run: one is about 1 eV for lines up to
# 1 keV
FULL_SCALE_EV = 1000.0
N_BINS = int(1.3 * FULL_SCALE_EV)
# fewer pulses have no peaks
MIN_PULSES = 50
# height above the saddle in standard deviations of a Poisson count
MIN_SIGNIFICANCE = 4.0
MAX_PEAKS = 16


@dataclass(frozen=True)
class Peaks:
    """Peaks of one pixel, the most significant first.

    Attributes
    ----------
    pulse_height
        (peak,).
    significance
        (peak,) in standard deviations.
    """

    pulse_height: FloatArray
    significance: FloatArray


NO_PEAKS = Peaks(np.empty(0), np.empty(0))


@dataclass(frozen=True)
class HeightSpectrum:
    """Pulse heights of a pixel, from 0 to a third above nearly all pulses.

    Attributes
    ----------
    counts
        (bin,) i8.
    bin_width
        Width of a bin, pulse height; NaN without pulses.
    """

    counts: IntArray
    bin_width: float


def count_pulse_heights(pulse_height: FloatArray) -> HeightSpectrum:
    """Count pulse heights (event,) in `N_BINS` bins."""
    from rixs_pipeline.core.calibration.pulse_kernels import quantile  # numba: slow

    if not len(pulse_height):
        return HeightSpectrum(np.zeros(N_BINS, dtype=np.int64), np.nan)
    highest = quantile(pulse_height, 0.99)
    bin_width = highest / FULL_SCALE_EV
    clipped = np.clip(pulse_height, 0.0, 2.0 * highest)
    place = clipped / bin_width
    bins = place.astype(np.intp)
    all_counts = np.bincount(bins, minlength=N_BINS)
    return HeightSpectrum(all_counts[:N_BINS].astype(np.int64), bin_width)


def find_peaks(pulse_height: FloatArray) -> Peaks:
    """Find the peaks in the pulse heights (event,) of one pixel.

    The spectrum is smoothed with the resolution of the detector. A peak must rise
    `MIN_SIGNIFICANCE` standard deviations of a Poisson count above the higher of the
    saddles on its sides.
    """
    from scipy.ndimage import gaussian_filter1d  # slow to import

    from rixs_pipeline.core.calibration.identification.assignment_kernels import (
        prominences,
    )

    if len(pulse_height) < MIN_PULSES:
        return NO_PEAKS
    spectrum = count_pulse_heights(pulse_height)
    bin_width = spectrum.bin_width
    counts = spectrum.counts.astype(float)
    smooth = gaussian_filter1d(counts, SMOOTHING_EV, mode="constant")
    # the square root of the counts under the kernel has a standard deviation of 1/2
    kernel_area = 2 * np.sqrt(np.pi) * SMOOTHING_EV
    root = np.sqrt(smooth * kernel_area)
    middle = root[1:-1]
    rises_before = middle > root[:-2]
    falls_after = middle >= root[2:]
    maxima = np.flatnonzero(rises_before & falls_after) + 1
    is_high = 2 * root[maxima] > MIN_SIGNIFICANCE
    maxima = maxima[is_high]
    significance = 2 * prominences(root, maxima)
    is_significant = significance > MIN_SIGNIFICANCE
    maxima = maxima[is_significant]
    significance = significance[is_significant]
    descending = np.argsort(significance)[::-1]
    strongest = descending[:MAX_PEAKS]
    peak_bins = maxima[strongest] + 0.5
    return Peaks(
        pulse_height=peak_bins * bin_width, significance=significance[strongest]
    )
