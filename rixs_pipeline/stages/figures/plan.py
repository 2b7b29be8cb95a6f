"""Products -> figures: what a spectroscopist opens first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config.models import Comparison, Config, Region
from rixs_pipeline.core.drift import line_shifts
from rixs_pipeline.io import nexus as products
from rixs_pipeline.plots import calibration, comparison, corrections, maps, spectra
from rixs_pipeline.stages.figures import multi_panel as sheets
from rixs_pipeline.stages.figures.draw import Drawing, Reused
from rixs_pipeline.stages.sample.configured_regions import (
    cut_names,
    outlines_on_map,
    select_regions,
)
from rixs_pipeline.types import PixelState

if TYPE_CHECKING:
    import xarray as xr

PAGES = 6  # pixels of a reference run that get a page each; the summary shows all
# what a process that draws needs, and takes long to load
MODULES = (
    "rixs_pipeline.cli",
    "rixs_pipeline.stages.figures.plan",
    "matplotlib.backends.backend_agg",
    "xarray",
)


@dataclass(frozen=True)
class Figures:
    """Figures that are made from the same sources."""

    name: str
    sources: tuple[Path, ...]
    options: Any  # JSON-able: what they depend on besides the sources
    add: Callable[[Drawing], None]  # them to a drawing


@dataclass(frozen=True)
class DrawTask:
    """Draws those of a set of figures that would show something else than before, in any process."""

    out: Path
    add: Callable[[Drawing], None]
    known: Mapping[str, str]

    def __call__(self) -> Drawing:
        """The set as it is now."""
        drawing = Drawing(self.out, self.known)
        self.add(drawing)
        return drawing


def plan_calibrations(out: Path, calibrations: Sequence[str]) -> Iterator[Figures]:
    """The figures of the reference runs, and of what moved between them."""
    for name in calibrations:
        source = paths.calibration_product(out, name)
        yield Figures(name, (source,), None, partial(draw_calibration, name, source))
    for before, after in pairwise(calibrations):
        both = (
            paths.calibration_product(out, before),
            paths.calibration_product(out, after),
        )
        yield Figures(
            f"{before}-{after}",
            both,
            None,
            partial(draw_moved, f"{before}-{after}", *both),
        )


def plan_results(
    out: Path, config: Config, groups: Sequence[tuple[str, str]], made: Collection[Path]
) -> Iterator[Figures]:
    """The figures of each sample and edge, each comparison, each sheet.

    `groups`: those with spectra; `made`: products of this run: others that are there are from an earlier one.
    """
    for sample, edge in groups:
        sources = (
            paths.map_product(out, sample, edge),
            paths.spectra_product(out, sample, edge),
        )
        regions = select_regions(edge, config.regions)
        cuts = cut_names(config.regions or {})
        options: Any = {
            name: region.model_dump(mode="json") for name, region in regions.items()
        }
        together = partial(draw_group, *sources, regions, cuts)
        yield Figures(sources[0].stem, sources, options | {"": cuts}, together)
    for sample, edge in groups:
        absorption = paths.xas_product(out, sample, edge)
        if absorption in made:
            yield Figures(
                f"{absorption.stem} xas",
                (absorption,),
                None,
                partial(draw_absorption, absorption),
            )
    for name, asked in config.compare.items():
        yield from _comparisons(out, name, asked, groups, made)
    for name, sheet in config.figures.items():
        framed = {
            edge: sorted(select_regions(edge, config.regions)) for edge in sheet.edges
        }
        shown = {"sheet": sheet.model_dump(mode="json"), "regions": framed}
        for products_shown, add in sheets.plan(out, name, sheet, config, groups, made):
            yield Figures(f"{name} sheet", products_shown, shown, add)


def draw_calibration(name: str, source: Path, drawing: Drawing) -> None:
    """The summary over all pixels, the corrections, and a page for each of at most `PAGES` pixels."""
    dataset, out = products.read_entry(source), drawing.out
    summary = partial(calibration.calibration_summary_figure, dataset)
    drawing.add(paths.figure(out, name, "summary"), dataset, summary)
    drawing.add(
        paths.figure(out, name, "corrections"),
        dataset,
        partial(corrections.corrections_figure, dataset),
    )
    page = Reused(partial(calibration.calibration_figure, dataset))
    for pixel in pages(dataset):
        drawing.add(
            paths.figure(out, name, f"pixel{pixel:03d}"), dataset, partial(page, pixel)
        )


def draw_moved(name: str, before: Path, after: Path, drawing: Drawing) -> None:
    """How far the lines of the pixels moved between two reference runs."""
    dataset = moved(products.read_entry(before), products.read_entry(after))
    drawing.add(
        paths.figure(drawing.out, name, "moved"),
        dataset,
        partial(corrections.moved_figure, dataset),
    )


def moved(before: xr.Dataset, after: xr.Dataset) -> xr.Dataset:
    """As `corrections.moved_figure` takes it: the shifts of the pixels that are ok in both calibrations."""
    early, late = (
        one.isel(pixel=one["status"].values == PixelState.OK) for one in (before, after)
    )
    shared, first, last = np.intersect1d(
        early["pixel"].values, late["pixel"].values, return_indices=True
    )
    params = early["params"].values[first], late["params"].values[last]
    shifts = line_shifts.line_shifts(*params, before["line_energy"].values)
    values = {
        "pixel": shared,
        "shift": (("pixel", "line"), shifts),
        "jumped": ("pixel", line_shifts.have_jumped(shifts)),
    }
    attributes = {"before": before.attrs["run"], "after": after.attrs["run"]}
    return before[["line_name"]].assign(values).assign_attrs(attributes)


def pages(dataset: xr.Dataset) -> list[int]:
    """Channel numbers of the pixels that get a page: those that are not ok before the others, every reason in turn."""
    met: Counter[str] = Counter()
    order = []
    for pixel, status in zip(
        dataset["pixel"].values.tolist(), dataset["status"].values.tolist(), strict=True
    ):
        reason = status.partition(":")[0]
        order.append((reason == PixelState.OK, met[reason], pixel))
        met[reason] += 1
    return [pixel for *_, pixel in sorted(order)[:PAGES]]


def draw_group(
    map_path: Path,
    spectra_path: Path,
    regions: dict[str, Region],
    cuts: dict[str, dict[str, str]],
    drawing: Drawing,
) -> None:
    """The map with its regions framed, each spectrum, an overview of all, and cuts one above the other.

    `cuts`: region -> incident energies as text -> name of their spectrum.
    """
    rixs_map, found = products.read_entry(map_path), products.read_entries(spectra_path)
    title = f"{rixs_map.attrs['sample']}, {rixs_map.attrs['edge']}"
    path = partial(paths.figure, drawing.out, map_path.stem)
    outlines = outlines_on_map(rixs_map, regions)
    corners = {
        name: [polygon.tolist() for polygon in polygons]
        for name, polygons in outlines.items()
    }
    drawing.add(
        path("map"),
        [rixs_map, corners],
        partial(maps.map_figure, rixs_map, title, outlines),
    )
    page = Reused(spectra.spectrum_figure)
    for region, dataset in found.items():
        drawing.add(
            path(region), [dataset, title], partial(page, dataset, f"{title}: {region}")
        )
    drawing.add(
        path("overview"), [found, title], partial(spectra.overview_figure, found, title)
    )
    for region, names in cuts.items():
        beside = {label: found[name] for label, name in names.items() if name in found}
        if len(beside) > 1:
            figure = partial(spectra.cuts_figure, beside, f"{title}: {region}")
            drawing.add(path(region), [beside, title], figure)


def draw_absorption(source: Path, drawing: Drawing) -> None:
    """TEY, TFY and PFY of a sample and edge, normalised alike, on one axis."""
    overlay = {
        channel.upper(): dataset
        for channel, dataset in products.read_entries(source).items()
    }
    one = next(iter(overlay.values())).attrs
    title = f"{one['sample']}, {one['edge']}: absorption, scaled by {one['scale']}"
    figure = partial(spectra.overlay_figure, overlay, title)
    drawing.add(paths.figure(drawing.out, source.stem, "xas"), overlay, figure)


def _comparisons(
    out: Path,
    name: str,
    asked: Comparison,
    groups: Sequence[tuple[str, str]],
    made: Collection[Path],
) -> Iterator[Figures]:
    """One set for every edge that at least two of the samples have."""
    for edge in dict.fromkeys(edge for _, edge in groups):
        samples = [s for s in asked.samples if (s, edge) in groups]
        if len(samples) < 2:
            continue
        spectra_of = {
            sample: paths.spectra_product(out, sample, edge) for sample in samples
        }
        test = paths.comparison_product(out, name, edge)
        tested = test if test in made else None
        add = partial(
            draw_comparison, f"{name}-{edge}", spectra_of, asked.regions, tested
        )
        yield Figures(
            f"{name}-{edge}",
            (*spectra_of.values(), test),
            asked.model_dump(mode="json"),
            add,
        )


def draw_comparison(
    name: str,
    sources: dict[str, Path],
    regions: tuple[str, ...] | None,
    tested: Path | None,
    drawing: Drawing,
) -> None:
    """Every region that all the samples have: with its test where it was tested (`tested`), else as an overlay.

    `sources`: sample -> its spectra.
    """
    outcomes = products.read_entries(tested) if tested else {}
    found = {sample: products.read_entries(path) for sample, path in sources.items()}
    shared = [
        r
        for r in next(iter(found.values()))
        if all(r in spectra_of for spectra_of in found.values())
    ]
    for region in (r for r in shared if regions is None or r in regions):
        shown: Any = outcomes.get(region) or {
            sample: of[region] for sample, of in found.items()
        }
        draw = (
            comparison.comparison_figure
            if region in outcomes
            else spectra.overlay_figure
        )
        figure = partial(draw, shown, f"{name}: {region}")
        drawing.add(paths.figure(drawing.out, "compare", name, region), shown, figure)
