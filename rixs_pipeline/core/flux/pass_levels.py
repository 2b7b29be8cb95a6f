"""Levels of I0 of passes over the same incident energies, and which pass is odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rixs_pipeline.core.flux.evidence import (
    LEAST_FACTOR,
    SIGNIFICANCE,
    STEADY_CHANNEL,
    Change,
    FluxPoints,
)
from rixs_pipeline.core.flux.level_steps import LevelSteps, find_level_steps
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

LEAST_YIELD_RATIO = 1.1  # of photons per I0: spots of a sample differ by as much
# Photon rates of one sample at different incident energies: error of their logarithm,
# so that white lines (a factor of 2) are within `SIGNIFICANCE` errors.
OTHER_ENERGIES = np.log(2.0) / SIGNIFICANCE


@dataclass(frozen=True)
class PassFlux:
    """What a pass recorded of the flux, on the incident points that passes share.

    Attributes
    ----------
    i0
        f8 (point,); NaN where it is missing or not usable.
    seconds
        Live time of the array, f8 (point,), s; 0 where the pass has no point.
    counts
        Photons, (point,).
    readings
        Further channels of the flux, each f8 (point,); NaN where missing.
    order
        Of the points in time, (point,).
    """

    i0: FloatArray
    seconds: FloatArray
    counts: FloatArray
    readings: Sequence[FloatArray]
    order: IntArray

    @cached_property
    def is_measured(self) -> BoolArray:
        """Points at which the pass has beam and a usable I0, (point,)."""
        return np.asarray((self.seconds > 0) & (self.i0 > 0))

    @cached_property
    def log_i0(self) -> FloatArray:
        """Natural logarithm of I0, f8 (point,); NaN where it is not usable."""
        return _log(np.where(self.is_measured, self.i0, np.nan))

    @cached_property
    def log_readings(self) -> list[FloatArray]:
        """Natural logarithms of the readings, each f8 (point,); NaN where missing."""
        return [_log(reading) for reading in self.readings]

    @property
    def level(self) -> float:
        """Median of `log_i0`; NaN without any."""
        return _finite_median(self.log_i0)

    @property
    def log_i0_per(self) -> tuple[float, ...]:
        """Median logarithms of I0 over photon rate and readings, as `UsualFlux`."""
        rate = np.zeros(len(self.counts))
        np.divide(self.counts, self.seconds, out=rate, where=self.is_measured)
        channels = (rate, *self.readings)
        return tuple(_finite_median(self.log_i0 - _log(c)) for c in channels)


@dataclass(frozen=True)
class UsualFlux:
    """What other scans record of the flux, natural logarithms; NaN: unknown.

    Attributes
    ----------
    log_i0
        Of I0.
    log_i0_per
        Of I0 over the photon rate and over each of the readings: it does not depend on
        the beam, but on the sample.
    """

    log_i0: float = np.nan
    log_i0_per: tuple[float, ...] = ()

    def distance(self, pass_: PassFlux) -> float:
        """Return how far the I0 of a pass is from the usual one; NaN: unknown."""
        pass_ratios = pass_.log_i0_per
        differences = [
            abs(value - usual)
            for value, usual in zip(pass_ratios, self.log_i0_per, strict=False)
            if np.isfinite(value - usual)
        ]
        if not differences:
            return abs(pass_.level - self.log_i0)
        return float(np.median(differences))


UNKNOWN_FLUX = UsualFlux()


@dataclass(frozen=True)
class PassLevels:
    """Natural logarithm of each pass's I0 over that of the sound ones, (pass,)."""

    log_factor: FloatArray

    @property
    def is_odd(self) -> BoolArray:
        """Passes whose I0 has another range or unit, (pass,)."""
        return np.asarray(np.abs(self.log_factor) >= np.log(LEAST_FACTOR))


def find_pass_levels(
    passes: Sequence[PassFlux], is_voter: BoolArray, usual: UsualFlux
) -> PassLevels:
    """Compare the I0 of passes at equal photons.

    Parameters
    ----------
    passes
        Two or more.
    is_voter
        Passes that may determine the sound level, bool (pass,).
    usual
        Flux of other scans, which decides between equally many passes; where it is not
        known, the earlier ones are sound.

    Returns
    -------
    PassLevels
        All 0 where no pass may vote.
    """
    photons = [pass_.counts[pass_.is_measured].sum() for pass_ in passes]
    reference = passes[int(np.argmax(np.where(is_voter, photons, -1.0)))]
    excess = np.zeros(len(passes))
    for number, pass_ in enumerate(passes):
        if pass_ is reference:
            continue
        change = compare_passes(pass_, reference)
        if change is not None and change.is_range_change:
            excess[number] = change.excess
    if not is_voter.any():
        return PassLevels(np.zeros(len(passes)))
    distances = np.array([usual.distance(pass_) for pass_ in passes])
    sound = _sound_group(excess, distances, is_voter)
    return PassLevels(excess - np.median(excess[sound]))


def find_unlike_yields(passes: Sequence[PassFlux]) -> FloatArray:
    """Compare the photons per I0 of passes at equal energies.

    Parameters
    ----------
    passes
        Of one sample and edge, with I0 of one range.

    Returns
    -------
    FloatArray
        (pass,) natural logarithm of photons per I0 over that of the other passes, where
        it is certainly unlike theirs, else 0.
    """
    unlike = np.zeros(len(passes))
    if len(passes) < 2:
        return unlike
    photons = [pass_.counts[pass_.is_measured].sum() for pass_ in passes]
    reference = passes[int(np.argmax(photons))]
    changes = [compare_passes(pass_, reference) for pass_ in passes]
    ratio = np.array([np.nan if c is None else c.photons - c.i0 for c in changes])
    error = np.array([np.nan if c is None else c.photon_error for c in changes])
    usual = np.nanmedian(ratio) if len(passes) > 2 else 0.0  # that of the reference
    limit = np.maximum(SIGNIFICANCE * error, np.log(LEAST_YIELD_RATIO))
    is_unlike = np.abs(ratio - usual) > limit
    unlike[is_unlike] = ratio[is_unlike] - usual
    return unlike


def compare_passes(pass_: PassFlux, reference: PassFlux) -> Change | None:
    """Return the change of the flux from one pass to another at equal energies.

    Parameters
    ----------
    pass_, reference
        On shared points.

    Returns
    -------
    Change or None
        None where a pass has no usable point. Without a common energy the photon rates
        of all points are compared, and the readings are not.
    """
    measured = pass_.is_measured, reference.is_measured
    if not (measured[0].any() and measured[1].any()):
        return None
    shared = measured[0] & measured[1]
    if not shared.any():
        totals = [
            (p.counts[is_].sum() + 0.5, p.seconds[is_].sum())
            for p, is_ in zip((pass_, reference), measured, strict=True)
        ]
        (counts, seconds), (reference_counts, reference_seconds) = totals
        rates = counts / seconds, reference_counts / reference_seconds
        error = np.sqrt(1 / counts + 1 / reference_counts + OTHER_ENERGIES**2)
        i0 = pass_.level - reference.level
        return Change(i0, float(np.log(rates[0] / rates[1])), float(error))
    expected = reference.counts * pass_.seconds / np.where(shared, reference.seconds, 1)
    counts = pass_.counts[shared].sum() + 0.5
    reference_counts = reference.counts[shared].sum() + 0.5
    readings = []
    for reading, reference_reading in zip(
        pass_.log_readings, reference.log_readings, strict=True
    ):
        ratio = (reading - reference_reading)[shared]
        ratio = ratio[np.isfinite(ratio)]
        if len(ratio) and _scatter(ratio) < STEADY_CHANNEL:
            readings.append(float(np.median(ratio)))
    return Change(
        i0=float(np.median((pass_.log_i0 - reference.log_i0)[shared])),
        photons=float(np.log(counts / (expected[shared].sum() + 0.5))),
        photon_error=float(np.sqrt(1 / counts + 1 / reference_counts)),
        readings=tuple(readings),
    )


def find_pass_steps(
    pass_: PassFlux, others: Sequence[PassFlux], least_factor: float
) -> LevelSteps:
    """Find the steps of the I0 of a pass that neither the beam nor other passes made.

    Parameters
    ----------
    pass_
        The pass.
    others
        Other passes, one or more.
    least_factor
        Smallest step that is looked at.

    Returns
    -------
    LevelSteps
        In the order of the shared points.
    """
    order = pass_.order
    others_log_i0 = _median([companion.log_i0 for companion in others])
    counts = np.sum([companion.counts for companion in others], axis=0)
    seconds = np.sum([companion.seconds for companion in others], axis=0)
    rate = np.divide(counts, seconds, out=np.zeros(len(counts)), where=seconds > 0)
    readings = []
    for number, reading in enumerate(pass_.log_readings):
        others_reading = _median(
            [companion.log_readings[number] for companion in others]
        )
        readings.append((reading - others_reading)[order])
    log_ratio = (pass_.log_i0 - others_log_i0)[order]
    points = FluxPoints(
        log_i0=log_ratio,
        counts=np.where(np.isfinite(log_ratio), pass_.counts[order], 0),
        expected=(rate * pass_.seconds)[order],
        reference_counts=counts[order],
        log_readings=readings,
    )
    steps = find_level_steps(points, least_factor, has_spectrum=True)
    log_factor = np.zeros(len(order))
    if steps.is_off.any() and _has_own_steps(pass_.log_i0[order], steps):
        log_factor[order] = steps.log_factor
    return LevelSteps(log_factor)


def _has_own_steps(log_i0: FloatArray, steps: LevelSteps) -> bool:
    """Whether the I0 of a pass itself steps, so that it is not another one's step."""
    usable = np.flatnonzero(np.isfinite(log_i0))
    change = np.diff(steps.log_factor[usable])
    at = np.flatnonzero(change)
    i0_change = np.diff(log_i0[usable])[at]
    return bool(np.any(i0_change * np.sign(change[at]) > np.abs(change[at]) / 2))


def _sound_group(
    excess: FloatArray, distances: FloatArray, is_voter: BoolArray
) -> BoolArray:
    """Return the largest group of passes with equal levels, (pass,).

    Of equally large ones it is the one next to the usual I0, or the earlier one.
    """
    near = np.abs(excess[:, None] - excess[None, :]) < np.log(LEAST_FACTOR)
    near &= is_voter[None, :]
    size = np.where(is_voter, near.sum(axis=1), 0)
    candidates = np.flatnonzero(size == size.max())
    from_usual = [float(np.median(distances[near[k]])) for k in candidates]
    best = int(np.nanargmin(from_usual)) if np.isfinite(from_usual).any() else 0
    return np.asarray(near[candidates[best]])


def _log(values: FloatArray) -> FloatArray:
    """Return natural logarithms; NaN of what is not positive."""
    logarithm = np.full(len(values), np.nan)
    np.log(values, out=logarithm, where=values > 0)
    return logarithm


def _finite_median(values: FloatArray) -> float:
    """Return the median of the finite values; NaN without any."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan


def _scatter(values: FloatArray) -> float:
    """Return the robust standard deviation of values."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _median(values: Sequence[FloatArray]) -> FloatArray:
    """Return the median over passes, f8 (point,); NaN where none has a value."""
    ordered = np.sort(values, axis=0)  # NaN last; `nanmedian` takes 30 times as long
    n_values = (~np.isnan(ordered)).sum(axis=0)
    points = np.arange(ordered.shape[1])
    lower, upper = (n_values - 1) // 2, n_values // 2
    median = (
        ordered[lower, points] + ordered[np.minimum(upper, len(values) - 1), points]
    ) / 2
    has_value = np.isfinite(ordered).any(axis=0)
    return np.where(has_value, median, np.nan)
