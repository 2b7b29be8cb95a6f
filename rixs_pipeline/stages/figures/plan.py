"""Which figures a reduction has, and from which products each is made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.plots.labels import edge_label
from rixs_pipeline.stages.figures.draw import FigureSet
from rixs_pipeline.stages.figures.multi_panel import plan_multi_panel
from rixs_pipeline.stages.figures.reference_runs import (
    line_shift_figures,
    reference_run_figures,
)
from rixs_pipeline.stages.figures.samples import (
    ComparedSamples,
    absorption_figures,
    comparison_figures,
    map_figures,
    spectra_figures,
)
from rixs_pipeline.stages.sample.configured_regions import cut_names, select_regions


def plan_reference_runs(out: Path, names: Sequence[str]) -> Iterator[FigureSet]:
    """Yield the figures of reference runs, and of the line shifts between them.

    Parameters
    ----------
    out : Path
        Folder of the results.
    names : sequence of str
        Runs that have a calibration, in order of time.

    Yields
    ------
    FigureSet
        One for each run, and one for each pair of neighbours.
    """
    for name in names:
        source = paths.calibration_product(out, name)
        plan = partial(reference_run_figures, out, name)
        yield FigureSet(name, (source,), None, plan)
    for before, after in pairwise(names):
        sources = (
            paths.calibration_product(out, before),
            paths.calibration_product(out, after),
        )
        plan = partial(line_shift_figures, out, before, after)
        yield FigureSet(f"{before}-{after}", sources, None, plan)


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
    for sample, edge in sample_edges:
        source = paths.map_product(out, sample, edge)
        regions = select_regions(edge, config.regions)
        options = {
            name: region.model_dump(mode="json") for name, region in regions.items()
        }
        plan = partial(map_figures, out, sample, edge, regions)
        yield FigureSet(f"{source.stem} map", (source,), {"regions": options}, plan)


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
    for sample, edge in sample_edges:
        source = paths.spectra_product(out, sample, edge)
        plan = partial(spectra_figures, out, sample, edge, cuts)
        yield FigureSet(source.stem, (source,), {"cuts": cuts}, plan)


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
    for sample, edge in sample_edges:
        source = paths.xas_product(out, sample, edge)
        if source in products:
            plan = partial(absorption_figures, out, sample, edge)
            yield FigureSet(f"{source.stem} xas", (source,), None, plan)
    for name in config.compare:
        yield from _plan_comparison(out, config, name, sample_edges, products)
    yield from plan_multi_panel(out, config, sample_edges, products)


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
        options = comparison.model_dump(mode="json")
        plan = partial(comparison_figures, out, compared)
        yield FigureSet(compared.name, sources, options, plan)
