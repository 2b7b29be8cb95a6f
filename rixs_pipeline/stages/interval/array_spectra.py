"""The array in the pieces of a scan: its pixels, aligned with each other, as one.

`core.drift.common_drift.fit` finds the drift that keeps the lines of each sample at one
place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.drift.pixel_comparison.own_drifts import estimate_own_drifts
from rixs_pipeline.core.drift.pixel_comparison.piece_gains import measure_gains
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.align_pixels import AlignTask
from rixs_pipeline.stages.interval.first_pass import FirstPass, coarse_pieces
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy, later_share
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
    piece_gain, piece_gain_error
        Gains of the pixels relative to the array in each piece, f8 (pixel, piece), and
        standard deviations, infinite where they are unknown.
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
    piece_gain: FloatArray
    piece_gain_error: FloatArray
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
    # numba: slow to import
    from rixs_pipeline.core.drift.pixel_comparison import stretch_kernels

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
    pixels = [off.pixel_number(path) for path in scan.pulse_files]
    sides = {
        row: pair
        for row, energy in enumerate(aligned)
        if (pair := find_runs(pixels[row], energy, runs)) is not None
        and np.isfinite(passed.baseline[row]).any()
    }
    rows = np.array(list(sides), np.intp)
    early_runs = {pixels[row]: pair.early for row, pair in sides.items()}
    late_runs = {pixels[row]: pair.late for row, pair in sides.items()}
    early = _PixelReferences.of(early_runs, len(energies))
    late = _PixelReferences.of(late_runs, len(energies))
    spectra = passed.spectra.select(rows).join(first)
    gains = np.array([energy.alignment for energy in aligned])[rows]
    share = later_share(times, [aligned[row] for row in rows])
    baseline = passed.baseline[rows]
    weight = np.where(np.isfinite(baseline), spectra.count_photons(), 0.0)
    reference = _interpolate(early.pretrigger_ref, late.pretrigger_ref, share)
    levers = _interpolate(early.lever, late.lever, share)
    levers *= np.nan_to_num(baseline - reference)[..., None, None]
    levers *= weight[..., None, None]
    pixel_lever = np.zeros((len(aligned), len(energies), 2))
    photons = np.maximum(weight.sum(axis=1), 1e-12)
    pixel_lever[rows] = levers.sum(axis=1) / photons[:, None, None]
    in_use = _interpolate(early.in_use, late.in_use, share) * weight[..., None]
    counts = stretch_kernels.sum_stretched(spectra, task.edges, gains)
    of_rows = measure_gains(spectra, counts, (task.edges[1:] + task.edges[:-1]) / 2)
    piece_gain = np.zeros((len(aligned), n_pieces))
    piece_gain_error = np.full((len(aligned), n_pieces), np.inf)
    piece_gain[rows], piece_gain_error[rows] = of_rows.gain, of_rows.error
    groups = find_groups(aligned)
    divisor = np.maximum(weight.sum(axis=0), 1e-12)
    incident = tuple(np.unique(part_incident[parts]) for parts in pieces)
    return ArraySpectra(
        scan=scan,
        counts=counts,
        time=times,
        incident=incident,
        lever=levers.sum(axis=0) / divisor[:, None, None],
        pixel_lever=pixel_lever,
        in_use=in_use.sum(axis=0) / divisor[:, None],
        later_share=float(share.mean(axis=1).mean()) if len(rows) else 0.0,
        own_variance=_own_variance(aligned, groups),
        piece_gain=piece_gain,
        piece_gain_error=piece_gain_error,
        split=_split(aligned, groups),
    )


@dataclass(frozen=True)
class _PixelReferences:
    """Drift parameters of the pixels from the reference runs on one side of a scan.

    Attributes
    ----------
    pretrigger_ref
        Pretrigger mean at which there is no drift, f8 (pixel,).
    lever
        Change of energy per unit of the coefficients, f8 (pixel, energy, 2), eV.
    in_use
        Coefficients in use, f8 (pixel, 2).
    """

    pretrigger_ref: FloatArray
    lever: FloatArray
    in_use: FloatArray

    @classmethod
    def of(cls, runs: Mapping[int, RunDrift], n_energies: int) -> _PixelReferences:
        """Read them from the reference run of each pixel."""
        references = cls(
            pretrigger_ref=np.zeros(len(runs)),
            lever=np.zeros((len(runs), n_energies, 2)),
            in_use=np.zeros((len(runs), 2)),
        )
        for row, (pixel, run) in enumerate(runs.items()):
            references.pretrigger_ref[row] = run.pretrigger_ref[pixel]
            references.lever[row] = run.lever[pixel]
            references.in_use[row] = run.drift.in_use
        return references


def _interpolate(early: FloatArray, late: FloatArray, share: FloatArray) -> FloatArray:
    """Return values (pixel, piece, ...) between those of two runs (pixel, ...).

    `share` (pixel, piece) is the weight of the later one.
    """
    later = share.reshape(*share.shape, *[1] * (early.ndim - 1))
    return np.asarray((1 - later) * early[:, None] + later * late[:, None])


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
