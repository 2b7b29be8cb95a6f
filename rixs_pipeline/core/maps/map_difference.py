"""Difference of two maps, in blocks of bins that have enough counts."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.maps.rebin import find_blocks
from rixs_pipeline.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class MapArrays:
    """Counts of a map (point, bin) and exposure of its points (point,), s."""

    counts: IntArray
    exposure: FloatArray


@dataclass(frozen=True)
class MapDifference:
    """Difference of two maps.

    Attributes
    ----------
    intensity : f8 (point, bin)
        Difference of the intensities, counts/(s eV); NaN where a map has no exposure.
    significance : f8 (point, bin)
        The same over its standard deviation if both maps have one intensity.
    """

    intensity: FloatArray
    significance: FloatArray


def rebinned_intensity(
    rixs_map: MapArrays, bin_widths: FloatArray, min_counts: int
) -> FloatArray:
    """Return the intensity of a map in blocks of bins.

    Parameters
    ----------
    rixs_map : MapArrays
        Points in ascending order of incident energy.
    bin_widths : f8 (bin,)
        Of the emission bins, eV.
    min_counts : int
        Of each block.

    Returns
    -------
    f8 (point, bin)
        Counts/(s eV); NaN where there is no exposure.
    """
    is_exposed = rixs_map.exposure > 0
    counts = rixs_map.counts[is_exposed]
    if not counts.size:
        return np.full(rixs_map.counts.shape, np.nan)
    blocks = find_blocks(counts, min_counts)
    exposure = blocks.sums(rixs_map.exposure[is_exposed, None] * bin_widths)
    return _spread(blocks.fill(blocks.sums(counts) / exposure), is_exposed)


def map_difference(
    first: MapArrays,
    second: MapArrays,
    bin_widths: FloatArray,
    factor: float,
    min_counts: int,
) -> MapDifference:
    """Subtract the first map from the second one, which is divided by a factor.

    Parameters
    ----------
    first, second : MapArrays
        On the same points, ascending.
    bin_widths : f8 (bin,)
        Of the emission bins, eV.
    factor : float
        Common factor of the second map relative to the first one.
    min_counts : int
        Of each block, in both maps together.

    Returns
    -------
    MapDifference
    """
    is_exposed = (first.exposure > 0) & (second.exposure > 0)
    counts = first.counts[is_exposed] + second.counts[is_exposed]
    if not counts.size:
        empty = np.full(first.counts.shape, np.nan)
        return MapDifference(empty, empty)
    blocks = find_blocks(counts, min_counts)
    first_exposure, second_exposure = (
        blocks.sums(rixs_map.exposure[is_exposed, None] * bin_widths)
        for rixs_map in (first, second)
    )
    second_exposure = second_exposure * factor
    difference = blocks.sums(second.counts[is_exposed]) / second_exposure
    difference = difference - blocks.sums(first.counts[is_exposed]) / first_exposure
    common = blocks.sums(counts) / (first_exposure + second_exposure)
    errors = np.sqrt(common * (1 / first_exposure + 1 / second_exposure))
    significance = difference / np.where(errors > 0, errors, np.nan)
    return MapDifference(
        _spread(blocks.fill(difference), is_exposed),
        _spread(blocks.fill(significance), is_exposed),
    )


def _spread(values: FloatArray, is_exposed: BoolArray) -> FloatArray:
    """Return values of the exposed points with NaN at the others."""
    spread = np.full((len(is_exposed), values.shape[1]), np.nan)
    spread[is_exposed] = values
    return spread
