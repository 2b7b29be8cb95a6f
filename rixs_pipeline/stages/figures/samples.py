"""Figures of samples: maps, spectra, absorption, and samples compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config import PlotsConfig, Region
from rixs_pipeline.io import nexus
from rixs_pipeline.paths import FigureFolder
from rixs_pipeline.plots import comparison, corrections, labels, maps, spectra
from rixs_pipeline.plots.figure_page import FigurePage
from rixs_pipeline.plots.options import FigureOptions
from rixs_pipeline.stages.figures.draw import PlannedFigure
from rixs_pipeline.stages.figures.map_kinds import extra_map_figures
from rixs_pipeline.stages.figures.options import OptionsByKind, options_by_kind
from rixs_pipeline.stages.sample.configured_regions import outlines_on_map

if TYPE_CHECKING:
    import xarray as xr

# What `_line_positions` reads of the map of a scan
OF_LINES = (
    "emission_energy",
    "energy_scale_errors",
    "sample_line",
    "sample_line_position",
    "sample_line_position_errors",
)

MAP_KINDS = ("map", "line_positions")
SPECTRA_KINDS = ("overview", "spectrum", "cuts")

# Of the process: the next reduction while a beamtime runs draws the same layouts
PAGE = FigurePage()


def map_figures(
    out: Path, sample: str, edge: str, regions: Mapping[str, Region], plots: PlotsConfig
) -> Iterator[PlannedFigure]:
    """Yield the map with its regions, on request others, and lines by scan.

    Parameters
    ----------
    out : Path
        Folder of the results.
    sample, edge : str
        The map.
    regions : mapping of str to Region
        Name -> region, as `select_regions` returns them; they are outlined.
    plots : PlotsConfig
        Which maps are drawn, and how they look.

    Yields
    ------
    PlannedFigure
        Named `map`, `loss_map`, `rebinned_map` and `lines`.
    """
    map_path = paths.map_product(out, sample, edge)
    rixs_map = nexus.read_entry(map_path)
    title = labels.sample_edge_title(rixs_map)
    outlines = outlines_on_map(rixs_map, regions)
    map_title = f"{title}: RIXS map"
    outlined_map = partial(maps.map_figure, rixs_map, map_title, outlines)
    options = options_by_kind(plots, *MAP_KINDS)
    path = paths.figure(out, FigureFolder.MAPS, map_path.stem, "map")
    yield PlannedFigure(path, [rixs_map, outlines], outlined_map, options["map"])
    stem_path = paths.figure(out, FigureFolder.MAPS, map_path.stem)
    yield from extra_map_figures(stem_path, rixs_map, map_title, plots)
    passes = _line_positions(out, rixs_map)
    if passes:
        lines_title = f"{title}: emission lines by scan"
        plot = partial(corrections.line_positions_figure, passes, lines_title)
        path = paths.figure(out, FigureFolder.CORRECTIONS, map_path.stem, "lines")
        yield PlannedFigure(path, [passes, title], plot, options["line_positions"])


def spectra_figures(
    out: Path,
    sample: str,
    edge: str,
    cuts_by_region: Mapping[str, Mapping[str, str]],
    options: OptionsByKind,
) -> Iterator[PlannedFigure]:
    """Yield an overview of all spectra of a map, each one, and cuts together.

    Parameters
    ----------
    out : Path
        Folder of the results.
    sample, edge : str
        The map.
    cuts_by_region : mapping of str to mapping of str to str
        Region with several cuts -> incident energies as text -> name of the spectrum.
    options : mapping of str to FigureOptions
        Of `SPECTRA_KINDS`.

    Yields
    ------
    PlannedFigure
        Named after the region, and `overview`.
    """
    source = paths.spectra_product(out, sample, edge)
    by_region = nexus.read_entries(source)
    title = labels.sample_edge_title(next(iter(by_region.values())))
    path = partial(paths.figure, out, FigureFolder.SPECTRA, source.stem)
    overview = partial(spectra.overview_figure, by_region, title, PAGE)
    looks = options["overview"]
    yield PlannedFigure(path("overview"), [by_region, title], overview, looks)
    for name, spectrum in by_region.items():
        label = labels.spectrum_label(name, spectrum)
        plot = partial(spectra.spectrum_figure, spectrum, f"{title}: {label}", PAGE)
        looks = options["spectrum"]
        yield PlannedFigure(path(name), [spectrum, title], plot, looks)
    for name, spectrum_names in cuts_by_region.items():
        cuts = {
            label: by_region[spectrum_name]
            for label, spectrum_name in spectrum_names.items()
            if spectrum_name in by_region
        }
        if len(cuts) > 1:
            plot = partial(spectra.cuts_figure, cuts, f"{title}: {name}")
            yield PlannedFigure(path(name), [cuts, title], plot, options["cuts"])


def _line_positions(out: Path, rixs_map: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return the positions of lines by scan, for the scans of a map that have them."""
    passes = {}
    for name in json.loads(rixs_map.attrs.get("scans", "[]")):
        scan_path = paths.scan_product(out, name)
        if not scan_path.is_file():
            continue
        scan = nexus.read_entry(scan_path, only=OF_LINES)
        if "sample_line_position" in scan and scan.sizes["sample_line"]:
            positions = scan[["sample_line_position", "sample_line_position_errors"]]
            at_lines = np.interp(
                positions["sample_line_position"].values,
                scan["emission_energy"].values,
                scan["energy_scale_errors"].values,
            )
            passes[name] = positions.assign(scale_error=(("sample_line",), at_lines))
    return passes


def absorption_figures(
    out: Path, sample: str, edge: str, options: FigureOptions
) -> Iterator[PlannedFigure]:
    """Yield the figure of TEY, TFY and PFY, normalised in the same way.

    Parameters
    ----------
    out : Path
        Folder of the results.
    sample, edge : str
        The absorption spectra.
    options : FigureOptions
        How it looks.

    Yields
    ------
    PlannedFigure
        A single one.
    """
    source = paths.xas_product(out, sample, edge)
    by_channel = nexus.read_entries(source)
    channels = {channel.upper(): spectrum for channel, spectrum in by_channel.items()}
    first = next(iter(channels.values()))
    normalisation = labels.normalisation_label(first.attrs["scale"])
    title = f"{labels.sample_edge_title(first)}: absorption, {normalisation}"
    path = paths.figure(out, FigureFolder.XAS, source.stem, "xas")
    plot = partial(spectra.overlay_figure, channels, title)
    yield PlannedFigure(path, channels, plot, options)


@dataclass(frozen=True)
class ComparedSamples:
    """A comparison of samples at an edge.

    Attributes
    ----------
    name : str
        Of the comparison and edge, e.g. heating-Co_L.
    title : str
        Of its figures.
    spectra_paths : mapping of str to Path
        Sample -> its spectra.
    regions : tuple of str or None
        The regions that are compared; None: all that the samples share.
    tests_path : Path or None
        The product with the tests, if it was made.
    """

    name: str
    title: str
    spectra_paths: Mapping[str, Path]
    regions: tuple[str, ...] | None
    tests_path: Path | None


def comparison_figures(
    out: Path, compared: ComparedSamples, options: FigureOptions
) -> Iterator[PlannedFigure]:
    """Yield a figure for each region that all samples of a comparison have.

    Parameters
    ----------
    out : Path
        Folder of the results.
    compared : ComparedSamples
        The comparison.
    options : FigureOptions
        How they look.

    Yields
    ------
    PlannedFigure
        With the test of the region if there is one; else spectra overlaid.
    """
    tests: Mapping[str, xr.Dataset] = {}
    if compared.tests_path:
        tests = nexus.read_entries(compared.tests_path)
    by_sample = {
        sample: nexus.read_entries(path)
        for sample, path in compared.spectra_paths.items()
    }
    selected = compared.regions
    for region in _shared_regions(by_sample):
        if selected is not None and region not in selected:
            continue
        path = paths.figure(
            out, FigureFolder.COMPARISONS, "compare", compared.name, region
        )
        title = f"{compared.title}: {region}"
        if region in tests:
            plot = partial(comparison.comparison_figure, tests[region], title)
            yield PlannedFigure(path, tests[region], plot, options)
        else:
            overlay = {sample: regions[region] for sample, regions in by_sample.items()}
            label = labels.spectrum_label(region, next(iter(overlay.values())))
            title = f"{compared.title}: {label}"
            plot = partial(spectra.overlay_figure, overlay, title)
            yield PlannedFigure(path, overlay, plot, options)


def _shared_regions(by_sample: Mapping[str, Mapping[str, xr.Dataset]]) -> list[str]:
    """Return the regions that all samples have, in the order of the first one."""
    first, *following = by_sample.values()
    return [
        region for region in first if all(region in regions for regions in following)
    ]
