"""A scan with its counts and the energy functions of its pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.maps.scan_counts import ScanCounts
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.point_records import MIN_PULSES_FOR_CUTS
from rixs_pipeline.types import BoolArray, PixelState, PixelStatus

if TYPE_CHECKING:
    from rixs_pipeline.stages.interval.scan_scales import ScanScale

# Pulses of one pixel: with as many, a pixel without any is no chance, since throughputs
# differ twofold.
MANY_PULSES = 100

CHANGED = PixelStatus(
    PixelState.NOISY,
    "residual, baseline or sign of the pulses far from its reference run",
)
SILENT = PixelStatus(PixelState.SILENT)


@dataclass(frozen=True)
class CountedScan:
    """A scan with its counts, and an energy function for each pixel of them."""

    scan: Run
    counts: ScanCounts
    energies: tuple[PixelEnergy, ...]  # in the order of `counts.pixel`
    warnings: tuple[str, ...] = ()  # one line each
    scale: ScanScale | None = None  # how the energy scale was corrected, and its error

    @property
    def is_used(self) -> BoolArray:
        """Which pixels are used, (pixel,)."""
        return np.array([energy.status.is_ok for energy in self.energies], bool)

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


def exclude_unusable_pixels(
    counted: CountedScan, *, has_cuts: bool = True
) -> CountedScan:
    """Exclude pixels that changed since their reference run, or were silent.

    The pulses of a pixel without cuts differ from those of its reference run: they were
    not counted, see `point_records.select_cuts`. A pixel without a pulse, in a scan in
    which another one has many, was switched off or out of lock: the time in which it
    could not see a photon is no exposure.

    Parameters
    ----------
    counted
        A scan with its counts.
    has_cuts
        Whether cuts were applied; they are not to photons that are calibrated already.

    Returns
    -------
    CountedScan
        The excluded pixels have a status that says why.
    """
    counts = counted.counts
    pulses = counts.triggers.sum(axis=1)
    has_no_cuts = np.isnan(counts.cut_limits).any(axis=(1, 2))
    has_enough_pulses = pulses >= MIN_PULSES_FOR_CUTS
    has_changed = has_no_cuts & has_enough_pulses & counted.is_used
    if has_cuts and has_changed.any():
        counted = counted.without(has_changed, CHANGED)
    is_silent = (pulses == 0) & counted.is_used
    if is_silent.any() and pulses[counted.is_used].max() > MANY_PULSES:
        counted = counted.without(is_silent, SILENT)
    return counted
