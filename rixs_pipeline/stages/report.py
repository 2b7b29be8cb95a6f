"""Figures, which are drawn in other processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rixs_pipeline.io import provenance
from rixs_pipeline.runner.executor import Executor
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.figures import plan as report
from rixs_pipeline.stages.figures.draw import Drawing

Drawn = Iterator[
    tuple[str, str, Drawing | Exception]
]  # name and key of figures, and what came of drawing them


def begin(work: Work, drawing: Executor, planned: Iterable[report.Figures]) -> Drawn:
    """Have those figures drawn that are not fresh."""
    named, tasks = [], []
    for figures in planned:
        key = provenance.config_hash(
            {
                "sources": [work.ledger.keys.get(p) for p in figures.sources],
                "options": figures.options,
            }
            | {"code": provenance.code_version()}
        )
        name = f"{figures.name} figures"
        if work.summary.figures_fresh(figures.name, key) and not work.ledger.force:
            work.summary.fresh(name)
        elif work.summary.stale(
            name, work.out / "figures", "not made yet from these sources"
        ):
            known = {} if work.ledger.force else work.summary.shown_before(figures.name)
            work.summary.drawing(figures.name)
            named.append((figures.name, key))
            tasks.append(report.DrawTask(work.out, figures.add, known))
    done = drawing.outcomes(report.DrawTask.__call__, tasks)
    return ((*about, outcome) for about, outcome in zip(named, done, strict=True))


def tell(work: Work, begun: Drawn) -> None:
    """Wait for figures, and note them, or what went wrong with them."""
    for name, key, outcome in begun:
        with work.ledger.attempt(f"{name} figures", work.out / "figures"):
            if isinstance(outcome, Exception):
                raise outcome
            work.summary.drew(name, key, outcome.shown, outcome.drawn)
