"""Which figures a reduction has, and from which products each is made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config import Config, PlotsConfig
from rixs_pipeline.plots.labels import edge_label
from rixs_pipeline.stages.figures.draw import FigureSet
from rixs_pipeline.stages.figures.map_kinds import (
    EXTRA_MAP_KINDS,
    ComparedMaps,
    difference_figures,
)
from rixs_pipeline.stages.figures.multi_panel import plan_multi_panel
from rixs_pipeline.stages.figures.options import OptionsByKind, options_by_kind
from rixs_pipeline.stages.figures.reference_runs import (
    RUN_KINDS,
    line_shift_figures,
    reference_run_figures,
)
from rixs_pipeline.stages.figures.samples import (
    MAP_KINDS,
    SPECTRA_KINDS,
    ComparedSamples,
    absorption_figures,
    comparison_figures,
    map_figures,
    spectra_figures,
)
from rixs_pipeline.stages.sample.configured_regions import cut_names, select_regions


def plan_reference_runs(
    out: Path, config: Config, names: Sequence[str]
) -> Iterator[FigureSet]:
    """Yield the figures of reference runs, and of the line shifts between them.

    Parameters
    ----------
    out : Path
        Folder of the results.
    config : Config
        How figures look.
    names : sequence of str
        Runs that have a calibration, in order of time.

    Yields
    ------
    FigureSet
        One for each run, and one for each pair of neighbours.
    """
    of_runs = options_by_kind(config.plots, *RUN_KINDS)
    of_shifts = options_by_kind(config.plots, "line_shifts")
    for name in names if _is_any_drawn(of_runs) else ():
        source = paths.calibration_product(out, name)
        plan = partial(reference_run_figures, out, name, of_runs)
        yield FigureSet(name, (source,), _as_json(of_runs), plan)
    for before, after in pairwise(names) if _is_any_drawn(of_shifts) else ():
        sources = (
            paths.calibration_product(out, before),
            paths.calibration_product(out, after),
        )
        looks = of_shifts["line_shifts"]
        plan = partial(line_shift_figures, out, before, after, looks)
        yield FigureSet(f"{before}-{after}", sources, _as_json(of_shifts), plan)


def plan_maps(
    out: Path, config: Config, sample_edges: Sequence[tuple[str, str]]
) -> Iterator[FigureSet]:
    """Yield the figures of maps.

    Parameters
    ----------
    out : Path
        Folder of the results.
    config : Config
        Its regions are outlined.
    sample_edges : sequence of (str, str)
        Samples and edges that have maps.

    Yields
    ------
    FigureSet
        One for each sample and edge.
    """
    of_maps = options_by_kind(config.plots, *MAP_KINDS, *EXTRA_MAP_KINDS)
    if not _is_any_drawn(of_maps):
        return
    looks = _as_json(of_maps)
    if config.plots.rebinned_map is not None:
        looks["min_counts"] = config.plots.rebinned_map.min_counts
    for sample, edge in sample_edges:
        source = paths.map_product(out, sample, edge)
        regions = select_regions(edge, config.regions)
        region_options = {
            name: region.model_dump(mode="json") for name, region in regions.items()
        }
        options = {"regions": region_options, "looks": looks}
        plan = partial(map_figures, out, sample, edge, regions, config.plots)
        yield FigureSet(f"{source.stem} map", (source,), options, plan)


def plan_spectra(
    out: Path, config: Config, sample_edges: Sequence[tuple[str, str]]
) -> Iterator[FigureSet]:
    """Yield the figures of spectra.

    Parameters
    ----------
    out : Path
        Folder of the results.
    config : Config
        Cuts of one region are shown together.
    sample_edges : sequence of (str, str)
        Samples and edges that have spectra.

    Yields
    ------
    FigureSet
        One for each sample and edge.
    """
    cuts: Mapping[str, Mapping[str, str]] = cut_names(config.regions or {})
    looks = options_by_kind(config.plots, *SPECTRA_KINDS)
    if not _is_any_drawn(looks):
        return
    for sample, edge in sample_edges:
        source = paths.spectra_product(out, sample, edge)
        plan = partial(spectra_figures, out, sample, edge, cuts, looks)
        options = {"cuts": cuts, "looks": _as_json(looks)}
        yield FigureSet(source.stem, (source,), options, plan)


def plan_comparisons(
    out: Path,
    config: Config,
    sample_edges: Sequence[tuple[str, str]],
    products: Collection[Path],
) -> Iterator[FigureSet]:
    """Yield the figures of absorption, comparisons, and the multi-panel figures.

    Parameters
    ----------
    out : Path
        Folder of the results.
    config : Config
        Its comparisons and figures.
    sample_edges : sequence of (str, str)
        Samples and edges that have spectra.
    products : collection of Path
        Products of this reduction; others that are there are of an earlier one.

    Yields
    ------
    FigureSet
        One for the absorption of each sample and edge, each comparison and edge, and
        each multi-panel figure.
    """
    of_xas = options_by_kind(config.plots, "xas")
    for sample, edge in sample_edges:
        source = paths.xas_product(out, sample, edge)
        if source in products and _is_any_drawn(of_xas):
            plan = partial(absorption_figures, out, sample, edge, of_xas["xas"])
            looks = _as_json(of_xas)
            yield FigureSet(f"{source.stem} xas", (source,), looks, plan)
    for name in config.compare:
        yield from _plan_comparison(out, config, name, sample_edges, products)
    yield from plan_multi_panel(out, config, sample_edges, products)


def _is_any_drawn(options: OptionsByKind) -> bool:
    """Return whether figures of any of the kinds are drawn."""
    return any(looks.draw for looks in options.values())


def _as_json(options: OptionsByKind) -> dict[str, Any]:
    """Return options of figures as JSON values."""
    return {kind: asdict(looks) for kind, looks in options.items()}


def _plan_comparison(
    out: Path,
    config: Config,
    name: str,
    sample_edges: Sequence[tuple[str, str]],
    products: Collection[Path],
) -> Iterator[FigureSet]:
    """Yield the figures of a comparison at each edge that two of its samples have."""
    comparison = config.compare[name]
    for edge in dict.fromkeys(edge for _, edge in sample_edges):
        samples = [
            sample for sample in comparison.samples if (sample, edge) in sample_edges
        ]
        if len(samples) < 2:
            continue
        spectra_paths = {
            sample: paths.spectra_product(out, sample, edge) for sample in samples
        }
        tests_path = paths.comparison_product(out, name, edge)
        compared = ComparedSamples(
            name=f"{name}-{edge}",
            title=f"{name}, {edge_label(edge)}",
            spectra_paths=spectra_paths,
            regions=comparison.regions,
            tests_path=tests_path if tests_path in products else None,
        )
        sources = (*spectra_paths.values(), tests_path)
        looks = options_by_kind(config.plots, "comparison")
        options = comparison.model_dump(mode="json") | {"looks": _as_json(looks)}
        plan = partial(comparison_figures, out, compared, looks["comparison"])
        if _is_any_drawn(looks):
            yield FigureSet(compared.name, sources, options, plan)
        of_differences = options_by_kind(config.plots, "difference_map")
        if compared.tests_path and _is_any_drawn(of_differences):
            map_paths = {
                sample: paths.map_product(out, sample, edge) for sample in samples
            }
            compared_maps = ComparedMaps(
                compared.name, compared.title, map_paths, comparison
            )
            yield _plan_differences(out, compared_maps, config.plots)


def _plan_differences(
    out: Path, compared: ComparedMaps, plots: PlotsConfig
) -> FigureSet:
    """Return the maps of differences of a comparison at an edge."""
    sources = tuple(compared.map_paths.values())
    configs = {"compare": compared.comparison, "plots": plots.difference_map}
    options = {
        name: config.model_dump(mode="json") if config else None
        for name, config in configs.items()
    }
    looks = _as_json(options_by_kind(plots, "difference_map"))
    plan = partial(difference_figures, out, compared, plots)
    name = f"{compared.name} difference map"
    return FigureSet(name, sources, options | looks, plan)
