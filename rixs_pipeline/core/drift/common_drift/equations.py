"""Linear equations of line positions, with free positions of the groups.

Rows are measured positions of lines, y = A x + p_g + noise. The position p_g of a group
is Gaussian around that of its line. Groups that show different emission of one line
differ by an eV or less; where the line itself stands is unknown.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.drift.common_drift.measurements import (
    N_DRIFT,
    REFERENCE_EV,
    Groups,
    Interval,
    LinePositions,
    ReferenceShifts,
    TimeOffsets,
)
from rixs_pipeline.types import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Deviation of what lines moved between reference runs from the forms above: eV, and
# share. A gain changes energies in proportion to the pulse height.
FORM_WIDTH = 0.05
FORM_SHARE = 0.1
# Pieces of all scans between two reference runs: time grows with the cube. The scale
# moves little within a scan where there are more.
MAX_PIECES = 400


@dataclass(frozen=True)
class Unknowns:
    """Places of the unknowns of the common drift.

    They are the drift coefficients, the scale of each scan, what the reference runs
    moved by, what the scale moves by within scans and within reference runs, and what
    lines differ by between edges.

    Attributes
    ----------
    pieces
        Times of the pieces of each scan, (piece,) each, s. The scale moves within scans
        of more than one piece.
    n_bins
        Of each reference run, bins of time in which its lines move.
    n_edges
        Differences between edges.
    """

    pieces: tuple[FloatArray, ...]
    n_bins: tuple[int, ...]
    n_edges: int

    @property
    def moved(self) -> int:
        """Place of what the reference runs moved by."""
        return N_DRIFT + len(self.pieces)

    @cached_property
    def _after_scan(self) -> IntArray:
        """Place after what the scale moves by within a scan and those before."""
        numbers = [len(times) if len(times) > 1 else 0 for times in self.pieces]
        return self.moved + 1 + np.cumsum(numbers, dtype=np.int64)

    def within_scan(self, scan: int) -> IntArray:
        """Return the places of what the scale moves by in pieces of a scan.

        There are none where the scan has one piece.
        """
        first = self._after_scan[scan - 1] if scan else self.moved + 1
        return np.arange(first, self._after_scan[scan])

    def within_run(self, run: int) -> IntArray:
        """Return the places of what the scale moves by in bins of a reference run."""
        first = self._after_scan[-1] + sum(self.n_bins[:run])
        return np.arange(first, first + self.n_bins[run])

    @property
    def first_edge(self) -> int:
        """Place of the first difference between edges."""
        return int(self._after_scan[-1]) + sum(self.n_bins)

    @property
    def total(self) -> int:
        """Their number."""
        return self.first_edge + self.n_edges


@dataclass(frozen=True)
class Equations:
    """Rows y = A x + p_g + noise.

    Attributes
    ----------
    design
        A, f8 (row, unknown).
    target
        y, (row,), eV.
    weight
        1 / variance of the noise, (row,), eV^-2.
    group
        Of each row; -1: the row has no free position.
    groups
        The groups.
    """

    design: FloatArray
    target: FloatArray
    weight: FloatArray
    group: IntArray
    groups: Groups

    def product(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return left' V right of columns (row, n) and (row, m), f8 (n, m).

        V is the inverse covariance of the rows, positions of the groups included.
        """
        direct = left.T @ (self.weight[:, None] * right)
        return np.asarray(
            direct - self._sums(left).T @ (self._positions @ self._sums(right))
        )

    def squares(self, columns: FloatArray) -> FloatArray:
        """Return the diagonal (n,) of `product` of columns (row, n) with themselves."""
        sums = self._sums(columns)
        direct = self.weight @ columns**2
        return np.asarray(direct - (sums * (self._positions @ sums)).sum(axis=0))

    @cached_property
    def information(self) -> FloatArray:
        """Fisher information of the unknowns, f8 (unknown, unknown)."""
        return self.product(self.design, self.design)

    @cached_property
    def gradient(self) -> FloatArray:
        """Gradient of the log likelihood at 0, f8 (unknown,)."""
        return self.product(self.design, self.target[:, None])[:, 0]

    @cached_property
    def _positions(self) -> FloatArray:
        """Covariance (group, group) of the positions of groups, given the unknowns."""
        total = np.diag(self._of_group.sum(axis=1))
        inverse = np.linalg.inv(total + self.groups.information)
        return np.asarray(inverse, dtype=np.float64)

    @cached_property
    def _of_group(self) -> "csr_array":
        """Weight of each row in its group, (group, row); most are 0."""
        from scipy.sparse import csr_array

        rows = np.flatnonzero(self.group >= 0)
        shape = (len(self.groups.line), len(self.group))
        return csr_array((self.weight[rows], (self.group[rows], rows)), shape)

    def _sums(self, columns: FloatArray) -> FloatArray:
        """Return the weighted sums of columns (row, n) over groups, (group, n)."""
        return np.asarray(self._of_group @ columns)


def drift_equations(
    positions: LinePositions, interval: Interval, unknowns: Unknowns
) -> Equations:
    """Return the equations of the common drift.

    Parameters
    ----------
    positions
        Of lines in the scans.
    interval
        The scans and the reference runs around them.
    unknowns
        Of both (`find_unknowns`).

    Returns
    -------
    Equations
        A row for each position, then for each line that moved from one reference run to
        the next, then for each bin of time of the reference runs.
    """
    parts = [_position_rows(positions, unknowns)]
    if interval.shifts is not None:
        in_use = interval.references[0].in_use
        parts.append(_shift_rows(interval.shifts, in_use, unknowns))
    for run, reference in enumerate(interval.references):
        if reference.offsets is not None:
            bins = unknowns.within_run(run)
            of_run = _offset_rows(reference.offsets, reference.in_use, bins, unknowns)
            parts.append(of_run)
    design, target, weight = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("design", "target", "weight")
    )
    n_others = len(target) - len(positions.scan)
    group = np.append(positions.group, np.full(n_others, -1))
    return Equations(design, target, weight, group, positions.groups)


def find_unknowns(positions: LinePositions, interval: Interval) -> Unknowns:
    """Return the unknowns of the common drift.

    Parameters
    ----------
    positions
        Of lines in the scans.
    interval
        The scans and the reference runs around them.

    Returns
    -------
    Unknowns
        Neighbouring pieces of a scan are joined where there are many scans.
    """
    n_bins = [
        0 if reference.offsets is None else len(reference.times)
        for reference in interval.references
    ]
    n_edges = int(positions.edge.max(initial=-1)) + 1
    most = max(MAX_PIECES // len(interval.time), 1)
    pieces = []
    for scan, middle in enumerate(interval.time):
        times = np.unique(positions.time[positions.scan == scan])
        if len(times) > most:
            joined = np.array_split(times, most)
            times = np.array([neighbours.mean() for neighbours in joined])
        pieces.append(times if len(times) else np.array([middle]))
    return Unknowns(tuple(pieces), tuple(n_bins), n_edges)


@dataclass(frozen=True)
class _Rows:
    """Design (row, unknown), target and weight (row,) of some equations."""

    design: FloatArray
    target: FloatArray
    weight: FloatArray


def _position_rows(positions: LinePositions, unknowns: Unknowns) -> _Rows:
    """Return the rows of positions of lines in scans."""
    design = np.zeros((len(positions.scan), unknowns.total))
    design[:, :N_DRIFT] = -positions.lever
    rows = np.arange(len(design))
    relative = positions.energy / REFERENCE_EV
    design[rows, N_DRIFT + positions.scan] = relative
    for scan, times in enumerate(unknowns.pieces):
        if len(times) > 1:
            of_scan = np.flatnonzero(positions.scan == scan)
            limits = (times[1:] + times[:-1]) / 2
            piece = np.searchsorted(limits, positions.time[of_scan])
            design[of_scan, unknowns.within_scan(scan)[piece]] = relative[of_scan]
    differs = positions.edge >= 0
    design[rows[differs], unknowns.first_edge + positions.edge[differs]] = 1.0
    in_use = (positions.lever * positions.in_use).sum(axis=1)
    return _Rows(design, positions.shift - in_use, positions.error**-2)


def _shift_rows(
    shifts: ReferenceShifts, in_use: FloatArray, unknowns: Unknowns
) -> _Rows:
    """Return the rows of what lines moved from one reference run to the next."""
    design = np.zeros((len(shifts.energy), unknowns.total))
    design[:, :N_DRIFT] = -shifts.lever
    design[:, unknowns.moved] = shifts.energy / REFERENCE_EV
    deviation = np.hypot(FORM_WIDTH, FORM_SHARE * shifts.shift)
    weight = 1 / (shifts.error**2 + deviation**2)
    return _Rows(design, shifts.shift - shifts.lever @ in_use, weight)


def _offset_rows(
    offsets: TimeOffsets, in_use: FloatArray, bins: IntArray, unknowns: Unknowns
) -> _Rows:
    """Return the rows of what lines move by within a reference run.

    They are relative to their mean: where the lines are as a whole says nothing here.
    """
    design = np.zeros((len(bins), unknowns.total))
    design[:, :N_DRIFT] = -offsets.lever
    design[np.arange(len(bins)), bins] = offsets.energy / REFERENCE_EV
    target = offsets.shift - offsets.lever @ in_use
    design -= offsets.share @ design
    target -= offsets.share @ target
    return _Rows(design, target, offsets.error**-2)
