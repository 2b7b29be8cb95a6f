"""Energy functions of scans: calibrated, compared, aligned, corrected for drift."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from rixs_pipeline.io.runs import Run, count_files
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.interval.array_spectra import ArraySpectra
from rixs_pipeline.stages.interval.compare_pixels import CompareTask, compare_pixels
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
    computed = _compare_and_align(context, drifts, missing, energies)
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
) -> dict[str, ArraySpectra]:
    """Compare and align the pixels of scans; return the spectra of the array.

    The functions in `energies` are replaced.
    """
    tasks: list[CompareTask] = []
    for scan in scans:
        functions = energies[scan.name].result
        if not functions or not any(energy.status.is_ok for energy in functions):
            continue
        planned = Outcome.of(drifts.compare_task, scan, functions)
        if planned.error:
            energies[scan.name] = Outcome(error=planned.error)
        else:
            tasks.append(planned.unwrap())
    arrays: dict[str, ArraySpectra] = {}
    executor = context.executor_for(count_files(task.scan for task in tasks))
    with context.progress("aligning", len(tasks), "scans") as report:
        compared = executor.outcomes(compare_pixels, tasks, report)
        for task, outcome in zip(tasks, compared, strict=True):
            energies[task.scan.name] = outcome.then(attrgetter("energies"))
            if outcome.result:
                arrays[task.scan.name] = outcome.result.array
    return arrays
