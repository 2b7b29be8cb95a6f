"""Count the photons of scans; the blocks of pixels of all scans are one stream."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rixs_pipeline import progress
from rixs_pipeline.core.maps.scan_counts import ScanCounts, merge_blocks
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.scan import align_pixels, chunks
from rixs_pipeline.stages.scan.calibrated_photons import count_calibrated_photons
from rixs_pipeline.stages.scan.count_photon_list import count_photon_list
from rixs_pipeline.stages.scan.count_pulses import CountTask, count_block
from rixs_pipeline.stages.scan.counted_scan import (
    CountedScan,
    exclude_changed_pixels,
    exclude_silent_pixels,
)
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.scan_map import map_edges
from rixs_pipeline.stages.scan.surrounding_calibrations import SurroundingCalibrations
from rixs_pipeline.types import FloatArray, IntArray, Outcome

PixelEnergies = tuple[PixelEnergy, ...]  # in the order of a scan's files


@dataclass(frozen=True)
class ScanCounter:
    """Counts scans.

    Attributes
    ----------
    context : RunContext
        The reduction.
    calibrations : SurroundingCalibrations
        Of the scans.
    photon_stores : mapping of str to Path
        Scans whose calibrated photons are stored already: their pulses are not read.
    """

    context: RunContext
    calibrations: SurroundingCalibrations
    photon_stores: Mapping[str, Path]

    def count(
        self, scans: Sequence[Run], part_folders: Mapping[str, Path]
    ) -> Iterator[Outcome[CountedScan]]:
        """Count the photons of scans.

        Parameters
        ----------
        scans : sequence of Run
            To count.
        part_folders : mapping of str to Path
            Scans whose calibrated photons are to be stored, and the folder for the
            parts that the blocks of pixels write.

        Yields
        ------
        Outcome of CountedScan
            For each scan in order, as soon as it and those before it are counted.
        """
        plan = self._plan_blocks(scans)
        energies = self._pixel_energies(scans, plan.size)
        tasks = (
            self._tasks(
                scan, energies[scan.name], plan.size, part_folders.get(scan.name)
            )
            for scan in scans
        )
        blocks = sum(-(-len(self._files(scan)) // plan.size) for scan in scans)
        with progress.shown("binning", blocks, "blocks of pixels") as report:
            outcomes = self.context.executor.map_reduce(
                count_block, tasks, merge_blocks, report, plan.at_once
            )
            for scan, counts in zip(scans, outcomes, strict=True):
                yield Outcome.of(self._counted, scan, energies[scan.name], counts)

    def _files(self, scan: Run) -> tuple[Path, ...]:
        """Return the pulse files that have to be read for a scan."""
        return () if scan.name in self.photon_stores else scan.pulse_files

    def _edges(self) -> FloatArray:
        return map_edges(self.context.config.map)

    def _plan_blocks(self, scans: Sequence[Run]) -> chunks.BlockPlan:
        n_bins = len(self._edges()) - 1
        sizes = [len(self._files(scan)) for scan in scans]
        largest_map = max((chunks.map_bytes(s, n_bins) for s in scans), default=0)
        memory = self.context.config.execution.memory_bytes
        workers = self.context.executor.workers
        return chunks.plan_blocks(sizes, largest_map, workers, memory)

    def _pixel_energies(
        self, scans: Sequence[Run], block_size: int
    ) -> dict[str, Outcome[PixelEnergies]]:
        """Return the energy functions of each scan, aligned if the config says so."""
        energies = {
            scan.name: Outcome.of(self._calibrated_energies, scan) for scan in scans
        }
        if not self.context.config.calibration.align:
            return energies
        to_align = [scan for scan in scans if energies[scan.name].result]
        edges = align_pixels.spectrum_edges()
        tasks = {}
        for scan in to_align:
            calibrated = energies[scan.name].unwrap()
            outcome = Outcome.of(
                align_pixels.align_tasks, scan, calibrated, edges, block_size
            )
            if outcome.error:
                energies[scan.name] = Outcome(error=outcome.error)
            else:
                tasks[scan.name] = outcome.unwrap()
        blocks = sum(len(group) for group in tasks.values())
        with progress.shown("aligning", blocks, "blocks of pixels") as report:
            spectra = self.context.executor.map_reduce(
                align_pixels.measure_spectra,
                tasks.values(),
                align_pixels.join_spectra,
                report,
            )
            by_name = {scan.name: scan for scan in to_align}
            for name, counts in zip(tasks, spectra, strict=True):
                calibrated = energies[name].unwrap()
                energies[name] = Outcome.of(
                    self._aligned_energies, by_name[name], calibrated, counts
                )
        return energies

    def _calibrated_energies(self, scan: Run) -> PixelEnergies:
        """Return the energy functions before alignment; none for calibrated photons."""
        memory = self.context.config.execution.memory_bytes
        chunks.check_memory(scan, len(self._edges()) - 1, memory)
        if scan.photon_list is not None or scan.name in self.photon_stores:
            return ()
        return self.calibrations.pixel_energies(scan)

    def _aligned_energies(
        self, scan: Run, energies: PixelEnergies, spectra: Outcome[IntArray]
    ) -> PixelEnergies:
        errors = [align_pixels.LineErrors(c) for c in self.calibrations.read(scan)]
        edges = align_pixels.spectrum_edges()
        return align_pixels.align_pixels(
            scan, energies, spectra.unwrap(), edges, errors
        )

    def _tasks(
        self,
        scan: Run,
        energies: Outcome[PixelEnergies],
        block_size: int,
        part_folder: Path | None,
    ) -> list[CountTask]:
        """Return the blocks of pixels of a scan; none where it cannot be counted."""
        if not energies.result:
            return []
        if part_folder:
            part_folder.mkdir()
        edges = self._edges()
        residual_cut = self.context.config.calibration.residual_cut
        tasks = []
        for first in range(0, len(energies.result), block_size):
            pixels = slice(first, first + block_size)
            task = CountTask(
                scan.pulse_files[pixels],
                energies.result[pixels],
                scan.points,
                edges,
                residual_cut,
                part_folder / f"{first:05d}" if part_folder else None,
            )
            tasks.append(task)
        return tasks

    def _counted(
        self, scan: Run, energies: Outcome[PixelEnergies], counts: Outcome[ScanCounts]
    ) -> CountedScan:
        """Return the counts of a scan; calibrated photons are counted here."""
        pixel_energies = energies.unwrap()
        if scan.name in self.photon_stores:
            store = self.photon_stores[scan.name]
            return count_calibrated_photons(scan, store, self._edges())
        if scan.photon_list is not None:
            excluded = self.context.config.beamtime.exclude.pixels
            return count_photon_list(scan, self._edges(), excluded)
        counted = CountedScan(scan, counts.unwrap(), pixel_energies)
        return exclude_silent_pixels(exclude_changed_pixels(counted))
