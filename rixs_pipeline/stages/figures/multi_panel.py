"""Multi-panel figures, as the config's `figures` describes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config import Config, MapOptions, MultiPanelFigure, Region
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus
from rixs_pipeline.paths import FigureFolder
from rixs_pipeline.plots import multi_panel, overview
from rixs_pipeline.plots.options import FigureOptions
from rixs_pipeline.plots.spectrum_data import Limits
from rixs_pipeline.stages.figures.draw import FigureSet, PlannedFigure
from rixs_pipeline.stages.figures.options import figure_options
from rixs_pipeline.stages.sample.configured_regions import (
    outlines_on_map,
    select_regions,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_LOOKS = set(MapOptions.model_fields)
DEFAULT_REGIONS = {"cuts": "spfy"}  # kind of figure -> kind of region; others: pfy


@dataclass(frozen=True)
class _Request:
    """A multi-panel figure of the config, and the data that there are for it.

    Attributes
    ----------
    out : Path
        Folder of the results.
    name : str
        Of the figure in the config.
    figure : MultiPanelFigure
        Its mapping in the config.
    config : Config
        The whole config.
    samples_at : mapping of str to sequence of str
        Edge -> samples that are there.
    """

    out: Path
    name: str
    figure: MultiPanelFigure
    config: Config
    samples_at: Mapping[str, Sequence[str]]

    @property
    def emission(self) -> Limits | None:
        """Emission energies that maps show, eV."""
        return None if self.figure.emission is None else Limits(*self.figure.emission)

    def path(self, *parts: str) -> Path:
        """Return the path of a file of this figure."""
        return paths.figure(self.out, FigureFolder.MULTI_PANEL, self.name, *parts)

    def planned(
        self, content: object, plot: Callable[[], Figure], *parts: str
    ) -> PlannedFigure:
        """Return a file that depends on the figure's mapping and on data."""
        mapping = self.figure.model_dump(mode="json", exclude=_LOOKS)
        options = _options(self.config, self.name)
        return PlannedFigure(self.path(*parts), [content, mapping], plot, options)


def _options(config: Config, name: str) -> FigureOptions:
    """Return how a multi-panel figure of the config looks."""
    figure = config.figures[name]
    return figure_options(config.plots.defaults, figure, f"figures.{name}")


def plan_multi_panel(
    out: Path,
    config: Config,
    sample_edges: Sequence[tuple[str, str]],
    products: Collection[Path],
) -> Iterator[FigureSet]:
    """Yield the multi-panel figures for which there are data.

    Parameters
    ----------
    out : Path
        Folder of the results.
    config : Config
        Its `figures` are the multi-panel figures.
    sample_edges : sequence of (str, str)
        Samples and edges that have spectra.
    products : collection of Path
        Products of this reduction; others that are there are of an earlier one.

    Yields
    ------
    FigureSet
        One for each figure of the config.
    """
    for name, figure in config.figures.items():
        looks = _options(config, name)
        if not looks.draw:
            continue
        available = [
            (sample, edge)
            for edge in figure.edges
            for sample in figure.samples
            if (sample, edge) in sample_edges
        ]
        sources: list[Path] = []
        if figure.kind == "xas":
            available = [
                group
                for group in available
                if paths.xas_product(out, *group) in products
            ]
            sources = [paths.xas_product(out, *group) for group in available]
        else:
            for group in available:
                sources.append(paths.map_product(out, *group))
                sources.append(paths.spectra_product(out, *group))
        if not available:
            continue
        samples_at: dict[str, list[str]] = {}
        for sample, edge in available:
            samples_at.setdefault(edge, []).append(sample)
        request = _Request(out, name, figure, config, samples_at)
        options = {
            "figure": figure.model_dump(mode="json", exclude=_LOOKS),
            "looks": asdict(looks),
            "regions": {
                edge: sorted(select_regions(edge, config.regions))
                for edge in figure.edges
            },
        }
        plan = partial(multi_panel_figures, request)
        yield FigureSet(f"{name} multi-panel", tuple(sources), options, plan)


def multi_panel_figures(request: _Request) -> Iterator[PlannedFigure]:
    """Yield the files of a multi-panel figure.

    Raises
    ------
    RunFailed
        No sample has such a region or channel.
    """
    match request.figure.kind:
        case "xas":
            yield _plan_absorption(request)
        case "maps":
            edges = _read_edges(request)
            plot = partial(multi_panel.maps_figure, edges, request.emission)
            yield request.planned(edges, plot)
        case "spectra":
            edges = _read_edges(request)
            yield request.planned(edges, partial(multi_panel.spectra_figure, edges))
        case "cuts":
            yield from _plan_cuts(request)
        case "overview":
            yield from _plan_overviews(request)


def _plan_absorption(request: _Request) -> PlannedFigure:
    """Return the figure of absorption: channel -> edge -> sample -> spectrum."""
    rows: dict[str, dict[str, dict[str, xr.Dataset]]] = {
        channel: {} for channel in request.figure.channel
    }
    available: set[str] = set()
    for edge, samples in request.samples_at.items():
        for sample in samples:
            spectra = nexus.read_entries(paths.xas_product(request.out, sample, edge))
            available |= spectra.keys()
            for channel, edges in rows.items():
                if channel in spectra:
                    edges.setdefault(edge, {})[sample] = spectra[channel]
    rows = {channel: edges for channel, edges in rows.items() if edges}
    if not rows:
        channels = " or ".join(request.figure.channel)
        edges_text = ", ".join(request.samples_at)
        raise RunFailed(
            f"`figures.{request.name}`: no absorption spectrum {channels} "
            f"at {edges_text}; available: {', '.join(sorted(available))}"
        )
    scale = request.config.xas.scale
    plot = partial(multi_panel.absorption_figure, rows, scale)
    return request.planned([rows, scale], plot)


def _plan_cuts(request: _Request) -> Iterator[PlannedFigure]:
    """Yield a figure for each edge."""
    edges = _read_edges(request)
    energies_at = _cut_energies(request, edges)
    for samples in edges:
        parts = [samples.edge] if len(edges) > 1 else []
        plot = partial(_plot_cuts, request, samples, energies_at[samples.edge])
        yield request.planned(samples, plot, *parts)


def _cut_energies(
    request: _Request, edges: Sequence[multi_panel.SamplesAtEdge]
) -> dict[str, list[float]]:
    """Return the incident energies of the cuts at each edge, eV: those in a map.

    Raises
    ------
    RunFailed
        An energy is in no map, or an edge has none.
    """
    energies, half_width = request.figure.incident, request.figure.width / 2
    energies_at: dict[str, list[float]] = {}
    ranges = []
    for samples in edges:
        axes = [m["incident_energy"].values for m in samples.rixs_maps.values()]
        low, high = min(map(np.min, axes)), max(map(np.max, axes))
        ranges.append(f"{samples.edge} map has {low:.4g} to {high:.4g} eV")
        energies_at[samples.edge] = [
            energy
            for energy in energies
            if low - half_width <= energy <= high + half_width
        ]
    reached = {energy for selected in energies_at.values() for energy in selected}
    outside = [f"{energy:g}" for energy in energies if energy not in reached]
    if outside or not all(energies_at.values()):
        problem = (
            f"no map at {', '.join(outside)} eV" if outside else "no cut at an edge"
        )
        raise RunFailed(
            f"`figures.{request.name}.incident`: {problem}; {', '.join(ranges)}; "
            "correct the energies"
        )
    return energies_at


def _plot_cuts(
    request: _Request, samples: multi_panel.SamplesAtEdge, energies: Sequence[float]
) -> Figure:
    """Return maps, spectra and emission spectra of the samples at an edge."""
    width = request.figure.width
    spectra = {
        sample: {energy: _extract_cut(rixs_map, energy, width) for energy in energies}
        for sample, rixs_map in samples.rixs_maps.items()
    }
    compared = request.figure.compared
    if compared is None or compared not in energies:
        compared = energies[len(energies) // 2]
    cuts = multi_panel.EmissionCuts(spectra, compared)
    return multi_panel.cuts_figure(samples, cuts, request.emission)


def _extract_cut(rixs_map: xr.Dataset, energy: float, width: float) -> xr.Dataset:
    """Return the emission spectrum of a band of incident energies, eV."""
    band = (energy - width / 2, energy + width / 2)
    return _extract(rixs_map, Region(kind="xes", incident=band))


def _extract(rixs_map: xr.Dataset, region: Region) -> xr.Dataset:
    """Return the spectrum of a region of a map."""
    from rixs_pipeline.stages.sample.region_spectra import extract_region

    return extract_region(rixs_map, region)


def _plan_overviews(request: _Request) -> Iterator[PlannedFigure]:
    """Yield a figure for each sample."""
    edges_of: dict[str, list[str]] = {}
    for edge, samples in request.samples_at.items():
        for sample in samples:
            edges_of.setdefault(sample, []).append(edge)
    for sample, edges in edges_of.items():
        overviews = {edge: _overview(request, sample, edge) for edge in edges}
        parts = [sample] if len(edges_of) > 1 else []
        plot = partial(
            overview.sample_overview_figure, sample, overviews, request.emission
        )
        yield request.planned(overviews, plot, *parts)


def _overview(request: _Request, sample: str, edge: str) -> overview.EdgeOverview:
    """Return a map, its TFY, the first PFY of the edge, and its emission."""
    rixs_map = nexus.read_entry(paths.map_product(request.out, sample, edge))
    regions = {"TFY": Region(kind="tfy")}
    for region in select_regions(edge, request.config.regions).values():
        if region.kind == "pfy":
            regions["PFY"] = region.model_copy(update={"background": None})
            break
    yields = {name: _extract(rixs_map, r) for name, r in regions.items()}
    emission = _extract(rixs_map, Region(kind="xes"))
    return overview.EdgeOverview(rixs_map, yields, emission)


def _read_edges(request: _Request) -> list[multi_panel.SamplesAtEdge]:
    """Return maps and spectra of the figure's region at every edge."""
    return [
        _read_samples(request, edge, samples)
        for edge, samples in request.samples_at.items()
    ]


def _read_samples(
    request: _Request, edge: str, samples: Sequence[str]
) -> multi_panel.SamplesAtEdge:
    """Return maps and spectra of the figure's region at an edge.

    The region is given by name or kind; the first of its kind is meant.
    """
    figure, out = request.figure, request.out
    region_or_kind = figure.region or DEFAULT_REGIONS.get(figure.kind, "pfy")
    regions = select_regions(edge, request.config.regions)
    names = [
        name
        for name, region in regions.items()
        if region_or_kind in (name, region.kind)
    ]
    if not names:
        raise RunFailed(
            f"`figures.{request.name}`: no region '{region_or_kind}' at {edge}; "
            f"available: {', '.join(regions)}"
        )
    name, region = names[0], regions[names[0]]
    spectra = {
        sample: nexus.read_entry(paths.spectra_product(out, sample, edge), name)
        for sample in samples
    }
    rixs_maps = {
        sample: nexus.read_entry(paths.map_product(out, sample, edge))
        for sample in samples
    }
    outlines = {
        sample: outlines_on_map(rixs_map, {name: region}).get(name, [])
        for sample, rixs_map in rixs_maps.items()
    }
    return multi_panel.SamplesAtEdge(
        edge=edge,
        region=multi_panel.RegionDescription(
            str(region.kind), region.scale, region.emission
        ),
        spectra=spectra,
        rixs_maps=rixs_maps,
        outlines=outlines,
    )
