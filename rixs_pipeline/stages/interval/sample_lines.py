"""Positions of the lines of each sample in all pieces of its scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.drift.common_drift.measurements import Groups, LinePositions
from rixs_pipeline.core.drift.common_drift.piece_shifts import (
    PieceShifts,
    measure_shifts,
)
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.array_spectra import ArraySpectra
from rixs_pipeline.stages.interval.run_drift import at_energies
from rixs_pipeline.types import FloatArray

WINDOW_EV = 10.0  # half width around a line
# Incident energies that far above a line leave its shape alone: beyond the resonances
# of K edges, and beyond L2 and its resonances for L lines.
RESONANT_K_EV = 40.0
RESONANT_L_EV = 60.0
PEAK_WIDTH_EV = 3.0  # over which counts are added to find the peak of a line
PEAK_RANGE_EV = 5.0  # between table and sample: chemistry, and drift
CHEMISTRY_EV = 2.0  # between table and sample without drift
PEAK_SIGMAS = 5.0  # by which the peak stands above the ends of its window
INCIDENT_DECIMALS = 1  # of incident energies that count as equal
MAX_ERROR_EV = 0.5  # of a position that is used


@dataclass(frozen=True)
class MeasuredLines:
    """Positions of lines with their names (position,)."""

    positions: LinePositions
    names: tuple[str, ...]


class _Group(NamedTuple):
    """What pieces have in common that show the same emission.

    `edge` is empty and `incident` (eV) too far above the edges, where all scans of a
    sample show the same.
    """

    sample: str
    edge: str
    incident: tuple[float, ...]


@dataclass
class _Observations:
    """Positions of lines, collected group by group; as `LinePositions`."""

    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    groups: list[tuple[str, str, str]] = field(default_factory=list)
    edges: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def add(self, group_of: tuple[str, str, str], **values: NDArray[Any]) -> None:
        """Add positions of a new group, of a line of a sample at an edge."""
        for name, column in values.items():
            self.columns.setdefault(name, []).append(column)
        group = np.full(len(values["scan"]), len(self.groups))
        self.columns.setdefault("group", []).append(group)
        self.groups.append(group_of)

    def positions(self) -> LinePositions:
        """Return all of them."""
        indices = [
            np.unique(np.array(names, dtype=str), return_inverse=True)[1]
            for names in zip(*self.groups, strict=True)
        ]
        if not indices:
            row, value, table = np.empty(0, np.int64), np.empty(0), np.empty((0, 2))
            groups = Groups(row, row, row, np.empty(0, bool))
            return LinePositions(
                row, row, row, value, value, value, value, table, table, groups
            )
        line, sample, edge = indices
        is_resonant = np.array([edge != "" for _, _, edge in self.groups])
        columns: dict[str, Any] = {
            name: np.concatenate(parts) for name, parts in self.columns.items()
        }
        return LinePositions(**columns, groups=Groups(line, sample, edge, is_resonant))


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
    for name, line_energy in lines.items():
        if not edges[0] < line_energy - WINDOW_EV < line_energy + WINDOW_EV < edges[-1]:
            continue
        groups = _groups(scans, name, line_energy)
        peaks = {}
        for group, members in groups.items():
            template = sum(scans[scan].counts[piece] for scan, piece in members)
            peaks[group] = _find_peak(np.asarray(template), centres, line_energy)
        for group, peak in _emitted(peaks, line_energy).items():
            members = groups[group]
            rows = np.array([scan for scan, _ in members])
            member_names = [(scans[scan].scan.name, piece) for scan, piece in members]
            key = (name, *member_names)
            if key not in memo:
                counts = [scans[scan].counts[piece] for scan, piece in members]
                window = (line_energy - WINDOW_EV, line_energy + WINDOW_EV)
                memo[key] = measure_shifts(np.stack(counts), centres, window)
            measured = memo[key]
            is_used = measured.error < MAX_ERROR_EV
            if not is_used.any():
                continue
            lever = np.stack(
                [
                    at_energies(
                        scans[scan].lever[piece], energies, np.array([line_energy])
                    )[0]
                    for scan, piece in members
                ]
            )
            in_use = np.stack([scans[scan].in_use[piece] for scan, piece in members])
            n = int(is_used.sum())
            times = np.array([scans[scan].time[piece] for scan, piece in members])
            edge = [_edge_index(observations, scans[row].scan, name) for row in rows]
            observations.add(
                (name, group.sample, group.edge),
                scan=rows[is_used],
                edge=np.array(edge)[is_used],
                time=times[is_used],
                energy=np.full(n, line_energy),
                shift=peak - line_energy + measured.shift[is_used],
                error=measured.error[is_used],
                lever=lever[is_used],
                in_use=in_use[is_used],
            )
            names += [name] * n
    return MeasuredLines(observations.positions(), tuple(names))


def _emitted(
    peaks: Mapping[_Group, float | None], line_energy: float
) -> dict[_Group, float]:
    """Return the peaks of a line without those that are elastic light.

    A sample that lacks the element shows elastic light alone: its peak stands at the
    incident energies of a piece, off the line, and other pieces of the edge have none.
    """

    def may_be_elastic(group: _Group, peak: float) -> bool:
        is_off_line = abs(peak - line_energy) > CHEMISTRY_EV
        incident = group.incident or (np.inf,)
        return is_off_line and min(incident) < peak < max(incident)

    found = {group: peak for group, peak in peaks.items() if peak is not None}
    of_line, missing = set(), set()  # sample and edge
    for group, peak in peaks.items():
        if peak is None:
            missing.add(group[:2])
        elif not may_be_elastic(group, peak):
            of_line.add(group[:2])
    elastic = missing - of_line
    return {group: peak for group, peak in found.items() if group[:2] not in elastic}


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
) -> dict[_Group, list[tuple[int, int]]]:
    """Return the pieces (scan, piece) that show the same emission of a line."""
    clear = RESONANT_K_EV if "_K" in name else RESONANT_L_EV
    groups: dict[_Group, list[tuple[int, int]]] = {}
    for row, spectra in enumerate(scans):
        for piece, incident in enumerate(spectra.incident):
            if incident.min() > line_energy + clear:
                key = _Group(spectra.scan.sample, "", ())
            elif incident.max() < line_energy - WINDOW_EV:
                continue  # no light of the line, and of no other sharp one
            else:
                grid = tuple(np.round(incident, INCIDENT_DECIMALS).tolist())
                key = _Group(spectra.scan.sample, str(spectra.scan.edge), grid)
            groups.setdefault(key, []).append((row, piece))
    return groups
