"""What the scans of an interval show of the drift that the array has in common.

The pixels of a scan, aligned with each other, add to one spectrum in each piece of the
scan. `core.drift.common_drift` finds the drift that keeps the lines of each sample at
one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.drift.common_drift import (
    LinePositions,
    ReferenceDrift,
    ReferenceShifts,
    combine_pixels,
)
from rixs_pipeline.core.drift.line_shifts import line_shifts
from rixs_pipeline.core.drift.piece_shifts import PieceShifts, measure_shifts
from rixs_pipeline.core.energy import (
    correction_derivatives,
    curve_covariance,
    curve_height,
    layout,
)
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.align_pixels import AlignTask
from rixs_pipeline.stages.interval.first_pass import FirstPass, coarse_pieces
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import FloatArray, IntArray, are_ok

if TYPE_CHECKING:
    import xarray as xr

SCALE_STEP = 50.0  # eV, between energies at which levers are given: they are smooth
WINDOW_EV = 10.0  # half width around a line
# Incident energies that far above a line leave its shape alone: beyond the resonances
# of K edges, and beyond L2 and its resonances for L lines.
RESONANT_K_EV = 40.0
RESONANT_L_EV = 60.0
PEAK_WIDTH_EV = 3.0  # over which counts are added to find the peak of a line
PEAK_RANGE_EV = 5.0  # between table and sample: chemistry, and drift
PEAK_SIGMAS = 5.0  # by which the peak stands above the ends of its window
INCIDENT_DECIMALS = 1  # of incident energies that count as equal
MAX_ERROR_EV = 0.5  # of a position that is used


@dataclass(frozen=True)
class RunDrift:
    """A reference run: energies a unit of its drift coefficients, and their values.

    Attributes
    ----------
    run
        Its name.
    drift
        Its coefficients, in use and as its pulses say.
    lever
        Pixel -> change of energy a unit of pretrigger mean and coefficient,
        f8 (energy, 2), eV.
    pretrigger_ref
        Pixel -> pretrigger mean at which there is no drift.
    line_energy, line_errors
        Lines, and the statistical errors of the mean of the pixels there, (line,), eV.
    line_residual
        How far the mean curve misses the lines, (line,), eV.
    covariance
        Of the mean curve of the pixels, counting statistics and the freedom of the
        curve between the lines, f8 (energy, energy), eV^2.
    params
        Pixel -> parameters of its energy function.
    """

    run: str
    drift: ReferenceDrift
    lever: Mapping[int, FloatArray]
    pretrigger_ref: Mapping[int, float]
    line_energy: FloatArray
    line_errors: FloatArray
    line_residual: FloatArray
    covariance: FloatArray
    params: Mapping[int, FloatArray]


@dataclass(frozen=True)
class ArraySpectra:
    """The array in the pieces of one scan.

    Attributes
    ----------
    scan
        The scan.
    counts
        Photons of the aligned pixels, f8 (piece, bin).
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
    spread
        Relative rms of the pixels' own drift, from their alignment.
    """

    scan: Run
    counts: FloatArray
    incident: tuple[FloatArray, ...]
    lever: FloatArray
    pixel_lever: FloatArray
    in_use: FloatArray
    later_share: float
    spread: float


@dataclass(frozen=True)
class RunPair:
    """The reference runs on which the energy function of a pixel rests."""

    early: RunDrift
    late: RunDrift


@dataclass(frozen=True)
class MeasuredLines:
    """Positions of lines with their names (position,), and the peaks of their groups.

    `peak`: where the spectrum of a group peaks on the uncorrected scale, f8
    (position,), eV.
    """

    positions: LinePositions
    names: tuple[str, ...]
    peak: FloatArray


@dataclass
class _Observations:
    """Positions of lines, collected group by group; as `LinePositions`."""

    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    n_groups: int = 0
    edges: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def add(self, **values: NDArray[Any]) -> None:
        """Add positions of a new group."""
        for name, column in values.items():
            self.columns.setdefault(name, []).append(column)
        group = np.full(len(values["scan"]), self.n_groups)
        self.columns.setdefault("group", []).append(group)
        self.n_groups += 1

    def positions(self) -> LinePositions:
        """Return all of them."""
        if not self.n_groups:
            no_values, no_rows = np.empty(0), np.empty(0, np.int64)
            table = np.empty((0, 2))
            return LinePositions(
                no_rows, no_rows, no_rows, no_values, no_values, no_values, table, table
            )
        columns: dict[str, Any] = {
            name: np.concatenate(parts) for name, parts in self.columns.items()
        }
        return LinePositions(**columns)


def scale_energies(edges: FloatArray) -> FloatArray:
    """Return the energies (energy,), eV, at which levers are given, over `edges`."""
    number = int(np.ceil((edges[-1] - edges[0]) / SCALE_STEP)) + 1
    return np.linspace(edges[0], edges[-1], number)


def read_run_drift(product: xr.Dataset, energies: FloatArray) -> RunDrift:
    """Read what a reference run says of drift.

    Parameters
    ----------
    product
        Of the reference run.
    energies
        At which levers are given, f8 (energy,), eV.

    Returns
    -------
    RunDrift
        Of its good pixels.
    """
    good = np.flatnonzero(are_ok(product["status"].values))
    pixels = product["pixel"].values[good].tolist()
    params = product["params"].values[good]
    levers = {
        pixel: _unit_lever(energies, of_pixel)
        for pixel, of_pixel in zip(pixels, params, strict=True)
    }
    score = np.zeros((len(good), 2))
    information = np.zeros((len(good), 2, 2))
    if "drift_score" in product:
        score = product["drift_score"].values[good]
        information = product["drift_information"].values[good]
    drift = combine_pixels(
        params[:, layout.DRIFT], score, information, float(product.attrs["time"])
    )
    errors = product["line_residual_errors"].values[good]
    is_fitted = np.isfinite(errors)
    number = np.maximum(is_fitted.sum(axis=0), 1)
    mean_errors = np.sqrt((np.where(is_fitted, errors, 0.0) ** 2).sum(axis=0)) / number
    residual = product["line_residual"].values[good]
    mean_residual = np.where(is_fitted, residual, 0.0).sum(axis=0) / number
    return RunDrift(
        run=str(product.attrs["run"]),
        drift=drift,
        lever=levers,
        pretrigger_ref=dict(
            zip(pixels, params[:, layout.PRETRIGGER_REF].tolist(), strict=True)
        ),
        line_energy=product["line_energy"].values,
        line_errors=mean_errors,
        line_residual=mean_residual,
        covariance=_mean_covariance(product, good, energies),
        params=dict(zip(pixels, params, strict=True)),
    )


def _mean_covariance(
    product: xr.Dataset, good: IntArray, energies: FloatArray
) -> FloatArray:
    """Return the covariance (energy, energy) of the mean curve of pixels, eV^2.

    Their errors are independent: they leave out those of the reference lines.
    """
    total = np.zeros((len(energies), len(energies)))
    params = product["params"].values
    covariance = product["params_covariance"].values
    for row in good:
        total += curve_covariance(energies, params[row], covariance[row])
    return total / max(len(good), 1) ** 2


def _unit_lever(energies: FloatArray, params: FloatArray) -> FloatArray:
    """Return the change of energy a unit of pretrigger mean and drift coefficient.

    f8 (energy, 2), eV.
    """
    heights = curve_height(energies, params)
    baseline = np.full(len(heights), params[layout.PRETRIGGER_REF] + 1.0)
    phase = np.zeros(len(heights))
    derivatives = correction_derivatives(
        heights, baseline, phase, params, layout.DRIFT
    ).derivatives
    return derivatives.T


def reference_shifts(
    before: RunDrift, after: RunDrift, energies: FloatArray
) -> ReferenceShifts | None:
    """Return what lines moved from one reference run to the next.

    Parameters
    ----------
    before, after
        The reference runs.
    energies
        At which levers are given, f8 (energy,), eV.

    Returns
    -------
    ReferenceShifts or None
        Median over the pixels that are good in both; None without any.
    """
    pixels = [pixel for pixel in before.params if pixel in after.params]
    if not pixels:
        return None
    shifts = line_shifts(
        np.stack([before.params[pixel] for pixel in pixels]),
        np.stack([after.params[pixel] for pixel in pixels]),
        before.line_energy,
    )
    is_steady = np.abs(np.median(shifts - np.median(shifts, axis=0), axis=1)) < 8.0
    chosen = np.flatnonzero(is_steady)
    levers = []
    for row in chosen:
        pixel = pixels[row]
        change = after.pretrigger_ref[pixel] - before.pretrigger_ref[pixel]
        levers.append(change * before.lever[pixel])
    lever = np.mean(levers, axis=0)
    at_lines = _at_energies(lever, energies, before.line_energy)
    later_errors = np.interp(before.line_energy, after.line_energy, after.line_errors)
    error = np.hypot(before.line_errors, later_errors)
    return ReferenceShifts(
        energy=before.line_energy,
        shift=shifts[chosen].mean(axis=0),
        error=np.maximum(error, 1e-3),
        lever=at_lines,
    )


def _at_energies(
    lever: FloatArray, energies: FloatArray, new_energies: FloatArray
) -> FloatArray:
    """Interpolate a lever (energy, 2) to other energies (n, 2)."""
    columns = [np.interp(new_energies, energies, column) for column in lever.T]
    return np.stack(columns, axis=-1)


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
        counts += _stretch(spectra, task.edges, energy.alignment)
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
    divisor = np.maximum(weight_sum, 1e-12)
    incident = tuple(np.unique(part_incident[parts]) for parts in pieces)
    return ArraySpectra(
        scan=scan,
        counts=counts,
        incident=incident,
        lever=lever / divisor[:, None, None],
        pixel_lever=pixel_lever,
        in_use=in_use / divisor[:, None],
        later_share=float(np.mean(shares)) if shares else 0.0,
        spread=_own_drift(aligned),
    )


def find_runs(
    pixel: int, energy: PixelEnergy, runs: Sequence[RunDrift]
) -> RunPair | None:
    """Return the reference runs on which a pixel's energy function rests.

    None for a pixel that is not used.
    """
    if energy.params is None:
        return None
    sides = []
    for params in energy.params:
        for run in runs:
            reference = run.pretrigger_ref.get(pixel)
            if reference == params[layout.PRETRIGGER_REF]:
                sides.append(run)
                break
    return RunPair(*sides) if len(sides) == 2 else None


def _later_share(times: FloatArray, energy: PixelEnergy) -> FloatArray:
    """Return the weight of the later calibration of a pixel at some times, s."""
    first, second = energy.reference_times
    if second <= first:
        return np.zeros(len(times))
    return np.clip((times - first) / (second - first), 0.0, 1.0)


def _stretch(counts: FloatArray, edges: FloatArray, gain: float) -> FloatArray:
    """Return counts (piece, bin) after energies E became E (1 - gain)."""
    if gain == 0:
        return counts
    below = np.zeros((len(counts), len(edges)))
    np.cumsum(counts, axis=1, out=below[:, 1:])
    old_edges = edges / (1 - gain)
    rows = [np.diff(np.interp(old_edges, edges, row)) for row in below]
    return np.stack(rows)


def _own_drift(energies: Sequence[PixelEnergy]) -> float:
    """Return the relative rms of the pixels' own drift, beyond counting statistics."""
    measured = np.array([energy.misalignment for energy in energies])
    error = np.array([energy.alignment_error for energy in energies])
    is_known = np.isfinite(measured) & np.isfinite(error)
    if is_known.sum() < 2:
        return 0.0
    variance = np.var(measured[is_known], ddof=1) - np.mean(error[is_known] ** 2)
    return float(np.sqrt(max(variance, 0.0)))


def line_positions(
    scans: Sequence[ArraySpectra],
    lines: Mapping[str, float],
    edges: FloatArray,
    energies: FloatArray,
    memo: dict[tuple[object, ...], PieceShifts],
) -> MeasuredLines:
    """Measure the lines of each sample in all pieces of its scans.

    Pieces far above a line show the same emission in all scans of a sample; nearer to
    it, those with the same incident energies do.

    Parameters
    ----------
    scans
        Of one interval.
    lines
        Name -> energy of the lines that samples may emit, eV.
    edges
        Of the bins, f8 (bin + 1,), eV.
    energies
        At which levers are given, f8 (energy,), eV.
    memo
        Shifts that are measured already; more are added.

    Returns
    -------
    MeasuredLines
        Of the lines that are there.
    """
    centres = (edges[1:] + edges[:-1]) / 2
    observations = _Observations()
    names: list[str] = []
    peaks: list[FloatArray] = []
    for name, line_energy in lines.items():
        if not edges[0] < line_energy - WINDOW_EV < line_energy + WINDOW_EV < edges[-1]:
            continue
        for members in _groups(scans, name, line_energy).values():
            rows = np.array([scan for scan, _ in members])
            if len(rows) < 2:
                continue
            template = sum(scans[scan].counts[piece] for scan, piece in members)
            peak = _find_peak(np.asarray(template), centres, line_energy)
            if peak is None:
                continue
            member_names = [(scans[scan].scan.name, piece) for scan, piece in members]
            key = (name, *member_names)
            if key not in memo:
                counts = [scans[scan].counts[piece] for scan, piece in members]
                window = (line_energy - WINDOW_EV, line_energy + WINDOW_EV)
                memo[key] = measure_shifts(np.stack(counts), centres, window)
            measured = memo[key]
            is_used = measured.error < MAX_ERROR_EV
            if is_used.sum() < 2:
                continue
            lever = np.stack(
                [
                    _at_energies(
                        scans[scan].lever[piece], energies, np.array([line_energy])
                    )[0]
                    for scan, piece in members
                ]
            )
            in_use = np.stack([scans[scan].in_use[piece] for scan, piece in members])
            n = int(is_used.sum())
            edge = [_edge_index(observations, scans[row].scan, name) for row in rows]
            observations.add(
                scan=rows[is_used],
                edge=np.array(edge)[is_used],
                energy=np.full(n, line_energy),
                shift=measured.shift[is_used],
                error=measured.error[is_used],
                lever=lever[is_used],
                in_use=in_use[is_used],
            )
            names += [name] * n
            peaks.append(np.full(n, peak))
    all_peaks = np.concatenate(peaks) if peaks else np.empty(0)
    return MeasuredLines(observations.positions(), tuple(names), all_peaks)


def _find_peak(
    counts: FloatArray, centres: FloatArray, line_energy: float
) -> float | None:
    """Return where a spectrum (bin,) peaks near a line, eV; None without a peak."""
    from scipy.ndimage import uniform_filter1d

    width = round(PEAK_WIDTH_EV / (centres[1] - centres[0]))
    level = uniform_filter1d(counts, width) * width
    inside = np.flatnonzero(np.abs(centres - line_energy) < WINDOW_EV)
    peak = inside[np.argmax(level[inside])]
    if abs(centres[peak] - line_energy) > PEAK_RANGE_EV:
        return None
    ends = level[inside[[0, -1]]]
    height = level[peak] - ends
    if not np.all(height > PEAK_SIGMAS * np.sqrt(level[peak] + ends)):
        return None
    near = slice(peak - width, peak + width + 1)
    curvature, slope, _ = np.polyfit(centres[near] - centres[peak], level[near], 2)
    if not curvature < 0:
        return float(centres[peak])
    step = np.clip(-slope / (2 * curvature), -PEAK_WIDTH_EV, PEAK_WIDTH_EV)
    return float(centres[peak] + step)


def _edge_index(observations: _Observations, scan: Run, line: str) -> int:
    """Return the number of what a line may differ by at an edge of a sample."""
    key = (scan.sample, str(scan.edge), line)
    return observations.edges.setdefault(key, len(observations.edges))


def _groups(
    scans: Sequence[ArraySpectra], name: str, line_energy: float
) -> dict[tuple[object, ...], list[tuple[int, int]]]:
    """Return the pieces (scan, piece) that show the same emission of a line."""
    clear = RESONANT_K_EV if "_K" in name else RESONANT_L_EV
    groups: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for row, spectra in enumerate(scans):
        for piece, incident in enumerate(spectra.incident):
            if incident.min() > line_energy + clear:
                key: tuple[object, ...] = (spectra.scan.sample,)
            elif incident.max() < line_energy - WINDOW_EV:
                continue  # no light of the line, and of no other sharp one
            else:
                grid = tuple(np.round(incident, INCIDENT_DECIMALS).tolist())
                key = (spectra.scan.sample, spectra.scan.edge, grid)
            groups.setdefault(key, []).append((row, piece))
    return groups
