"""Count the pulses of a scan: each accepted pulse within a point is counted once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.energy import later_calibration_share, layout
from rixs_pipeline.core.maps import binning, exposure
from rixs_pipeline.core.maps.kernel_arguments import (
    NO_PHOTON_LIST,
    BinOptions,
    PointBatch,
    RecordTally,
)
from rixs_pipeline.core.maps.scan_counts import PixelCounts, ScanCounts, stack_pixels
from rixs_pipeline.io import photon_store
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Points
from rixs_pipeline.stages.scan.counted_scan import MIN_PULSES_FOR_CUTS
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.point_records import PointRecords, find_point_records
from rixs_pipeline.types import FloatArray, IntArray

# Cut limits (cut quantity, 2) that accept no record; all of them are countable.
REJECT_ALL = np.array([[np.nan, np.nan]] * 3 + [[0.0, np.inf]])


@dataclass(frozen=True)
class CountTask:
    """Pixels of one scan to count: a unit of parallel work.

    Attributes
    ----------
    files, energies
        OFF file and energy function of each pixel.
    points
        The points of the scan.
    emission_edges
        Edges of the emission bins, f8 (bin + 1,), eV.
    residual_cut
        Width of the cuts, robust standard deviations.
    photon_part
        Where the photons are written to, see `io.photon_store`; None: nowhere.
    """

    files: tuple[Path, ...]
    energies: tuple[PixelEnergy, ...]
    points: Points
    emission_edges: FloatArray
    residual_cut: float
    photon_part: Path | None = None


def count_block(task: CountTask) -> ScanCounts:
    """Count the pulses of a block of pixels into scan points and emission bins."""
    if task.photon_part:
        task.photon_part.write_bytes(b"")  # a worker that died may have left a part
    # The last column takes rejected records and photons outside all bins.
    map_counts = np.zeros((len(task.points), len(task.emission_edges)), np.int64)
    pixels = [
        _count_pixel(path, energy, task, map_counts)
        for path, energy in zip(task.files, task.energies, strict=True)
    ]
    return stack_pixels(map_counts[:, :-1], pixels)


def _count_pixel(
    path: Path, energy: PixelEnergy, task: CountTask, map_counts: IntArray
) -> PixelCounts:
    """Count the pulses of one pixel, and add its photons to the map counts."""
    from rixs_pipeline.core.maps import bin_kernel

    pixel = off.pixel_number(path)
    points = task.points
    off_file = off.open_file(path)
    records = find_point_records(off_file.records, points.start_ns, points.end_ns)
    limits = select_cuts(records, energy, task.residual_cut)
    bins = binning.uniform_bins(task.emission_edges)
    cut_limits, params = REJECT_ALL, np.zeros((2, layout.N_PARAMS))
    later_share = np.zeros(len(points))
    is_counted = False
    if energy.params is not None and limits is not None:
        is_counted = True
        cut_limits, params = limits.to_table(), np.stack(energy.params)
        later_share = later_calibration_share(
            points.middle, energy.params, energy.reference_times
        )
    options = BinOptions(cut_limits, params, bins)
    batch = PointBatch(*records.slices, np.arange(len(points)), later_share)
    outside_before = int(map_counts[:, -1].sum())
    if task.photon_part and is_counted:
        tally = _count_and_keep_photons(
            task.photon_part, pixel, records, batch, options, map_counts
        )
    else:
        tally = bin_kernel.bin_records(
            records.columns, batch, options, map_counts, NO_PHOTON_LIST
        )
    if not is_counted:
        tally.cut_counts[1:] = 0
    outside = int(map_counts[:, -1].sum()) - outside_before
    return PixelCounts(
        pixel=pixel,
        triggers=records.number,
        countable=tally.countable,
        accepted=tally.accepted,
        live_time=_live_time(records, points, off_file.dead_time, limits),
        after_trigger=off_file.after_trigger,
        pixel_counts=int(records.number.sum()) - outside,
        cut_counts=tally.cut_counts,
        cut_limits=cuts.stack_limits([limits])[0],
    )


def _count_and_keep_photons(
    part: Path,
    pixel: int,
    records: PointRecords,
    batch: PointBatch,
    options: BinOptions,
    map_counts: IntArray,
) -> RecordTally:
    """Count the records of a pixel, and append its photons to a file.

    A limited number of records is in memory at once.
    """
    from rixs_pipeline.core.maps import bin_kernel

    number = records.number
    chunk = np.cumsum(number) // photon_store.AT_ONCE  # of each point
    chunk_ends = np.flatnonzero(np.diff(chunk)) + 1
    tallies = []
    for begin, end in pairwise([0, *chunk_ends, len(number)]):
        points = batch.select(slice(begin, end))
        energy = np.empty(number[begin:end].sum(), np.float32)
        tallies.append(
            bin_kernel.bin_records(records.columns, points, options, map_counts, energy)
        )
        is_photon = np.isfinite(energy)
        point = np.repeat(points.row, number[begin:end])
        photon_store.append(part, energy[is_photon], point[is_photon], pixel)
    return RecordTally(
        accepted=np.concatenate([tally.accepted for tally in tallies]),
        countable=np.concatenate([tally.countable for tally in tallies]),
        cut_counts=np.sum([tally.cut_counts for tally in tallies], axis=0),
    )


def _live_time(
    records: PointRecords,
    points: Points,
    dead_time: float,
    limits: cuts.CutLimits | None,
) -> FloatArray:
    """Return the live time (point,) of a pixel, s: without dead time and hold-off."""
    if limits is not None and limits.hold_off > dead_time:
        return exposure.live_time_held_off(
            records.columns.time_ns, points.start_ns, points.end_ns, limits.hold_off
        )
    triggers, dead_times = records.number[None, :], np.array([dead_time])
    live_time = exposure.live_time(points.duration, triggers, dead_times)
    return np.asarray(live_time[0])


def select_cuts(
    records: PointRecords, energy: PixelEnergy, width: float
) -> cuts.CutLimits | None:
    """Select the cuts of a pixel in a scan.

    They are learned from its pulses in the scan where there are enough, and are those
    of the reference run otherwise; the hold-off is always that of the reference run.

    Parameters
    ----------
    records
        Records of the pixel in the points of the scan.
    energy
        Energy function of the pixel, with the cuts of the reference run.
    width
        Width of the cuts, robust standard deviations.

    Returns
    -------
    CutLimits or None
        None where the pixel has no calibration, or its pulses differ from those of the
        reference run (see `counted_scan.exclude_changed_pixels`).
    """
    if energy.cut_limits is None:
        return None
    reference = cuts.CutLimits.from_table(energy.cut_limits)
    if reference is None or records.number.sum() < MIN_PULSES_FOR_CUTS:
        return reference
    from rixs_pipeline.core.calibration import pulse_kernels

    sample = pulse_kernels.sample_pulses(
        records.columns, *records.slices, cuts.SAMPLE_PULSES
    )
    learned = cuts.learn_limits(sample, width)
    if learned is None:
        return reference
    if cuts.have_changed(learned, reference):
        return None
    return learned.with_hold_off(reference.hold_off)
