"""The offset of a clock from the scans that it timed: constant, or with a drift."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.timing.shift_fits import ShiftCurve
from rixs_pipeline.types import FloatArray

# An offset stands out where zero is as improbable as a deviation of so many standard
# deviations: of 100,000 sound beamtimes less than one
SIGNIFICANCE = 4.5
MIN_LOG_RATIO = SIGNIFICANCE**2 / 2
# Half of the smallest offset that matters, in units of the time from point to point
MIN_SPACINGS = 0.25
DRIFT_STEPS = 16  # of the drift, on either side of zero
STEPS_PER_SPACING = 32
SINGLE_PEAK = 1.5  # spacings around the maximum that all likely offsets lie in


@dataclass(frozen=True)
class ClockFit:
    """Offset of a clock at the time of each scan.

    Attributes
    ----------
    value, error
        Offset and its standard deviation, f8 (scan,), s.
    log_ratio
        Logarithm of the likelihood ratio of the best offset and none.
    has_drift
        Whether it changes in time.
    is_single
        Whether the likelihood has one peak, inside the range that was tried.
    spacing
        Shortest time from point to point, s.
    """

    value: FloatArray
    error: FloatArray
    log_ratio: float
    has_drift: bool
    is_single: bool
    spacing: float

    @property
    def largest(self) -> float:
        """Largest offset, s."""
        return float(np.abs(self.value).max())

    @property
    def stands_out(self) -> bool:
        """Whether the offset differs from zero beyond doubt, and matters."""
        worst = int(np.argmax(np.abs(self.value)))
        return (
            self.is_single
            and self.log_ratio >= MIN_LOG_RATIO
            and self.largest >= MIN_SPACINGS * self.spacing
            and self.largest >= SIGNIFICANCE * self.error[worst]
        )


def fit_clock(curves: Sequence[ShiftCurve], time: FloatArray) -> ClockFit:
    """Fit one clock to several scans.

    The offset is constant, or linear in time where a drift stands out. Scatter of the
    scans beyond their errors increases the error.

    Parameters
    ----------
    curves
        Likelihood of each scan.
    time
        Middle of each scan, f8 (scan,), s.

    Returns
    -------
    ClockFit
        Its values and errors are those of the scans.
    """
    spacing = min(curve.spacing for curve in curves)
    low = min(float(curve.offset[0]) for curve in curves)
    high = max(float(curve.offset[-1]) for curve in curves)
    step = spacing / STEPS_PER_SPACING
    grid = np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step
    half_span = np.ptp(time) / 2
    relative = (time - time.min()) / half_span - 1 if half_span > 0 else 0 * time
    constant = np.sum([curve.at(grid) for curve in curves], axis=0)
    zero = np.sum([curve.at(np.zeros(1)) for curve in curves], axis=0)
    at_zero = float(_marginal(zero)[0])
    values = np.broadcast_to(grid, (len(curves), len(grid)))
    posterior = _marginal(constant)
    has_drift = False
    if half_span > 0 and len(curves) >= 3:
        drift = (high - low) / 2 * np.linspace(-1, 1, 2 * DRIFT_STEPS + 1)
        offsets = grid + drift[:, None] * relative[:, None, None]
        pairs = zip(curves, offsets, strict=True)
        linear = np.sum([curve.at(offset) for curve, offset in pairs], axis=0)
        if linear.max() > constant.max() + MIN_LOG_RATIO:
            has_drift = True
            posterior = _marginal(linear.reshape(len(linear), -1))
            values = offsets.reshape(len(curves), -1)
    peak = float(posterior.max())
    weight = np.exp(posterior - peak)
    weight /= weight.sum()
    mean = values @ weight
    variance = (values - mean[:, None]) ** 2 @ weight + step**2 / 12
    likely = np.abs(values - mean[:, None]).max(axis=0)[
        posterior > peak - MIN_LOG_RATIO
    ]
    allowed = max(SINGLE_PEAK * spacing, SIGNIFICANCE * float(np.sqrt(variance.max())))
    best = values[:, int(np.argmax(posterior))]
    is_inside = all(
        curve.offset[0] + step < value < curve.offset[-1] - step
        for curve, value in zip(curves, best, strict=True)
    )
    scatter = _scatter(curves, mean, 1 + has_drift)
    return ClockFit(
        value=mean,
        error=np.sqrt(variance * scatter),
        log_ratio=(peak - at_zero) / scatter,
        has_drift=has_drift,
        is_single=bool(is_inside and likely.max() <= allowed),
        spacing=spacing,
    )


def _marginal(log_likelihood: FloatArray) -> FloatArray:
    """Sum the likelihood over the ways in which the energy may move in gaps."""
    return np.asarray(np.logaddexp.reduce(log_likelihood, axis=0))


def _scatter(curves: Sequence[ShiftCurve], value: FloatArray, n_free: int) -> float:
    """Return the variance of the scans around the clock over the expected one, >= 1."""
    freedom = len(curves) - n_free
    if freedom < 1:
        return 1.0
    deviations = []
    for curve, common in zip(curves, value, strict=True):
        posterior = _marginal(curve.log_likelihood)
        weight = np.exp(posterior - posterior.max())
        weight /= weight.sum()
        mean = float(curve.offset @ weight)
        variance = float((curve.offset - mean) ** 2 @ weight)
        deviations.append((mean - common) ** 2 / variance)
    return max(1.0, float(np.sum(deviations)) / freedom)
