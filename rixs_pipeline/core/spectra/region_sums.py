"""Sums of a map over a region, along each axis of a spectrum, before any division."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.regions import EmissionAxis, Region, RegionKind
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

STEP_EV = 0.5  # by which scales are shifted for a derivative: below the resolution


class SpectrumAxis(StrEnum):
    """Axes of spectra; the values are the names of dimensions in products."""

    INCIDENT = "incident_energy"
    EMISSION = "emission_energy"
    LOSS = "energy_loss"


@dataclass(frozen=True)
class RegionSums:
    """Sums over a region with weights w of counts n, at each of n energies.

    Attributes
    ----------
    axis : SpectrumAxis
        What the energies are of.
    energy : f8 (n,)
        eV.
    weights : f8 (point, bin)
        Fractions of the map's bins that lie in the region.
    number : f8 (n,)
        sum w n, counts over the efficiency.
    variance : f8 (n,)
        sum w^2 n.
    largest_weight : f8 (n,)
        Largest w.
    counts : f8 (n,)
        Photons, cut bins by their fraction.
    exposure : f8 (n,)
        Seconds; NaN without exposure.
    divisor : f8 (n,)
        What intensities are divided by: the exposure, for emission spectra times the
        bin width in eV.
    relative_error : f8 (n,)
        Relative standard deviation of the divisor, from I0.
    is_covered : bool (n,)
        Where the region has any weight.
    """

    axis: SpectrumAxis
    energy: FloatArray
    weights: FloatArray
    number: FloatArray
    variance: FloatArray
    largest_weight: FloatArray
    counts: FloatArray
    exposure: FloatArray
    divisor: FloatArray
    relative_error: FloatArray
    is_covered: BoolArray


def sum_region(data: MapData, region: Region) -> RegionSums:
    """Return the sums over a region of a map, along the axis of the region's spectrum.

    Parameters
    ----------
    data : MapData
        The map.
    region : Region
        Emission spectra run along emission energy or energy loss, others along
        incident energy.

    Returns
    -------
    RegionSums
        At all points or bins, also those that the region does not cover.
    """
    weights = region_weights(region, data.incident, data.emission_edges)
    if region.kind is RegionKind.XES:
        if region.axis is EmissionAxis.LOSS:
            return _sum_along_loss(data, weights)
        return sum_along_emission(data, weights)
    count_weights = weights / data.efficiency
    is_exposed = data.exposure > 0
    exposure = np.where(is_exposed, data.exposure, np.nan)
    relative_error = np.zeros(len(data.incident))
    if data.exposure_errors is not None:
        relative_error = data.relative_exposure_errors
    number = count_weights * data.counts
    variance = count_weights**2 * data.counts
    counts = weights * data.counts
    return RegionSums(
        axis=SpectrumAxis.INCIDENT,
        energy=data.incident,
        weights=weights,
        number=number.sum(axis=1),
        variance=variance.sum(axis=1),
        largest_weight=count_weights.max(axis=1, initial=0.0),
        counts=counts.sum(axis=1),
        exposure=exposure,
        divisor=exposure,
        relative_error=relative_error,
        is_covered=np.asarray(weights.any(axis=1)),
    )


def relative_slope(
    counts: IntArray,
    region: Region,
    incident: FloatArray,
    edges: FloatArray,
    along_emission: bool,
) -> FloatArray:
    """Return the relative change of counts in a region per eV of the emission scale.

    One count is added to those of each point, so that few make no steep slope.

    Parameters
    ----------
    counts
        i8 (point, bin).
    region
        The region.
    incident
        f8 (point,), eV.
    edges
        Emission bins, f8 (bin + 1,), eV.
    along_emission
        Whether the spectrum runs along the emission energy, or along the incident one.

    Returns
    -------
    FloatArray
        f8 (point,), or (bin,) along the emission energy, 1/eV.
    """
    if not along_emission:
        sums = []
        for shift in (-STEP_EV, 0.0, STEP_EV):
            weights = region_weights(region, incident, edges + shift)
            sums.append((weights * counts).sum(axis=1))
        lower, middle, upper = sums
        change = (upper - lower) / (2 * STEP_EV)
        return np.asarray(change / (middle + 1))
    weights = region_weights(region, incident, edges)
    inside = np.flatnonzero(weights.any(axis=0))
    spectrum = (weights * counts).sum(axis=0)[inside]
    step = STEP_EV / float(np.diff(edges).mean())
    # On a scale that is shifted up, a bin shows the counts from below it.
    upper = np.interp(inside - step, inside, spectrum)
    lower = np.interp(inside + step, inside, spectrum)
    slope = np.zeros(len(edges) - 1)
    change = (upper - lower) / (2 * STEP_EV)
    slope[inside] = change / (spectrum + 1)
    return slope


def sum_along_emission(data: MapData, weights: FloatArray) -> RegionSums:
    """Return the sums over incident points with exposure, in every emission bin.

    Parameters
    ----------
    data : MapData
        The map.
    weights : f8 (point, bin)
        Weights of its bins.

    Returns
    -------
    RegionSums
        Counts and exposures are summed over the same points.
    """
    bins = np.arange(weights.shape[1])
    index = np.broadcast_to(bins, weights.shape)
    parts = [_BinPart(index, weights)]
    return _sum_parts(data, weights, SpectrumAxis.EMISSION, data.centres, parts)


def _sum_along_loss(data: MapData, weights: FloatArray) -> RegionSums:
    """Return the sums in bins of energy loss as wide as the emission bins.

    A bin of a point falls on two bins of the loss and counts in both by its share, so
    that neighbours are correlated where several points add up.
    """
    step = data.bin_width
    upper_edges = data.emission_edges[1:]
    loss = data.incident[:, None] - upper_edges
    position = loss / step
    index = np.floor(position).astype(np.int64)
    first = int(index.min())
    upper_share = position - index
    bins = np.arange(first, index.max() + 2)
    energy = (bins + 0.5) * step
    lower = _BinPart(index - first, weights * (1 - upper_share))
    upper = _BinPart(index - first + 1, weights * upper_share)
    return _sum_parts(data, weights, SpectrumAxis.LOSS, energy, [lower, upper])


@dataclass(frozen=True)
class _BinPart:
    """Where bins of a map go: `index` i8 (point, bin) by `weights` f8 (point, bin)."""

    index: IntArray
    weights: FloatArray

    def add_up(self, values: FloatArray, size: int) -> FloatArray:
        """Return the sums (size,) of values (point, bin) that go to the same bin."""
        index = self.index.ravel()
        sums = np.bincount(index, values.ravel(), size)
        return np.asarray(sums, dtype=float)


def _sum_parts(
    data: MapData,
    weights: FloatArray,
    axis: SpectrumAxis,
    energy: FloatArray,
    parts: list[_BinPart],
) -> RegionSums:
    """Return the sums of the parts in bins around the energies (n,)."""
    size = len(energy)
    n_points = len(data.incident)
    is_exposed = data.exposure > 0
    exposure = np.where(is_exposed, data.exposure, 0.0)[:, None]
    errors = data.relative_exposure_errors * data.exposure
    errors = np.where(is_exposed, errors, 0.0)[:, None]
    number = np.zeros(size)
    variance = np.zeros(size)
    largest = np.zeros(size)
    counts = np.zeros(size)
    seconds = np.zeros(size)
    is_covered: BoolArray = np.zeros(size, bool)
    point_errors = np.zeros((n_points, size))
    rows = np.arange(n_points)[:, None]
    for part in parts:
        is_covered |= part.add_up(part.weights, size) > 0
        shares = part.weights * is_exposed[:, None]
        count_weights = shares / data.efficiency
        number += part.add_up(count_weights * data.counts, size)
        variance += part.add_up(count_weights**2 * data.counts, size)
        counts += part.add_up(shares * data.counts, size)
        seconds += part.add_up(shares * exposure, size)
        np.maximum.at(largest, part.index, count_weights)
        if data.exposure_errors is not None:
            np.add.at(point_errors, (rows, part.index), shares * errors)
    seconds = np.where(seconds > 0, seconds, np.nan)
    exposure_variance = (point_errors**2).sum(axis=0)
    relative_error = np.sqrt(exposure_variance) / seconds
    return RegionSums(
        axis=axis,
        energy=energy,
        weights=weights,
        number=number,
        variance=variance,
        largest_weight=largest,
        counts=counts,
        exposure=seconds,
        divisor=seconds * data.bin_width,
        relative_error=np.nan_to_num(relative_error),
        is_covered=is_covered,
    )
