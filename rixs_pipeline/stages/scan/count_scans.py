"""Counts the photons of scans, whose blocks of pixels are one stream of work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rixs_pipeline import paths, progress
from rixs_pipeline.core.maps.scan_counts import ScanCounts, merge_blocks
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner import chunks as blocks
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.scan import align_pixels as align
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
from rixs_pipeline.stages.scan.surrounding_calibrations import ReferenceRuns
from rixs_pipeline.types import FloatArray, IntArray

Functions = tuple[PixelEnergy, ...]  # in the order of a scan's files


@dataclass(frozen=True)
class Counting:
    """What scans are counted with; those that are `listed` have a fresh list of their photons."""

    work: Work
    references: ReferenceRuns
    listed: set[str]

    def counts(
        self, scans: Sequence[Run], unlisted: Mapping[str, Path]
    ) -> Iterator[tuple[Run, CountedScan | Exception]]:
        """Counts of each scan, and the energy functions of its pixels in the order of `binned.pixel`; or what is wrong.

        The blocks of pixels of all scans are one stream of work, cut so that every worker gets some of it. Scans that
        have a fresh photon list are no part of it.
        """
        files = [() if one.name in self.listed else one.pulse_files for one in scans]
        bins, memory = (
            len(map_edges(self.work.config.map)) - 1,
            self.work.config.execution.memory_bytes,
        )
        largest = max((blocks.map_bytes(one, bins) for one in scans), default=0)
        cut = blocks.plan(
            list(map(len, files)), largest, self.work.executor.workers, memory
        )
        size = cut.size
        functions = self._all_functions(scans, size)
        groups = (
            self._tasks(
                one,
                () if isinstance(own, Exception) else own,
                size,
                unlisted.get(one.name),
            )
            for one, own in functions
        )
        total = sum(-(-len(of) // size) for of in files)
        with progress.shown("binning", total, "blocks of pixels") as tell:
            done = self.work.executor.map_reduce(
                count_block, groups, merge_blocks, tell, cut.at_once
            )
            for (one, own), binned in zip(functions, done, strict=True):
                yield one, self._counted(one, own, binned)

    def _all_functions(
        self, scans: Sequence[Run], size: int
    ) -> list[tuple[Run, Functions | Exception]]:
        """The energy functions of each scan, its pixels aligned with each other if the config asks for it."""
        found: list[Functions | Exception] = []
        groups: list[list[align.AlignTask]] = []
        memory = self.work.config.execution.memory_bytes
        edges, asked = (align.spectrum_edges(), self.work.config.calibration.align)
        for one in scans:
            try:
                blocks.check_fits(one, len(map_edges(self.work.config.map)) - 1, memory)
                functions = self._functions(one)
                groups.append(
                    align.align_tasks(one, functions, edges, size)
                    if asked and functions
                    else []
                )
                found.append(functions)
            except Exception as error:  # of this scan alone
                groups.append([])
                found.append(error)
        with progress.shown(
            "aligning", sum(map(len, groups)), "blocks of pixels"
        ) as tell:
            done = self.work.executor.map_reduce(
                align.measure_spectra, filter(None, groups), align.join_spectra, tell
            )
            for k, counts in zip(
                [k for k, group in enumerate(groups) if group], done, strict=True
            ):
                found[k] = self._aligned(scans[k], found[k], counts, edges)
        return list(zip(scans, found, strict=True))

    def _aligned(
        self,
        one: Run,
        functions: Functions | Exception,
        counts: IntArray | Exception,
        edges: FloatArray,
    ) -> Functions | Exception:
        if isinstance(functions, Exception):
            return functions
        if isinstance(counts, Exception):
            return counts
        try:
            return align.align_pixels(
                one,
                functions,
                counts,
                edges,
                [align.LineErrors(c) for c in self.references.read(one)],
            )
        except Exception as error:  # of this scan alone
            return error

    def _counted(
        self, one: Run, functions: Functions | Exception, binned: ScanCounts | Exception
    ) -> CountedScan | Exception:
        """What the blocks of a scan came to; photon lists are counted here."""
        if isinstance(functions, Exception):
            return functions
        edges = map_edges(self.work.config.map)
        try:
            if one.name in self.listed:
                return count_calibrated_photons(
                    one, paths.photon_list(self.work.out, one.name), edges
                )
            if one.photon_list is not None:
                return count_photon_list(
                    one, edges, self.work.config.beamtime.exclude.pixels
                )
            if isinstance(binned, Exception):
                return binned
            counted = CountedScan(one, binned, functions)
            return exclude_silent_pixels(exclude_changed_pixels(counted))
        except Exception as error:
            return error

    def _functions(self, one: Run) -> Functions:
        """The energy function of each pixel of a scan; none for a photon list."""
        return (
            ()
            if one.photon_list is not None or one.name in self.listed
            else self.references.functions(one)
        )

    def _tasks(
        self, one: Run, functions: Functions, size: int, parts: Path | None
    ) -> list[CountTask]:
        """The blocks of pixels of a scan; `parts`: the folder for the parts of its photon list."""
        if not functions:
            return []
        edges, cut = (
            map_edges(self.work.config.map),
            self.work.config.calibration.residual_cut,
        )
        if parts:
            parts.mkdir()
        return [
            CountTask(
                files,
                some,
                one.points,
                edges,
                cut,
                parts / f"{k:05d}" if parts else None,
            )
            for k in range(0, len(functions), size)
            for files, some in [
                (one.pulse_files[k : k + size], functions[k : k + size])
            ]
        ]
