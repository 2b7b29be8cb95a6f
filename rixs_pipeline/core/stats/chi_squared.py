"""The distribution of chi^2 where places and counts are many, without drawing it.

It is a chi-squared distribution, stretched to the exact variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import FloatArray, IntArray

# From so many places on, neither the steps of the counts nor the inefficiency of the
# fitted factors matter in the sum.
MIN_PLACES = 30
# Largest mean of 1 / counts over the places: p down to 0.002 is right to 13 %.
MAX_INVERSE_COUNTS = 0.2


@dataclass(frozen=True)
class ChiSquaredLaw:
    """A stretched chi-squared distribution of this mean and variance."""

    mean: float
    variance: float

    def tail(self, chi_square: float) -> float:
        """Return the probability of a larger value."""
        from scipy.special import chdtrc  # scipy.stats takes half a second to import

        stretch = self.variance / (2 * self.mean)
        return float(chdtrc(self.mean / stretch, chi_square / stretch))


def chi_squared_law(
    total: IntArray,
    weight: FloatArray,
    shares: FloatArray,
    starts: NDArray[np.intp],
    n_factors: int,
) -> ChiSquaredLaw | None:
    """Return the distribution of chi^2 = sum over places and spectra of (N - E)^2 / V.

    Parameters
    ----------
    total
        Counts n of all spectra, i8 (cell,), ordered by their place.
    weight
        Weight w of the counts, f8 (cell,).
    shares
        Expected share q of each spectrum, f8 (cell, K).
    starts
        Where the cells of each place begin, (place,).
    n_factors
        Number of fitted factors, which the mean is less by.

    Returns
    -------
    ChiSquaredLaw or None
        None where the shares differ within a place, or places or counts are too few.

    Notes
    -----
    With K spectra at a place (E. S. Pearson's chi^2 with weights)::

        mean = K - 1
        variance = 2 (K - 1) + h (sum 1 / q - K^2 - 2 K + 2)
        h = sum w^4 n / (sum w^2 n)^2
    """
    lengths = np.diff(starts, append=len(total))
    has_counts = np.add.reduceat(total, starts) > 0
    if has_counts.sum() < MIN_PLACES:
        return None
    place_shares = shares[starts]
    if not np.array_equal(shares, np.repeat(place_shares, lengths, axis=0)):
        return None
    q = place_shares[has_counts]
    fourth = np.add.reduceat(weight**4 * total, starts)[has_counts]
    second = np.add.reduceat(weight**2 * total, starts)[has_counts]
    inverse_counts = fourth / second**2
    k = (q > 0).sum(axis=1)
    inverse_shares = np.divide(1.0, q, out=np.zeros_like(q), where=q > 0).sum(axis=1)
    mean = float(np.sum(k - 1)) - n_factors
    if not np.sum(inverse_counts * inverse_shares) < 2 * MAX_INVERSE_COUNTS * mean:
        return None
    excess = np.sum(inverse_counts * (inverse_shares - k**2 - 2 * k + 2))
    return ChiSquaredLaw(mean, float(2 * mean + excess))
