"""Pile-up: pulses that a second photon spoils, so that the cuts reject them.

A second photon within a time T after the first makes no record of its own and spoils
that of the first. Photons arrive at random, so of the pulses of pixel p at the rate r
the share::

    accepted(r) = a_p exp(-r T)

passes the cuts. a_p (what the cuts reject at any rate) belongs to the pixel, its mean
to the array; T belongs to readout and cuts and is shared by the array. Without this
correction, spectra are squashed where the rate is high.

The same photons are the counts that are divided by this share: `efficiency` is built so
that counts and share do not err together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import BoolArray, FloatArray, IntArray

EXPECTED_ERROR = 0.5  # relative standard deviation of T before looking at the pulses
OUTLIER = 4.0  # standard errors by which T of one pixel may miss that of the array
# A second photon after the record cannot spoil it: a record is 1.34 times its part
# after the trigger
LONGEST = 1.5
PRECISION = 1e-5  # of the expected time, at which the search for T ends
STEPS = 50  # of that search, at most
SMALLEST_EXPONENT = 1e-6  # of c_p + r T: keeps the odds finite
FACTOR_ROUNDS = 10  # a steady array needs one, silent stretches a few

# Largest r T that is a measurement. Beyond it, fewer than one photon in twenty is alone
# in its record, and the live time is a small rest of the dwell: the dwell less the dead
# time of the triggers may even be a rounding error instead of 0. Arrays stay below 1.
MAX_PILE_UP = 3.0


@dataclass(frozen=True)
class CountedPulses:
    """Pulses of pixels in the points of a scan.

    Attributes
    ----------
    triggers
        Records that may be counted, i8 (pixel, point).
    accepted
        Records of these that pass the cuts, i8 (pixel, point).
    live_time
        Time in which a record could be counted, f8 (pixel, point), s.
    """

    triggers: IntArray
    accepted: IntArray
    live_time: FloatArray


@dataclass(frozen=True)
class SpoilingTime:
    """The time T after a photon in which a second one spoils its pulse.

    Attributes
    ----------
    seconds
        T, s.
    error
        Its standard error, s.
    is_used
        Which pixels it rests on, (pixel,).
    refused
        What the pulses say, s, if no record is that long; T is the expected time then.
    """

    seconds: float
    error: float
    is_used: BoolArray
    refused: float | None = None


@dataclass(frozen=True)
class Efficiency:
    """The share of photons that pass the cuts.

    Attributes
    ----------
    share
        f8 (pixel, point), positive.
    common_share
        At any rate: what the cuts leave without pile-up.
    surplus
        Accepted pulses of a point over those expected of its triggers, f8 (point,).
    rejection_pull
        Rejected less expected rejected pulses, f8 (point,), in standard deviations of a
        Poisson variable: 2 (sqrt(n) - sqrt(expected)).
    """

    share: FloatArray
    common_share: float
    surplus: FloatArray
    rejection_pull: FloatArray


@dataclass(frozen=True)
class RateFactors:
    """Rates as a product: relative (pixel,) times that of the array (point,), 1/s."""

    pixel: FloatArray
    point: FloatArray


@dataclass(frozen=True)
class _Derivatives:
    """Derivatives of the log likelihood of accepted pulses, (pixel,) each.

    Attributes
    ----------
    score, information
        Derivative by T, 1/s, and its Fisher information, 1/s^2, with c_p eliminated.
    lost_step
        Step of Fisher scoring in c_p.
    """

    score: FloatArray
    information: FloatArray
    lost_step: FloatArray


@dataclass(frozen=True)
class _Fit:
    """Maximum of the likelihood: T and its standard error, s, and the pixels' pulls.

    The pull (pixel,) is the distance of the pixel's T from T, in standard errors.
    """

    seconds: float
    error: float
    pull: FloatArray


def fit_rates(triggers: IntArray, live_time: FloatArray) -> RateFactors:
    """Return the rates at which photons arrive, a_p b_j, as their factors.

    The rate of each pixel relative to the others is that of the whole scan, the rate of
    the array that of the point: the maximum of the Poisson likelihood of the triggers
    about a_p b_j x live time. So the noise of the few counts of one pixel in a point
    does not enter.

    Parameters
    ----------
    triggers
        Records that may be counted, i8 (pixel, point).
    live_time
        Time in which they could be counted, f8 (pixel, point), s.

    Returns
    -------
    RateFactors
        0 where there are no triggers.
    """
    pixel = np.ones(len(triggers))
    point = np.zeros(triggers.shape[1])
    for _ in range(FACTOR_ROUNDS):
        point = _ratio(triggers.sum(axis=0), pixel @ live_time)
        pixel = _ratio(triggers.sum(axis=1), live_time @ point)
    return RateFactors(pixel, point)


def fit_spoiling_time(pulses: CountedPulses, expected: float) -> SpoilingTime:
    """Fit T to the shares of accepted pulses at different rates.

    Accepted pulses are binomial with the probability exp(-(c_p + r T)), c_p >= 0,
    T >= 0, at the rates of `_rates_of_other_pixels`. The expected time is a Gaussian
    factor of the likelihood with a relative standard deviation of `EXPECTED_ERROR`: it
    decides where there are few pulses. Pixels whose T is far from that of the array
    (spurious triggers) are left out. A time longer than a record is refused.

    Parameters
    ----------
    pulses
        Pulses of the used pixels.
    expected
        The part of a record that follows its trigger, s; 0, as for photon lists,
        makes T 0.

    Returns
    -------
    SpoilingTime
        T, its error, and the pixels that it rests on.
    """
    if not expected > 0:
        all_pixels = np.ones(len(pulses.triggers), bool)
        return SpoilingTime(0.0, 0.0, all_pixels)
    rate = _rates_of_other_pixels(pulses, MAX_PILE_UP / expected)
    fit = _maximise_likelihood(pulses, rate, expected)
    is_used = fit.pull <= OUTLIER * max(1.0, float(np.median(fit.pull)))
    if not is_used.all():
        used = CountedPulses(
            pulses.triggers[is_used],
            pulses.accepted[is_used],
            pulses.live_time[is_used],
        )
        fit = _maximise_likelihood(used, rate[is_used], expected)
    if fit.seconds - OUTLIER * fit.error > LONGEST * expected:
        prior_error = EXPECTED_ERROR * expected
        return SpoilingTime(expected, prior_error, is_used, refused=fit.seconds)
    return SpoilingTime(fit.seconds, fit.error, is_used)


def efficiency(pulses: CountedPulses, time: SpoilingTime) -> Efficiency:
    """Return the share of photons that pass the cuts, c exp(-r T) (a / A)^s.

    Parameters
    ----------
    pulses
        Pulses of the used pixels.
    time
        T from `fit_spoiling_time` of the same pulses.

    Returns
    -------
    Efficiency
        Of every pixel and point.

    Notes
    -----
    Of the pulses of a point `a` are accepted, where `A` are expected of its triggers
    from exp(-r T) and the other losses of each pixel; both are sums over the pixels on
    which T rests, as is c, which makes the share right over the whole scan. So the
    error of T acts on differences of the rate alone. exp(-r T) falls where chance
    brings more counts, a / A rises: with the exponent s the intensity, counts / live
    time, varies as the counts alone do. Where the rate of a point is not measured
    (`MAX_PILE_UP`), s is 1: the share is that of the accepted pulses.

    The exponent: of n triggers a share q is accepted; x = r T (`spoiled`), v = 1/q - 1
    (`rejected`). To first order the logarithm of the share is
    -(1 - s) x dn/n + s (da/a - dn/n). Its covariance with that of the accepted counts,
    in any part of the spectrum, is (s v - (1 - s) x) / n; its variance is
    ((1 - s)^2 x^2 + s^2 v) / n. With s the latter is twice the former: 2 - sqrt(2)
    where all losses are spoiled pulses and few; 0 where nothing is spoiled.
    """
    rate = fit_rates(pulses.triggers, pulses.live_time)
    pile_up = rate.pixel[:, None] * rate.point * time.seconds
    pile_up = np.minimum(pile_up, MAX_PILE_UP)
    unspoiled = np.exp(-pile_up)

    # From here on, arrays are of the pixels on which T rests.
    triggers = pulses.triggers[time.is_used]
    accepted = pulses.accepted[time.is_used]
    pile_up = pile_up[time.is_used]
    used_unspoiled = unspoiled[time.is_used]
    is_measured = pile_up < MAX_PILE_UP
    unspoiled_triggers = triggers * used_unspoiled
    accepted_sum = (accepted * is_measured).sum(axis=1)
    unspoiled_sum = (unspoiled_triggers * is_measured).sum(axis=1)
    common_share = 1.0
    if accepted_sum.any():
        common_share = accepted_sum.sum() / unspoiled_sum.sum()
    pixel_share = _ratio(accepted_sum, unspoiled_sum, otherwise=common_share)
    share = used_unspoiled * pixel_share[:, None]
    expected = triggers * share

    # From here on, arrays are of the points.
    n_triggers = triggers.sum(axis=0)
    n_accepted = accepted.sum(axis=0)
    n_expected = expected.sum(axis=0)
    variance = (expected * np.clip(1 - share, 0, 1)).sum(axis=0)
    rejected = _ratio(n_triggers * variance, n_expected**2)
    spoiled = _ratio((expected * pile_up).sum(axis=0), n_expected)
    root = np.sqrt(spoiled**2 + rejected**2 + rejected * spoiled**2)
    numerator = 2 * spoiled + spoiled**2
    denominator = spoiled + rejected + spoiled**2 + root
    exponent = _ratio(numerator, denominator)
    exponent[~is_measured.any(axis=0)] = 1.0
    surplus = _ratio(n_accepted, n_expected, otherwise=1.0)
    surplus[n_accepted == 0] = 1.0
    root_expected = np.sqrt(np.maximum(n_triggers - n_expected, 0.0))
    return Efficiency(
        share=np.asarray(common_share * unspoiled * surplus**exponent),
        common_share=float(common_share),
        surplus=surplus,
        rejection_pull=2 * (np.sqrt(n_triggers - n_accepted) - root_expected),
    )


def _rates_of_other_pixels(pulses: CountedPulses, max_rate: float) -> FloatArray:
    """Return the rates (pixel, point), 1/s, as other pixels measure them.

    A chance pair of photons takes away a trigger and an accepted pulse at once: with
    the triggers of the pixel itself, the share would seem to rise with the rate. The
    counting noise of the other pixels adds to the differences between points and would
    flatten the slope against the rate: the rates are drawn to their mean by the share
    of their variance that is noise. Points whose rate is not measured have the mean.
    """
    triggers = pulses.triggers
    live_time = pulses.live_time
    pixel = fit_rates(triggers, live_time).pixel[:, None]
    weighted_time = pixel * live_time
    n_others = triggers.sum(axis=0) - triggers
    other_time = weighted_time.sum(axis=0) - weighted_time
    point = _ratio(n_others, other_time)
    is_measured = (n_others > 0) & (live_time > 0)
    is_measured &= pixel * point < max_rate
    point = np.where(is_measured, point, 0.0)
    weight = n_others * is_measured  # the relative precision of a rate
    total = weight.sum(axis=1)
    mean = _ratio((weight * point).sum(axis=1), total)[:, None]
    noise = _ratio((is_measured * point**2).sum(axis=1), total)
    square_sum = (weight * (point - mean) ** 2).sum(axis=1)
    variance = _ratio(square_sum, total)
    true_share = 1 - _ratio(noise, variance)
    true_share = np.clip(true_share, 0.0, 1.0)[:, None]
    drawn_to_mean = mean + true_share * (point - mean)
    return pixel * np.where(is_measured, drawn_to_mean, mean)


def _maximise_likelihood(
    pulses: CountedPulses, rate: FloatArray, expected: float
) -> _Fit:
    """Maximise the likelihood by Fisher scoring, with c_p eliminated."""
    seconds = expected
    lost = np.full(len(rate), 0.01)
    prior = 1 / (EXPECTED_ERROR * expected) ** 2
    for _ in range(STEPS):
        derivatives = _derive_likelihood(pulses, rate, seconds, lost)
        score = derivatives.score.sum() - prior * (seconds - expected)
        information = derivatives.information.sum() + prior
        step = float(score / information)
        seconds = max(seconds + step, 0.0)
        derivatives = _derive_likelihood(pulses, rate, seconds, lost)
        lost = np.maximum(lost + derivatives.lost_step, 0.0)
        if abs(step) < PRECISION * expected:
            break
    maximum = _derive_likelihood(pulses, rate, seconds, lost)
    pull = np.abs(_ratio(maximum.score, np.sqrt(maximum.information)))
    return _Fit(seconds, float(information**-0.5), pull)


def _derive_likelihood(
    pulses: CountedPulses, rate: FloatArray, seconds: float, lost: FloatArray
) -> _Derivatives:
    """Return derivatives of the binomial likelihood of accepted pulses.

    Triggers pass with exp(-(c_p + r T)), at the rates (pixel, point), 1/s, with T in s
    and the losses c_p (pixel,).
    """
    exponent = lost[:, None] + rate * seconds
    exponent = np.maximum(exponent, SMALLEST_EXPONENT)
    odds = np.exp(-exponent) / -np.expm1(-exponent)  # accepted over rejected
    slope = (pulses.triggers - pulses.accepted) * odds - pulses.accepted
    weight = pulses.triggers * odds
    weight_sum = weight.sum(axis=1)
    mean_rate = _ratio((weight * rate).sum(axis=1), weight_sum)
    lever = rate - mean_rate[:, None]
    return _Derivatives(
        score=(slope * lever).sum(axis=1),
        information=(weight * lever**2).sum(axis=1),
        lost_step=_ratio(slope.sum(axis=1), weight_sum),
    )


def _ratio(
    numerator: NDArray[np.generic], denominator: FloatArray, otherwise: float = 0.0
) -> FloatArray:
    """Return the ratio, or a constant where the denominator is not positive."""
    out = np.full(np.shape(denominator), otherwise)
    return np.asarray(np.divide(numerator, denominator, out=out, where=denominator > 0))
