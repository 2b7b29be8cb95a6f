"""Compare the pixels of a scan with each other: find displaced ones, align the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.align_pixels import (
    AlignTask,
    LineErrors,
    align_pixels,
)
from rixs_pipeline.stages.interval.array_spectra import ArraySpectra, array_spectra
from rixs_pipeline.stages.interval.displaced_pixels import mark_displaced
from rixs_pipeline.stages.interval.first_pass import first_pass
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.interval.run_drift import RunDrift
from rixs_pipeline.types import FloatArray


@dataclass(frozen=True)
class CompareTask:
    """A scan whose pixels are compared: a unit of parallel work.

    Attributes
    ----------
    scan
        The scan, with one OFF file a pixel.
    spectra
        What is read of its pulses, and the energy functions as the reference runs give
        them.
    line_errors
        Errors of the lines in the reference runs around the scan.
    runs
        Drift in the same reference runs.
    energies
        At which levers are given, f8 (energy,), eV.
    displaced_pixels
        As in the config.
    is_aligned
        Whether the energy functions are aligned with each other.
    """

    scan: Run
    spectra: AlignTask
    line_errors: Sequence[LineErrors]
    runs: Sequence[RunDrift]
    energies: FloatArray
    displaced_pixels: Literal["exclude", "report", "keep"]
    is_aligned: bool


@dataclass(frozen=True)
class ComparedScan:
    """A scan whose pixels have been compared.

    Attributes
    ----------
    energies
        Energy functions of the pixels, in the order of the scan's files; without
        displaced pixels, and aligned, as the config says.
    array
        Spectra of the pixels as one.
    """

    energies: tuple[PixelEnergy, ...]
    array: ArraySpectra


def compare_pixels(task: CompareTask) -> ComparedScan:
    """Compare the pixels of a scan; add up what those that are used show."""
    scan, edges = task.scan, task.spectra.edges
    passed = first_pass(task.spectra)
    energies = task.spectra.energies
    if task.displaced_pixels != "keep":
        exclude = task.displaced_pixels == "exclude"
        energies = mark_displaced(energies, passed.spectra, edges, exclude=exclude)
    if task.is_aligned:
        is_used = np.array([energy.status.is_ok for energy in energies], bool)
        counts = passed.spectra.sum_pieces() * is_used[:, None]
        energies = align_pixels(scan, energies, counts, edges, task.line_errors)
    array = array_spectra(
        task.spectra, scan, energies, passed, task.runs, task.energies
    )
    return ComparedScan(energies, array)
