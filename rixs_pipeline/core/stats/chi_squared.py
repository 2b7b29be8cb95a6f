"""The law of chi^2 where places and counts are many: chi-squared, stretched to its exact variance; nothing is drawn."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MANY = 30  # places: then no step of the counts, and no inefficiency of the factors, is seen in the sum
_SCARCE = 0.2  # mean 1 / counts, in the mean over the places: p down to 0.002 is right to 13 %


def moments(
    total: NDArray[np.int64],
    weight: Floats,
    shares: Floats,
    starts: NDArray[np.intp],
    fitted: int,
) -> tuple[float, float] | None:
    """Mean and variance of chi^2 = sum over places and spectra of (N - E)^2 / V, `core.comparison`'s.

    With K spectra, of shares q, at a place (E. S. Pearson's chi^2 with weights), and as many fewer degrees of freedom
    in all as there are factors fitted to it:

        mean K - 1,  variance 2 (K - 1) + h (sum 1 / q - K^2 - 2 K + 2),  h = sum w^4 n / (sum w^2 n)^2

    Args:
        total: counts n of all spectra, `weight` w of them (cell,), `shares` q (cell, K) of each spectrum.
        starts: where the cells of each place begin, (place,).
        fitted: how many factors.

    Returns:
        None where the shares differ within a place, or places or counts are too few for a chi-squared law.
    """
    lengths = np.diff(starts, append=len(total))
    counted = np.add.reduceat(total, starts) > 0
    if counted.sum() < _MANY or not np.array_equal(
        shares, np.repeat(shares[starts], lengths, axis=0)
    ):
        return None
    q = shares[starts][counted]
    fourth, second = (
        np.add.reduceat(weight**power * total, starts)[counted] for power in (4, 2)
    )
    number, per_count = (q > 0).sum(axis=1), fourth / second**2
    inverse = np.divide(1.0, q, out=np.zeros_like(q), where=q > 0).sum(axis=1)
    mean = float(np.sum(number - 1)) - fitted
    if not np.sum(per_count * inverse) < 2 * _SCARCE * mean:
        return None
    return mean, float(
        2 * mean + np.sum(per_count * (inverse - number**2 - 2 * number + 2))
    )


def tail(chi_square: float, mean: float, variance: float) -> float:
    """Probability that a stretched chi-squared variable of this mean and variance is larger."""
    from scipy.special import chdtrc  # scipy.stats takes half a second to import

    stretch = variance / (2 * mean)
    return float(chdtrc(mean / stretch, chi_square / stretch))
