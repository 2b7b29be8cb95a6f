"""Figures of maps that are drawn on request: other axes and bins, and differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config import Comparison, PlotsConfig, Region
from rixs_pipeline.core.maps.map_difference import (
    MapArrays,
    map_difference,
    rebinned_intensity,
)
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus
from rixs_pipeline.paths import FigureFolder
from rixs_pipeline.plots import map_kinds, maps
from rixs_pipeline.plots.map_kinds import DifferenceTexts
from rixs_pipeline.stages.figures.draw import PlannedFigure
from rixs_pipeline.stages.figures.options import options_by_kind
from rixs_pipeline.stages.sample.configured_regions import core_region
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

EXTRA_MAP_KINDS = ("loss_map", "rebinned_map")


def extra_map_figures(
    path: Path, rixs_map: xr.Dataset, title: str, plots: PlotsConfig
) -> Iterator[PlannedFigure]:
    """Yield the map against energy loss and the one with merged bins, if configured.

    Parameters
    ----------
    path : Path
        Of the figure of the map, without `-map` and suffix.
    rixs_map : Dataset
        As `schema.RIXS_MAP`.
    title : str
        Of the figures.
    plots : PlotsConfig
        Which ones, and how they look.

    Yields
    ------
    PlannedFigure
    """
    looks = options_by_kind(plots, *EXTRA_MAP_KINDS)
    if "loss_map" in looks:
        loss_path = path.with_name(f"{path.name}-loss_map")
        plot = partial(map_kinds.loss_map_figure, rixs_map, title)
        yield PlannedFigure(loss_path, rixs_map, plot, looks["loss_map"])
    if plots.rebinned_map is not None:
        rebinned_path = path.with_name(f"{path.name}-rebinned_map")
        min_counts = plots.rebinned_map.min_counts
        plot = partial(_rebinned_map_figure, rixs_map, title, min_counts)
        shown = [rixs_map, min_counts]
        yield PlannedFigure(rebinned_path, shown, plot, looks["rebinned_map"])


def _rebinned_map_figure(rixs_map: xr.Dataset, title: str, min_counts: int) -> Figure:
    """Return the figure of a map whose bins are merged where counts are few."""
    ordered = _in_order(rixs_map)
    widths = np.diff(ordered["emission_energy_edges"].values)
    intensity = rebinned_intensity(_arrays(ordered), widths, min_counts)
    note = f"bins merged to blocks of at least {min_counts} counts"
    return maps.map_figure(_with(ordered, intensity), title, {}, note=note)


@dataclass(frozen=True)
class ComparedMaps:
    """Maps of the samples of a comparison at an edge.

    Attributes
    ----------
    name : str
        Of the comparison and edge, e.g. heating-Co_L.
    title : str
        The same for readers.
    map_paths : mapping of str to Path
        Sample -> its map; the others are compared with the first.
    comparison : Comparison
        How the samples are normalised.
    """

    name: str
    title: str
    map_paths: Mapping[str, Path]
    comparison: Comparison


def difference_figures(
    out: Path, compared: ComparedMaps, plots: PlotsConfig
) -> Iterator[PlannedFigure]:
    """Yield a map of the difference of each sample from the first one.

    Parameters
    ----------
    out : Path
        Folder of the results.
    compared : ComparedMaps
        The comparison.
    plots : PlotsConfig
        How they look.

    Yields
    ------
    PlannedFigure

    Raises
    ------
    RunFailed
        The samples cannot be compared.
    """
    options = plots.difference_map
    if options is None:
        return
    from rixs_pipeline.stages.sample.compare_samples import on_shared_points

    (looks,) = options_by_kind(plots, "difference_map").values()
    rixs_maps = [nexus.read_entry(path) for path in compared.map_paths.values()]
    try:
        first, *others = map(_in_order, on_shared_points(rixs_maps))
    except ValueError as error:
        raise RunFailed(f"{compared.name}: no difference map: {error}") from error
    first_name, *names = compared.map_paths
    for name, second in zip(names, others, strict=True):
        path = paths.figure(
            out, FigureFolder.COMPARISONS, "compare", compared.name, name, "map"
        )
        factor = _common_factor(first, second, compared)
        widths = np.diff(first["emission_energy_edges"].values)
        difference = map_difference(
            _arrays(first), _arrays(second), widths, factor, options.min_counts
        )
        values = difference.intensity
        if options.significance:
            values = difference.significance
        texts = DifferenceTexts(
            f"{compared.title}: {name} − {first_name}",
            f"blocks of at least {options.min_counts} counts; {name} / {factor:.3f}",
            options.significance,
        )
        dataset = _with(first, values)
        plot = partial(map_kinds.difference_map_figure, dataset, texts)
        yield PlannedFigure(path, [dataset, texts], plot, looks)


def _common_factor(
    first: xr.Dataset, second: xr.Dataset, compared: ComparedMaps
) -> float:
    """Return the factor of the second map, from the total yields of both.

    Raises
    ------
    RunFailed
        There are no counts, or no points in a window of the comparison.
    """
    from rixs_pipeline.stages.sample.sample_pairs import SamplePair, compare_pairs

    total_yield = core_region(Region(kind="tfy"))
    pair = SamplePair(first, second, total_yield, "incident_energy")
    try:
        factors = compare_pairs([pair], compared.comparison).factors
    except ValueError as error:
        raise RunFailed(
            f"{compared.name}: no difference map: {error} (of the total yield)"
        ) from error
    return float(factors[1])


def _in_order(rixs_map: xr.Dataset) -> xr.Dataset:
    """Return a map with ascending points."""
    order = np.argsort(rixs_map["incident_energy"].values, kind="stable")
    return rixs_map.isel(incident_energy=order)


def _arrays(rixs_map: xr.Dataset) -> MapArrays:
    counts = rixs_map["counts"].transpose("incident_energy", "emission_energy")
    return MapArrays(counts.values, rixs_map["exposure"].values)


def _with(rixs_map: xr.Dataset, intensity: FloatArray) -> xr.Dataset:
    """Return a map with other intensities (point, bin)."""
    dims = ("incident_energy", "emission_energy")
    attributes = rixs_map["intensity"].attrs
    return rixs_map.assign(intensity=(dims, intensity, attributes))
