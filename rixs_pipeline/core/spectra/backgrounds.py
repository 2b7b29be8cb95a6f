"""What lies under a region: before the edge, beside it in emission, in a blank sample, in the tails of other lines.

Each is an estimate in the unit of the region's sum N, with its variance, so that N - B keeps both. Formulae and
sources: docs/explanation/regions.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.spectra.normalisation import Limits
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.region_sums import (
    MapData,
    Sums,
    Tail,
    along_emission,
    along_incident,
    along_loss,
)
from rixs_pipeline.core.spectra.regions import (
    Background,
    BlankBackground,
    LeakBackground,
    PreEdgeBackground,
    Region,
    RegionKind,
    SidebandBackground,
)
from rixs_pipeline.core.stats.intervals import Z_95, Interval, count_interval

Floats = NDArray[np.float64]

_STEPS, _HALVINGS = 100, 40


@dataclass(frozen=True)
class Under:
    """A background along a spectrum, f8 (n,): `value` and `variance`, in the unit of the region's sum; `unit`: what
    one photon of it is worth; `in_column`: the part that was measured with the point's own exposure (I0 error).
    `told`: what a reader should know, plain values."""

    value: Floats
    variance: Floats
    unit: Floats
    in_column: Floats
    told: dict[str, Any] = field(default_factory=dict)

    def interval(self) -> Interval:
        """95 % interval: that of a weighted sum of counts; where the estimate is negative, the normal one."""
        deviation = Z_95 * np.sqrt(self.variance)
        positive = self.value >= 0
        lower, upper = count_interval(
            np.maximum(self.value, 0.0), self.variance, self.unit
        )
        return np.where(positive, lower, self.value - deviation), np.where(
            positive, upper, self.value + deviation
        )

    def __add__(self, other: "Under") -> "Under":
        return Under(
            self.value + other.value,
            self.variance + other.variance,
            np.maximum(self.unit, other.unit),
            self.in_column + other.in_column,
            self.told | other.told,
        )


def under(
    data: MapData,
    region: Region,
    share: Floats,
    sums: Sums,
    blanks: Mapping[str, MapData],
    pre_edge: Limits | None,
) -> Under | None:
    """All backgrounds of a region added; None where none is asked for. `pre_edge`: default window of a fit, eV.

    The fit before the edge comes last, on top of the others.

    Raises:
        ValueError: a blank is not there, or a fit has too few points; one line.
    """
    asked: Sequence[Background] = region.background
    total = None
    for one in sorted(asked, key=lambda b: isinstance(b, PreEdgeBackground)):
        if isinstance(one, SidebandBackground):
            found = _sideband(data, one, share, sums)
        elif isinstance(one, BlankBackground):
            found = _blank(one, region, sums, blanks)
        elif isinstance(one, LeakBackground):
            found = _leak(data, one, share)
        else:
            found = _before_edge(one, sums, total, pre_edge)
        total = found if total is None else total + found
    return total


def _before_edge(
    asked: PreEdgeBackground, sums: Sums, others: Under | None, default: Limits | None
) -> Under:
    """A yield that is constant, or a straight line in incident energy, before the edge; extrapolated under all.

    N_j is Poisson with mean X_j (b0 + b1 (E_j - E_mean)) + the other backgrounds, maximised over b by Fisher scoring;
    the covariance is the inverse Fisher information, times V / N for bins that count in part.
    """
    limits = asked.incident or default
    if limits is None:
        raise ValueError(
            f"background {asked.kind}: needs incident: [low, high], the edge is not known"
        )
    x = np.nan_to_num(sums.exposure)
    window = (
        sums.taken & (x > 0) & (sums.energy >= limits[0]) & (sums.energy < limits[1])
    )
    needed = 1 if asked.kind == "constant" else 2
    if len(np.unique(sums.energy[window])) < needed:
        raise ValueError(
            f"background {asked.kind}: fewer than {needed} points in incident {list(limits)} eV"
        )
    offset = np.zeros(len(x)) if others is None else others.value
    powers = (sums.energy - sums.energy[window].mean())[:, None] ** np.arange(needed)
    design = x[:, None] * powers
    spread = max(sums.variance[window].sum(), 1e-300) / max(
        sums.number[window].sum(), 1e-300
    )
    theta, covariance = poisson_fit(
        sums.number[window], design[window], np.maximum(offset[window], 0.0)
    )
    covariance *= (
        spread if sums.number[window].any() else float(sums.largest[window].max())
    )
    if others is not None:  # their noise in the window moves the fit
        gain = np.linalg.pinv(design[window])
        covariance += (gain * others.variance[window]) @ gain.T
    value = design @ theta
    variance = ((design @ covariance) * design).sum(axis=1)
    told = {
        "background_parameters": theta.tolist(),
        "background_covariance": covariance.tolist(),
        "background_energy": float(sums.energy[window].mean()),
    }
    unit = x / x[window].sum() * float(sums.largest[window].max())
    return Under(value, variance, unit, np.zeros(len(x)), told)


def poisson_fit(
    number: Floats, design: Floats, offset: Floats
) -> tuple[Floats, Floats]:
    """Parameters b (k,) that maximise the likelihood of `number` (n,) with mean design (n, k) @ b + offset, and their
    covariance (k, k), the inverse of the Fisher information.

    Means stay positive. Without counts the mean is zero, and the covariance that of one count.
    """
    theta = np.zeros(design.shape[1])
    theta[0] = max(float((number - offset).sum() / design[:, 0].sum()), 0.0)
    floor = design[:, 0] / design[:, 0].sum()
    if number.sum() > 0:
        theta = _maximised(theta, number, design, offset, 1e-6 * floor)
    mean = np.maximum(design @ theta + offset, floor)
    return theta, np.linalg.pinv(design.T @ (design / mean[:, None]))


def _maximised(
    theta: Floats, number: Floats, design: Floats, offset: Floats, least: Floats
) -> Floats:
    """Fisher scoring, each step halved until the likelihood rises."""

    def likelihood(b: Floats) -> float:
        mean = design @ b + offset
        return (
            float((number * np.log(mean) - mean).sum()) if np.all(mean > 0) else -np.inf
        )

    theta = theta + np.array(
        [1e-6 * number.sum() / design[:, 0].sum()] + [0.0] * (len(theta) - 1)
    )
    now = likelihood(theta)
    for _ in range(_STEPS):
        mean = np.maximum(design @ theta + offset, least)
        step = np.linalg.pinv(design.T @ (design / mean[:, None])) @ (
            design.T @ (number / mean - 1)
        )
        for halving in range(_HALVINGS):
            trial = theta + step * 0.5**halving
            new = likelihood(trial)
            if new >= now:
                break
        else:
            return theta
        theta, gained, now = trial, new - now, new
        if gained < 1e-10:
            return theta
    return theta


def _sideband(
    data: MapData, asked: SidebandBackground, share: Floats, sums: Sums
) -> Under:
    """Counts beside the region: flat in emission from one window, a straight line through the levels of two.

    For spectra against incident energy every point has its own; for emission spectra the levels are shared by all
    bins, so their errors are common.
    """
    incident = np.asarray(data.incident)
    beside = [
        region_weights(
            Region(kind=RegionKind.PFY, emission=e), incident, data.emission_edges
        )
        for e in asked.emission
    ]
    for side in beside:
        if ((side > 0) & (share > 0)).any():
            raise ValueError(
                "background sideband: lies inside the region; move its emission windows"
            )
    if sums.axis == "energy_loss":
        raise ValueError(
            "background sideband: not for spectra against energy loss; take axis: emission"
        )
    if sums.axis == "emission_energy":
        return _level_under_emission(data, beside, share, sums)
    w, centres = data.detected(share), data.centres
    width = share.sum(axis=1)
    middle = np.divide(
        share @ centres, width, out=np.zeros(len(width)), where=width > 0
    )
    value, variance, unit = (
        np.zeros(len(width)),
        np.zeros(len(width)),
        np.zeros(len(width)),
    )
    efficiency = np.divide(
        width, w.sum(axis=1), out=np.ones(len(width)), where=width > 0
    )
    for side, part in zip(beside, _interpolation(beside, centres, middle), strict=True):
        if not side.any():
            raise ValueError("background sideband: touches no bin of the map")
        scale = part * width / side.sum(axis=1) / efficiency
        v = (
            scale[:, None]
            * side
            * (
                1.0
                if data.efficiency is None
                else efficiency[:, None] / data.efficiency
            )
        )
        value += (v * data.counts).sum(axis=1)
        variance += (v**2 * data.counts).sum(axis=1)
        unit = np.maximum(unit, np.abs(v).max(axis=1))
    return Under(value, variance, unit, value)


def _interpolation(beside: list[Floats], centres: Floats, at: Floats) -> list[Floats]:
    """Weights of the levels at energies `at` (n,): 1, or those of the line through the middles of two windows."""
    if len(beside) == 1:
        return [np.ones(len(at))]
    first, second = (
        float((s @ centres).sum() / s.sum()) if s.any() else np.nan for s in beside
    )
    if not abs(first - second) > 0:
        raise ValueError(
            "background sideband: its two windows must differ and touch the map"
        )
    part = (at - first) / (second - first)
    return [1 - part, part]


def _level_under_emission(
    data: MapData, beside: list[Floats], share: Floats, sums: Sums
) -> Under:
    """Levels of the sidebands over the region's incident points, under every emission bin."""
    row = share.max(axis=1, keepdims=True)
    value, variance, unit = (np.zeros(len(sums.energy)) for _ in range(3))
    for side, part in zip(
        beside, _interpolation(beside, data.centres, sums.energy), strict=True
    ):
        level = along_emission(data, side * row)
        total = float(np.nansum(np.nan_to_num(level.exposure)))
        if not total > 0:
            raise ValueError("background sideband: touches no bin of the map")
        scale = part * np.nan_to_num(sums.exposure) / total
        value += scale * level.number.sum()
        variance += scale**2 * level.variance.sum()
        unit = np.maximum(unit, np.abs(scale) * float(level.largest.max()))
    return Under(value, variance, unit, value)


def _blank(
    asked: BlankBackground, region: Region, sums: Sums, blanks: Mapping[str, MapData]
) -> Under:
    """The same region of the blank's map, per exposure; straight lines between its incident points."""
    if asked.sample not in blanks:
        raise ValueError(
            f"background blank: no other map of sample '{asked.sample}' at this edge"
        )
    data = blanks[asked.sample]
    share = region_weights(region, data.incident, data.emission_edges)
    along = {
        "incident_energy": along_incident,
        "emission_energy": along_emission,
        "energy_loss": along_loss,
    }
    other = along[sums.axis](data, share)
    good = other.taken & np.isfinite(other.exposure)
    order = np.flatnonzero(good)[np.argsort(other.energy[good])]
    if not len(order):
        raise ValueError(
            f"background blank: the region touches no bin of sample '{asked.sample}'"
        )
    grid = other.energy[order]
    right = (
        np.clip(np.searchsorted(grid, sums.energy), 1, max(len(grid) - 1, 1))
        if len(grid) > 1
        else np.zeros(1, int)
    )
    left = np.maximum(right - 1, 0)
    gap = grid[right] - grid[left]
    t = np.divide(
        sums.energy - grid[left], gap, out=np.zeros(len(sums.energy)), where=gap > 0
    )
    t = np.where(
        (t < -1e-3) | (t > 1 + 1e-3), np.nan, np.clip(t, 0.0, 1.0)
    )  # no extrapolation
    exposure = other.exposure[order]
    factor = asked.factor * np.nan_to_num(sums.exposure)
    first, second = (
        (factor * part / exposure[place]) for part, place in ((1 - t, left), (t, right))
    )
    number, variance, largest = (
        other.number[order],
        other.variance[order],
        other.largest[order],
    )
    error = np.square(other.relative[order] * number)
    return Under(
        value=first * number[left] + second * number[right],
        variance=first**2 * (variance + error)[left]
        + second**2 * (variance + error)[right],
        unit=np.maximum(first * largest[left], second * largest[right]),
        in_column=np.zeros(len(sums.energy)),
    )


def _leak(data: MapData, asked: LeakBackground, share: Floats) -> Under:
    """Photons of energies outside the region whose low-energy tail falls into it.

    A bin's counts are n = [(1 - f) + f Q] c, with c the counts of a detector without tail and Q_ik the part of the
    tail of bin k that falls into bin i (an exponential of decay length tau, integrated over both bins). The leak is
    sum_ik w_i f Q_ik (1 - share_k) c_k with c = [(1 - f) + f Q]^-1 n: linear in n, so that its variance is exact.
    The error of f is common to all points.
    """
    from scipy.linalg import solve_triangular, toeplitz

    known = _tail(data, asked)
    step, f, length = (
        float(np.diff(data.emission_edges).mean()),
        known.fraction,
        known.length,
    )
    r = np.exp(-step / length)
    row = length / step * (1 - r) ** 2 * r ** (np.arange(share.shape[1]) - 1.0)
    row[0] = 1 - (1 - r) * length / step
    tail = f * np.triu(toeplitz(row))
    response = tail + (1 - f) * np.eye(len(row))
    sent = (data.detected(share) @ tail) * (1 - share)
    w = solve_triangular(response, sent.T, trans="T").T
    value = (w * data.counts).sum(axis=1)
    variance = (w**2 * data.counts).sum(axis=1) + (
        value * known.fraction_error / f
    ) ** 2
    return Under(
        value,
        variance,
        np.abs(w).max(axis=1, initial=0.0),
        value,
        {"tail": vars(known)},
    )


def _tail(data: MapData, asked: LeakBackground) -> Tail:
    """The response's tail: what the config says, for the rest what the reference runs say."""
    known = data.tail or Tail(*(np.nan,) * 3)
    fraction = known.fraction if asked.tail_fraction is None else asked.tail_fraction
    length = known.length if asked.tail_length is None else asked.tail_length
    if asked.tail_fraction_errors is not None:
        error = asked.tail_fraction_errors
    else:
        error = known.fraction_error if asked.tail_fraction is None else 0.0
    if not (fraction > 0 and length > 0 and error >= 0):
        raise ValueError(
            "background leak: the map knows no tail; set tail_fraction, tail_fraction_errors, tail_length"
        )
    return Tail(fraction, error, length)
