"""Count the pulses of a scan: each accepted pulse within a point is counted once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.energy import later_calibration_share
from rixs_pipeline.core.maps import binning
from rixs_pipeline.core.maps.kernel_arguments import (
    NO_PHOTON_LIST,
    BinOptions,
    PointBatch,
    RecordTally,
)
from rixs_pipeline.core.maps.scan_counts import PixelCounts, ScanCounts, stack_pixels
from rixs_pipeline.io import photon_store
from rixs_pipeline.io.runs import Points
from rixs_pipeline.stages.interval.pixel_energies import NO_PARAMS, PixelEnergy
from rixs_pipeline.stages.scan.exposed_windows import find_exposed_windows
from rixs_pipeline.stages.scan.point_records import (
    NO_CUTS,
    PointRecords,
    find_point_records,
    select_cuts,
)
from rixs_pipeline.types import FloatArray, IntArray

PRETRIGGER_CUT = CUT_NAMES.index("pretrigger")
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
    baseline_jumps
        Whether a pixel is not exposed while its baseline is away.
    photon_part
        Where the photons are written to, see `io.photon_store`; None: nowhere.
    timed
        In which pixels to look for parts of points without records.
    """

    files: tuple[Path, ...]
    energies: tuple[PixelEnergy, ...]
    points: Points
    emission_edges: FloatArray
    residual_cut: float
    baseline_jumps: bool = True
    photon_part: Path | None = None
    timed: frozenset[Path] = frozenset()


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
    from rixs_pipeline.core.maps import bin_kernel  # compiled: slow to import

    points = task.points
    records = find_point_records(path, points)
    limits = select_cuts(records, energy, task.residual_cut)
    windows = find_exposed_windows(records, limits if task.baseline_jumps else None)
    bins = binning.uniform_bins(task.emission_edges)
    if limits is None or energy.params is None:
        cut_limits = NO_CUTS
        hold_off = 0.0
        photon_part = None
        options = BinOptions(REJECT_ALL, NO_PARAMS, bins)
        later_share = np.zeros(len(points))
    else:
        cut_limits = limits.to_table()
        hold_off = limits.since_last.low
        photon_part = task.photon_part
        options = BinOptions(
            cut_limits, np.array(energy.params), bins, limits.lowest_height
        )
        later_share = later_calibration_share(
            points.middle, energy.params, energy.reference_times
        )
    row, slices = windows.row, windows.slices
    batch = PointBatch(slices.first, slices.stop, row, later_share[row])
    outside_before = int(map_counts[:, -1].sum())
    if photon_part is None:
        tally = bin_kernel.bin_records(
            records.columns, batch, options, map_counts, NO_PHOTON_LIST
        )
    else:
        tally = _count_and_store_photons(
            records, batch, options, map_counts, photon_part
        )
    outside = int(map_counts[:, -1].sum()) - outside_before
    # records while the baseline is away would be rejected by the pretrigger mean
    n_away = int(records.number.sum()) - int(windows.number.sum())
    tally.cut_counts[:PRETRIGGER_CUT] += n_away
    if limits is None:
        tally.cut_counts[1:] = 0
    exposed = np.bincount(row, windows.duration, len(points))
    occupied = np.zeros(len(points), np.int64)
    if path in task.timed:
        occupied = bin_kernel.find_occupied_parts(
            records.columns.time_ns, records.slices, points.start_ns, points.end_ns
        )
    return PixelCounts(
        pixel=records.pixel,
        triggers=records.number,
        occupied=occupied,
        countable=windows.sum_by_point(tally.countable, len(points)),
        accepted=windows.sum_by_point(tally.accepted, len(points)),
        live_time=windows.live_time(records, hold_off),
        away_time=np.maximum(points.duration - exposed, 0.0),
        away_error=windows.away_error,
        after_trigger=records.after_trigger,
        pixel_counts=int(windows.number.sum()) - outside,
        cut_counts=tally.cut_counts,
        cut_limits=cut_limits,
    )


def _count_and_store_photons(
    records: PointRecords,
    batch: PointBatch,
    options: BinOptions,
    map_counts: IntArray,
    photon_part: Path,
) -> RecordTally:
    """Count the records of a pixel, and append its photons to a file.

    Only a limited number of photons is in memory at once.
    """
    from rixs_pipeline.core.maps import bin_kernel  # compiled: slow to import

    columns, number = records.columns, batch.stop - batch.first
    chunk = np.cumsum(number) // photon_store.MAX_PHOTONS  # of each point
    chunk_ends = np.flatnonzero(np.diff(chunk)) + 1
    tallies = []
    for begin, end in pairwise([0, *chunk_ends, len(number)]):
        points = batch.select(slice(begin, end))
        energy = np.empty(number[begin:end].sum(), np.float32)
        tally = bin_kernel.bin_records(columns, points, options, map_counts, energy)
        tallies.append(tally)
        is_photon = np.isfinite(energy)
        point = np.repeat(points.row, number[begin:end])[is_photon]
        photon_store.append(photon_part, energy[is_photon], point, records.pixel)
    return RecordTally(
        accepted=np.concatenate([tally.accepted for tally in tallies]),
        countable=np.concatenate([tally.countable for tally in tallies]),
        cut_counts=np.sum([tally.cut_counts for tally in tallies], axis=0),
    )
