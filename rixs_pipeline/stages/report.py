"""Products -> figures: what a spectroscopist opens first."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from rixs_pipeline import paths
from rixs_pipeline.config import Comparison, Config
from rixs_pipeline.core.verdicts import OK
from rixs_pipeline.io import products
from rixs_pipeline.plots import calibration, maps, spectra
from rixs_pipeline.plots.style import save
from rixs_pipeline.stages import extract

PAGES = 6  # pixels of a reference run that get a page each; the summary shows all


@dataclass(frozen=True)
class Figures:
    """Figures that are made from the same sources, drawn together or not at all."""

    name: str
    sources: tuple[Path, ...]
    options: Any  # JSON-able: what they depend on besides the sources
    draw: Callable[[], list[Path]]


def plan(
    out: Path, config: Config, calibrations: Sequence[str], groups: Sequence[tuple[str, str]]
) -> Iterator[Figures]:
    """The figures of an output folder: of each calibration, each sample and edge, each comparison."""
    for name in calibrations:
        source = paths.calibration_product(out, name)
        yield Figures(name, (source,), None, partial(draw_calibration, out, name, source))
    for sample, edge in groups:
        sources = paths.map_product(out, sample, edge), paths.spectra_product(out, sample, edge)
        regions = extract.regions_of(edge, config.regions)
        options = {name: region.model_dump(mode="json") for name, region in regions.items()}
        yield Figures(sources[0].stem, sources, options, partial(draw_group, out, *sources, regions))
    for name, comparison in config.compare.items():
        yield from _comparisons(out, name, comparison, groups)


def draw_calibration(out: Path, name: str, source: Path) -> list[Path]:
    """The summary over all pixels, and a page for each of at most `PAGES` pixels."""
    dataset = products.read_entry(source)
    written = [save(calibration.calibration_summary_figure(dataset), paths.figure(out, name, "summary"))]
    sheet = None
    for pixel in pages(dataset):
        sheet = calibration.calibration_figure(dataset, pixel, sheet)
        written.append(save(sheet, paths.figure(out, name, f"pixel{pixel:03d}")))
    return written


def pages(dataset: xr.Dataset) -> list[int]:
    """Channel numbers of the pixels that get a page: those that are not ok before the others, every reason in turn."""
    met: Counter[str] = Counter()
    order = []
    for pixel, status in zip(dataset["pixel"].values.tolist(), dataset["status"].values.tolist(), strict=True):
        reason = status.partition(":")[0]
        order.append((reason == OK, met[reason], pixel))
        met[reason] += 1
    return [pixel for *_, pixel in sorted(order)[:PAGES]]


def draw_group(out: Path, map_path: Path, spectra_path: Path, regions: dict[str, Any]) -> list[Path]:
    """The map with its regions framed, each spectrum, and an overview of all."""
    rixs_map = products.read_entry(map_path)
    found = _spectra(spectra_path)
    stem = map_path.stem
    title = f"{rixs_map.attrs['sample']}, {rixs_map.attrs['edge']}"
    written = [save(maps.map_figure(rixs_map, title, regions), paths.figure(out, stem, "map"))]
    sheet = None
    for region, dataset in found.items():
        sheet = spectra.spectrum_figure(dataset, f"{title}: {region}", sheet)
        written.append(save(sheet, paths.figure(out, stem, region)))
    written.append(save(spectra.overview_figure(found, title), paths.figure(out, stem, "overview")))
    return written


def _spectra(path: Path) -> dict[str, xr.Dataset]:
    """All spectra of a product, by region."""
    opened = products.open_product(path)
    return opened if isinstance(opened, dict) else {"entry": opened}


def _comparisons(out: Path, name: str, comparison: Comparison, groups: Sequence[tuple[str, str]]) -> Iterator[Figures]:
    """One overlay for every edge that at least two of the samples have."""
    for edge in dict.fromkeys(edge for _, edge in groups):
        samples = [s for s in comparison.samples if (s, edge) in groups]
        if len(samples) < 2:
            continue
        sources = tuple(paths.spectra_product(out, sample, edge) for sample in samples)
        draw = partial(
            draw_comparison, out, f"{name}-{edge}", dict(zip(samples, sources, strict=True)), comparison.regions
        )
        yield Figures(f"{name}-{edge}", sources, comparison.model_dump(mode="json"), draw)


def draw_comparison(out: Path, name: str, sources: dict[str, Path], regions: tuple[str, ...] | None) -> list[Path]:
    """An overlay of every region that all the samples have; `sources`: sample -> its spectra."""
    found = {sample: _spectra(path) for sample, path in sources.items()}
    shared = [r for r in next(iter(found.values())) if all(r in spectra_of for spectra_of in found.values())]
    chosen = [region for region in shared if regions is None or region in regions]
    return [
        save(
            spectra.overlay_figure({sample: of[region] for sample, of in found.items()}, f"{name}: {region}"),
            paths.figure(out, "compare", name, region),
        )
        for region in chosen
    ]
