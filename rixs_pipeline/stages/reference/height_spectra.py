"""Pulse-height spectra and peaks of a reference run: what is there before any scale."""

from __future__ import annotations

import numpy as np

from rixs_pipeline.core.calibration.identification.line_assignment import (
    line_tolerances,
)
from rixs_pipeline.core.calibration.identification.peaks import count_pulse_heights
from rixs_pipeline.core.calibration.reference_run import Calibration
from rixs_pipeline.core.energy import curve_energy
from rixs_pipeline.schema import Variables

# a peak is named if it is within so many tolerances of a fitted line
NAME_TOLERANCES = 3.0


def height_variables(result: Calibration) -> Variables:
    """Return the pulse-height spectra of the pixels, and their peaks.

    Parameters
    ----------
    result
        The calibration.

    Returns
    -------
    dict
        Name -> (dimensions, array). Pixels with fewer peaks than others have NaN.
    """
    counts = []
    widths = []
    n_peaks = max((len(peaks.pulse_height) for peaks in result.peaks), default=0)
    heights = np.full((len(result.pulses), n_peaks), np.nan)
    names = np.full((len(result.pulses), n_peaks), "", dtype=object)
    for row, pulses in enumerate(result.pulses):
        spectrum = count_pulse_heights(pulses.pulse_height)
        counts.append(spectrum.counts)
        widths.append(spectrum.bin_width)
        peak_heights = np.sort(result.peaks[row].pulse_height)
        heights[row, : len(peak_heights)] = peak_heights
        names[row, : len(peak_heights)] = _peak_names(result, row, peak_heights)
    return {
        "height_bin_width": (("pixel",), np.array(widths)),
        "height_counts": (("pixel", "height_bin"), np.stack(counts)),
        "peak_pulse_height": (("pixel", "peak"), heights),
        "peak_line": (("pixel", "peak"), names),
    }


def _peak_names(result: Calibration, row: int, heights: np.ndarray) -> list[str]:
    """Return the lines of peaks at pulse heights (peak,); "" for a peak of none."""
    energy = result.lines.energy
    if not len(energy):
        return [""] * len(heights)
    reach = NAME_TOLERANCES * line_tolerances(energy)
    names = []
    for peak_energy in curve_energy(heights, result.params[row]):
        distance = np.abs(peak_energy - energy)
        is_near = distance < reach
        line = int(np.argmin(np.where(is_near, distance, np.inf)))
        names.append(result.lines.names[line] if is_near.any() else "")
    return names
