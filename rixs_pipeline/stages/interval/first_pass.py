"""First pass over the pulses of a scan: spectra and baselines of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.stages.interval.align_pixels import AlignTask, measure_spectra
from rixs_pipeline.stages.scan.point_records import find_point_records
from rixs_pipeline.types import CountArray, FloatArray, IntArray

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
        Counts on the scale of the reference runs, (pixel, piece, bin).
    baseline
        Mean pretrigger mean of the accepted range, f8 (pixel, coarse piece); NaN
        without pulses.
    """

    spectra: CountArray
    baseline: FloatArray


def coarse_pieces(piece: IntArray) -> IntArray:
    """Return the coarse piece of each part of a point (part,) from its piece."""
    n_pieces = int(piece.max(initial=-1)) + 1
    return np.asarray(piece * min(n_pieces, MAX_COARSE) // max(n_pieces, 1))


def first_pass(task: AlignTask) -> FirstPass:
    """Measure spectra and baselines of a block of pixels."""
    coarse = coarse_pieces(task.piece)
    n_pieces = int(coarse.max(initial=-1)) + 1
    n_parts = len(coarse) // max(len(task.points), 1)  # of each point
    parts = [np.flatnonzero(coarse == piece)[[0, -1]] for piece in range(n_pieces)]
    baseline = np.full((len(task.files), n_pieces), np.nan)
    for row, energy in enumerate(task.energies):
        limits = energy.cut_limits
        if limits is None or energy.params is None:
            continue
        records = find_point_records(task.files[row], task.points)
        share = np.arange(n_parts + 1)
        bounds = records.number[:, None] * share // max(n_parts, 1)
        bounds += records.slices.first[:, None]
        first, stop = bounds[:, :-1].ravel(), bounds[:, 1:].ravel()
        for piece, (first_part, last_part) in enumerate(parts):
            begin, end = int(first[first_part]), int(stop[last_part])
            # from the first to the last point; pulses in between show it as well
            step = max(1, (end - begin) // ENOUGH_BASELINES)
            values = records.columns.pretrigger_mean[begin:end:step]
            low, high = limits.pretrigger
            accepted = values[(values >= low) & (values <= high)]
            if len(accepted):
                baseline[row, piece] = accepted.mean(dtype=np.float64)
    return FirstPass(measure_spectra(task), baseline)


def join_passes(first: FirstPass, second: FirstPass) -> FirstPass:
    """Join two blocks of pixels."""
    return FirstPass(
        np.concatenate([first.spectra, second.spectra]),
        np.concatenate([first.baseline, second.baseline]),
    )
