"""Energy functions of scans: from the surrounding calibrations, compared, aligned."""

from collections.abc import Collection, Sequence

import numpy as np

from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.interval import align_pixels
from rixs_pipeline.stages.interval.displaced_pixels import mark_displaced
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)
from rixs_pipeline.types import CountArray, FloatArray, Outcome

PixelEnergies = tuple[PixelEnergy, ...]  # in the order of a scan's files


def find_pixel_energies(
    context: RunContext,
    calibrations: SurroundingCalibrations,
    scans: Sequence[Run],
    *,
    calibrated: Collection[str],
    block_size: int,
) -> dict[str, Outcome[PixelEnergies]]:
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
    dict of str to Outcome
        By scan; without displaced pixels and aligned with each other, if the config
        says so.
    """
    energies = {}
    for scan in scans:
        energies[scan.name] = Outcome.of(
            _calibrated_energies, context, calibrations, scan, calibrated
        )
    config = context.config.calibration
    if not config.align and config.displaced_pixels == "keep":
        return energies
    to_align, tasks = [], []
    for scan in scans:
        functions = energies[scan.name].result
        if not functions:
            continue
        edges = _spectrum_edges(calibrations, scan)
        group = Outcome.of(align_pixels.align_tasks, scan, functions, edges, block_size)
        if group.error:
            energies[scan.name] = Outcome(error=group.error)
        else:
            to_align.append(scan)
            tasks.append(group.unwrap())
    blocks = sum(len(group) for group in tasks)
    with context.progress("aligning", blocks, "blocks of pixels") as report:
        spectra = context.executor.map_reduce(
            align_pixels.measure_spectra, tasks, align_pixels.join_spectra, report
        )
        for scan, counts in zip(to_align, spectra, strict=True):
            functions = energies[scan.name].unwrap()
            energies[scan.name] = Outcome.of(
                _compared_energies, context, calibrations, scan, functions, counts
            )
    return energies


def _calibrated_energies(
    context: RunContext,
    calibrations: SurroundingCalibrations,
    scan: Run,
    calibrated: Collection[str],
) -> PixelEnergies:
    """Return the energy functions before alignment; none for calibrated photons."""
    context.check_memory(scan)
    if scan.photon_list is not None or scan.name in calibrated:
        return ()
    return calibrations.pixel_energies(scan)


def _spectrum_edges(calibrations: SurroundingCalibrations, scan: Run) -> FloatArray:
    """Return the edges (bin + 1,) eV of the spectra that align a scan."""
    highest = 0.0
    for calibration in calibrations.read(scan):
        lines = calibration["line_energy"].values
        highest = max(highest, float(lines.max(initial=0.0)))
    return align_pixels.spectrum_edges(align_pixels.emission_range(highest))


def _compared_energies(
    context: RunContext,
    calibrations: SurroundingCalibrations,
    scan: Run,
    energies: PixelEnergies,
    spectra: Outcome[CountArray],
) -> PixelEnergies:
    """Return the energy functions without displaced pixels, the others aligned."""
    config = context.config.calibration
    counts = spectra.unwrap()
    edges = _spectrum_edges(calibrations, scan)
    if config.displaced_pixels != "keep":
        exclude = config.displaced_pixels == "exclude"
        energies = mark_displaced(energies, counts, edges, exclude=exclude)
    if not config.align:
        return energies
    errors = [align_pixels.LineErrors(c) for c in calibrations.read(scan)]
    is_used = np.array([energy.status.is_ok for energy in energies], bool)
    of_scan = counts.sum(axis=1, dtype=np.int64) * is_used[:, None]
    return align_pixels.align_pixels(scan, energies, of_scan, edges, errors)
