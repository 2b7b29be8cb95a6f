"""Each sample paired with the first one: energy-scale offset, test of the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import Comparison
from rixs_pipeline.core.spectra import region_sums, regions
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.regions import RegionKind
from rixs_pipeline.core.spectra.sample_comparison import (
    IntensityScale,
    mean_emission_energy,
)
from rixs_pipeline.core.stats import energy_scale_offset, homogeneity
from rixs_pipeline.core.stats.energy_scale_offset import ScaleDifference
from rixs_pipeline.core.stats.homogeneity import Homogeneity, ScaleOffset
from rixs_pipeline.stages.scan.scale_variables import scale_difference_errors
from rixs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import xarray as xr


# Degrees of freedom of an offset whose error is an average over what is not known of
# the drift: its tails are a little longer than those of a Gaussian.
SCALE_FREEDOM = 30


@dataclass(frozen=True)
class SamplePair:
    """The maps of two samples on shared points, a region, the axis of its spectra."""

    first: xr.Dataset
    second: xr.Dataset
    region: regions.Region
    axis: str

    @property
    def incident(self) -> FloatArray:
        """Incident energies (point,), eV."""
        return np.asarray(self.first["incident_energy"].values)

    @property
    def emission_edges(self) -> FloatArray:
        """Edges of the emission bins (bin + 1,), eV."""
        return np.asarray(self.first["emission_energy_edges"].values)

    @property
    def weights(self) -> FloatArray:
        """Share of each bin in the region, (point, bin)."""
        return region_weights(self.region, self.incident, self.emission_edges)

    @property
    def energy(self) -> FloatArray:
        """Energies of the spectra, eV."""
        return np.asarray(self.first[self.axis].values)

    @property
    def is_along_emission(self) -> bool:
        """Whether the spectra run along the emission energy, not the incident one."""
        return self.axis == "emission_energy"


@dataclass(frozen=True)
class ComparedPairs:
    """Each sample with the first one: offsets of the emission scales, and tests."""

    pairs: Sequence[SamplePair]
    offsets: Sequence[ScaleOffset | None]
    tests: Sequence[Homogeneity]

    @property
    def factors(self) -> FloatArray:
        """Common factors of the counts relative to the first sample, (sample,)."""
        factors = [test.factor[1] for test in self.tests]
        return np.array([1.0, *factors])

    @property
    def scale(self) -> IntensityScale:
        """What the intensities are divided by: an inverse yield falls with counts."""
        errors = [test.factor_errors[1] for test in self.tests]
        is_inverse = self.pairs[0].region.kind is RegionKind.IPFY
        factors = 1 / self.factors if is_inverse else self.factors
        return IntensityScale(factors, np.array([0.0, *errors]))


def compare_pairs(pairs: Sequence[SamplePair], comparison: Comparison) -> ComparedPairs:
    """Test each sample against the first one.

    Parameters
    ----------
    pairs
        The first sample with each of the others.
    comparison
        Window and common factor.

    Returns
    -------
    ComparedPairs

    Raises
    ------
    ValueError
        No counts, or no point in a window.
    """
    offsets = [_scale_offset(pair) for pair in pairs]
    tests = []
    for pair, offset in zip(pairs, offsets, strict=True):
        tests.append(_test(pair, comparison, offset))
    return ComparedPairs(pairs, offsets, tests)


def compared_points(pair: SamplePair, comparison: Comparison) -> BoolArray:
    """Return which points of the spectra are tested.

    Parameters
    ----------
    pair, comparison
        The spectra, and the window of the test.

    Returns
    -------
    (point,) bool

    Raises
    ------
    ValueError
        None is.
    """
    return in_window(pair.energy, comparison.window)


def _test(
    pair: SamplePair, comparison: Comparison, offset: ScaleOffset | None
) -> Homogeneity:
    """Test whether the counts of two samples in a region are equal.

    Raises
    ------
    ValueError
        There are no counts.
    """
    maps = (pair.first, pair.second)
    counts = [rixs_map["counts"].values for rixs_map in maps]
    exposure = [rixs_map["exposure"].values for rixs_map in maps]
    cells = homogeneity.cells(counts, exposure, pair.weights, pair.is_along_emission)
    tested = cells.within(compared_points(pair, comparison))
    scaled_by = None
    if comparison.scale == "free":
        scaled_by = tested
    elif comparison.scale != "known":
        is_inside = in_window(pair.energy, comparison.scale)
        scaled_by = cells.within(is_inside)
    test = homogeneity.homogeneity(tested, scaled_by, offset)
    if test is None:
        raise ValueError("no counts in the region, or none in the scaling window")
    return test


def _scale_offset(pair: SamplePair) -> ScaleOffset | None:
    """Return what is known of the offset between the emission scales of two maps.

    It follows from the errors of the scales, of which those that both maps share
    cancel; in maps without them, from the scatter of the pixels. None where neither is
    known.
    """
    first, second = pair.first, pair.second
    counts = first["counts"].values + second["counts"].values
    emission = first["emission_energy"].values
    energy = mean_emission_energy(counts, pair.weights, emission)
    deviation = scale_difference_errors(first, second, energy)
    freedom = SCALE_FREEDOM
    if deviation is None:
        difference = _pixel_scatter(pair)
        if difference is None:
            return None
        deviation, freedom = difference.deviation * energy, difference.freedom
    slope = region_sums.relative_slope(
        counts, pair.region, pair.incident, pair.emission_edges, pair.is_along_emission
    )
    return ScaleOffset(slope, deviation, freedom)


def _pixel_scatter(pair: SamplePair) -> ScaleDifference | None:
    """Return the relative difference of the scales that the pixels' scatter shows.

    None where too few pixels show it.
    """
    first, second = pair.first, pair.second
    if "misalignment" not in first or "misalignment" not in second:
        return None
    _, first_rows, second_rows = np.intersect1d(
        first["pixel"].values, second["pixel"].values, return_indices=True
    )
    first_pixels = first.isel(pixel=first_rows)
    second_pixels = second.isel(pixel=second_rows)
    photons = first_pixels["pixel_counts"].values + second_pixels["pixel_counts"].values
    difference = energy_scale_offset.scale_difference(
        first_pixels["misalignment"].values,
        second_pixels["misalignment"].values,
        photons,
    )
    return difference if difference.freedom else None


def in_window(energy: FloatArray, limits: tuple[float, float] | None) -> BoolArray:
    """Return which energies are in a window.

    Parameters
    ----------
    energy : (point,) f8
        Energies, eV.
    limits : (low, high) or None
        ``low <= E < high``; None: all.

    Returns
    -------
    (point,) bool

    Raises
    ------
    ValueError
        None is.
    """
    if limits is None:
        return np.ones(len(energy), bool)
    low, high = limits
    is_inside = (energy >= low) & (energy < high)
    if not is_inside.any():
        raise ValueError(
            f"no points of the spectrum in the window {list(limits)} eV; "
            "choose a window within the spectrum"
        )
    return np.asarray(is_inside)


def relative_change(pair: SamplePair) -> FloatArray:
    """Return the relative change (point,) of a region by the energy-scale offset.

    It is for one standard deviation of the offset, and 0 where that is unknown.
    """
    offset = _scale_offset(pair)
    if offset is None:
        return np.zeros(len(pair.energy))
    return offset.slope * offset.deviation
