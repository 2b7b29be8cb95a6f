"""Two calibrations of one pixel at different times: how far its lines moved between them, and whether it jumped."""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.energy import function as ef

Float = NDArray[np.float64]

# Slow drift moves the lines of a pixel by up to 4.3 eV in six hours (measured); a jump moves them by 15 eV and more.
JUMP_EV = 8.0


def line_shifts(before: Float, after: Float, line_energy: Float) -> Float:
    """Energy that the earlier calibration gives to lines of the later one, minus their energy there.

    Args:
        before, after: f8 (pixel, N_PARAMS) of the same pixels.
        line_energy: f8 (line,) eV.

    Returns:
        f8 (pixel, line) eV, base-line drift corrected; NaN where a pixel has no calibration.
    """
    shifts = np.full((len(before), len(line_energy)), np.nan)
    for pixel, (early, late) in enumerate(zip(before, after, strict=True)):
        if np.isfinite(early[ef.CURVE]).all() and np.isfinite(late[ef.CURVE]).all():
            heights = ef.height_of(line_energy, late)
            drift = (
                ef.drift_basis(
                    heights, np.full(len(heights), late[ef.PRETRIGGER_REF]), early
                )
                @ early[ef.DRIFT]
            )
            shifts[pixel] = ef.curve(heights * (1 - drift), early) - line_energy
    return shifts


def jumps(shifts: Float) -> NDArray[np.bool_]:
    """Pixels bool (pixel,) whose lines moved by more than slow drift can: the median over the lines decides."""
    known = np.isfinite(shifts).any(axis=1)
    middle = np.full(len(shifts), 0.0)
    middle[known] = np.nanmedian(shifts[known], axis=1)
    return np.asarray(np.abs(middle) > JUMP_EV)
