"""Backgrounds of a region: pre-edge, sidebands, a blank, tails, the elastic line.

Each is an estimate B in units of the region's sum N, with its variance, so that N - B
keeps both. Formulae and sources: docs/explanation/regions.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rixs_pipeline.core.elastic.amplitude import AmplitudeKind
from rixs_pipeline.core.elastic.elastic_background import estimate_elastic
from rixs_pipeline.core.elastic.fitted_line import ElasticOptions
from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.response.leak import estimate_leak, find_tail
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.region_sums import (
    RegionSums,
    SpectrumAxis,
    sum_along_emission,
    sum_region,
)
from rixs_pipeline.core.spectra.regions import (
    Background,
    BlankBackground,
    ElasticBackground,
    LeakBackground,
    Limits,
    PreEdgeBackground,
    PreEdgeShape,
    Region,
    RegionKind,
    SidebandBackground,
)
from rixs_pipeline.core.stats.intervals import Z_95, Interval, count_interval
from rixs_pipeline.core.stats.poisson_fit import fit_poisson
from rixs_pipeline.types import FloatArray, IntArray

SMALLEST = 1e-300  # avoids division by zero
ENDS_TOLERANCE = 1e-3  # of a step: a blank's spectrum goes on so far beyond its ends


@dataclass(frozen=True)
class BackgroundEstimate:
    """A background along a spectrum, in units of the region's sum.

    Attributes
    ----------
    value, variance : f8 (n,)
        The estimate.
    photon_weight : f8 (n,)
        Largest weight of one photon in it.
    same_exposure : f8 (n,)
        The part of `value` measured with the point's exposure: it shares its I0 error.
    facts : dict
        Plain values for the product.
    count_covariance : f8 (n,) or float
        Covariance with the region's sum at the same point.
    modes : f8 (n, mode) or None
        The part of the covariance between points that is not diagonal is
        modes @ modes.T; None: 0, or given by the facts.
    """

    value: FloatArray
    variance: FloatArray
    photon_weight: FloatArray
    same_exposure: FloatArray
    facts: dict[str, Any] = field(default_factory=dict)
    count_covariance: FloatArray | float = 0.0
    modes: FloatArray | None = None

    def interval(self) -> Interval:
        """Return the 95 % interval: of a weighted sum of counts, normal below 0."""
        deviation = Z_95 * np.sqrt(self.variance)
        is_positive = self.value >= 0
        positive_value = np.maximum(self.value, 0.0)
        counted = count_interval(positive_value, self.variance, self.photon_weight)
        normal_lower = self.value - deviation
        normal_upper = self.value + deviation
        lower = np.where(is_positive, counted.lower, normal_lower)
        upper = np.where(is_positive, counted.upper, normal_upper)
        return Interval(lower, upper)

    def __add__(self, term: "BackgroundEstimate") -> "BackgroundEstimate":
        return BackgroundEstimate(
            value=self.value + term.value,
            variance=self.variance + term.variance,
            photon_weight=np.maximum(self.photon_weight, term.photon_weight),
            same_exposure=self.same_exposure + term.same_exposure,
            facts=self.facts | term.facts,
            count_covariance=self.count_covariance + term.count_covariance,
            modes=term.modes if self.modes is None else self.modes,
        )


def estimate_background(
    data: MapData,
    region: Region,
    sums: RegionSums,
    blanks: Mapping[str, MapData],
    pre_edge: Limits | None,
) -> BackgroundEstimate | None:
    """Estimate the background of a region: the sum of all that it names.

    Parameters
    ----------
    data : MapData
        The map.
    region : Region
        The region; a fit before the edge comes last, on top of the subtracted.
    sums : RegionSums
        Of the region.
    blanks : mapping of str to MapData
        Maps of blank samples.
    pre_edge : Limits or None
        Default window of a fit before the edge, eV.

    Returns
    -------
    BackgroundEstimate or None
        None for a region without background.

    Raises
    ------
    ValueError
        A blank is missing, or a fit has too few points.
    """
    total: BackgroundEstimate | None = None
    for background in sorted(region.background, key=_is_pre_edge_fit):
        match background:
            case SidebandBackground() as sideband:
                estimate = _sideband_level(data, sideband, sums)
            case BlankBackground() as blank:
                estimate = _blank_spectrum(blank, region, sums, blanks)
            case LeakBackground() as leak:
                estimate = _leaked_tails(data, leak, sums.weights)
            case ElasticBackground() as elastic:
                estimate = _elastic_light(data, elastic, sums)
            case PreEdgeBackground() as fit:
                estimate = _pre_edge_fit(fit, sums, total, pre_edge)
        total = estimate if total is None else total + estimate
    return total


def _is_pre_edge_fit(background: Background) -> bool:
    return isinstance(background, PreEdgeBackground)


def _elastic_light(
    data: MapData, background: ElasticBackground, sums: RegionSums
) -> BackgroundEstimate:
    """Estimate the elastic light in the region from a fit to the whole map.

    A smooth amplitude is a rate that all points share, so that it does not have the
    I0 error of the point; a free one is counted with the point itself.
    """
    if sums.axis is SpectrumAxis.LOSS:
        raise ValueError(
            "background elastic: undefined for spectra against energy loss; "
            "use `axis: emission`"
        )
    options = ElasticOptions(background.amplitude, background.offset)
    try:
        estimate = estimate_elastic(
            data, sums.weights, options, background.fwhm, places=sums.places
        )
    except ValueError as error:
        raise ValueError(f"background elastic: {error}") from None
    is_free = background.amplitude is AmplitudeKind.FREE
    return BackgroundEstimate(
        value=estimate.value,
        variance=estimate.variance,
        photon_weight=estimate.photon_weight,
        same_exposure=estimate.value * is_free,
        facts=estimate.facts,
        count_covariance=estimate.count_covariance,
        modes=estimate.modes,
    )


def _pre_edge_fit(
    background: PreEdgeBackground,
    sums: RegionSums,
    subtracted: BackgroundEstimate | None,
    default: Limits | None,
) -> BackgroundEstimate:
    """Fit a yield that is constant, or linear in incident energy, before the edge.

    N_j is Poisson with mean X_j (b0 + b1 (E_j - E_mean)) + the other backgrounds; the
    covariance of b is scaled by V / N for bins that count in part.
    """
    name = f"background {background.kind}"
    limits = background.incident or default
    if limits is None:
        raise ValueError(f"{name}: edge unknown; set `incident: [low, high]`")
    exposure = np.nan_to_num(sums.exposure)
    is_usable = sums.is_covered & (exposure > 0)
    window = is_usable & limits.contains(sums.energy)
    n_parameters = 1 if background.shape is PreEdgeShape.CONSTANT else 2
    fitted_energies = np.unique(sums.energy[window])
    if len(fitted_energies) < n_parameters:
        raise ValueError(
            f"{name}: fewer than {n_parameters} points at incident energies "
            f"{list(limits)} eV; widen `incident`"
        )
    mean_energy = sums.energy[window].mean()
    distance = sums.energy - mean_energy
    powers = distance[:, None] ** np.arange(n_parameters)
    design = exposure[:, None] * powers
    offset = np.zeros(int(window.sum()))
    if subtracted is not None:
        offset = np.maximum(subtracted.value[window], 0.0)
    number = sums.number[window]
    fit = fit_poisson(number, design[window], offset)
    largest_weight = float(sums.largest_weight[window].max())
    spread = largest_weight  # without counts
    if number.any():
        total_number = max(number.sum(), SMALLEST)
        total_variance = max(sums.variance[window].sum(), SMALLEST)
        spread = total_variance / total_number
    covariance = fit.covariance * spread
    if subtracted is not None:  # their noise in the window changes the fit
        gain = np.linalg.pinv(design[window])
        covariance += (gain * subtracted.variance[window]) @ gain.T
    propagated = design @ covariance
    exposure_fraction = exposure / exposure[window].sum()
    return BackgroundEstimate(
        value=design @ fit.parameters,
        variance=(propagated * design).sum(axis=1),
        photon_weight=exposure_fraction * largest_weight,
        same_exposure=np.zeros(len(exposure)),
        facts={
            "background_parameters": fit.parameters.tolist(),
            "background_covariance": covariance.tolist(),
            "background_energy": float(mean_energy),
        },
    )


def _sideband_level(
    data: MapData, background: SidebandBackground, sums: RegionSums
) -> BackgroundEstimate:
    """Estimate counts from one window of emission, or from a line through two.

    For spectra against incident energy every point has its own level; for emission
    spectra the levels are shared by all bins, so that their errors are common.
    """
    sidebands = []
    for limits in background.emission:
        window = Region(kind=RegionKind.PFY, emission=limits)
        sideband = region_weights(window, data.incident, data.emission_edges)
        is_shared = (sideband > 0) & (sums.weights > 0)
        if is_shared.any():
            raise ValueError(
                f"background sideband: window {list(limits)} eV overlaps the region; "
                "change `emission`"
            )
        sidebands.append(sideband)
    if sums.axis is SpectrumAxis.LOSS:
        raise ValueError(
            "background sideband: undefined for spectra against energy loss; "
            "use `axis: emission`"
        )
    if not all(sideband.any() for sideband in sidebands):
        raise ValueError(
            "background sideband: a window lies outside the map; change `emission`"
        )
    if sums.axis is SpectrumAxis.EMISSION:
        return _shared_sideband_level(data, sidebands, sums)
    n_points = len(data.incident)
    width = sums.weights.sum(axis=1)
    is_covered = width > 0
    middle = np.zeros(n_points)
    moment = sums.weights @ data.centres
    np.divide(moment, width, out=middle, where=is_covered)
    detected_weights = sums.weights / data.efficiency
    weighted_width = detected_weights.sum(axis=1)
    efficiency = np.ones(n_points)
    np.divide(width, weighted_width, out=efficiency, where=is_covered)
    value = np.zeros(n_points)
    variance = np.zeros(n_points)
    photon_weight = np.zeros(n_points)
    parts = _interpolation_weights(sidebands, data.centres, middle)
    for sideband, part in zip(sidebands, parts, strict=True):
        scale = part * width / sideband.sum(axis=1) / efficiency
        relative_efficiency = efficiency[:, None] / data.efficiency
        count_weights = scale[:, None] * sideband * relative_efficiency
        counts = count_weights * data.counts
        variances = count_weights**2 * data.counts
        value += counts.sum(axis=1)
        variance += variances.sum(axis=1)
        largest_weight = np.abs(count_weights).max(axis=1)
        photon_weight = np.maximum(photon_weight, largest_weight)
    return BackgroundEstimate(value, variance, photon_weight, same_exposure=value)


def _interpolation_weights(
    sidebands: list[FloatArray], centres: FloatArray, energy: FloatArray
) -> list[FloatArray]:
    """Return the weights (n,) of the sidebands' levels at emission energies (n,), eV.

    Of two sidebands, those of the line through their middles.
    """
    if len(sidebands) == 1:
        return [np.ones(len(energy))]
    middles = []
    for sideband in sidebands:
        moment = (sideband @ centres).sum()
        middles.append(float(moment / sideband.sum()))
    first, second = middles
    if not abs(first - second) > 0:
        raise ValueError(
            "background sideband: the two windows are the same; change `emission`"
        )
    part = (energy - first) / (second - first)
    return [1 - part, part]


def _shared_sideband_level(
    data: MapData, sidebands: list[FloatArray], sums: RegionSums
) -> BackgroundEstimate:
    """Estimate counts in every emission bin from sidebands over the same points."""
    points = sums.weights.max(axis=1, keepdims=True)
    divisor = np.nan_to_num(sums.divisor)
    n_bins = len(divisor)
    value = np.zeros(n_bins)
    variance = np.zeros(n_bins)
    photon_weight = np.zeros(n_bins)
    parts = _interpolation_weights(sidebands, data.centres, sums.energy)
    for sideband, part in zip(sidebands, parts, strict=True):
        level = sum_along_emission(data, sideband * points)
        sideband_divisor = float(np.nansum(level.divisor))
        if not sideband_divisor > 0:
            raise ValueError("background sideband: a window has no exposure")
        scale = part * divisor / sideband_divisor
        value += scale * level.number.sum()
        variance += scale**2 * level.variance.sum()
        largest_weight = float(level.largest_weight.max())
        scaled_weight = np.abs(scale) * largest_weight
        photon_weight = np.maximum(photon_weight, scaled_weight)
    return BackgroundEstimate(value, variance, photon_weight, same_exposure=value)


def _blank_spectrum(
    background: BlankBackground,
    region: Region,
    sums: RegionSums,
    blanks: Mapping[str, MapData],
) -> BackgroundEstimate:
    """Estimate counts from the same region of a blank's map, per exposure.

    Straight lines between the blank's energies; beyond them the estimate is NaN.
    """
    sample = background.sample
    if sample not in blanks:
        raise ValueError(
            f"background blank: no map of sample '{sample}' at this edge; "
            "check the spelling"
        )
    blank = sum_region(blanks[sample], region)
    if not np.isclose(blank.bin_width or 0, sums.bin_width or 0):
        raise ValueError(
            f"background blank: map of '{sample}' has bins of another width; "
            "reduce it with the same `map.step`"
        )
    is_usable = blank.is_covered & np.isfinite(blank.exposure)
    if not is_usable.any():
        raise ValueError(f"background blank: map of '{sample}' excludes the region")
    ascending = np.argsort(blank.energy[is_usable])
    order = np.flatnonzero(is_usable)[ascending]
    neighbours = _find_neighbours(blank.energy[order], sums.energy)
    lower = order[neighbours.lower]
    upper = order[neighbours.upper]
    factor = background.factor * np.nan_to_num(sums.exposure)
    lower_part = factor * (1 - neighbours.part)
    upper_part = factor * neighbours.part
    lower_factor = lower_part / blank.exposure[lower]
    upper_factor = upper_part / blank.exposure[upper]
    i0_variance = np.square(blank.relative_error * blank.number)
    total_variance = blank.variance + i0_variance
    lower_variance = lower_factor**2 * total_variance[lower]
    upper_variance = upper_factor**2 * total_variance[upper]
    lower_value = lower_factor * blank.number[lower]
    upper_value = upper_factor * blank.number[upper]
    lower_weight = lower_factor * blank.largest_weight[lower]
    upper_weight = upper_factor * blank.largest_weight[upper]
    return BackgroundEstimate(
        value=lower_value + upper_value,
        variance=lower_variance + upper_variance,
        photon_weight=np.maximum(lower_weight, upper_weight),
        same_exposure=np.zeros(len(sums.energy)),
    )


@dataclass(frozen=True)
class _Neighbours:
    """Points of a grid around energies (n,), and how far these are from lower to upper.

    `lower`, `upper`: indices; `part`: 0 to 1, NaN beyond the ends of the grid.
    """

    lower: IntArray
    upper: IntArray
    part: FloatArray


def _find_neighbours(grid: FloatArray, energy: FloatArray) -> _Neighbours:
    """Return the neighbours of energies (n,) in an ascending grid, eV."""
    upper = np.zeros(len(energy), np.int64)
    if len(grid) > 1:
        last = len(grid) - 1
        place = np.searchsorted(grid, energy)
        upper = np.clip(place, 1, last)
    lower = np.maximum(upper - 1, 0)
    gap = grid[upper] - grid[lower]
    part = np.zeros(len(energy))
    distance = energy - grid[lower]
    np.divide(distance, gap, out=part, where=gap > 0)
    is_beyond = (part < -ENDS_TOLERANCE) | (part > 1 + ENDS_TOLERANCE)
    clipped = np.clip(part, 0.0, 1.0)
    part = np.where(is_beyond, np.nan, clipped)
    return _Neighbours(lower, upper, part)


def _leaked_tails(
    data: MapData, background: LeakBackground, weights: FloatArray
) -> BackgroundEstimate:
    """Estimate photons from outside the region whose low-energy tail falls into it."""
    tail = find_tail(data, background)
    leak = estimate_leak(data, tail, weights)
    return BackgroundEstimate(
        value=leak.value,
        variance=leak.variance,
        photon_weight=np.abs(leak.weights).max(axis=1, initial=0.0),
        same_exposure=leak.value,
        facts={"tail": vars(tail)},
    )
