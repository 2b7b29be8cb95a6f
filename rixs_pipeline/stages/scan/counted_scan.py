"""A scan with its counts and the energy functions of its pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.maps.scan_counts import ScanCounts
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.point_records import MIN_PULSES_FOR_CUTS
from rixs_pipeline.types import BoolArray, PixelState, PixelStatus

# Pulses of one pixel: with as many, a pixel without any is no chance, since throughputs
# differ twofold.
MANY_PULSES = 100

CHANGED = PixelStatus(
    PixelState.NOISY, "residual or base line far from those of its reference run"
)
SILENT = PixelStatus(PixelState.SILENT)


@dataclass(frozen=True)
class CountedScan:
    """A scan with its counts, and an energy function for each pixel of them."""

    scan: Run
    counts: ScanCounts
    energies: tuple[PixelEnergy, ...]  # in the order of `counts.pixel`

    @property
    def is_used(self) -> BoolArray:
        """Which pixels are used, (pixel,)."""
        return np.array([energy.is_used for energy in self.energies], bool)

    def without(self, is_rejected: BoolArray, status: PixelStatus) -> CountedScan:
        """Return the scan without some of its pixels.

        Parameters
        ----------
        is_rejected
            Whether a pixel is rejected, bool (pixel,).
        status
            The status that the rejected pixels get.

        Returns
        -------
        CountedScan
            Its counts are the same: rejected pixels have no exposure.
        """
        energies = list(self.energies)
        for row in np.flatnonzero(is_rejected):
            energies[row] = PixelEnergy(status)
        return replace(self, energies=tuple(energies))


def exclude_changed_pixels(counted: CountedScan) -> CountedScan:
    """Exclude pixels whose pulses differ from those of their reference run.

    Their pulses were not counted: see `point_records.select_cuts`.
    """
    has_pulses = counted.counts.triggers.sum(axis=1) >= MIN_PULSES_FOR_CUTS
    has_no_cuts = np.isnan(counted.counts.cut_limits).any(axis=(1, 2))
    return counted.without(counted.is_used & has_pulses & has_no_cuts, CHANGED)


def exclude_silent_pixels(counted: CountedScan) -> CountedScan:
    """Exclude pixels without a pulse in a scan in which another one has many.

    Such a pixel was switched off or out of lock: the time in which it could not see a
    photon is no exposure.
    """
    pulses = counted.counts.triggers.sum(axis=1)
    if pulses[counted.is_used].max(initial=0) <= MANY_PULSES:
        return counted
    return counted.without(counted.is_used & (pulses == 0), SILENT)
