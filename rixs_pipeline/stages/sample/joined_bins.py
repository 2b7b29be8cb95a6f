"""Maps with the emission bins that a region of the config sets for its spectrum."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import NormaliseConfig, Region, count_joined_bins
from rixs_pipeline.core.spectra import regions
from rixs_pipeline.core.spectra.joined_bins import join_emission_bins
from rixs_pipeline.core.spectra.region_sums import sum_region
from rixs_pipeline.stages.sample.configured_regions import core_region
from rixs_pipeline.stages.sample.spectrum_datasets import map_data
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr


def region_with_bins(configured: Region, emission_edges: FloatArray) -> regions.Region:
    """Return a region in the terms of core, with the bins of its spectrum.

    Parameters
    ----------
    configured
        Without a preset, and with one cut at most.
    emission_edges
        Of the map, f8 (bin + 1,), eV.

    Returns
    -------
    Region

    Raises
    ------
    ValueError
        `step` is no multiple of the map's bins.
    """
    region = core_region(configured)
    if configured.step is None:
        return region
    bin_width = float(np.diff(emission_edges).mean())
    n_bins = count_joined_bins(configured.step, bin_width)
    return replace(region, joined_bins=n_bins)


def join_map_bins(rixs_map: xr.Dataset, region: regions.Region) -> xr.Dataset:
    """Return a map whose emission bins are those of a region's emission spectrum.

    Parameters
    ----------
    rixs_map
        As `schema.RIXS_MAP`.
    region
        Of an emission spectrum against emission energy.

    Returns
    -------
    Dataset
        Without the counts of bins that the region does not touch; `emission_energy` is
        that of the spectrum.
    """
    data = map_data(rixs_map, NormaliseConfig())
    sums = sum_region(data, region)
    places = join_emission_bins(region, data.emission_edges)
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    ends = np.append(starts[1:], len(places))
    counts = np.where(sums.weights > 0, data.counts, 0)
    joined = rixs_map.isel(emission_energy=(starts + ends) // 2)
    edges = rixs_map["emission_energy_edges"]
    joined_edges = data.emission_edges[np.append(starts, len(places))]
    joined = joined.drop_vars("emission_energy_edges").assign(
        counts=(rixs_map["counts"].dims, np.add.reduceat(counts, starts, axis=1)),
        emission_energy_edges=(edges.dims, joined_edges),
    )
    energy = (("emission_energy",), sums.energy, rixs_map["emission_energy"].attrs)
    return joined.assign_coords(emission_energy=energy)
