"""Jumps of a pixel's baseline: which level is the usual one, and when it is away.

The baseline of a pixel drifts slowly. If the readout loses its lock for an instant, the
baseline jumps, by a multiple of the flux quantum, and pulses from there on are rejected
by the cut on the pretrigger mean. A pixel is exposed only while its baseline is where
pulses are accepted. A pulse that is rejected now and then is no jump: the stretches
without exposure are the most likely path through two states (Viterbi [1]_), in which
pulses have different probabilities to lie outside the cut.

References
----------
.. [1] L. R. Rabiner, Proc. IEEE 77, 257 (1989).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.stats.robust import SIGMA_PER_MAD, Range
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

# Pulses whose median is one reading of the baseline: its error is a third of a pulse's.
BLOCK_PULSES = 15
# Standard deviations of a pulse between two levels without a reading in between: drift
# moves the baseline by less than one from block to block. A pulse in the middle is four
# from either level.
LEVEL_GAP = 8.0
MIN_LEVEL_BLOCKS = 3  # of a level; fewer are the way from one level to another
# Probability that a pulse lies outside the cut while the baseline is away, and the
# least and the highest one while it is not.
OUTSIDE_WHILE_AWAY = 0.95
OUTSIDE_AT_HOME = (0.01, 0.5)
START_OUTSIDE = 0.05  # from which the probability at home is found
ROUNDS = 3  # of finding it
# Log likelihood of a jump: chance makes one in 10^5 pulses that are often rejected.
LOG_JUMP = -12.0
MIN_OUTSIDE = 5  # pulses: fewer never outweigh a jump


@dataclass(frozen=True)
class Stretches:
    """Stretches of time, in order.

    Attributes
    ----------
    start_ns, end_ns
        i8 (stretch,), ns since 1970.
    error
        Standard deviation of their total duration, s: a jump lies anywhere between two
        pulses.
    """

    start_ns: IntArray
    end_ns: IntArray
    error: float = 0.0

    def __len__(self) -> int:
        """Return the number of stretches."""
        return len(self.start_ns)


NO_STRETCHES = Stretches(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class UsualLevel:
    """The usual level of a baseline that jumps.

    Attributes
    ----------
    is_usual
        Whether a pulse is on the level, bool (pulse,).
    limits
        Halfway to the next levels; infinite where there is none.
    """

    is_usual: BoolArray
    limits: Range


def find_usual_level(
    pretrigger_mean: FloatArray, reference: Range | None
) -> UsualLevel | None:
    """Find the usual level of a baseline that jumps.

    Parameters
    ----------
    pretrigger_mean
        Of pulses of a pixel in order of time, f8 (pulse,); not finite values are on no
        level.
    reference
        Cut of the reference run. The usual level is the one nearest to its middle among
        those within the cut widened by its width on either side. Without a reference,
        or without such a level, the usual level is the one with most pulses.

    Returns
    -------
    UsualLevel or None
        None where the baseline does not jump.
    """
    n_blocks = len(pretrigger_mean) // BLOCK_PULSES
    if n_blocks < 2 * MIN_LEVEL_BLOCKS:
        return None
    from rixs_pipeline.core.calibration.pulse_kernels import (  # numba: slow to import
        block_medians,
        median,
    )

    readings = block_medians(pretrigger_mean, BLOCK_PULSES)
    if not np.isfinite(readings).all():
        return None
    in_blocks = pretrigger_mean[: n_blocks * BLOCK_PULSES].reshape(n_blocks, -1)
    deviations = np.abs(in_blocks - readings[:, None])
    # the deviations from the medians of blocks have a median of 0
    scatter = SIGMA_PER_MAD * median(deviations.ravel())
    if not scatter > 0:
        return None
    order = np.argsort(readings)
    is_gap = np.diff(readings[order]) > LEVEL_GAP * scatter
    if not is_gap.any():
        return None
    level = np.empty(n_blocks, np.int64)
    level[order] = np.concatenate([[0], np.cumsum(is_gap)])
    sizes = np.bincount(level)
    levels = np.flatnonzero(sizes >= MIN_LEVEL_BLOCKS)
    if len(levels) < 2:
        return None
    middles = np.array([np.median(readings[level == number]) for number in levels])
    usual = int(levels[np.argmax(sizes[levels])])
    if reference is not None:
        distance = np.abs(middles - (reference.low + reference.high) / 2)
        width = reference.high - reference.low
        if distance.min() <= 1.5 * width:
            usual = int(levels[np.argmin(distance)])
    of_level = readings[level == usual]
    lower = readings[readings < of_level.min()]
    higher = readings[readings > of_level.max()]
    limits = Range(
        float((lower.max() + of_level.min()) / 2) if len(lower) else -np.inf,
        float((higher.min() + of_level.max()) / 2) if len(higher) else np.inf,
    )
    is_usual = np.zeros(len(pretrigger_mean), bool)
    is_usual[: n_blocks * BLOCK_PULSES] = np.repeat(level == usual, BLOCK_PULSES)
    is_near = (pretrigger_mean > limits.low) & (pretrigger_mean < limits.high)
    return UsualLevel(is_usual & is_near, limits)


def find_stretches_away(
    time_ns: IntArray, outside: IntArray, start_ns: int, end_ns: int
) -> Stretches:
    """Find when the baseline of a pixel is away from where pulses are accepted.

    Parameters
    ----------
    time_ns
        Times of the pulses, i8 (pulse,), ascending, ns since 1970.
    outside
        Indices of the pulses whose pretrigger mean lies outside its cut, ascending,
        (outside pulse,).
    start_ns, end_ns
        Start and end of the scan, ns since 1970.

    Returns
    -------
    Stretches
        From the middle between the last pulse before a jump and the first one after it,
        to the same at the jump back.
    """
    if len(outside) < MIN_OUTSIDE:
        return NO_STRETCHES
    first, is_outside = _runs(outside, len(time_ns))
    is_away = _most_likely_path(np.diff(first, append=len(time_ns)), is_outside)
    if not is_away.any():
        return NO_STRETCHES
    is_change = np.diff(is_away)
    change, has_left = first[1:][is_change], is_away[1:][is_change]
    before, after = time_ns[change - 1], time_ns[change]
    times = (before + after) // 2
    variance = np.sum(((after - before) / 1e9) ** 2) / 12  # uniform between the pulses
    starts, ends = [], []
    if is_away[0]:
        starts.append(np.array([start_ns]))
    starts.append(times[has_left])
    ends.append(times[~has_left])
    if is_away[-1]:
        ends.append(np.array([end_ns]))
    return Stretches(np.concatenate(starts), np.concatenate(ends), np.sqrt(variance))


def _runs(outside: IntArray, n_pulses: int) -> tuple[IntArray, BoolArray]:
    """Return the first pulse (run,) of runs in and outside the cut, and which it is."""
    has_gap = np.diff(outside) > 1
    begin = outside[np.append(True, has_gap)]
    end = outside[np.append(has_gap, True)] + 1
    first = np.stack([begin, end], axis=1).ravel()
    is_outside = np.tile([True, False], len(begin))
    if first[0] > 0:
        first, is_outside = np.append(0, first), np.append(False, is_outside)
    within = first < n_pulses
    return first[within], is_outside[within]


def _most_likely_path(length: IntArray, outside: BoolArray) -> BoolArray:
    """Return during which runs of pulses (run,) the baseline is away."""
    probability = START_OUTSIDE
    is_away = np.zeros(len(length), bool)
    for _ in range(ROUNDS):
        is_away = _viterbi(length, outside, probability)
        at_home = length[~is_away].sum()
        if at_home == 0:
            break
        share = length[~is_away & outside].sum() / at_home
        probability = float(np.clip(share, *OUTSIDE_AT_HOME))
    return is_away


def _viterbi(length: IntArray, outside: BoolArray, probability: float) -> BoolArray:
    """Return in which runs of equal pulses (run,) the baseline is away.

    Parameters
    ----------
    length
        Pulses of each run, i8 (run,).
    outside
        Whether they lie outside the cut, bool (run,).
    probability
        That a pulse lies outside the cut while the baseline is not away.
    """
    if_outside = np.log(OUTSIDE_WHILE_AWAY / probability)
    if_inside = np.log((1 - OUTSIDE_WHILE_AWAY) / (1 - probability))
    gains = np.asarray(np.where(outside, if_outside, if_inside) * length).tolist()
    from_away = np.empty((len(length), 2), bool)  # the state before, of each state
    home, away = 0.0, LOG_JUMP
    for run, gain in enumerate(gains):
        from_away[run, 0] = away + LOG_JUMP > home
        from_away[run, 1] = away >= home + LOG_JUMP
        next_home = max(home, away + LOG_JUMP)
        away = max(away, home + LOG_JUMP) + gain
        home = next_home
    path = np.empty(len(length), bool)
    state = away > home
    for run in range(len(length) - 1, -1, -1):
        path[run] = state
        state = bool(from_away[run, int(state)])
    return path
