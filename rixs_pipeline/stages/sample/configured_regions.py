"""Regions of the config: presets filled in, cuts separated, in the terms of core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rixs_pipeline.config import (
    Background,
    Blank,
    Comparison,
    Elastic,
    Leak,
    Piece,
    PreEdge,
    Region,
    Sideband,
)
from rixs_pipeline.core.elastic.amplitude import AmplitudeKind
from rixs_pipeline.core.spectra import regions
from rixs_pipeline.core.spectra.presets import preset_region, preset_regions
from rixs_pipeline.core.spectra.region_geometry import region_outlines
from rixs_pipeline.core.spectra.regions import Limits, RegionKind, Scale
from rixs_pipeline.types import Edge, FloatArray

if TYPE_CHECKING:
    import xarray as xr

Cut = float | tuple[float, float]
ConfiguredRegions = Mapping[str, Region] | None  # None: the presets of the edge


def select_regions(edge: str, configured: ConfiguredRegions) -> dict[str, Region]:
    """Return the regions of the maps of an edge by name, in the order of the config.

    Parameters
    ----------
    edge : str
        Edge of the maps.
    configured : mapping of str to Region, or None
        The config's regions; None: the presets of the edge.

    Returns
    -------
    dict of str to Region
        Without presets, and with one cut each at most.
    """
    if configured is None:
        return _preset_members(Edge(edge))
    resolved = resolve_regions(configured)
    return {
        name: region
        for name, region in resolved.items()
        if region.edge is None or region.edge == edge
    }


def select_emission_regions(
    edge: str, configured: ConfiguredRegions
) -> dict[str, Region]:
    """Return the regions of a map that was measured at one incident energy.

    Parameters
    ----------
    edge : str
        Edge of the map.
    configured : mapping of str to Region, or None
        The config's regions.

    Returns
    -------
    dict of str to Region
        Those of emission spectra; by default the emission spectrum of the whole map,
        such as Co_XES.
    """
    if configured is None:
        name = f"{Edge(edge).element}_XES"
        return {name: Region.model_validate({"kind": "xes", "edge": edge})}
    return {
        name: region
        for name, region in select_regions(edge, configured).items()
        if region.kind == "xes"
    }


def select_blank_samples(edge: str, configured: ConfiguredRegions) -> list[str]:
    """Return the samples that regions of an edge subtract as blanks."""
    backgrounds = [
        background
        for region in select_regions(edge, configured).values()
        for background in region.background or ()
    ]
    blanks = [b for b in backgrounds if isinstance(b, Blank)]
    return sorted({blank.sample for blank in blanks})


def resolve_regions(configured: Mapping[str, Region]) -> dict[str, Region]:
    """Return the regions that a config means, without presets and with one cut each.

    A preset gives the limits that a region leaves open; without a kind it means all
    regions of its edge, whose names are appended to the region's. Each of several cuts
    is a region of its own, named after its energy.
    """
    resolved: dict[str, Region] = {}
    for name, region in configured.items():
        for member_name, member in _fill_in_preset(name, region).items():
            if member.cuts:
                resolved |= _separate_cuts(member_name, member)
            else:
                resolved[member_name] = member
    return resolved


def _fill_in_preset(name: str, region: Region) -> dict[str, Region]:
    """Return the regions that one with a preset means, by name."""
    if region.preset is None:
        return {name: region}
    given_names = region.model_fields_set - {"preset"}
    given = {field: getattr(region, field) for field in given_names}
    if region.kind is None:
        return {
            f"{name}_{member_name.split('_', 1)[1]}": member.model_copy(update=given)
            for member_name, member in _preset_members(Edge(region.preset)).items()
        }
    edge = Edge(region.preset)
    default = preset_region(edge, RegionKind(region.kind))
    preset = _preset_mapping(default, edge)
    return {name: Region.model_validate(preset | given)}


def _preset_members(edge: Edge) -> dict[str, Region]:
    """Return all default regions of an edge as the config would write them."""
    return {
        name: Region.model_validate(_preset_mapping(region, edge))
        for name, region in preset_regions(edge).items()
    }


def _preset_mapping(region: regions.Region, edge: Edge) -> dict[str, object]:
    """Return a default region as the config would write it."""
    mapping: dict[str, object] = {"kind": region.kind.value, "edge": edge.value}
    for name in ("emission", "incident"):
        limits = getattr(region, name)
        if limits is not None:
            mapping[name] = limits
    if region.accepts_elastic:
        mapping["exclude_elastic"] = region.exclude_elastic
    return mapping


def cut_names(configured: Mapping[str, Region]) -> dict[str, dict[str, str]]:
    """Return the regions of several cuts: name -> incident energies -> region name."""
    return {
        name: {
            f"{_cut_text(member.cuts[0])} eV": member_name
            for member_name, member in _separate_cuts(name, region).items()
        }
        for name, region in configured.items()
        if len(region.cuts) > 1
    }


def _cut_text(cut: Cut) -> str:
    return f"{cut[0]:g}–{cut[1]:g}" if isinstance(cut, tuple) else f"{cut:g}"


def _separate_cuts(name: str, region: Region) -> dict[str, Region]:
    """Return a region for each cut, e.g. X_530p3 and X_531_532."""
    separated = {}
    for cut in region.cuts:
        limits = cut if isinstance(cut, tuple) else (cut,)
        label = "_".join(f"{limit:g}" for limit in dict.fromkeys(limits))
        label = label.replace(".", "p").replace("-", "m")
        update = {"cuts": (cut,), "incident": None}
        separated[f"{name}_{label}"] = region.model_copy(update=update)
    return separated


def core_limits(limits: tuple[float, float] | None) -> Limits | None:
    """Return limits of the config in the terms of core."""
    return None if limits is None else Limits(*limits)


def is_requested(
    comparison: Comparison,
    configured: Mapping[str, Region],
    incident: tuple[float, float],
) -> bool:
    """Return whether a comparison requests anything at an edge.

    Parameters
    ----------
    comparison
        Its regions, and its window on the axis of their spectra.
    configured
        The regions of the edge.
    incident
        Lowest and highest incident energy of the edge's scans, eV. Emission spectra
        end at the incident energy.

    Returns
    -------
    bool
    """
    lowest, highest = incident
    window_low, window_high = comparison.window or incident
    for name, region in configured.items():
        is_named = comparison.regions is None or name in comparison.regions
        is_reached = window_high > lowest or region.kind == "xes"
        if is_named and is_reached and window_low <= highest:
            return True
    return False


def core_region(region: Region) -> regions.Region:
    """Return a resolved region of the config in the terms of core."""
    kind = RegionKind(str(region.kind))
    loss = core_limits(region.loss)
    if loss is None and kind is RegionKind.ELASTIC:
        loss = regions.ELASTIC_LOSS
    incident, nearest_incident = core_limits(region.incident), None
    for cut in region.cuts:  # one at most
        if isinstance(cut, tuple):
            incident = Limits(*cut)
        else:
            nearest_incident = cut
    scale = region.scale
    mentions_elastic = "exclude_elastic" in region.model_fields_set
    self_absorption = None
    if region.self_absorption is not None:
        sample = region.self_absorption
        post_edge = core_limits(sample.post_edge)
        self_absorption = regions.SelfAbsorption(
            sample.background, sample.fluorescence, post_edge
        )
    return regions.Region(
        kind=kind,
        emission=core_limits(region.emission),
        incident=incident,
        nearest_incident=nearest_incident,
        loss=loss,
        polygon=region.polygon,
        pieces=tuple(map(_core_piece, region.pieces)),
        exclude_elastic=region.exclude_elastic,
        accepts_elastic=mentions_elastic or region.loss is not None,
        background=tuple(map(_core_background, region.background or ())),
        scale=Limits(*scale) if isinstance(scale, tuple) else Scale(scale),
        pre_edge=core_limits(region.pre_edge),
        post_edge=core_limits(region.post_edge),
        self_absorption=self_absorption,
        axis=regions.EmissionAxis(region.axis),
    )


def _core_piece(piece: Piece) -> regions.RegionPiece:
    return regions.RegionPiece(
        emission=core_limits(piece.emission),
        incident=core_limits(piece.incident),
        loss=core_limits(piece.loss),
        polygon=piece.polygon,
    )


def _core_background(background: Background) -> regions.Background:
    match background:
        case Sideband():
            windows = tuple(Limits(*window) for window in background.emission)
            return regions.SidebandBackground(windows)
        case Blank():
            return regions.BlankBackground(background.sample, background.factor)
        case Leak():
            return regions.LeakBackground(
                tail_fraction=background.tail_fraction,
                tail_fraction_errors=background.tail_fraction_errors,
                tail_length=background.tail_length,
            )
        case Elastic():
            return regions.ElasticBackground(
                amplitude=AmplitudeKind(background.amplitude),
                offset=background.offset,
                fwhm=background.fwhm,
            )
        case PreEdge():
            shape = regions.PreEdgeShape(background.kind)
            incident = core_limits(background.incident)
            return regions.PreEdgeBackground(shape, incident)


def outlines_on_map(
    rixs_map: xr.Dataset, configured: Mapping[str, Region]
) -> dict[str, list[FloatArray]]:
    """Return the outlines of resolved regions on a map, to be drawn in figures.

    Parameters
    ----------
    rixs_map : Dataset
        As `schema.RIXS_MAP`.
    configured : mapping of str to Region
        Regions by name, as `select_regions` returns them.

    Returns
    -------
    dict of str to list of f8 (corner, 2)
        Polygons (incident, emission) in eV of each region that is less than the map.
    """
    incident = rixs_map["incident_energy"].values
    emission_edges = rixs_map["emission_energy_edges"].values
    outlines = {}
    for name, configured_region in configured.items():
        region = core_region(configured_region)
        if region.is_limited:
            outlines[name] = region_outlines(region, incident, emission_edges)
    return outlines
