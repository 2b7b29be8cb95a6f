"""Energy functions of scans: calibrated, compared, aligned, corrected for drift."""

import operator
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.interval import align_pixels
from rixs_pipeline.stages.interval.array_spectra import ArraySpectra
from rixs_pipeline.stages.interval.displaced_pixels import mark_displaced
from rixs_pipeline.stages.interval.first_pass import (
    FirstPass,
    first_passes,
    join_passes,
)
from rixs_pipeline.stages.interval.interval_drifts import IntervalDrifts
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.interval.scan_scales import ScanScale
from rixs_pipeline.stages.interval.spectra_cache import SpectraCache
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.types import Outcome

PixelEnergies = tuple[PixelEnergy, ...]  # in the order of a scan's files


@dataclass(frozen=True)
class ScanEnergies:
    """Energy functions of scans, and how their scales were corrected.

    Attributes
    ----------
    energies
        By scan; without displaced pixels, aligned with each other and corrected for the
        drift that they have in common, as the config says.
    scales
        By scan; missing for calibrated photons and without reference run.
    """

    energies: dict[str, Outcome[PixelEnergies]]
    scales: dict[str, ScanScale]


def find_pixel_energies(
    context: RunContext,
    calibrations: SurroundingCalibrations,
    scans: Sequence[Run],
    *,
    calibrated: Collection[str],
    block_size: int,
) -> ScanEnergies:
    """Return the energy functions of the pixels of scans.

    Parameters
    ----------
    context : RunContext
        The reduction.
    calibrations : SurroundingCalibrations
        Of the scans.
    scans : sequence of Run
        The scans.
    calibrated : collection of str
        Scans whose photons are calibrated already; they get no energy functions.
    block_size : int
        Pixels that are aligned in one task.

    Returns
    -------
    ScanEnergies
        Of the scans.
    """
    uncalibrated = [scan for scan in scans if scan.name not in calibrated]
    energies = _calibrated_energies(context, calibrations, uncalibrated)
    with_pulses = [scan for scan in uncalibrated if energies[scan.name].result]
    companions = {
        companion.name: companion
        for scan in with_pulses
        for companion in calibrations.fitted_with(scan)
    }
    cache = SpectraCache(context, calibrations)
    arrays = {}
    for name, companion in companions.items():
        if name not in energies and (spectra := cache.load(companion)):
            arrays[name] = spectra
    missing = [run for name, run in companions.items() if name not in arrays]
    other_runs = [run for run in missing if run.name not in energies]
    energies |= _calibrated_energies(context, calibrations, other_runs)
    missing.sort(key=lambda scan: scan.start_ns)
    drifts = IntervalDrifts(context, calibrations)
    computed = _compare_and_align(context, drifts, missing, energies, block_size)
    for spectra in computed.values():
        cache.save(spectra)
    arrays |= computed
    scales = {}
    for scan in with_pulses:
        functions = energies[scan.name].result
        if scan.name in arrays and functions:
            corrected = drifts.correct(scan, functions, arrays)
            energies[scan.name] = Outcome(corrected.energies)
            if corrected.scale is not None:
                scales[scan.name] = corrected.scale
    results: dict[str, Outcome[PixelEnergies]] = {
        scan.name: Outcome(()) if scan.name in calibrated else energies[scan.name]
        for scan in scans
    }
    return ScanEnergies(results, scales)


def _calibrated_energies(
    context: RunContext, calibrations: SurroundingCalibrations, scans: Iterable[Run]
) -> dict[str, Outcome[PixelEnergies]]:
    """Return the energy functions by scan, as the reference runs give them."""

    def calibrate(scan: Run) -> PixelEnergies:
        context.check_memory(scan)
        if scan.photon_list is not None:
            return ()
        return calibrations.pixel_energies(scan)

    return {scan.name: Outcome.of(calibrate, scan) for scan in scans}


def _compare_and_align(
    context: RunContext,
    drifts: IntervalDrifts,
    scans: Sequence[Run],
    energies: dict[str, Outcome[PixelEnergies]],
    block_size: int,
) -> dict[str, ArraySpectra]:
    """Compare and align the pixels of scans; return the spectra of the array.

    The functions in `energies` are replaced.
    """
    aligned_scans, tasks = [], []
    for scan in scans:
        functions = energies[scan.name].result
        if not functions or not any(energy.status.is_ok for energy in functions):
            continue
        edges = drifts.edges(scan)
        group = Outcome.of(align_pixels.align_tasks, scan, functions, edges, block_size)
        if group.error:
            energies[scan.name] = Outcome(error=group.error)
        else:
            aligned_scans.append(scan)
            tasks.append(group.unwrap())
    arrays: dict[str, ArraySpectra] = {}
    blocks = sum(len(group) for group in tasks)
    with context.progress("aligning", blocks, "blocks of pixels") as report:
        passes = context.executor.map_reduce(first_passes, tasks, operator.add, report)
        for scan, blocks_of_scan, blocks_passed in zip(
            aligned_scans, tasks, passes, strict=True
        ):
            passed = blocks_passed.then(join_passes)
            functions = energies[scan.name].unwrap()
            aligned = Outcome.of(
                _compared_energies, context, drifts, scan, functions, passed
            )
            energies[scan.name] = aligned
            if aligned.result:
                arrays[scan.name] = drifts.array_spectra(
                    scan, blocks_of_scan[0], aligned.result, passed.unwrap()
                )
    return arrays


def _compared_energies(
    context: RunContext,
    drifts: IntervalDrifts,
    scan: Run,
    energies: PixelEnergies,
    passed: Outcome[FirstPass],
) -> PixelEnergies:
    """Return the energy functions without displaced pixels, the others aligned."""
    config = context.config.calibration
    counts = passed.unwrap().spectra
    edges = drifts.edges(scan)
    if config.displaced_pixels != "keep":
        exclude = config.displaced_pixels == "exclude"
        energies = mark_displaced(energies, counts, edges, exclude=exclude)
    if not config.align:
        return energies
    errors = drifts.line_errors(scan)
    is_used = np.array([energy.status.is_ok for energy in energies], bool)
    of_scan = counts.sum(axis=1, dtype=np.int64) * is_used[:, None]
    return align_pixels.align_pixels(scan, energies, of_scan, edges, errors)
