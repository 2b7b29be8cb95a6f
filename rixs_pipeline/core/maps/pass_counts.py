"""Counts of passes in a region, and the yields that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.stats import homogeneity
from rixs_pipeline.types import FloatArray, IntArray


@dataclass(frozen=True)
class PassValues:
    """A quantity of each pass on shared points.

    Attributes
    ----------
    values : (point,) f8 of each pass
        NaN where a pass has no value.
    errors : (point,) f8 of each pass, or None
        Standard deviations, positive; None where they are unknown.
    """

    values: Sequence[FloatArray]
    errors: Sequence[FloatArray] | None = None


@dataclass(frozen=True)
class PassCounts:
    """Counts of passes on shared incident points, in the bins of a region.

    Attributes
    ----------
    counts : (point, bin) i8 of each pass
    exposure : (point,) f8 of each pass
        In s.
    weights : (point, bin) f8
        Share of each bin in the region, 0 to 1.
    """

    counts: Sequence[IntArray]
    exposure: Sequence[FloatArray]
    weights: FloatArray

    def cells(self) -> homogeneity.Cells:
        """Return the cells of a homogeneity test along the incident energy."""
        return homogeneity.cells(
            self.counts, self.exposure, self.weights, along_emission=False
        )

    def yields(self) -> PassValues:
        """Return the yield of each pass, sum(w n) / exposure, and its error.

        The variance sum(w^2 n) is at least that of one count.
        """
        values, errors = [], []
        for counts, exposure in zip(self.counts, self.exposure, strict=True):
            is_exposed = exposure > 0
            seconds = np.where(is_exposed, exposure, np.nan)
            values.append((counts * self.weights).sum(axis=1) / seconds)
            variance = (counts * self.weights**2).sum(axis=1)
            deviation = np.sqrt(np.maximum(variance, 1.0))
            errors.append(deviation / np.where(is_exposed, exposure, 1.0))
        return PassValues(values, errors)
