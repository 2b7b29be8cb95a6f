"""Count the photons of scans; the blocks of pixels of all scans are one stream."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from rixs_pipeline.core.maps.scan_counts import ScanCounts, merge_blocks
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.interval.aligned_energies import (
    PixelEnergies,
    find_pixel_energies,
)
from rixs_pipeline.stages.interval.scan_scales import ScanScale
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.stages.scan.calibrated_photons import count_calibrated_photons
from rixs_pipeline.stages.scan.count_photon_list import count_photon_list
from rixs_pipeline.stages.scan.count_pulses import CountTask, count_block
from rixs_pipeline.stages.scan.counted_scan import CountedScan, exclude_unusable_pixels
from rixs_pipeline.types import Outcome

# In which parts of points without pulses are looked for: enough for a rate, and cheap.
TIMED_PIXELS = 32


def count_scans(
    context: RunContext,
    calibrations: SurroundingCalibrations,
    scans: Sequence[Run],
    *,
    photon_stores: Mapping[str, Path],
    part_folders: Mapping[str, Path],
) -> Iterator[Outcome[CountedScan]]:
    """Count the photons of scans.

    Parameters
    ----------
    context : RunContext
        The reduction.
    calibrations : SurroundingCalibrations
        Of the scans.
    scans : sequence of Run
        To count.
    photon_stores : mapping of str to Path
        Scans whose calibrated photons are stored already: their pulses are not read.
    part_folders : mapping of str to Path
        Scans whose calibrated photons are to be stored, and the folder for the parts
        that the blocks of pixels write.

    Yields
    ------
    Outcome of CountedScan
        For each scan in order, as soon as it and those before it are counted.
    """
    files = {
        scan.name: () if scan.name in photon_stores else scan.pulse_files
        for scan in scans
    }
    plan = context.plan_blocks(scans, [len(paths) for paths in files.values()])
    pixel_energies = find_pixel_energies(
        context, calibrations, scans, calibrated=photon_stores
    )
    energies, scales = pixel_energies.energies, pixel_energies.scales
    tasks = (
        _tasks(
            context, scan, energies[scan.name], plan.size, part_folders.get(scan.name)
        )
        for scan in scans
    )
    blocks = sum(-(-len(paths) // plan.size) for paths in files.values())
    with context.progress("binning", blocks, "blocks of pixels") as report:
        executor = context.executor_for(sum(map(len, files.values())))
        outcomes = executor.map_reduce(
            count_block, tasks, merge_blocks, report, plan.at_once
        )
        for scan, counts in zip(scans, outcomes, strict=True):
            store = photon_stores.get(scan.name)
            counted = Outcome.of(
                _counted_scan, context, scan, energies[scan.name], counts, store
            )
            yield counted.then(partial(_with_scale, scales.get(scan.name)))


def _with_scale(scale: ScanScale | None, counted: CountedScan) -> CountedScan:
    """Return a scan with the correction of its scale, unless it has one."""
    return counted if scale is None else replace(counted, scale=scale)


def _tasks(
    context: RunContext,
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
    timed = _select_timed(scan, energies.result)
    tasks = []
    for first in range(0, len(energies.result), block_size):
        pixels = slice(first, first + block_size)
        task = CountTask(
            scan.pulse_files[pixels],
            energies.result[pixels],
            scan.points,
            context.emission_edges,
            context.config.calibration.residual_cut,
            context.config.calibration.baseline_jumps,
            part_folder / f"{first:05d}" if part_folder else None,
            timed,
        )
        tasks.append(task)
    return tasks


def _select_timed(scan: Run, energies: PixelEnergies) -> frozenset[Path]:
    """Return the files of `TIMED_PIXELS` usable pixels, spread over the array.

    What stops one row or column of the array does not stop all of them.
    """
    usable = [
        path
        for path, energy in zip(scan.pulse_files, energies, strict=True)
        if energy.status.is_ok
    ]
    number = min(TIMED_PIXELS, len(usable))
    chosen = np.arange(number) * len(usable) // max(number, 1)
    return frozenset(usable[row] for row in chosen)


def _counted_scan(
    context: RunContext,
    scan: Run,
    energies: Outcome[PixelEnergies],
    counts: Outcome[ScanCounts],
    photon_store: Path | None,
) -> CountedScan:
    """Return the counts of a scan; calibrated photons are counted here."""
    pixel_energies = energies.unwrap()
    if photon_store is not None:
        return count_calibrated_photons(scan, photon_store, context.emission_edges)
    if scan.photon_list is not None:
        excluded = context.config.beamtime.exclude.pixels
        return count_photon_list(scan, context.emission_edges, excluded)
    counted = CountedScan(scan, counts.unwrap(), pixel_energies)
    return exclude_unusable_pixels(counted)
