"""Confidence intervals of counts and of weighted counts that hold at few counts too."""

from functools import cache
from typing import NamedTuple

import numpy as np

from rixs_pipeline.types import FloatArray, IntArray

Z_95 = 1.959963984540054  # standard deviations of a Gaussian that hold 95 %
TABLE_COUNTS = 12  # Blaker's ends below, Garwood's from here on: these are close enough
SEARCH_STEPS = 1000  # between Garwood's end and the count itself


class Interval(NamedTuple):
    """Lower and upper ends of confidence intervals, f8 (...)."""

    lower: FloatArray
    upper: FloatArray


def garwood_interval(counts: IntArray, level: float = 0.95) -> Interval:
    """Return the exact central interval of a Poisson mean.

    Parameters
    ----------
    counts
        i8 (...).
    level
        Of confidence.

    Returns
    -------
    Interval
        Half the chi-squared quantiles with 2 N and 2 (N + 1) degrees of freedom.

    References
    ----------
    F. Garwood, Biometrika 28, 437 (1936).
    """
    unit_weights = np.ones(np.shape(counts))
    total = counts * unit_weights
    return gamma_interval(total, total, unit_weights, level)


def gamma_interval(
    total: FloatArray, variance: FloatArray, max_weight: FloatArray, level: float = 0.95
) -> Interval:
    """Return the gamma interval of a weighted sum of Poisson counts.

    Parameters
    ----------
    total
        y = sum w n, f8 (...).
    variance
        v = sum w^2 n, f8 (...).
    max_weight
        The largest weight w_M of the sum, f8 (...).
    level
        Of confidence.

    Returns
    -------
    Interval
        Gamma quantiles: the lower end with mean y and variance v, the upper end with
        mean y + w_M and variance v + w_M^2. With equal weights it is Garwood's.

    References
    ----------
    M. P. Fay and E. J. Feuer, Statistics in Medicine 16, 791 (1997).
    """
    from scipy.special import gammaincinv  # scipy.stats takes half a second to import

    tail = (1 - level) / 2
    has_counts = total > 0
    y = np.where(has_counts, total, 1.0)
    v = np.where(has_counts, variance, 1.0)
    lower_end = v / y * gammaincinv(y**2 / v, tail)
    lower = np.where(has_counts, lower_end, 0.0)
    y = total + max_weight
    v = variance + max_weight**2
    shape = np.ones(np.shape(y))
    scale = np.zeros(np.shape(y))
    np.divide(y**2, v, out=shape, where=v > 0)
    np.divide(v, y, out=scale, where=y > 0)
    upper = scale * gammaincinv(shape, 1 - tail)
    return Interval(lower, upper)


def count_interval(
    total: FloatArray, variance: FloatArray, max_weight: FloatArray
) -> Interval:
    """Return the 95 % interval of a weighted sum of Poisson counts.

    It is the gamma interval, narrowed at few counts as Blaker's is against Garwood's:
    Garwood's covers up to 99.1 % at means of 3 to 3.7, the inverse of Blaker's test 95
    to 98.5 %. With equal weights it is Blaker's below 12 counts and Garwood's above,
    and never covers less than 95 %. Between whole effective counts y^2 / v the ratio to
    the ends of the gamma interval is interpolated.

    Parameters
    ----------
    total, variance, max_weight
        As in `gamma_interval`.

    Returns
    -------
    Interval

    References
    ----------
    H. Blaker, Canadian Journal of Statistics 28, 783 (2000).
    """
    interval = gamma_interval(total, variance, max_weight)
    shape = np.shape(total)
    counts_below = np.zeros(shape)
    np.divide(total**2, variance, out=counts_below, where=variance > 0)
    y = total + max_weight
    v = variance + max_weight**2
    counts_and_one = np.ones(shape)
    np.divide(y**2, v, out=counts_and_one, where=v > 0)
    counts_above = counts_and_one - 1.0
    ratios = _blaker_to_garwood()
    counts = np.arange(TABLE_COUNTS + 1)
    lower_ratio = np.interp(counts_below, counts, ratios.lower)
    upper_ratio = np.interp(counts_above, counts, ratios.upper)
    lower = interval.lower * lower_ratio
    upper = interval.upper * upper_ratio
    return Interval(lower, upper)


def widen_interval(
    value: FloatArray, interval: Interval, deviation: FloatArray
) -> Interval:
    """Return the 95 % interval of a value with an independent error added to it.

    Parameters
    ----------
    value
        f8 (...).
    interval
        Of the value without the error, 95 %.
    deviation
        Standard deviation of the error, f8 (...).

    Returns
    -------
    Interval
        Distances from the value are added in quadrature on each side: the "method of
        variance estimates recovery" (MOVER).

    References
    ----------
    G. Y. Zou and A. Donner, Statistics in Medicine 27, 1693 (2008).
    """
    added = Z_95 * deviation
    below = np.hypot(value - interval.lower, added)
    above = np.hypot(interval.upper - value, added)
    return Interval(value - below, value + above)


@cache
def _blaker_to_garwood() -> Interval:
    """Return the ends of Blaker's 95 % interval over Garwood's, (count,).

    For 0 ... `TABLE_COUNTS` counts; the last ratio is 1: it stands for Garwood's.
    """
    counts = np.arange(TABLE_COUNTS + 1)
    garwood = garwood_interval(counts)
    lower_ratio = np.ones(len(counts))
    upper_ratio = np.ones(len(counts))
    for n in counts[:-1]:
        upper = garwood.upper[n]
        upper_ratio[n] = _blaker_end(upper, n) / upper
        if n:
            lower = garwood.lower[n]
            lower_ratio[n] = _blaker_end(lower, n) / lower
    return Interval(lower_ratio, upper_ratio)


def _blaker_end(garwood_end: float, n: int) -> float:
    """Return the last mean, from Garwood's end on, before Blaker's test accepts n."""
    first, last = garwood_end, float(n)
    for _ in range(2):
        means = np.linspace(first, last, SEARCH_STEPS)
        is_accepted = _acceptability(means, n) > 0.05
        accepted = int(np.argmax(is_accepted))
        rejected = max(accepted - 1, 0)
        first, last = means[rejected], means[accepted]
    return float(first)


def _acceptability(means: FloatArray, n: int) -> FloatArray:
    """Return the probability (mean,) of counts at least as far in a tail as n."""
    from scipy.special import pdtr

    counts = np.arange(-1, 4 * TABLE_COUNTS)[:, None]
    probability = pdtr(np.maximum(counts, 0), means)
    at_most = np.where(counts < 0, 0.0, probability)  # P(N <= count), count -1 first
    at_least = 1.0 - at_most[:-1]  # P(N >= count), count 0 first
    below = at_most[n + 1]
    above = at_least[n]
    smaller = np.minimum(below, above)
    lower_tails = np.where(at_most <= smaller, at_most, 0.0)
    upper_tails = np.where(at_least <= smaller, at_least, 0.0)
    with_upper_tail = below + upper_tails.max(axis=0)
    with_lower_tail = above + lower_tails.max(axis=0)
    is_below = below < above
    both_tails = np.where(is_below, with_upper_tail, with_lower_tail)
    return np.asarray(both_tails)
