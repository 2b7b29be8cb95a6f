"""Pulses that are recorded again: triggers on the tail of the pulse before.

Photons come independently: the time since the last pulse is exponential, and pulse
heights do not depend on those before. A second trigger on the same pulse comes at
certain times after the first one, with a height that goes with the first. So in bins of
the time since the last pulse, the rate of pulses is compared with that long after a
pulse, and the rank correlation with the height of the pulse before is tested. Either
alone may have other reasons: a beam that is bunched, or a tail that lifts the next
pulse. A record holds one pulse: those that come within the record of another one count
as repeated too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.drift.pulse_tails.hold_off import EDGES_S
from rixs_pipeline.types import FloatArray

SIGNIFICANCE = 5.0  # standard errors
# Share of the pulses; fewer change intensities by less than their usual errors.
MIN_SHARE = 0.003
MIN_PAIRS = 30  # whose correlation is tested
SAME_TIME_S = 1e-6


@dataclass(frozen=True)
class PulsePairs:
    """Pulses of a pixel by the time since the last pulse, f8 (bin,) of `EDGES_S`.

    Attributes
    ----------
    number
        Pulses.
    expected
        Pulses at the rate long after a pulse.
    moments
        Of the ranks a, b of pulse heights of pulses and their previous ones, if both
        are accepted: their number, sums of a, b, ab, a^2, b^2, f8 (6, bin).
    total, within_record
        All pulses, and those within the record of the previous one.
    record_s
        Length of a record, s.
    """

    number: FloatArray
    expected: FloatArray
    moments: FloatArray
    total: int
    within_record: int
    record_s: float


@dataclass(frozen=True)
class RepeatedPulses:
    """Repeated pulses of a pixel; 0 without any.

    Attributes
    ----------
    share, error
        Of the pulses, and its standard deviation by counting.
    shortest, longest
        Time after the first pulse, s.
    """

    share: float = 0.0
    error: float = 0.0
    shortest: float = 0.0
    longest: float = 0.0


NO_REPEATED_PULSES = RepeatedPulses()


def pair_pulses(
    time: FloatArray, since_last: FloatArray, pulse_height: FloatArray, record_s: float
) -> PulsePairs:
    """Count the pulses of a pixel by the time since the last one.

    Parameters
    ----------
    time
        (pulse,) s since the start of the run, of accepted pulses in order.
    since_last
        (pulse,) s since the previous record, accepted or not.
    pulse_height
        (pulse,)
    record_s
        Length of a record, s.

    Returns
    -------
    PulsePairs
    """
    from rixs_pipeline.core.calibration import pulse_kernels  # numba: slow to import

    n_bins = len(EDGES_S) - 1
    waits = since_last[since_last <= time]  # one from before the run may be hours
    empty = np.zeros(n_bins)
    no_moments = np.zeros((6, n_bins))
    if len(waits) < 2:
        return PulsePairs(empty, empty, no_moments, len(time), 0, record_s)
    bins = _bin_waits(since_last)
    number = _sum_by_bin(bins)
    median = pulse_kernels.median(waits)
    late = waits[waits > median] - median
    rate = len(late) / max(float(late.sum()), SAME_TIME_S)
    # a wait is at risk during all bins before its own, and during a part of its own
    n_beyond = np.count_nonzero(waits >= EDGES_S[-1])
    n_longer = n_beyond + number.sum() - np.cumsum(number)
    parts = _sum_by_bin(bins, since_last) - number * EDGES_S[:-1]
    at_risk = n_longer * np.diff(EDGES_S) + parts
    rank = np.empty(len(pulse_height))
    rank[_ascending(pulse_height)] = np.linspace(-1, 1, len(pulse_height)) * np.sqrt(3)
    follows = np.abs(np.diff(time) - since_last[1:]) < SAME_TIME_S
    second, first = rank[1:][follows], rank[:-1][follows]
    powers = (None, second, first, second * first, second**2, first**2)
    of_pairs = bins[1:][follows]
    moments = [_sum_by_bin(of_pairs, power) for power in powers]
    return PulsePairs(
        number,
        rate * at_risk,
        np.array(moments),
        len(time),
        int(np.count_nonzero(waits < record_s - SAME_TIME_S)),
        record_s,
    )


def _ascending(pulse_height: FloatArray) -> NDArray[np.intp]:
    """Return the order (pulse,) of positive pulse heights, which files hold as f4.

    The bits of positive floats, read as integers, have the order of the values. Sorting
    by the lower and then by the upper two bytes, for which numpy has a radix sort,
    takes a third of the time of `np.argsort`.
    """
    bits = pulse_height.astype(np.float32).view(np.uint32)
    order = np.argsort((bits & 0xFFFF).astype(np.uint16), kind="stable")
    high = (bits >> 16).astype(np.uint16)
    return order[np.argsort(high[order], kind="stable")]


def _bin_waits(waits: FloatArray) -> NDArray[np.intp]:
    """Return the bin of `EDGES_S`, from 1, of each wait (pulse,); 0, last: outside."""
    return np.searchsorted(EDGES_S, waits, side="right")


def _sum_by_bin(
    bins: NDArray[np.intp], weights: FloatArray | None = None
) -> FloatArray:
    """Return the sum of weights in each bin of `EDGES_S`, (bin,); default: numbers.

    `np.histogram` sorts the values, which takes three times as long.
    """
    return np.bincount(bins, weights, len(EDGES_S) + 1)[1:-1].astype(np.float64)


def find_repeated_pulses(pixels: Sequence[PulsePairs]) -> list[RepeatedPulses]:
    """Find the repeated pulses of the pixels of an array.

    Pixels that show none by themselves are added.

    Parameters
    ----------
    pixels
        Pulses of each pixel.

    Returns
    -------
    list of RepeatedPulses
        Of each pixel.
    """
    others = [pixel for pixel in pixels if not len(_repeating_bins(pixel))]
    if not others:
        return [_find_in(pixel) for pixel in pixels]
    pooled = PulsePairs(
        number=np.sum([pixel.number for pixel in others], axis=0),
        expected=np.sum([pixel.expected for pixel in others], axis=0),
        moments=np.sum([pixel.moments for pixel in others], axis=0),
        total=sum(pixel.total for pixel in others),
        within_record=sum(pixel.within_record for pixel in others),
        record_s=max(pixel.record_s for pixel in others),
    )
    of_others = _find_in(pooled)
    results = []
    for pixel in pixels:
        of_pixel = _find_in(pixel)
        if of_pixel.longest < of_others.longest and not len(_repeating_bins(pixel)):
            of_pixel = of_others
        results.append(of_pixel)
    return results


def _find_in(pulses: PulsePairs) -> RepeatedPulses:
    """Find the times after a pulse at which pulses are repeated."""
    share = pulses.within_record / max(pulses.total, 1)
    first, last = (0.0, pulses.record_s) if share > MIN_SHARE else (np.inf, 0.0)
    bins = _repeating_bins(pulses)
    if len(bins):
        excess = pulses.number - pulses.expected
        share = max(share, float(excess[bins].sum() / pulses.total))
        first = min(first, float(EDGES_S[bins[0]]))
        last = max(last, float(EDGES_S[bins[-1] + 1]))
    if not last:
        return NO_REPEATED_PULSES
    error = float(np.sqrt(share / max(pulses.total, 1)))
    return RepeatedPulses(share, error, first, last)


def _repeating_bins(pulses: PulsePairs) -> NDArray[np.intp]:
    """Return the bins of the time since the last pulse in which pulses repeat it."""
    excess = pulses.number - pulses.expected
    is_excess = excess > SIGNIFICANCE * np.sqrt(np.maximum(pulses.number, 1))
    is_correlated = _correlation(pulses.moments) > SIGNIFICANCE
    is_frequent = excess > MIN_SHARE * pulses.total
    return np.flatnonzero(is_excess & is_correlated & is_frequent)


def _correlation(moments: FloatArray) -> FloatArray:
    """Return the correlation (bin,) of ranks over its error without correlation.

    That of all pairs, from changes of the light in the run, is subtracted.
    """

    def coefficient(sums: FloatArray) -> FloatArray:
        number = np.maximum(sums[0], 1)
        mean_a, mean_b, mean_ab, mean_aa, mean_bb = sums[1:] / number
        variance = (mean_aa - mean_a**2) * (mean_bb - mean_b**2)
        covariance = mean_ab - mean_a * mean_b
        return np.asarray(covariance / np.sqrt(np.maximum(variance, 1e-6)))

    per_bin = coefficient(moments)
    frequent = per_bin[moments[0] >= MIN_PAIRS]
    usual = float(np.median(frequent)) if len(frequent) else 0.0
    significance = (per_bin - usual) * np.sqrt(moments[0])
    return np.where(moments[0] >= MIN_PAIRS, significance, 0.0)
