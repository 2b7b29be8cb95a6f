"""Confidence intervals of counts and of weighted counts that hold at few counts too."""

import numpy as np
from numpy.typing import NDArray

Interval = tuple[NDArray[np.float64], NDArray[np.float64]]


def garwood(counts: NDArray[np.int64], level: float = 0.95) -> Interval:
    """Lower and upper end of the exact central interval of a Poisson mean, f8 like `counts`.

    Half the chi-squared quantiles with 2N and 2(N + 1) degrees of freedom: F. Garwood, Biometrika 28, 437 (1936).
    """
    ones = np.ones(np.shape(counts))
    return fay_feuer(counts * ones, counts * ones, ones, level)


def fay_feuer(
    total: NDArray[np.float64], variance: NDArray[np.float64], max_weight: NDArray[np.float64], level: float = 0.95
) -> Interval:
    """Lower and upper end of the gamma interval of a weighted sum of Poisson counts, f8 like `total`.

    `total` y = sum w n, `variance` v = sum w^2 n, `max_weight` w_M = the largest weight of the sum, all (...,).
    Lower: gamma quantile with mean y and variance v; upper: with mean y + w_M and variance v + w_M^2. With equal
    weights it is Garwood's. M. P. Fay and E. J. Feuer, Statistics in Medicine 16, 791 (1997).
    """
    from scipy.special import gammaincinv

    tail = (1 - level) / 2
    seen = total > 0
    y, v = np.where(seen, total, 1.0), np.where(seen, variance, 1.0)
    lower = np.where(seen, v / y * gammaincinv(y**2 / v, tail), 0.0)
    y, v = total + max_weight, variance + max_weight**2
    shape = np.divide(y**2, v, out=np.ones(np.shape(y)), where=v > 0)
    scale = np.divide(v, y, out=np.zeros(np.shape(y)), where=y > 0)
    return lower, scale * gammaincinv(shape, 1 - tail)
