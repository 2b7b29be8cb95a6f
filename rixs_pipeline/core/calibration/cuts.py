"""Which pulses are photons: cuts learned per pixel and run from the pulses themselves, each named and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

CUT_NAMES = ("all", "finite", "residual", "pretrigger", "phase", "since_last")
ENOUGH = 4000  # pulses, evenly spread over the run, that tell a median and its spread to two percent
ROBUST_SIGMA = 1.4826  # median absolute deviation -> standard deviation of a Gaussian


@dataclass(frozen=True)
class CutLimits:
    """What one pixel's pulses must satisfy: `low <= value <= high` of each quantity."""

    residual: tuple[float, float]
    pretrigger: tuple[float, float]
    phase: tuple[float, float]
    since_last: tuple[float, float] = (
        0.0,
        np.inf,
    )  # s; the lower one is the hold-off, see `core.pile_up`

    @property
    def hold_off(self) -> float:
        """Seconds after every record in which pulses are left out."""
        return self.since_last[0]

    def held_off(self, seconds: float) -> "CutLimits":
        """The same limits with another hold-off, s."""
        return replace(self, since_last=(seconds, np.inf))

    def table(self) -> Float:
        """The limits as a row (quantity, 2) of a product, quantities in the order of `CUT_NAMES[2:]`."""
        return np.array([self.residual, self.pretrigger, self.phase, self.since_last])


def robust_range(values: Float, width: float) -> tuple[float, float]:
    """Median +- `width` robust standard deviations (from the median absolute deviation) of finite values (event,)."""
    from rixs_pipeline.core.calibration import pulse_kernels

    low, high = pulse_kernels.robust_range(values, width, ROBUST_SIGMA)
    return float(low), float(high)


def finite(
    pulse_height: Float, phase: Float, pretrigger_mean: Float, residual: Float
) -> Bool:
    """Pulses (event,) that hold numbers at all and point upwards."""
    from rixs_pipeline.core.calibration import pulse_kernels

    return np.asarray(
        pulse_kernels.finite(pulse_height, phase, pretrigger_mean, residual)
    )


def learn(
    pulse_height: Float,
    phase: Float,
    pretrigger_mean: Float,
    residual: Float,
    width: float,
    at_least: int = 20,
) -> CutLimits | None:
    """Limits from the bulk of one pixel's pulses (event,); None where fewer than `at_least` pulses hold numbers.

    The residual's bulk is a narrow peak (10 % wide) and its outliers stand far above; pretrigger mean and phase are
    cut at three times that width, which takes out the nonsense and leaves slow drift alone. The hold-off is none: one
    pixel does not tell it.
    """
    good = np.flatnonzero(finite(pulse_height, phase, pretrigger_mean, residual))
    if len(good) < at_least:
        return None
    good = good[:: max(1, len(good) // ENOUGH)]
    return CutLimits(
        robust_range(residual[good], width),
        robust_range(pretrigger_mean[good], 3 * width),
        robust_range(phase[good], width),
    )


def changed(own: CutLimits, reference: Float) -> bool:
    """Whether a pixel's pulses are no longer those of its reference run (limits (quantity, 2)).

    The middle of its residuals or of its base line lies outside the reference's limits by more than their width: far
    beyond drift, which moves both by a fraction of it.
    """
    if np.isnan(reference).any():
        return False
    middle = own.table()[:2].mean(axis=1)
    low, high = reference[:2].T
    return bool(np.any((middle < low - (high - low)) | (middle > high + (high - low))))


def from_table(table: Float) -> CutLimits | None:
    """Limits from a row (quantity, 2) of a product; None where it holds none (NaN)."""
    if np.isnan(table).any():
        return None
    return CutLimits(*((float(low), float(high)) for low, high in table))


def tables(limits: Sequence[CutLimits | None]) -> Float:
    """Limits of all pixels (pixel, quantity, 2); NaN where a pixel has none."""
    rows = [
        np.full((len(CUT_NAMES) - 2, 2), np.nan) if one is None else one.table()
        for one in limits
    ]
    return np.stack(rows)


def apply(
    pulse_height: Float,
    phase: Float,
    pretrigger_mean: Float,
    residual: Float,
    since_last: Float,
    limits: CutLimits,
) -> tuple[Bool, NDArray[np.int64]]:
    """Accepted pulses bool (event,) and how many are left after each of `CUT_NAMES`, i8 (cut,)."""
    accepted = np.ones(len(pulse_height), dtype=bool)
    left = [len(accepted)]
    accepted &= finite(pulse_height, phase, pretrigger_mean, residual)
    left.append(int(np.count_nonzero(accepted)))
    for values, (low, high) in (
        (residual, limits.residual),
        (pretrigger_mean, limits.pretrigger),
        (phase, limits.phase),
        (since_last, limits.since_last),
    ):
        accepted &= (values >= low) & (values <= high)
        left.append(int(np.count_nonzero(accepted)))
    return accepted, np.array(left, dtype=np.int64)
