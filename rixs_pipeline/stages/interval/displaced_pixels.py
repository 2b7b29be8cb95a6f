"""Compare the pixels of a scan: which ones stand far off the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rixs_pipeline.core.drift.pixel_comparison.displaced_pixels import (
    Displacements,
    find_displaced,
)
from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import FloatArray, PixelState, PixelStatus


def mark_displaced(
    energies: tuple[PixelEnergy, ...],
    spectra: PieceCounts,
    edges: FloatArray,
    *,
    exclude: bool,
) -> tuple[PixelEnergy, ...]:
    """Mark the pixels that stand off the others in a scan, and leave them out.

    Parameters
    ----------
    energies
        Energy functions of the pixels of the scan.
    spectra
        Counts of each pixel, from `first_pass.first_pass`.
    edges
        Edges of the bins, f8 (bin + 1,), eV.
    exclude
        Whether displaced pixels are left out. They never are if half of the pixels
        stand off, so that which ones are right is not known.

    Returns
    -------
    tuple of PixelEnergy
        In the same order.
    """
    displacements = find_displaced(spectra, edges)
    marked = list(energies)
    for row in np.flatnonzero(displacements.is_displaced | displacements.is_unlike):
        shift = (
            np.inf if displacements.is_unlike[row] else float(displacements.shift[row])
        )
        marked[row] = replace(marked[row], displacement=shift)
        if exclude and not displacements.is_undetermined:
            status = _displaced_status(displacements, int(row))
            marked[row] = PixelEnergy(status, displacement=shift)
    return tuple(marked)


def _displaced_status(displacements: Displacements, row: int) -> PixelStatus:
    """Return the status of a pixel that is left out."""
    where = ""
    if displacements.share[row] < 1:
        where = f" in {100 * displacements.share[row]:.0f} % of the scan"
    if displacements.is_unlike[row]:
        return PixelStatus(PixelState.UNLIKE, f"spectrum differs{where}")
    detail = f"{displacements.shift[row]:+.1f} eV against the other pixels{where}"
    return PixelStatus(PixelState.DISPLACED, detail)
