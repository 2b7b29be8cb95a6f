"""Shifts of a pixel's lines between two calibrations, and gain jumps."""

import numpy as np

from rixs_pipeline.core.energy import curve_energy, curve_height, drift_basis, layout
from rixs_pipeline.types import BoolArray, FloatArray

# Slow drift moves the lines of a pixel by up to 4.3 eV in six hours (measured); a gain
# jump moves them by 15 eV and more.
JUMP_EV = 8.0


def line_shifts(
    before: FloatArray, after: FloatArray, line_energy: FloatArray
) -> FloatArray:
    """Return how far lines have moved between two calibrations of the same pixels.

    Parameters
    ----------
    before, after
        (pixel, param) of the energy functions.
    line_energy
        (line,) eV on the later calibration.

    Returns
    -------
    float array
        (pixel, line) energies on the earlier calibration minus `line_energy`, eV,
        corrected for the drift of the baseline; NaN without a calibration.
    """
    n_pixels = len(before)
    n_lines = len(line_energy)
    shifts = np.full((n_pixels, n_lines), np.nan)
    is_calibrated = _have_curves(before) & _have_curves(after)
    for pixel in np.flatnonzero(is_calibrated):
        early = before[pixel]
        late = after[pixel]
        heights = curve_height(line_energy, late)
        late_baseline = late[layout.PRETRIGGER_REF]
        baseline = np.full(n_lines, late_baseline)
        basis = drift_basis(heights, baseline, early)
        drift = basis @ early[layout.DRIFT]
        corrected_heights = heights * (1 - drift)
        early_energy = curve_energy(corrected_heights, early)
        shifts[pixel] = early_energy - line_energy
    return shifts


def have_jumped(shifts: FloatArray) -> BoolArray:
    """Return which pixels (pixel,) moved by more than slow drift can move them.

    The median over the lines of `shifts` (pixel, line) eV decides.
    """
    is_measured = np.isfinite(shifts)
    has_lines = is_measured.any(axis=1)
    median_shift = np.zeros(len(shifts))
    medians = np.nanmedian(shifts[has_lines], axis=1)
    median_shift[has_lines] = medians
    exceeds_drift: BoolArray = np.abs(median_shift) > JUMP_EV
    return exceeds_drift


def _have_curves(params: FloatArray) -> BoolArray:
    """Return which pixels (pixel,) have an energy function; `params` (pixel, param)."""
    curves = params[:, layout.CURVE]
    is_known = np.isfinite(curves)
    return np.asarray(is_known.all(axis=1))
