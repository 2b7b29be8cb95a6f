"""Pulses that a second photon in the same record spoils: the cuts reject them, the more the higher the rate.

A second photon within some time T after the first makes no record of its own and spoils that of the first. Photons
come at random, so of a pixel's pulses at the rate r the share

    accepted(r) = a_p exp(-r T)

passes the cuts; a_p (what the cuts cost at any rate) is the pixel's, its mean is the array's, T is the readout's and
the cuts' and shared by the array. Without it, spectra are squashed where the rate is high.

The same photons are the counts that are divided by this share: what tells it has to be chosen so that counts and share
do not err together (`efficiency`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

EXPECTED_ERROR = (
    0.5  # relative, of the spoiling time that is expected before looking at the pulses
)
OUTLIER = 4.0  # standard errors by which one pixel's spoiling time may miss the array's
PRECISION = 1e-5  # of the expected time, at which the search ends
_STEPS, _SMALLEST = 50, 1e-6


class SpoilingTime(NamedTuple):
    """The time T after a photon in which a second one spoils it, s, its standard error, and which pixels told it."""

    seconds: float
    error: float
    told: NDArray[np.bool_]


def rates(triggers: Int, live_time_s: Float) -> Float:
    """Photons/s that arrive at each pixel in each point, f8 (pixel, point): a_p b_j.

    `triggers`, `live_time_s` (pixel, point), both of the records that may be counted. The rate of each pixel relative
    to the others is taken from the whole scan, that of the array from the point: the maximum of the Poisson
    likelihood of `triggers` about a_p b_j x live time. So the noise of one pixel's few counts in a point does not
    enter; 0 where nothing was seen.
    """
    pixel, point = _factors(triggers, live_time_s)
    return pixel[:, None] * point


def spoiling_time(
    triggers: Int, accepted: Int, live_time_s: Float, expected_s: float
) -> SpoilingTime:
    """T from the share of accepted pulses at different rates: the maximum of the binomial likelihood.

    `accepted` of `triggers` pulses in `live_time_s` s (pixel, point) pass with the probability exp(-(c_p + r T)),
    c_p >= 0, T >= 0, at the rates r of `_rates_beside`. Expected before is `expected_s` (the part of a record that
    follows its trigger) with a relative standard deviation of a half, a Gaussian factor of the likelihood: where the
    pulses tell little it stands for them. Pixels whose own T is far from the array's (spurious triggers) are left
    out. Without an expected time, as for photon lists, T is 0.
    """
    everyone = np.ones(len(triggers), bool)
    if not expected_s > 0:
        return SpoilingTime(0.0, 0.0, everyone)
    rate = _rates_beside(triggers, live_time_s)
    seconds, error, lost = _fit(triggers, accepted, rate, expected_s)
    score, precision = _by_pixel(triggers, accepted, rate, lost, seconds)
    pull = np.abs(_ratio(score, np.sqrt(precision)))
    take = pull <= OUTLIER * max(1.0, float(np.median(pull)))
    if not take.all():
        seconds, error, _ = _fit(triggers[take], accepted[take], rate[take], expected_s)
    return SpoilingTime(seconds, error, take)


def _factors(triggers: Int, live_time_s: Float) -> tuple[Float, Float]:
    """Relative rate (pixel,) and the array's rate (point,), 1/s."""
    pixel, point = np.ones(len(triggers)), np.zeros(triggers.shape[1])
    for _ in range(
        10
    ):  # a steady array is there after one turn, silent stretches take a few
        point = _ratio(triggers.sum(axis=0), pixel @ live_time_s)
        pixel = _ratio(triggers.sum(axis=1), live_time_s @ point)
    return pixel, point


def _rates_beside(triggers: Int, live_time_s: Float) -> Float:
    """The rates (pixel, point) as far as they are sure, from the other pixels alone.

    A chance pair of photons takes a trigger and an accepted pulse away at once: a pixel's own triggers would show a
    share that rises with the rate. What the counting noise of the others adds to the differences between points is
    taken off by drawing them to their mean, by the share of their variance that is the noise's: so the slope against
    the rate is not flattened.
    """
    pixel, _ = _factors(triggers, live_time_s)
    seen = pixel[:, None] * live_time_s
    number = triggers.sum(axis=0) - triggers
    point = _ratio(number, seen.sum(axis=0) - seen)
    known = (number > 0) & (live_time_s > 0)
    weight = number * known  # of a point, as its rate's relative precision
    total = weight.sum(axis=1)
    mean = _ratio((weight * point).sum(axis=1), total)[:, None]
    noise = _ratio((known * point**2).sum(axis=1), total)
    variance = _ratio((weight * (point - mean) ** 2).sum(axis=1), total)
    share = np.clip(1 - _ratio(noise, variance), 0.0, 1.0)[:, None]
    return pixel[:, None] * np.where(known, mean + share * (point - mean), mean)


def efficiency(
    triggers: Int, accepted: Int, live_time_s: Float, time: SpoilingTime
) -> Float:
    """Share of photons that pass the cuts, f8 (pixel, point): c exp(-r T) (a / A)^s.

    `a` of a point's pulses are accepted, where A are expected of its triggers from exp(-r T) and each pixel's other
    losses; both are sums over the pixels that told T, as is c, which makes the share right over the whole scan: the
    error of T acts on differences of the rate alone. exp(-r T) falls where chance brings more counts, a / A rises:
    with the exponent s of `_balance` the intensity, counts / live time, varies as the counts alone do.
    """
    rate = rates(triggers, live_time_s)
    alone = np.exp(-rate * time.seconds)
    number, share, passed = triggers[time.told], alone[time.told], accepted[time.told]
    pixel = _ratio(passed.sum(axis=1), (number * share).sum(axis=1))
    shares = share * pixel[:, None]
    expected = number * shares
    total, found = expected.sum(axis=0), passed.sum(axis=0)
    spoiled = _ratio((expected * rate[time.told]).sum(axis=0), total) * time.seconds
    rejected = _ratio(
        number.sum(axis=0) * (expected * np.clip(1 - shares, 0, 1)).sum(axis=0),
        total**2,
    )
    ratio = np.divide(
        found, total, out=np.ones(len(total)), where=(found > 0) & (total > 0)
    )
    common = found.sum() / (number * share).sum() if found.any() else 1.0
    return np.asarray(common * alone * ratio ** _balance(spoiled, rejected))


def _balance(spoiled: Float, rejected: Float) -> Float:
    """The exponent s at which counts over their share have the relative variance of the counts, f8 (point,).

    Of n triggers a share q is accepted; x = r T (`spoiled`), v = 1/q - 1 (`rejected`). To first order the logarithm
    of the share, -(1 - s) x dn/n + s (da/a - dn/n), has the covariance (s v - (1 - s) x) / n with that of the
    accepted counts, in any part of the spectrum, and the variance ((1 - s)^2 x^2 + s^2 v) / n: s makes the latter
    twice the former. 2 - sqrt(2) where all that is lost is spoiled and that is little; 0 where nothing is spoiled.
    """
    x, v = spoiled, rejected
    return _ratio(2 * x + x**2, x + v + x**2 + np.sqrt(x**2 + v**2 + v * x**2))


def _fit(
    triggers: Int, accepted: Int, rate: Float, expected_s: float
) -> tuple[float, float, Float]:
    """T, its error and c (pixel,): the maximum of the likelihood by Fisher scoring, c eliminated."""
    seconds, lost = expected_s, np.full(len(triggers), 0.01)
    weight = 1 / (EXPECTED_ERROR * expected_s) ** 2
    for _ in range(_STEPS):
        score, precision = _by_pixel(triggers, accepted, rate, lost, seconds)
        information = precision.sum() + weight
        step = (score.sum() - weight * (seconds - expected_s)) / information
        seconds = max(seconds + float(step), 0.0)
        slope, expected = _terms(triggers, accepted, rate, lost, seconds)
        lost = np.maximum(lost + _ratio(slope.sum(axis=1), expected.sum(axis=1)), 0.0)
        if abs(step) < PRECISION * expected_s:
            break
    return seconds, float(information**-0.5), lost


def _terms(
    triggers: Int, accepted: Int, rate: Float, lost: Float, seconds: float
) -> tuple[Float, Float]:
    """First derivative of the log likelihood in c_p + r T, and the expected second one, each (pixel, point)."""
    exponent = np.maximum(lost[:, None] + rate * seconds, _SMALLEST)
    odds = np.exp(-exponent) / -np.expm1(-exponent)
    return (triggers - accepted) * odds - accepted, triggers * odds


def _by_pixel(
    triggers: Int, accepted: Int, rate: Float, lost: Float, seconds: float
) -> tuple[Float, Float]:
    """Derivative of the log likelihood in T and its information (pixel,), what c_p takes of both taken off."""
    slope, weight = _terms(triggers, accepted, rate, lost, seconds)
    mean = _ratio((weight * rate).sum(axis=1), weight.sum(axis=1))[:, None]
    beside = rate - mean
    return (slope * beside).sum(axis=1), (weight * beside**2).sum(axis=1)


def _ratio(above: NDArray[np.generic], below: Float) -> Float:
    return np.asarray(
        np.divide(above, below, out=np.zeros(np.shape(below)), where=below > 0)
    )
