"""Cuts that separate photons from other pulses, learned for each pixel and run.

The limits follow from the pulses themselves, and each cut has a name and a count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rixs_pipeline.core.drift.jumps.baseline_jumps import find_usual_level
from rixs_pipeline.core.stats.robust import Range
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

# In the order in which they are applied. "all" counts every pulse.
CUT_NAMES = ("all", "finite", "residual", "pretrigger", "phase", "since_last")
N_QUANTITIES = len(CUT_NAMES) - 2  # that have limits: neither "all" nor "finite"
# Pulses, evenly spread over a run: enough for a median and its spread to 2 %.
SAMPLE_PULSES = 4000
MIN_PULSES = 20  # from which limits are learned
# Pulse height of the lowest photons, as their quantile, and the share of it that a
# photon has at least if a second one spoils it. Spoiled pulses of real pixels are as
# high as others; half of the lowest is passed by 0 to 3 in 100.
LOW_QUANTILE = 0.01
LOWEST_SHARE = 0.5
# The pretrigger mean drifts within a run; its range is wider by this factor.
PRETRIGGER_WIDENING = 3
NO_HOLD_OFF = Range(0.0, np.inf)  # s


class PulseSample(Protocol):
    """Quantities of pulses of one pixel, each (pulse,)."""

    @property
    def pulse_height(self) -> FloatArray:
        """Pulse height, filtValue."""

    @property
    def phase(self) -> FloatArray:
        """Arrival phase, derivativeLike / filtValue."""

    @property
    def pretrigger_mean(self) -> FloatArray:
        """Mean of the signal before the trigger."""

    @property
    def residual(self) -> FloatArray:
        """Misfit of the pulse model, residualStdDev."""


class TimedPulses(PulseSample, Protocol):
    """Quantities of consecutive pulses of one pixel, each (pulse,)."""

    @property
    def since_last(self) -> FloatArray:
        """Time since the previous record of the pixel, s."""


@dataclass(frozen=True)
class CutLimits:
    """Limits of one pixel: pulses with `low <= value <= high` are accepted.

    Of the others, those below `lowest_height` are spurious triggers, not photons.
    """

    residual: Range
    pretrigger: Range
    phase: Range
    since_last: Range = NO_HOLD_OFF  # s; the lower limit is the hold-off
    lowest_height: float = 0.0

    def to_table(self) -> FloatArray:
        """Return the limits (quantity, 2) as products hold them.

        The quantities are in the order of `CUT_NAMES[2:]`.
        """
        limits = (self.residual, self.pretrigger, self.phase, self.since_last)
        return np.array(limits)

    @classmethod
    def from_table(cls, table: FloatArray) -> CutLimits | None:
        """Return the limits (quantity, 2) of a product; None where they are NaN."""
        if np.isnan(table).any():
            return None
        ranges = [Range(low, high) for low, high in table.tolist()]
        residual, pretrigger, phase, since_last = ranges
        return cls(residual, pretrigger, phase, since_last)


@dataclass(frozen=True)
class CutResult:
    """Pulses that pass the cuts of their pixel."""

    is_accepted: BoolArray  # (pulse,)
    counts: IntArray  # (cut,) pulses that remain after each of `CUT_NAMES`


def learn_limits(
    pulses: PulseSample, width: float, reference: CutLimits | None = None
) -> CutLimits | None:
    """Learn the limits of one pixel from the bulk of its pulses.

    If its baseline jumps, the pulses at the usual level are the bulk.

    Parameters
    ----------
    pulses
        Pulses of one pixel in one run, in order of time.
    width
        Half width of the ranges in robust standard deviations, for the pretrigger mean
        three times that: this rejects nonsense and leaves slow drift alone.
    reference
        Limits of the reference run, which tell which level of the baseline is usual.

    Returns
    -------
    CutLimits or None
        Without a hold-off, which follows from the whole array. None for fewer than
        `MIN_PULSES` finite pulses.

    Notes
    -----
    Residuals of photons form a narrow peak (10 % wide), with the outliers far above.
    """
    from rixs_pipeline.core.calibration.pulse_kernels import (  # numba: slow to import
        robust_range,
        select_by_rank,
        select_finite,
    )

    is_finite = select_finite(
        pulses.pulse_height, pulses.phase, pulses.pretrigger_mean, pulses.residual
    )
    sample = np.flatnonzero(is_finite)
    if len(sample) < MIN_PULSES:
        return None
    sample = sample[:: max(1, len(sample) // SAMPLE_PULSES)]
    usual_range = reference.pretrigger if reference is not None else None
    level = find_usual_level(pulses.pretrigger_mean[sample], usual_range)
    if level is not None:
        sample = sample[level.is_usual]
    pretrigger = robust_range(
        pulses.pretrigger_mean[sample], PRETRIGGER_WIDENING * width
    )
    if level is not None:
        low, high = level.limits
        pretrigger = Range(max(pretrigger.low, low), min(pretrigger.high, high))
    residual = robust_range(pulses.residual[sample], width)
    heights = pulses.pulse_height[sample]
    misfit = pulses.residual[sample]
    heights = heights[(misfit >= residual.low) & (misfit <= residual.high)]
    lowest_photon = select_by_rank(heights, int(LOW_QUANTILE * len(heights)))
    return CutLimits(
        residual=residual,
        pretrigger=pretrigger,
        phase=robust_range(pulses.phase[sample], width),
        lowest_height=LOWEST_SHARE * lowest_photon,
    )


def have_changed(limits: CutLimits, reference: CutLimits) -> bool:
    """Return whether a pixel's pulses differ from those of its reference run.

    Parameters
    ----------
    limits
        Learned in a scan.
    reference
        Learned in the reference run.

    Returns
    -------
    bool
        Whether the middle of the residuals or of the pretrigger means lies outside the
        reference's limits by more than the distance between these. Drift moves both by
        a fraction of it.
    """
    for learned, (low, high) in (
        (limits.residual, reference.residual),
        (limits.pretrigger, reference.pretrigger),
    ):
        middle = (learned.low + learned.high) / 2
        width = high - low
        if middle < low - width or middle > high + width:
            return True
    return False


def stack_limits(limits: Sequence[CutLimits | None]) -> FloatArray:
    """Return the limits of all pixels (pixel, quantity, 2); NaN where one has none."""
    missing = np.full((N_QUANTITIES, 2), np.nan)
    tables = [missing if pixel is None else pixel.to_table() for pixel in limits]
    return np.stack(tables)


def apply_cuts(pulses: TimedPulses, limits: CutLimits) -> CutResult:
    """Select the pulses of one pixel that pass its cuts.

    Parameters
    ----------
    pulses
        Pulses of one pixel.
    limits
        Its limits.

    Returns
    -------
    CutResult
        The accepted pulses, and how many remain after each cut.
    """
    from rixs_pipeline.core.calibration.pulse_kernels import (  # numba: slow to import
        select_finite,
    )

    is_accepted = select_finite(
        pulses.pulse_height, pulses.phase, pulses.pretrigger_mean, pulses.residual
    )
    counts = [len(is_accepted), np.count_nonzero(is_accepted)]
    for values, (low, high) in (
        (pulses.residual, limits.residual),
        (pulses.pretrigger_mean, limits.pretrigger),
        (pulses.phase, limits.phase),
        (pulses.since_last, limits.since_last),
    ):
        is_accepted &= (values >= low) & (values <= high)
        counts.append(np.count_nonzero(is_accepted))
    return CutResult(is_accepted, np.array(counts, dtype=np.int64))
