"""First pass over the pulses of a scan: spectra and baselines of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.drift.piece_counts import PieceCounts
from rixs_pipeline.core.energy import later_calibration_share
from rixs_pipeline.core.maps.kernel_arguments import (
    NO_PHOTON_LIST,
    BinOptions,
    PointBatch,
    PointSlices,
    UniformBins,
)
from rixs_pipeline.stages.interval.align_pixels import AlignTask
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.point_records import PointRecords, find_point_records
from rixs_pipeline.types import FloatArray, IntArray

# of a pixel in a piece: their mean is good to 0.2 units where they scatter by 6
ENOUGH_BASELINES = 1000

# Pieces of a scan in which lines are placed: fewer have more photons, more follow the
# baseline closer.
MAX_COARSE = 6


@dataclass(frozen=True)
class FirstPass:
    """What the first pass shows of the pixels in the pieces of a scan.

    Attributes
    ----------
    spectra
        Counts on the scale of the reference runs.
    baseline
        Mean pretrigger mean of the accepted range, f8 (pixel, coarse piece); NaN
        without pulses.
    """

    spectra: PieceCounts
    baseline: FloatArray


def coarse_pieces(piece: IntArray) -> IntArray:
    """Return the coarse piece of each part of a point (part,) from its piece."""
    n_pieces = int(piece.max(initial=-1)) + 1
    return np.asarray(piece * min(n_pieces, MAX_COARSE) // max(n_pieces, 1))


def first_pass(task: AlignTask) -> FirstPass:
    """Measure spectra and baselines of the pixels in the points that are read.

    A pixel that is not used has no counts.
    """
    from rixs_pipeline.core.drift import piece_kernels  # numba: slow to import

    coarse = coarse_pieces(task.piece)
    n_coarse = int(coarse.max(initial=-1)) + 1
    # each from its first to its last point; pulses in between show the baseline as well
    first_part = np.searchsorted(coarse, np.arange(n_coarse))
    last_part = np.searchsorted(coarse, np.arange(n_coarse), side="right") - 1
    n_pixels, n_bins = len(task.files), len(task.edges) - 1
    n_pieces = int(task.piece.max(initial=-1)) + 1
    baseline = np.full((n_pixels, n_coarse), np.nan)
    # The last column takes rejected records and photons outside all bins.
    counts = np.zeros((n_pieces, n_bins + 1), np.int64)
    spectra = []
    for row, energy in enumerate(task.energies):
        n_photons = 0
        if energy.cut_limits is not None and energy.params is not None:
            records = find_point_records(task.files[row], task.points)
            bounds = _part_bounds(records, len(task.piece))
            baseline[row] = piece_kernels.mean_baselines(
                records.columns,
                bounds.first[first_part],
                bounds.stop[last_part],
                *energy.cut_limits.pretrigger,
                ENOUGH_BASELINES,
            )
            n_photons = _add_photons(records, bounds, energy, task, counts)
        spectra.append(piece_kernels.take_counts(counts, n_photons))
    return FirstPass(PieceCounts.stack(spectra), baseline)


def _part_bounds(records: PointRecords, n_parts: int) -> PointSlices:
    """Return the records in each part (part,) of the points, equally many in each."""
    parts_of_point = n_parts // max(len(records.points), 1)
    share = np.arange(parts_of_point + 1)
    bounds = records.number[:, None] * share // max(parts_of_point, 1)
    bounds += records.slices.first[:, None]
    return PointSlices(bounds[:, :-1].ravel(), bounds[:, 1:].ravel())


def _add_photons(
    records: PointRecords,
    bounds: PointSlices,
    energy: PixelEnergy,
    task: AlignTask,
    counts: IntArray,
) -> int:
    """Add the photons of a pixel by its reference run's cuts to (piece, bin + 1).

    Returns their number, with those outside all bins.
    """
    from rixs_pipeline.core.maps import bin_kernel  # compiled: slow to import

    if energy.cut_limits is None or energy.params is None:
        return 0
    later_share = later_calibration_share(
        task.points.middle, energy.params, energy.reference_times
    )
    parts_of_point = len(task.piece) // max(len(task.points), 1)
    batch = PointBatch(
        first=bounds.first,
        stop=bounds.stop,
        row=task.piece,
        later_share=np.repeat(later_share, parts_of_point),
    )
    width = float(task.edges[1] - task.edges[0])
    bins = UniformBins(float(task.edges[0]), width, float(task.edges[-1]))
    cut_limits = energy.cut_limits.to_table()
    options = BinOptions(cut_limits, np.array(energy.params), bins)
    tally = bin_kernel.bin_records(
        records.columns, batch, options, counts, NO_PHOTON_LIST
    )
    return int(tally.accepted.sum())
