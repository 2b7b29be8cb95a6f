"""Products -> figures: what a spectroscopist opens first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config import Comparison, Config
from rixs_pipeline.core import continuity
from rixs_pipeline.core.regions import cut_names
from rixs_pipeline.core.verdicts import OK
from rixs_pipeline.io import products
from rixs_pipeline.plots import calibration, comparison, corrections, maps, spectra
from rixs_pipeline.plots.style import save
from rixs_pipeline.stages import extract, sheets

if TYPE_CHECKING:
    import xarray as xr

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
    for before, after in pairwise(calibrations):
        both = paths.calibration_product(out, before), paths.calibration_product(out, after)
        yield Figures(f"{before}-{after}", both, None, partial(draw_moved, out, f"{before}-{after}", *both))
    for sample, edge in groups:
        sources = paths.map_product(out, sample, edge), paths.spectra_product(out, sample, edge)
        regions = extract.regions_of(edge, config.regions)
        options: Any = {name: region.model_dump(mode="json") for name, region in regions.items()}
        cuts = cut_names(config.regions or {})
        together = partial(draw_group, out, *sources, regions, cuts)
        yield Figures(sources[0].stem, sources, options | {"": cuts}, together)
    for sample, edge in groups:
        absorption = paths.xas_product(out, sample, edge)
        if absorption.is_file():
            yield Figures(f"{absorption.stem} xas", (absorption,), None, partial(draw_absorption, out, absorption))
    for name, asked in config.compare.items():
        yield from _comparisons(out, name, asked, groups)
    for name, sheet in config.figures.items():
        framed = {edge: sorted(extract.regions_of(edge, config.regions)) for edge in sheet.edges}
        shown = {"sheet": sheet.model_dump(mode="json"), "regions": framed}
        for products_shown, draw in sheets.plan(out, name, sheet, config, groups):
            yield Figures(f"{name} sheet", products_shown, shown, draw)


def draw_calibration(out: Path, name: str, source: Path) -> list[Path]:
    """The summary over all pixels, the corrections, and a page for each of at most `PAGES` pixels."""
    dataset = products.read_entry(source)
    written = [
        save(calibration.calibration_summary_figure(dataset), paths.figure(out, name, "summary")),
        save(corrections.corrections_figure(dataset), paths.figure(out, name, "corrections")),
    ]
    sheet = None
    for pixel in pages(dataset):
        sheet = calibration.calibration_figure(dataset, pixel, sheet)
        written.append(save(sheet, paths.figure(out, name, f"pixel{pixel:03d}")))
    return written


def draw_moved(out: Path, name: str, before: Path, after: Path) -> list[Path]:
    """How far the lines of the pixels moved between two reference runs."""
    dataset = moved(products.read_entry(before), products.read_entry(after))
    return [save(corrections.moved_figure(dataset), paths.figure(out, name, "moved"))]


def moved(before: xr.Dataset, after: xr.Dataset) -> xr.Dataset:
    """As `corrections.moved_figure` takes it: the shifts of the pixels that are ok in both calibrations."""
    early, late = (one.isel(pixel=one["status"].values == OK) for one in (before, after))
    shared, first, last = np.intersect1d(early["pixel"].values, late["pixel"].values, return_indices=True)
    params = early["params"].values[first], late["params"].values[last]
    shifts = continuity.line_shifts(*params, before["line_energy"].values)
    values = {"pixel": shared, "shift": (("pixel", "line"), shifts), "jumped": ("pixel", continuity.jumps(shifts))}
    attributes = {"before": before.attrs["run"], "after": after.attrs["run"]}
    return before[["line_name"]].assign(values).assign_attrs(attributes)


def pages(dataset: xr.Dataset) -> list[int]:
    """Channel numbers of the pixels that get a page: those that are not ok before the others, every reason in turn."""
    met: Counter[str] = Counter()
    order = []
    for pixel, status in zip(dataset["pixel"].values.tolist(), dataset["status"].values.tolist(), strict=True):
        reason = status.partition(":")[0]
        order.append((reason == OK, met[reason], pixel))
        met[reason] += 1
    return [pixel for *_, pixel in sorted(order)[:PAGES]]


def draw_group(
    out: Path, map_path: Path, spectra_path: Path, regions: dict[str, Any], cuts: dict[str, dict[str, str]]
) -> list[Path]:
    """The map with its regions framed, each spectrum, an overview of all, and cuts one above the other.

    `cuts`: region -> incident energies as text -> name of their spectrum.
    """
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
    for region, names in cuts.items():
        beside = {label: found[name] for label, name in names.items() if name in found}
        if len(beside) > 1:
            figure = spectra.cuts_figure(beside, f"{title}: {region}")
            written.append(save(figure, paths.figure(out, stem, region)))
    return written


def _spectra(path: Path) -> dict[str, xr.Dataset]:
    """All spectra of a product, by region."""
    opened = products.open_product(path)
    return opened if isinstance(opened, dict) else {"entry": opened}


def draw_absorption(out: Path, source: Path) -> list[Path]:
    """TEY, TFY and PFY of a sample and edge, normalised alike, on one axis."""
    found = products.read_entries(source)
    overlay = {channel.upper(): dataset for channel, dataset in found.items()}
    one = next(iter(found.values())).attrs
    title = f"{one['sample']}, {one['edge']}: absorption, scaled by {one['scale']}"
    return [save(spectra.overlay_figure(overlay, title), paths.figure(out, source.stem, "xas"))]


def _comparisons(out: Path, name: str, asked: Comparison, groups: Sequence[tuple[str, str]]) -> Iterator[Figures]:
    """One set for every edge that at least two of the samples have."""
    for edge in dict.fromkeys(edge for _, edge in groups):
        samples = [s for s in asked.samples if (s, edge) in groups]
        if len(samples) < 2:
            continue
        spectra_of = {sample: paths.spectra_product(out, sample, edge) for sample in samples}
        tested = paths.comparison_product(out, name, edge)
        draw = partial(draw_comparison, out, f"{name}-{edge}", spectra_of, asked.regions, tested)
        yield Figures(f"{name}-{edge}", (*spectra_of.values(), tested), asked.model_dump(mode="json"), draw)


def draw_comparison(
    out: Path, name: str, sources: dict[str, Path], regions: tuple[str, ...] | None, tested: Path
) -> list[Path]:
    """Every region that all the samples have: with its test where it was tested (`tested`), else as an overlay.

    `sources`: sample -> its spectra.
    """
    outcomes = products.read_entries(tested) if tested.is_file() else {}
    found = {sample: _spectra(path) for sample, path in sources.items()}
    shared = [r for r in next(iter(found.values())) if all(r in spectra_of for spectra_of in found.values())]
    written = []
    for region in (r for r in shared if regions is None or r in regions):
        if region in outcomes:
            figure = comparison.comparison_figure(outcomes[region], f"{name}: {region}")
        else:
            figure = spectra.overlay_figure({s: of[region] for s, of in found.items()}, f"{name}: {region}")
        written.append(save(figure, paths.figure(out, "compare", name, region)))
    return written
