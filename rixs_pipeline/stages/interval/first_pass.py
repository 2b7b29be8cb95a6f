"""First pass over the pulses of a scan: spectra and baselines of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.core.energy import later_calibration_share
from rixs_pipeline.core.maps.binning import uniform_bins
from rixs_pipeline.core.maps.kernel_arguments import (
    NO_PHOTON_LIST,
    BinOptions,
    PointBatch,
    PointSlices,
)
from rixs_pipeline.stages.interval.align_pixels import AlignTask
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.point_records import PointRecords, find_point_records
from rixs_pipeline.types import Float32Array, FloatArray, IntArray

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
    # numba: slow to import
    from rixs_pipeline.core.drift.pixel_comparison import piece_kernels

    coarse = coarse_pieces(task.piece)
    n_coarse = int(coarse.max(initial=-1)) + 1
    # each from its first to its last point; pulses in between show the baseline as well
    first_part = np.searchsorted(coarse, np.arange(n_coarse))
    last_part = np.searchsorted(coarse, np.arange(n_coarse), side="right") - 1
    n_pieces = int(task.piece.max(initial=-1)) + 1
    last_of_piece = np.searchsorted(task.piece, np.arange(n_pieces), side="right") - 1
    bins = uniform_bins(task.edges)
    n_bins = len(task.edges) - 1
    no_counts = PieceCounts.from_array(np.zeros((1, n_pieces, n_bins), np.int64))
    baseline = np.full((len(task.files), n_coarse), np.nan)
    spectra = []
    for row, energy in enumerate(task.energies):
        if energy.cut_limits is None or energy.params is None:
            spectra.append(no_counts)
            continue
        records = find_point_records(task.files[row], task.points)
        bounds = _part_bounds(records, len(task.piece))
        baseline[row] = piece_kernels.mean_baselines(
            records.columns,
            bounds.first[first_part],
            bounds.stop[last_part],
            *energy.cut_limits.pretrigger,
            ENOUGH_BASELINES,
        )
        photons = _photon_energies(records, bounds, energy, task)
        ends = np.cumsum(bounds.stop - bounds.first)[last_of_piece]
        spectra.append(piece_kernels.count_in_pieces(photons, ends, bins, n_bins))
    return FirstPass(PieceCounts.stack(spectra), baseline)


def _part_bounds(records: PointRecords, n_parts: int) -> PointSlices:
    """Return the records in each part (part,) of the points, equally many in each."""
    parts_of_point = n_parts // max(len(records.points), 1)
    share = np.arange(parts_of_point + 1)
    bounds = records.number[:, None] * share // max(parts_of_point, 1)
    bounds += records.slices.first[:, None]
    return PointSlices(bounds[:, :-1].ravel(), bounds[:, 1:].ravel())


def _photon_energies(
    records: PointRecords, bounds: PointSlices, energy: PixelEnergy, task: AlignTask
) -> Float32Array:
    """Return the energies of a pixel's photons by its reference run's cuts, eV.

    They are f4 (record in a point,), part by part; NaN for other records.
    """
    from rixs_pipeline.core.maps import bin_kernel  # compiled: slow to import

    if energy.cut_limits is None or energy.params is None:
        return NO_PHOTON_LIST
    later_share = later_calibration_share(
        task.points.middle, energy.params, energy.reference_times
    )
    parts_of_point = len(task.piece) // max(len(task.points), 1)
    batch = PointBatch(
        first=bounds.first,
        stop=bounds.stop,
        row=np.zeros(len(task.piece), np.int64),
        later_share=np.repeat(later_share, parts_of_point),
    )
    cut_limits = energy.cut_limits.to_table()
    bins = uniform_bins(task.edges)
    options = BinOptions(cut_limits, np.array(energy.params), bins)
    counts = np.zeros((1, len(task.edges)), np.int64)  # of all parts; not needed
    photons = np.empty(int((bounds.stop - bounds.first).sum()), np.float32)
    bin_kernel.bin_records(records.columns, batch, options, counts, photons)
    return photons
