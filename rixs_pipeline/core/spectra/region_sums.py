"""Sums of a map over a region, along each axis of a spectrum, before any division."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.joined_bins import join_emission_bins
from rixs_pipeline.core.spectra.region_geometry import ROUNDING_DECIMALS, region_weights
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
        eV; of bins as `_covered_middles` says.
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
    bin_width : float or None
        Of emission spectra, eV.
    places : i8 (bin,) or None
        Along emission energy: to which of the n energies a bin of the map belongs.
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
    bin_width: float | None = None
    places: IntArray | None = None


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
            return _sum_along_loss(data, weights, region.joined_bins)
        places = join_emission_bins(region, data.emission_edges)
        return sum_along_emission(data, weights, places, region.joined_bins)
    inside = _covered_bins(weights)
    map_counts = data.counts[:, inside]
    count_weights = weights[:, inside] / _efficiency(data, inside)
    is_exposed = data.exposure > 0
    exposure = np.where(is_exposed, data.exposure, np.nan)
    relative_error = np.zeros(len(data.incident))
    if data.exposure_errors is not None:
        relative_error = data.relative_exposure_errors
    number = count_weights * map_counts
    variance = count_weights**2 * map_counts
    counts = weights[:, inside] * map_counts
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


def _covered_bins(weights: FloatArray) -> slice:
    """Return the emission bins outside which all weights (point, bin) are 0."""
    covered = np.flatnonzero(weights.any(axis=0))
    return slice(int(covered[0]), int(covered[-1]) + 1) if len(covered) else slice(0, 0)


def _efficiency(data: MapData, bins: slice) -> FloatArray:
    """Return the efficiency of the detector in some emission bins."""
    n_bins = data.counts.shape[1]
    return np.broadcast_to(data.efficiency, n_bins)[bins]


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


def sum_along_emission(
    data: MapData,
    weights: FloatArray,
    places: IntArray | None = None,
    joined_bins: int = 1,
) -> RegionSums:
    """Return the sums over incident points with exposure, in bins of emission.

    Parameters
    ----------
    data : MapData
        The map.
    weights : f8 (point, bin)
        Weights of its bins.
    places : i8 (bin,) or None
        To which bin of the spectrum each bin of the map belongs; None: its own.
    joined_bins : int
        Bins of the map in a whole bin of the spectrum.

    Returns
    -------
    RegionSums
        Counts and exposures are summed over the same points and bins.
    """
    if places is None:
        places = np.arange(weights.shape[1])
    centres = np.bincount(places, data.centres) / np.bincount(places)
    index = np.broadcast_to(places, weights.shape)
    part = _BinPart(index, weights, np.broadcast_to(data.centres, weights.shape))
    sums = _sum_parts(
        data, weights, SpectrumAxis.EMISSION, centres, [part], joined_bins
    )
    return replace(sums, places=places)


def _sum_along_loss(data: MapData, weights: FloatArray, joined_bins: int) -> RegionSums:
    """Return the sums in bins of energy loss as wide as a number of emission bins.

    A bin of a point falls on one or two bins of the loss and counts in both by its
    share, so that neighbours are correlated where several points add up.
    """
    step = joined_bins * data.bin_width
    upper_edges = data.emission_edges[1:]
    loss = data.incident[:, None] - upper_edges
    position = loss / step
    index = np.floor(position).astype(np.int64)
    first = int(index.min())
    upper_share = joined_bins * (position - index) - (joined_bins - 1)
    upper_share = np.maximum(upper_share, 0.0)
    lower_share = 1 - upper_share
    bins = np.arange(first, index.max() + 2)
    energy = (bins + 0.5) * step
    middle = loss + data.bin_width / 2
    lower_energy = middle - upper_share * data.bin_width / 2
    upper_energy = middle + lower_share * data.bin_width / 2
    lower = _BinPart(index - first, weights * lower_share, lower_energy)
    upper = _BinPart(index - first + 1, weights * upper_share, upper_energy)
    parts = [lower, upper]
    return _sum_parts(data, weights, SpectrumAxis.LOSS, energy, parts, joined_bins)


@dataclass(frozen=True)
class _BinPart:
    """Where bins of a map go, or parts of them.

    `index` i8 in the spectrum, `weights` f8, `energy` f8 of the middle of the part, eV;
    (point, bin) each.
    """

    index: IntArray
    weights: FloatArray
    energy: FloatArray

    def crop(self, bins: slice) -> "_BinPart":
        """Return the part within some emission bins of the map."""
        index, weights = self.index[:, bins], self.weights[:, bins]
        return _BinPart(index, weights, self.energy[:, bins])

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
    joined_bins: int,
) -> RegionSums:
    """Return the sums of the parts in bins around the energies (n,)."""
    size = len(energy)
    inside = _covered_bins(weights)
    map_counts, efficiency = data.counts[:, inside], _efficiency(data, inside)
    parts = [part.crop(inside) for part in parts]
    if joined_bins > 1:
        energy = _covered_middles(energy, parts)
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
        count_weights = shares / efficiency
        number += part.add_up(count_weights * map_counts, size)
        variance += part.add_up(count_weights**2 * map_counts, size)
        counts += part.add_up(shares * map_counts, size)
        seconds += part.add_up(shares * exposure, size)
        np.maximum.at(largest, part.index, count_weights)
        if data.exposure_errors is not None:
            np.add.at(point_errors, (rows, part.index), shares * errors)
    exposure_variance = (point_errors**2).sum(axis=0) / joined_bins**2
    seconds = np.where(seconds > 0, seconds / joined_bins, np.nan)
    bin_width = joined_bins * data.bin_width
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
        divisor=seconds * bin_width,
        relative_error=np.nan_to_num(relative_error),
        is_covered=is_covered,
        bin_width=bin_width,
    )


def _covered_middles(energy: FloatArray, parts: list[_BinPart]) -> FloatArray:
    """Return the energy that each bin around energies (n,) has the intensity of, eV.

    The intensity of a bin is the mean of the map's bins in it, weighted with the part
    of each that the region covers; its energy is the same mean of their middles. So it
    is right where intensities are linear in energy. The middle of the covered part
    would not be: where in a bin of the map its photons are is not known, so that a bin
    that is cut has the intensity at its own middle. Exposures do not count, so that
    samples measured at the same points have the same energies.
    """
    size = len(energy)
    total = np.zeros(size)
    moment = np.zeros(size)
    for part in parts:
        total += part.add_up(part.weights, size)
        moment += part.add_up(part.weights * part.energy, size)
    middle = np.divide(moment, total, out=energy.copy(), where=total > 0)
    return np.asarray(np.round(middle, ROUNDING_DECIMALS), dtype=float)
