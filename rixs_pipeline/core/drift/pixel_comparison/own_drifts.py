"""Pixels that wander by themselves, pixels that step, and arrays that split in two.

The gains of the pixels of a scan relative to each other are drawn from N(c, tau^2),
with the scale c that they have in common; a pixel that steps has a gain from
N(c, `STEP`^2) instead. As only those that stay where their calibration puts them tell
the common scale, c is the mean of these alone.

Where many pixels step together, as those of one readout column do, the array falls into
two groups, and which of them stays is not known. The evidence for this is the
probability of the gains with two centres against that with one, each averaged over tau;
any pixels may be the members of a group.
"""

from dataclasses import dataclass
from math import comb, log

import numpy as np

from rixs_pipeline.core.stats.robust import robust_sigma
from rixs_pipeline.types import BoolArray, FloatArray

# Values of tau that are tried: up to 1 eV at O Ka, where lines begin to overlap.
SPREADS = np.geomspace(1e-5, 2e-3, 93)
MAX_SIGMAS = 3  # gains farther from the median count as so far
MIN_EVIDENCE = 1.0  # gain in log likelihood below which tau is 0
# Relative size of steps: 0.4 % are 3.4 eV at 851 eV. Larger ones are displacements.
STEP = 4e-3
STEP_SHARE = 0.01  # of the pixels in a scan
USUAL_SPREAD = 2e-4  # of gains that wander between two reference runs, within a factor
SPREAD_FACTOR = 2.0
MIN_GROUP = 2  # pixels that step together
COMPARABLE = 3  # a group of one in so many pixels, or fewer, has stepped
SPLIT_PROBABILITY = 1e-2  # of an array in a scan
WANDERING_SPREADS = USUAL_SPREAD * SPREAD_FACTOR ** np.linspace(-1, 2.5, 15)
ROUNDS = 9  # of expectation and maximisation
MAX_STARTS = 9  # for the common scale


@dataclass(frozen=True)
class Split:
    """Two groups of the pixels of an array.

    Attributes
    ----------
    is_above
        Whether a pixel belongs to the group with higher gains, bool (pixel,).
    low, high
        Mean gain of each group.
    """

    is_above: BoolArray
    low: float
    high: float

    @property
    def is_comparable(self) -> bool:
        """Whether which group stays is not known."""
        smaller = int((~self.larger).sum())
        return smaller * COMPARABLE > len(self.is_above)

    @property
    def larger(self) -> BoolArray:
        """The pixels of the larger group, (pixel,)."""
        return self.is_above if self.is_above.mean() > 0.5 else ~self.is_above

    @property
    def middle(self) -> float:
        """The gain midway between the groups."""
        return (self.low + self.high) / 2


@dataclass(frozen=True)
class OwnDrifts:
    """Gains of the pixels of a scan with respect to the scale that they share.

    Attributes
    ----------
    gain
        Most likely true gains, f8 (pixel,), before the common scale is subtracted.
    spread
        Standard deviation tau of the pixels that stay; 0 without drift.
    stays
        Whether a pixel contributes to the common scale, bool (pixel,).
    split
        Two comparable groups; None where one is clearly larger.
    """

    gain: FloatArray
    spread: float
    stays: BoolArray
    split: Split | None


def estimate_own_drifts(gain: FloatArray, error: FloatArray) -> OwnDrifts:
    """Estimate the true gains of pixels, and find those that have stepped.

    Parameters
    ----------
    gain
        (pixel,) measured gains.
    error
        (pixel,) their standard deviations without drift.

    Returns
    -------
    OwnDrifts
        Of all pixels.
    """
    split = find_split(gain, error)
    stays = np.ones(len(gain), bool)
    if split is not None and not split.is_comparable:
        stays = split.larger.copy()
        split = None
    stays[stays] = _find_pixels_that_stay(gain[stays], error[stays])
    spread = drift_spread(gain[stays], error[stays])
    variance = np.where(stays, spread**2, STEP**2)
    return OwnDrifts(gain * variance / (variance + error**2), spread, stays, split)


def _find_pixels_that_stay(gain: FloatArray, error: FloatArray) -> BoolArray:
    """Return which pixels (pixel,) have not stepped, by the most probable c and tau.

    The centre is sought by expectation and maximisation from several starts.
    """
    starts = np.quantile(gain, np.linspace(0, 1, min(len(gain), MAX_STARTS)))
    spread = WANDERING_SPREADS[:, None]
    at_home = 1 / (spread[..., None] ** 2 + error**2)  # (tau, 1, pixel)
    stepped = 1 / (STEP**2 + error**2)
    prior_home = 0.5 * np.log(at_home) + np.log(1 - STEP_SHARE)
    prior_step = 0.5 * np.log(stepped) + np.log(STEP_SHARE)
    # A pixel's weight is stepped + share * extra, which is never 0.
    extra = at_home - stepped
    moments = np.stack([np.ones(len(gain)), gain], axis=-1)
    of_stepped = stepped @ moments
    of_extra = extra[:, 0, :, None] * moments
    half_extra = 0.5 * extra
    prior_odds = prior_step - prior_home
    centre = np.broadcast_to(starts, (len(spread), len(starts)))
    for _ in range(ROUNDS):
        square = (gain - centre[..., None]) ** 2
        with np.errstate(over="ignore"):  # the odds against home are then infinite
            odds = np.exp(square * half_extra + prior_odds)
        share = 1 / (1 + odds)
        sums = share @ of_extra + of_stepped
        centre = sums[..., 1] / sums[..., 0]
    square = -0.5 * (gain - centre[..., None]) ** 2
    of_home = square * at_home + prior_home
    of_step = square * stepped + prior_step
    probability = np.logaddexp(of_home, of_step).sum(axis=2) + _spread_prior(spread)
    best = np.unravel_index(np.argmax(probability), probability.shape)
    stays = of_home[best] > of_step[best]
    return np.asarray(stays) if stays.any() else np.ones(len(gain), bool)


def _spread_prior(spread: FloatArray) -> FloatArray:
    """Return the log prior probability of tau, per logarithm."""
    deviation = np.log(spread / USUAL_SPREAD) / np.log(SPREAD_FACTOR)
    return np.asarray(-0.5 * deviation**2)


def drift_spread(gain: FloatArray, error: FloatArray) -> float:
    """Return the standard deviation tau of true gains that is the most likely one.

    Parameters
    ----------
    gain
        (pixel,) measured gains. Values beyond `MAX_SIGMAS` robust standard deviations
        count as so far: an odd pixel does not make the others wander.
    error
        (pixel,) their standard deviations without drift.

    Returns
    -------
    float
        0 without evidence of drift.
    """
    reach = MAX_SIGMAS * robust_sigma(gain)
    deviation = gain - np.median(gain)
    deviation = np.clip(deviation, -reach, reach)
    square = deviation**2
    candidates = np.append(SPREADS, 0.0)
    drift_variance = candidates[:, None] ** 2
    variance = drift_variance + error**2
    terms = square / variance + np.log(variance)
    likelihood = -0.5 * terms.sum(axis=1)
    best = int(np.argmax(likelihood))
    evidence = likelihood[best] - likelihood[-1]
    if evidence > MIN_EVIDENCE:
        return float(SPREADS[best])
    return 0.0


def find_split(gain: FloatArray, error: FloatArray) -> Split | None:
    """Find out whether an array falls into two groups of two pixels or more.

    Parameters
    ----------
    gain
        (pixel,) measured gains.
    error
        (pixel,) their standard deviations without drift.

    Returns
    -------
    Split or None
        The most probable one; None where one group is more probable.
    """
    number = len(gain)
    order = np.argsort(gain)
    values, errors = gain[order], error[order]
    size = int(np.argmax(np.diff(values))) + 1  # the pixels below the widest gap
    if min(size, number - size) < MIN_GROUP:
        return None
    prior = _spread_prior(SPREADS)
    together = np.logaddexp.reduce(prior + _evidence(values, errors))
    low = _evidence(values[:size], errors[:size])
    high = _evidence(values[size:], errors[size:])
    apart = np.logaddexp.reduce(prior + low + high)
    step = values[size:].mean() - values[:size].mean()
    apart += -0.5 * (step / STEP) ** 2 - np.log(STEP * np.sqrt(2 * np.pi))
    n_sizes = number - 2 * MIN_GROUP + 1
    # any members, any size; of large arrays more ways than fit into 64 bits
    apart -= log(comb(number, size) * n_sizes)
    if apart - together < -np.log(SPLIT_PROBABILITY):
        return None
    is_above = np.zeros(number, bool)
    is_above[order[size:]] = True
    return Split(
        is_above, low=float(values[:size].mean()), high=float(values[size:].mean())
    )


def _evidence(gain: FloatArray, error: FloatArray) -> FloatArray:
    """Return the log probability (tau,) of gains (pixel,) with any one centre."""
    variance = SPREADS[:, None] ** 2 + error**2
    weight = 1 / variance
    total = weight.sum(axis=1)
    centre = weight @ gain / total
    square = (gain - centre[:, None]) ** 2
    terms = square * weight + np.log(2 * np.pi * variance)
    return np.asarray(-0.5 * terms.sum(axis=1) + 0.5 * np.log(2 * np.pi / total))
