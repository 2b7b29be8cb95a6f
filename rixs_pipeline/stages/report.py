"""Report: figures of reference runs, maps, spectra and comparisons.

Figures are drawn in other processes; a set of figures is one product. Their keys are in
run.json, since PNG files carry none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.stages.figures.draw import (
    FigureSet,
    FigureTask,
    draw_figures,
    join_figures,
)
from rixs_pipeline.stages.figures.plan import (
    plan_comparisons,
    plan_maps,
    plan_reference_runs,
    plan_spectra,
)
from rixs_pipeline.stages.stage import Product, Result, Stage


class _FigureStage(Stage[FigureSet]):
    """Sets of figures."""

    verb = "report"
    has_figures = True
    in_background = True

    def plan(self) -> Iterator[FigureSet]:
        """Yield the sets of figures."""
        raise NotImplementedError

    def products(self) -> list[Product[FigureSet]]:
        """Return one product a set of figures."""
        folder = paths.figures_folder(self.context.out)
        return [
            Product(f"{figures.name} figures", folder / figures.name, figures)
            for figures in self.plan()
        ]

    def options(self, product: Product[FigureSet]) -> Mapping[str, Any]:
        """Return what the figures show besides their sources."""
        return {"options": product.source.options}

    def inputs(self, product: Product[FigureSet]) -> Mapping[str, str]:
        """Return the digests of the sources; one that is missing is not drawn."""
        sources = [path for path in product.source.sources if self.context.has(path)]
        return {
            str(path.relative_to(self.context.out)): self.context.key_digest(path)
            for path in sources
        }

    def compute(
        self, products: Sequence[Product[FigureSet]]
    ) -> Iterator[Result[FigureSet]]:
        """Draw those figures of each set that would look different.

        Drawing begins at once; results come when they are asked for. The figures of a
        set are divided if there are fewer sets than workers.
        """
        out, drawn_figures = self.context.out, self.context.products.drawn_figures
        executor = self.context.figure_executor
        n_parts = max(1, executor.workers // len(products))
        tasks = [
            FigureTask(out, product.source.plan, drawn_figures(product.name))
            for product in products
        ]
        parts = [task.split(n_parts) for task in tasks]
        outcomes = executor.map_reduce(draw_figures, parts, join_figures)
        return (
            Result(product, outcome)
            for product, outcome in zip(products, outcomes, strict=True)
        )


class ReferenceRunFigures(_FigureStage):
    """Figures of the reference runs, drawn while maps are combined."""

    def plan(self) -> Iterator[FigureSet]:
        """Yield the figures of every calibration, and of each pair of neighbours."""
        names = [
            path.stem
            for path in self.context.calibration_paths()
            if self.context.has(path)
        ]
        return plan_reference_runs(self.context.out, self.context.config, names)


class MapFigures(_FigureStage):
    """Figures of maps, drawn while spectra are extracted."""

    def plan(self) -> Iterator[FigureSet]:
        """Yield the figures of each map."""
        context = self.context
        groups = [
            (group.sample, group.edge)
            for group in context.sample_edges()
            if context.has(group.map_path(context.out))
        ]
        return plan_maps(context.out, context.config, groups)


class _ResultFigures(_FigureStage):
    """Figures of samples that have spectra."""

    def groups(self) -> list[tuple[str, str]]:
        """Return all samples and edges that have spectra."""
        context = self.context
        return [
            (group.sample, group.edge)
            for group in context.sample_edges()
            if context.has(group.spectra_path(context.out))
        ]


class SpectraFigures(_ResultFigures):
    """Figures of spectra, drawn while absorption spectra are made."""

    def plan(self) -> Iterator[FigureSet]:
        """Yield the figures of each sample and edge."""
        return plan_spectra(self.context.out, self.context.config, self.groups())


class ComparisonFigures(_ResultFigures):
    """Figures of absorption, comparisons, and those of the config."""

    def plan(self) -> Iterator[FigureSet]:
        """Yield the figures of all samples and edges, and of comparisons."""
        context = self.context
        available = context.products.keys
        return plan_comparisons(context.out, context.config, self.groups(), available)
