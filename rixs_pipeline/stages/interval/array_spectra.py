"""The array in the pieces of a scan: its pixels, aligned with each other, as one.

`core.drift.common_drift` finds the drift that keeps the lines of each sample at one
place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.drift.own_drifts import estimate_own_drifts
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.align_pixels import AlignTask
from rixs_pipeline.stages.interval.first_pass import FirstPass, coarse_pieces
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.interval.run_drift import RunDrift, find_runs
from rixs_pipeline.types import FloatArray


@dataclass(frozen=True)
class ArraySpectra:
    """The array in the pieces of one scan.

    Attributes
    ----------
    scan
        The scan.
    counts
        Photons of the aligned pixels, f8 (piece, bin).
    time
        Middle of each piece, f8 (piece,), s.
    incident
        Incident energies of the points of each piece, eV.
    lever
        Mean change of energy a unit of the coefficients, f8 (piece, energy, 2), eV.
    pixel_lever
        The same of each pixel, mean over the pieces, f8 (pixel, energy, 2).
    in_use
        Mean coefficients in use, f8 (piece, 2).
    later_share
        Weight of the later reference run in the scan.
    own_variance
        Relative variance of the pixels' own drift since the reference runs, from their
        alignment; an unbiased estimate, which may be negative.
    split
        Half of the relative distance between two groups of pixels, positive where the
        group of the first pixel is above the other one; 0 without groups.
    """

    scan: Run
    counts: FloatArray
    time: FloatArray
    incident: tuple[FloatArray, ...]
    lever: FloatArray
    pixel_lever: FloatArray
    in_use: FloatArray
    later_share: float
    own_variance: float
    split: float = 0.0


def array_spectra(
    task: AlignTask,
    scan: Run,
    aligned: tuple[PixelEnergy, ...],
    passed: FirstPass,
    runs: Sequence[RunDrift],
    energies: FloatArray,
) -> ArraySpectra:
    """Add the aligned pixels of a scan, and average their levers.

    Parameters
    ----------
    task
        Its points, pieces and bins.
    scan
        The scan.
    aligned
        Energy functions of its pixels, aligned with each other.
    passed
        What the first pass shows of them.
    runs
        The reference runs around the scan.
    energies
        At which levers are given, f8 (energy,), eV.

    Returns
    -------
    ArraySpectra
        Of the pixels that are used.
    """
    from rixs_pipeline.core.drift.stretch_kernels import (
        stretch,  # numba: slow to import
    )

    part_piece = coarse_pieces(task.piece)
    n_pieces = int(part_piece.max()) + 1
    # first of the pieces that make a coarse one
    starts = np.searchsorted(part_piece, np.arange(n_pieces))
    first = task.piece[starts]
    points = task.points
    n_parts = len(part_piece) // len(points)  # of each point
    part = (np.arange(n_parts) + 0.5) / n_parts - 0.5
    part_time = (points.middle[:, None] + points.duration[:, None] * part).ravel()
    part_incident = np.repeat(points.incident_energy, n_parts)
    pieces = [np.flatnonzero(part_piece == piece) for piece in range(n_pieces)]
    times = np.array([part_time[parts].mean() for parts in pieces])
    centres = (task.edges[1:] + task.edges[:-1]) / 2
    counts = np.zeros((n_pieces, len(centres)))
    lever = np.zeros((n_pieces, len(energies), 2))
    in_use = np.zeros((n_pieces, 2))
    weight_sum = np.zeros(n_pieces)
    pixel_lever = np.zeros((len(aligned), len(energies), 2))
    shares = []
    for row, energy in enumerate(aligned):
        pixel = off.pixel_number(scan.pulse_files[row])
        sides = find_runs(pixel, energy, runs)
        if sides is None or not np.isfinite(passed.baseline[row]).any():
            continue
        measured = passed.spectra[row].astype(np.float64)
        spectra = np.add.reduceat(measured, first, axis=0)
        baseline = passed.baseline[row]
        gain = energy.alignment
        counts += stretch(spectra, task.edges, gain) if gain else spectra
        weight = np.where(np.isfinite(baseline), spectra.sum(axis=1), 0.0)
        share = _later_share(times, energy)
        shares.append(float(share.mean()))
        reference = (1 - share) * sides.early.pretrigger_ref[pixel]
        reference += share * sides.late.pretrigger_ref[pixel]
        change = np.nan_to_num(baseline - reference)
        unit = (1 - share)[:, None, None] * sides.early.lever[pixel]
        unit += share[:, None, None] * sides.late.lever[pixel]
        of_pixel = change[:, None, None] * unit
        lever += weight[:, None, None] * of_pixel
        total = max(weight.sum(), 1e-12)
        pixel_lever[row] = (weight[:, None, None] * of_pixel).sum(axis=0) / total
        drift = (1 - share)[:, None] * sides.early.drift.in_use
        drift += share[:, None] * sides.late.drift.in_use
        in_use += weight[:, None] * drift
        weight_sum += weight
    groups = find_groups(aligned)
    divisor = np.maximum(weight_sum, 1e-12)
    incident = tuple(np.unique(part_incident[parts]) for parts in pieces)
    return ArraySpectra(
        scan=scan,
        counts=counts,
        time=times,
        incident=incident,
        lever=lever / divisor[:, None, None],
        pixel_lever=pixel_lever,
        in_use=in_use / divisor[:, None],
        later_share=float(np.mean(shares)) if shares else 0.0,
        own_variance=_own_variance(aligned, groups),
        split=_split(aligned, groups),
    )


def _later_share(times: FloatArray, energy: PixelEnergy) -> FloatArray:
    """Return the weight of the later calibration of a pixel at some times, s."""
    first, second = energy.reference_times
    if second <= first:
        return np.zeros(len(times))
    return np.clip((times - first) / (second - first), 0.0, 1.0)


@dataclass(frozen=True)
class Groups:
    """Rows of the pixels of two groups that stand off each other, or none."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]


def find_groups(energies: Sequence[PixelEnergy]) -> Groups:
    """Return the groups into which the array splits in a scan."""
    shift = np.array([energy.group_shift for energy in energies])
    upper, lower = np.flatnonzero(shift > 0), np.flatnonzero(shift < 0)
    return Groups(tuple(upper.tolist()), tuple(lower.tolist()))


def _own_variance(energies: Sequence[PixelEnergy], groups: Groups) -> float:
    """Return the relative variance of the pixels' own drift.

    Counting statistics, of the scan and of the reference runs, are taken out. Pixels
    that step, and the distance between groups, do not count.
    """
    measured = np.array([energy.misalignment for energy in energies])
    error = np.array(
        [np.hypot(one.alignment_error, one.calibration_error) for one in energies]
    )
    half = _distance(measured, groups) / 2
    measured[list(groups.upper)] -= half
    measured[list(groups.lower)] += half
    is_known = np.isfinite(measured) & np.isfinite(error)
    if is_known.sum() < 2:
        return 0.0
    measured, error = measured[is_known], error[is_known]
    stays = estimate_own_drifts(measured, error).stays
    if stays.sum() < 2:
        return 0.0
    return float(np.var(measured[stays], ddof=1) - np.mean(error[stays] ** 2))


def _split(energies: Sequence[PixelEnergy], groups: Groups) -> float:
    """Return half of the distance of two groups, with the sign of the first pixel's."""
    half = _distance(np.array([energy.misalignment for energy in energies]), groups) / 2
    return half if groups.upper < groups.lower else -half


def _distance(gain: FloatArray, groups: Groups) -> float:
    """Return the relative distance of two groups; 0 without groups."""
    if not groups.upper:
        return 0.0
    upper, lower = gain[list(groups.upper)], gain[list(groups.lower)]
    return float(np.mean(upper) - np.mean(lower))
