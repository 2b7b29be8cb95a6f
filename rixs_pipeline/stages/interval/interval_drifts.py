"""The common drift of each interval between reference runs, fitted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rixs_pipeline.config.calibration import HiddenDriftConfig
from rixs_pipeline.core.drift.common_drift.measurements import (
    NO_HIDDEN_DRIFT,
    HiddenDrift,
)
from rixs_pipeline.core.drift.common_drift.piece_shifts import PieceShifts
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.interval.align_pixels import (
    LineErrors,
    align_task,
    emission_range,
    spectrum_edges,
)
from rixs_pipeline.stages.interval.array_spectra import ArraySpectra
from rixs_pipeline.stages.interval.compare_pixels import CompareTask
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.interval.run_drift import (
    RunDrift,
    read_run_drift,
    scale_energies,
)
from rixs_pipeline.stages.interval.scan_scales import (
    IntervalScales,
    ScanScale,
    fit_interval,
)
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.types import FloatArray


@dataclass(frozen=True)
class CorrectedScan:
    """Energy functions of a scan, and how its scale was corrected; None: it was not."""

    energies: tuple[PixelEnergy, ...]
    scale: ScanScale | None


class IntervalDrifts:
    """Common drift of the scans of each interval, from their companions."""

    def __init__(
        self, context: RunContext, calibrations: SurroundingCalibrations
    ) -> None:
        self._context = context
        self._calibrations = calibrations
        # by the reference run and those around the scan, which give the energies
        self._runs: dict[tuple[Path, ...], RunDrift] = {}
        self._fits: dict[tuple[str, ...], IntervalScales] = {}
        self._memo: dict[tuple[object, ...], PieceShifts] = {}

    def edges(self, scan: Run) -> FloatArray:
        """Return the edges (bin + 1,) eV of the spectra that align a scan."""
        highest = 0.0
        for calibration in self._calibrations.read(scan):
            lines = calibration["line_energy"].values
            highest = max(highest, float(lines.max(initial=0.0)))
        return spectrum_edges(emission_range(highest))

    def energies(self, scan: Run) -> FloatArray:
        """Return the energies (energy,), eV, at which levers are given."""
        return scale_energies(self.edges(scan))

    def runs(self, scan: Run) -> list[RunDrift]:
        """Return the drift in the reference runs around a scan."""
        interval = self._calibrations.interval(scan)
        for path, product in zip(interval, self._calibrations.read(scan), strict=True):
            if (path, *interval) not in self._runs:
                self._runs[path, *interval] = read_run_drift(
                    product, self.energies(scan)
                )
        return [self._runs[path, *interval] for path in interval]

    def compare_task(self, scan: Run, energies: tuple[PixelEnergy, ...]) -> CompareTask:
        """Return the task that compares the pixels of a scan.

        Parameters
        ----------
        scan : Run
            The scan.
        energies : tuple of PixelEnergy
            Energy functions of its pixels.

        Returns
        -------
        CompareTask

        Raises
        ------
        InputError
            A pulse file cannot be read.
        """
        config = self._context.config.calibration
        return CompareTask(
            scan,
            align_task(scan, energies, self.edges(scan)),
            line_errors=list(map(LineErrors, self._calibrations.read(scan))),
            runs=self.runs(scan),
            energies=self.energies(scan),
            displaced_pixels=config.displaced_pixels,
            is_aligned=config.align,
        )

    def correct(
        self,
        scan: Run,
        aligned: tuple[PixelEnergy, ...],
        arrays: Mapping[str, ArraySpectra],
    ) -> CorrectedScan:
        """Correct the scale of a scan.

        Parameters
        ----------
        scan : Run
            The scan.
        aligned : tuple of PixelEnergy
            Energy functions of its pixels, aligned with each other.
        arrays : mapping of str to ArraySpectra
            By scan; those of its companions are used.

        Returns
        -------
        CorrectedScan
        """
        runs = self.runs(scan)
        names = tuple(
            companion.name
            for companion in self._calibrations.fitted_with(scan)
            if companion.name in arrays
        )
        if not runs or scan.name not in names:
            return CorrectedScan(aligned, None)
        calibration = self._context.config.calibration
        if names not in self._fits:
            lines = {
                name: line.energy
                for name, line in self._context.reference_set.lines.items()
            }
            self._fits[names] = fit_interval(
                [arrays[name] for name in names],
                runs,
                lines,
                self.edges(scan),
                self.energies(scan),
                self._memo,
                hidden_drift=_stated_drift(calibration.hidden_drift),
                is_applied=calibration.scan_drift == "auto",
            )
        fit = self._fits[names]
        row = names.index(scan.name)
        return CorrectedScan(fit.correct(row, aligned), fit.scale(row))


def _stated_drift(
    configured: HiddenDriftConfig | Literal["auto", 0],
) -> HiddenDrift | None:
    """Return the hidden drift that the config states; None: it is to be learned."""
    if configured == "auto":
        return None
    if isinstance(configured, HiddenDriftConfig):
        return HiddenDrift(configured.size, configured.period)
    return NO_HIDDEN_DRIFT
