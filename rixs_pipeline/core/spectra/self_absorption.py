"""Self-absorption of a thick sample's fluorescence yield, undone, and held against the inverse yield."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.spectra.normalisation import Limits

Floats = NDArray[np.float64]

Y_LARGEST = 0.9  # of the yield's ceiling K: beyond, the correction multiplies errors by more than a hundred


@dataclass(frozen=True)
class Absorption:
    """`values` and standard deviation `errors`, f8 (n,), in units of the element's own absorption after the edge;
    NaN at the `refused` points, whose yield is too near its ceiling."""

    values: Floats
    errors: Floats
    refused: NDArray[np.bool_]


def absorption(
    energy: Floats,
    intensity: Floats,
    errors: Floats,
    post_edge: Limits,
    background: float,
    fluorescence: float,
) -> Absorption:
    """The absorption mu_X behind a yield I = K mu_X / (mu_X + mu_b + g mu_f), pre-edge background subtracted.

    With r = (mu_b + g mu_f) / mu_X after the edge, K = I(post_edge) (1 + r), y = I / K:

        mu_X = r y / (1 - y),   d mu_X / d I = r / (K (1 - y)^2)

    so that the relative error grows by 1 + mu_X / r. The error of I(post_edge), the mean of its points, is added. A
    point with y, or y + 2 standard deviations, beyond 0.9 or 1 is refused. Formula: as for the inverse yield, A. J.
    Achkar et al., Phys. Rev. B 83, 081106 (2011).

    Args:
        energy, intensity, errors: f8 (n,), NaN where there is no value.
        post_edge: where the element's own absorption is 1, eV.
        background: mu_b, absorption of all else, relative to the element's after the edge.
        fluorescence: g mu_f, absorption of the emitted light times the geometry factor, relative to the same.

    Raises:
        ValueError: no points, or no intensity, in `post_edge`.
    """
    window = np.isfinite(intensity) & (energy >= post_edge[0]) & (energy < post_edge[1])
    after = float(intensity[window].mean()) if window.any() else 0.0
    if not after > 0:
        raise ValueError(
            f"self_absorption: no intensity in post_edge {list(post_edge)} eV"
        )
    ratio = background + fluorescence
    ceiling = after * (1 + ratio)
    y, deviation = intensity / ceiling, errors / ceiling
    after_error = float(np.sqrt((errors[window] ** 2).sum())) / window.sum() / after
    refused = np.isfinite(y) & ((y > Y_LARGEST) | (y + 2 * deviation > 1))
    y = np.where(refused, np.nan, y)
    slope = ratio / (1 - y) ** 2
    return Absorption(
        ratio * y / (1 - y), slope * np.hypot(deviation, y * after_error), refused
    )


@dataclass(frozen=True)
class Agreement:
    """Chi-squared of absorption = offset + slope x inverse yield, and its p."""

    chi2: float
    dof: int
    p: float
    slope: float
    offset: float


def agreement(
    values: Floats, errors: Floats, inverse: Floats, inverse_errors: Floats
) -> Agreement | None:
    """Whether an absorption is a straight line in the inverse yield, which has an offset and no self-absorption.

    All f8 (n,) on the same points; points without a value are left out. The line is fitted with the errors of both
    (effective variance); None with fewer than four points.
    """
    from scipy.special import chdtrc  # scipy.stats takes a second to load

    good = (
        np.isfinite(values)
        & np.isfinite(inverse)
        & (errors > 0)
        & np.isfinite(inverse_errors)
    )
    if good.sum() < 4:
        return None
    y, x, dy, dx = values[good], inverse[good], errors[good], inverse_errors[good]
    slope = 0.0
    for _ in range(20):
        weight = 1 / (dy**2 + (slope * dx) ** 2)
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        spread = weight @ (
            (x - mean_x) ** 2 - dx**2
        )  # less what noise adds: a fit's slope would be pulled to zero
        slope = (
            float(weight @ ((x - mean_x) * (y - mean_y)) / spread)
            if spread > 0
            else 0.0
        )
    offset = float(mean_y - slope * mean_x)
    statistic = float(
        ((y - offset - slope * x) ** 2 / (dy**2 + (slope * dx) ** 2)).sum()
    )
    dof = int(good.sum()) - 2
    return Agreement(statistic, dof, float(chdtrc(dof, statistic)), slope, offset)
