"""Linear equations of line positions, with free positions of the groups.

Rows are measured positions of lines, y = A x + p_g + noise. The position p_g of a group
is Gaussian around that of its line. Groups that show different emission of one line
differ by an eV or less; where the line itself stands is unknown.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray, IntArray

# How far positions of one line may be apart, standard deviations, eV: between samples
# (chemistry), between edges of a sample, and between pieces of a scan at the resonances
# of the line. Only steps of the scale that are larger are seen from group to group.
LINE_WIDTH = 30.0
SAMPLE_WIDTH = 0.7
EDGE_WIDTH = 0.3
RESONANT_WIDTH = 0.7


@dataclass(frozen=True)
class Groups:
    """What groups of pieces show, (group,) each.

    Indices of line, sample and edge, and whether they are near resonances of the line.
    """

    line: IntArray
    sample: IntArray
    edge: IntArray
    is_resonant: BoolArray

    @cached_property
    def information(self) -> FloatArray:
        """Inverse of the prior covariance of their positions, (group, group), eV^-2."""

        def is_same(index: IntArray) -> FloatArray:
            return np.asarray(index[:, None] == index[None, :], dtype=np.float64)

        line = is_same(self.line)
        sample = line * is_same(self.sample)
        edge = sample * is_same(self.edge)
        covariance = LINE_WIDTH**2 * line + SAMPLE_WIDTH**2 * sample
        covariance += EDGE_WIDTH**2 * edge
        least = 1e-3  # groups of one position are equal
        own = np.where(self.is_resonant, RESONANT_WIDTH, least)
        covariance += np.diag(own**2)
        return np.asarray(np.linalg.inv(covariance), dtype=np.float64)


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
    def _of_group(self) -> FloatArray:
        """Weight of each row in its group, (group, row)."""
        numbers = np.arange(len(self.groups.line))
        return np.where(self.group == numbers[:, None], self.weight, 0.0)

    def _sums(self, columns: FloatArray) -> FloatArray:
        """Return the weighted sums of columns (row, n) over groups, (group, n)."""
        return np.asarray(self._of_group @ columns)
