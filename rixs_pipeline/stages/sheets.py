"""Products -> figures with several panels, as the config's `figures` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rixs_pipeline import paths
from rixs_pipeline.config import Config, FigureSheet, Region
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import products
from rixs_pipeline.plots import sheets
from rixs_pipeline.stages import extract
from rixs_pipeline.stages.drawing import Drawing

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

Group = tuple[str, str]  # sample, edge
Planned = tuple[tuple[Path, ...], Callable[[Drawing], None]]


def plan(out: Path, name: str, sheet: FigureSheet, config: Config, groups: Sequence[Group]) -> Iterator[Planned]:
    """Sources and drawing of one sheet: of what it asks for and there is; nothing where none of it is there."""
    wanted = [(sample, edge) for edge in sheet.edges for sample in sheet.samples if (sample, edge) in groups]
    if sheet.kind == "xas":
        wanted = [group for group in wanted if paths.xas_product(out, *group).is_file()]
        sources = tuple(paths.xas_product(out, *group) for group in wanted)
    else:
        sources = tuple(p for g in wanted for p in (paths.map_product(out, *g), paths.spectra_product(out, *g)))
    if wanted:
        yield sources, partial(draw, name, sheet, config, wanted)


def draw(name: str, sheet: FigureSheet, config: Config, groups: Sequence[Group], drawing: Drawing) -> None:
    """Draw one sheet.

    Raises:
        RunFailed: an edge has no such region or channel.
    """
    out, path = drawing.out, partial(paths.figure, drawing.out, name)
    asked = sheet.model_dump(mode="json")
    by_edge = {edge: [sample for sample, at in groups if at == edge] for edge in dict.fromkeys(e for _, e in groups)}
    if sheet.kind == "xas":
        found = {edge: _absorption(out, edge, of, sheet) for edge, of in by_edge.items()}
        drawing.add(path(), [found, asked], partial(sheets.xas_sheet, found, sheet.channel))
        return
    rows = {edge: _row(out, edge, samples, sheet, config) for edge, samples in by_edge.items()}
    shown = {edge: [*row[:2], row[2].model_dump(mode="json"), asked] for edge, row in rows.items()}
    if sheet.kind == "maps":
        drawing.add(path(), shown, partial(sheets.map_sheet, rows, sheet.emission))
        return
    for edge, row in rows.items():
        figure = partial(_cut_sheet, edge, *row, sheet)
        drawing.add(path(*([edge] if len(rows) > 1 else [])), shown[edge], figure)


def _cut_sheet(
    edge: str, rixs_maps: dict[str, xr.Dataset], spectra: dict[str, xr.Dataset], region: Region, sheet: FigureSheet
) -> Figure:
    """Maps, spectra and cuts of the samples at an edge."""
    cuts = {
        sample: {energy: _cut(rixs_map, energy, sheet.width) for energy in sheet.incident}
        for sample, rixs_map in rixs_maps.items()
    }
    compared = sheet.incident[len(sheet.incident) // 2] if sheet.compared is None else sheet.compared
    return sheets.cut_sheet(edge, rixs_maps, spectra, region, cuts, compared, sheet.emission)


def _absorption(out: Path, edge: str, samples: Sequence[str], sheet: FigureSheet) -> dict[str, xr.Dataset]:
    """The samples' absorption at an edge."""
    found = {sample: products.read_entries(paths.xas_product(out, sample, edge)) for sample in samples}
    missing = [sample for sample, of in found.items() if sheet.channel not in of]
    if missing:
        raise RunFailed(f"figures: no channel '{sheet.channel}' at {edge} of {', '.join(missing)}")
    return {sample: of[sheet.channel] for sample, of in found.items()}


def _row(
    out: Path, edge: str, samples: Sequence[str], sheet: FigureSheet, config: Config
) -> tuple[dict[str, xr.Dataset], dict[str, xr.Dataset], Region]:
    """The samples' maps and spectra of the sheet's region at an edge."""
    asked = sheet.region or ("spfy" if sheet.kind == "cuts" else "pfy")
    regions = extract.regions_of(edge, config.regions)
    name = next((n for n, region in regions.items() if asked in (n, region.kind)), None)
    if name is None:
        raise RunFailed(f"figures: no region '{asked}' at {edge}; there are {', '.join(regions)}")
    maps = {sample: products.read_entry(paths.map_product(out, sample, edge)) for sample in samples}
    spectra = {sample: products.read_entry(paths.spectra_product(out, sample, edge), name) for sample in samples}
    return maps, spectra, regions[name]


def _cut(rixs_map: xr.Dataset, energy: float, width: float) -> xr.Dataset:
    """The emission spectrum of a band around an incident energy."""
    return extract.extract_region(rixs_map, Region(kind="xes", incident=(energy - width / 2, energy + width / 2)))
