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
# Of many scans the noise of one may look like an offset: below the evidence of six
# standard deviations, all but the most convincing scan have this share of it. In 130
# beamtimes with an offset they had 0.49 or more, in one without 0.18.
MIN_LOG_RATIO_ALONE = 6.0**2 / 2
MIN_SHARED = 0.3
MIN_SCANS_FOR_SHARE = 3
# Smallest offset that matters, in units of the time from point to point
MIN_SPACINGS = 0.25
MIN_SCANS_FOR_DRIFT = 3
# s/s: clocks of computers that are not synchronised drift by some 1e-5 to 1e-4
USUAL_DRIFT = 1e-4
DRIFT_STEPS = 24  # on either side of zero
LARGEST_DRIFT = 3.0  # points, over half the time of the scans
STEPS_PER_SPACING = 32
SINGLE_PEAK = 1.5  # spacings, widest gap between likely offsets of a single peak


@dataclass(frozen=True)
class ClockFit:
    """Offset of a clock at the time of each scan.

    Attributes
    ----------
    value, error
        Offset and its standard deviation, f8 (scan,), s.
    log_ratio
        Logarithm of the likelihood ratio of the best offset and none.
    is_single
        Whether the likelihood has one peak, inside the range that was tried.
    spacing
        Shortest time from point to point, s.
    shared
        Share of the log-likelihood ratio without the most convincing scan; 1 for up to
        two scans.
    """

    value: FloatArray
    error: FloatArray
    log_ratio: float
    is_single: bool
    spacing: float
    shared: float = 1.0

    @property
    def largest(self) -> float:
        """Largest offset, s."""
        return float(np.abs(self.value).max())

    @property
    def significance(self) -> float:
        """Largest offset in standard deviations."""
        return float((np.abs(self.value) / self.error).max())

    @property
    def stands_out(self) -> bool:
        """Whether the offset differs from zero beyond doubt, and matters."""
        return (
            self.is_single
            and self.log_ratio >= MIN_LOG_RATIO
            and (self.shared >= MIN_SHARED or self.log_ratio >= MIN_LOG_RATIO_ALONE)
            and self.largest >= MIN_SPACINGS * self.spacing
            and self.significance >= SIGNIFICANCE
        )


def fit_clock(curves: Sequence[ShiftCurve], time: FloatArray) -> ClockFit:
    """Fit one clock to several scans.

    The offset is linear in time; values and errors are averages over all clocks with
    their probabilities. Scatter of the scans beyond their errors increases the error.

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
    half_span = max(float(np.ptp(time)) / 2, 1.0)
    drift, prior = np.zeros(1), np.zeros(1)
    if len(curves) >= MIN_SCANS_FOR_DRIFT:
        drift, prior = _drift_prior(spacing, half_span)
    relative = (time - (time.min() + time.max()) / 2) / half_span
    # (scan, drift, offset): offset of each scan for each clock that is tried
    offsets = grid + drift[:, None] * relative[:, None, None]
    pairs = zip(curves, offsets, strict=True)
    log_likelihood = np.sum([curve.at(offset) for curve, offset in pairs], axis=0)
    likelihood = _marginal(log_likelihood)
    zero = np.sum([curve.at(np.zeros(1)) for curve in curves], axis=0)
    posterior = (likelihood + prior[:, None]).ravel()
    weight = np.exp(posterior - posterior.max())
    weight /= weight.sum()
    values = offsets.reshape(len(curves), -1)
    mean = values @ weight
    variance = (values - mean[:, None]) ** 2 @ weight + step**2 / 12
    scatter = _scatter(curves, mean)
    is_likely = posterior > posterior.max() - MIN_LOG_RATIO
    middle = np.broadcast_to(grid, likelihood.shape).ravel()
    widest_gap = np.diff(np.unique(middle[is_likely])).max(initial=0.0)
    best = values[:, int(np.argmax(posterior))]
    is_inside = all(
        curve.offset[0] + step < value < curve.offset[-1] - step
        for curve, value in zip(curves, best, strict=True)
    )
    return ClockFit(
        value=mean,
        error=np.sqrt(variance * scatter),
        log_ratio=float(likelihood.max() - _marginal(zero)[0]) / scatter,
        is_single=bool(is_inside and widest_gap <= SINGLE_PEAK * spacing),
        spacing=spacing,
        shared=_shared(curves, mean),
    )


def _shared(curves: Sequence[ShiftCurve], offset: FloatArray) -> float:
    """Return the share of the evidence for offsets without the most convincing scan."""
    if len(curves) < MIN_SCANS_FOR_SHARE:
        return 1.0
    ratios = [
        np.logaddexp.reduce(curve.at(np.array([value])))[0]
        - np.logaddexp.reduce(curve.at(np.zeros(1)))[0]
        for curve, value in zip(curves, offset, strict=True)
    ]
    total = float(np.sum(ratios))
    return 1 - float(max(ratios)) / total if total > 0 else 0.0


def _drift_prior(spacing: float, half_span: float) -> tuple[FloatArray, FloatArray]:
    """Return drifts, s over half the time of the scans, and log of their weights.

    No drift is as probable as all drifts together, whose distribution is a Cauchy
    distribution of the width of usual drifts.
    """
    steps = np.arange(-DRIFT_STEPS, DRIFT_STEPS + 1)
    drift = np.asarray(LARGEST_DRIFT * spacing / DRIFT_STEPS * steps, np.float64)
    scale = USUAL_DRIFT * half_span
    limits = (drift[1:] + drift[:-1]) / 2
    below = np.concatenate([[0.0], np.arctan(limits / scale) / np.pi + 0.5, [1.0]])
    weight = np.diff(below)
    weight[DRIFT_STEPS] += 1
    return drift, np.asarray(np.log(weight / weight.sum()), np.float64)


def _marginal(log_likelihood: FloatArray) -> FloatArray:
    """Sum the likelihood over the ways in which the energy may move in gaps."""
    return np.asarray(np.logaddexp.reduce(log_likelihood, axis=0))


def _scatter(curves: Sequence[ShiftCurve], value: FloatArray) -> float:
    """Return the variance of the scans around the clock over the expected one, >= 1."""
    freedom = len(curves) - 1
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
