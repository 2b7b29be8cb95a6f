"""Products -> figures with several panels, as the config's `figures` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rixs_pipeline import paths
from rixs_pipeline.config.models import Config, FigureSheet, Region
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus as products
from rixs_pipeline.plots import multi_panel as sheets
from rixs_pipeline.plots import overview
from rixs_pipeline.stages.figures.draw import Drawing
from rixs_pipeline.stages.sample import region_spectra as extract
from rixs_pipeline.stages.sample.configured_regions import (
    outlines_on_map,
    select_regions,
)
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

Group = tuple[str, str]  # sample, edge
Edges = Mapping[str, Sequence[str]]  # edge -> samples
Planned = tuple[tuple[Path, ...], Callable[[Drawing], None]]
Sheets = dict[
    str, tuple[Any, Callable[[], "Figure"]]
]  # what tells several apart -> what it shows, the figure


def plan(
    out: Path,
    name: str,
    sheet: FigureSheet,
    config: Config,
    groups: Sequence[Group],
    made: Collection[Path],
) -> Iterator[Planned]:
    """Sources and drawing of one sheet: of what it asks for and was `made`; nothing where none of it was."""
    wanted = [
        (sample, edge)
        for edge in sheet.edges
        for sample in sheet.samples
        if (sample, edge) in groups
    ]
    if sheet.kind == "xas":
        wanted = [group for group in wanted if paths.xas_product(out, *group) in made]
        sources = tuple(paths.xas_product(out, *group) for group in wanted)
    else:
        sources = tuple(
            p
            for g in wanted
            for p in (paths.map_product(out, *g), paths.spectra_product(out, *g))
        )
    if wanted:
        yield sources, partial(draw, name, sheet, config, wanted)


def draw(
    name: str,
    sheet: FigureSheet,
    config: Config,
    groups: Sequence[Group],
    drawing: Drawing,
) -> None:
    """Draw one sheet, of samples and edges that have what it shows; files by what tells several apart.

    Raises:
        RunFailed: none has such a region or channel.
    """
    by_edge = {
        edge: [sample for sample, at in groups if at == edge]
        for edge in dict.fromkeys(e for _, e in groups)
    }
    make = {
        "xas": _xas,
        "maps": _maps,
        "cuts": _cuts,
        "spectra": _spectra,
        "overview": _overviews,
    }[sheet.kind]
    figures = make(drawing.out, by_edge, sheet, config)
    for of, (shows, figure) in figures.items():
        path = paths.figure(drawing.out, name, *([of] if len(figures) > 1 else []))
        drawing.add(path, [shows, sheet.model_dump(mode="json")], figure)


def _xas(out: Path, by_edge: Edges, sheet: FigureSheet, config: Config) -> Sheets:
    rows: dict[str, dict[str, dict[str, xr.Dataset]]] = {}
    for edge, samples in by_edge.items():
        for sample in samples:
            found = products.read_entries(paths.xas_product(out, sample, edge))
            for channel in (c for c in sheet.channel if c in found):
                rows.setdefault(channel, {}).setdefault(edge, {})[sample] = found[
                    channel
                ]
    if not rows:
        raise RunFailed(
            f"figures: no channel {' or '.join(sheet.channel)} at {', '.join(by_edge)}"
        )
    shown = {channel: rows[channel] for channel in sheet.channel if channel in rows}
    scale = config.xas.scale
    return {"": ([shown, scale], partial(sheets.xas_sheet, shown, scale))}


def _maps(out: Path, by_edge: Edges, sheet: FigureSheet, config: Config) -> Sheets:
    rows = {
        edge: _row(out, edge, samples, sheet, config)
        for edge, samples in by_edge.items()
    }
    outlined = {edge: (*row, _outlines(row[0], row[2])) for edge, row in rows.items()}
    return {"": (_plain(rows), partial(sheets.map_sheet, outlined, sheet.emission))}


def _spectra(out: Path, by_edge: Edges, sheet: FigureSheet, config: Config) -> Sheets:
    rows = {
        edge: _row(out, edge, samples, sheet, config)
        for edge, samples in by_edge.items()
    }
    shown = {edge: (spectra, region) for edge, (_, spectra, region) in rows.items()}
    return {"": (_plain(shown), partial(sheets.spectra_sheet, shown))}


def _cuts(out: Path, by_edge: Edges, sheet: FigureSheet, config: Config) -> Sheets:
    """A figure an edge."""
    rows = {
        edge: _row(out, edge, samples, sheet, config)
        for edge, samples in by_edge.items()
    }
    return {
        edge: (_plain({edge: row}), partial(_cut_sheet, edge, *row, sheet))
        for edge, row in rows.items()
    }


def _cut_sheet(
    edge: str,
    rixs_maps: dict[str, xr.Dataset],
    spectra: dict[str, xr.Dataset],
    region: Region,
    sheet: FigureSheet,
) -> Figure:
    """Maps, spectra and cuts of the samples at an edge."""
    compared = (
        sheet.incident[len(sheet.incident) // 2]
        if sheet.compared is None
        else sheet.compared
    )
    cuts = {
        sample: {
            energy: _cut(rixs_map, energy, sheet.width) for energy in sheet.incident
        }
        for sample, rixs_map in rixs_maps.items()
    }
    return sheets.cut_sheet(
        edge,
        rixs_maps,
        spectra,
        region,
        _outlines(rixs_maps, region),
        cuts,
        compared,
        sheet.emission,
    )


def _outlines(
    rixs_maps: Mapping[str, xr.Dataset], region: Region
) -> dict[str, list[FloatArray]]:
    """Return the outlines of a region on the map of each sample; none of a whole map."""
    return {
        sample: outlines_on_map(rixs_map, {"": region}).get("", [])
        for sample, rixs_map in rixs_maps.items()
    }


def _overviews(out: Path, by_edge: Edges, sheet: FigureSheet, config: Config) -> Sheets:
    """A figure a sample; its yields are TFY and the first PFY of the edge."""
    figures: Sheets = {}
    for sample in dict.fromkeys(
        sample for samples in by_edge.values() for sample in samples
    ):
        shown = {}
        for edge in (edge for edge, samples in by_edge.items() if sample in samples):
            rixs_map = products.read_entry(paths.map_product(out, sample, edge))
            regions = select_regions(edge, config.regions).values()
            pfy = next((region for region in regions if region.kind == "pfy"), None)
            yields = {"TFY": Region(kind="tfy")} | (
                {"PFY": pfy.model_copy(update={"background": None})} if pfy else {}
            )
            spectra = {
                name: extract.extract_region(rixs_map, region)
                for name, region in yields.items()
            }
            shown[edge] = (
                rixs_map,
                spectra,
                extract.extract_region(rixs_map, Region(kind="xes")),
            )
        figures[sample] = (
            shown,
            partial(overview.overview_sheet, sample, shown, sheet.emission),
        )
    return figures


def _plain(rows: Mapping[str, tuple[Any, ...]]) -> dict[str, list[Any]]:
    """The rows with their region as plain values, to tell whether they show something else."""
    return {
        edge: [*row[:-1], row[-1].model_dump(mode="json")] for edge, row in rows.items()
    }


def _row(
    out: Path, edge: str, samples: Sequence[str], sheet: FigureSheet, config: Config
) -> tuple[dict[str, xr.Dataset], dict[str, xr.Dataset], Region]:
    """The samples' maps and spectra of the sheet's region at an edge."""
    asked = sheet.region or ("spfy" if sheet.kind == "cuts" else "pfy")
    regions = select_regions(edge, config.regions)
    name = next((n for n, region in regions.items() if asked in (n, region.kind)), None)
    if name is None:
        raise RunFailed(
            f"figures: no region '{asked}' at {edge}; there are {', '.join(regions)}"
        )
    maps = {
        sample: products.read_entry(paths.map_product(out, sample, edge))
        for sample in samples
    }
    spectra = {
        sample: products.read_entry(paths.spectra_product(out, sample, edge), name)
        for sample in samples
    }
    return maps, spectra, regions[name]


def _cut(rixs_map: xr.Dataset, energy: float, width: float) -> xr.Dataset:
    """The emission spectrum of a band around an incident energy."""
    return extract.extract_region(
        rixs_map, Region(kind="xes", incident=(energy - width / 2, energy + width / 2))
    )
