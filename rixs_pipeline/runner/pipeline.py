"""The loop over the stages: what is fresh, what is computed, what becomes of it."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from rixs_pipeline import interrupt
from rixs_pipeline.errors import RixsError, describe_os_error
from rixs_pipeline.io import nexus, provenance
from rixs_pipeline.progress import show_activity, show_progress
from rixs_pipeline.runner.config_checks import unmatched_labels
from rixs_pipeline.runner.execution.freed_memory import release_freed_memory
from rixs_pipeline.runner.options import VERBS
from rixs_pipeline.runner.pixel_figures import find_outdated_figures
from rixs_pipeline.runner.results.freshness import Freshness
from rixs_pipeline.runner.results.summary import FIGURES, Summary
from rixs_pipeline.runner.stage_list import STAGES
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.stage import FigureFiles, Product, Result, Stage

PRODUCT_LINE = "wrote %s"
FIGURES_LINE = "drew %s (%d)"

log = logging.getLogger("rixs_pipeline")


@dataclass
class Pipeline:
    """One pass over the stages.

    Attributes
    ----------
    context : RunContext
        What the stages share.
    summary : Summary
        Records what happens.
    freshness : Freshness
        Decides what has to be made.
    """

    context: RunContext
    summary: Summary
    freshness: Freshness
    _postponed: list[tuple[Stage[Any], list[Product[Any]]]] = field(
        default_factory=list
    )
    _pending: list[Iterator[Result[Any]]] = field(default_factory=list)
    _n_pending: int = 0

    def run(self, while_drawing: Callable[[], None] = lambda: None) -> None:
        """Make what is not fresh, up to the last stage that was asked for.

        Parameters
        ----------
        while_drawing
            Called when all else is made, if figures are being drawn.
        """
        options = self.summary.options
        with_figures = options.with_figures
        if not options.dry_run:
            used = self.context.scans if options.with_scans else ()
            with show_activity("reading pulses"):
                self.freshness.read_pulses([*self.context.beamtime.calibrations, *used])
        for stage_class in STAGES:
            if stage_class.verb in options.verbs:
                started = time.perf_counter()
                self._run_stage(stage_class(self.context), with_figures)
                release_freed_memory()
                self.summary.add_time(stage_class.verb, time.perf_counter() - started)
        started = time.perf_counter()
        self._start_postponed()
        if self._pending:
            while_drawing()
        self._record_pending()
        if self._pending:
            self.summary.add_time(VERBS[-1], time.perf_counter() - started)
        if not options.is_partial:
            self.freshness.warn_leftovers()
        if options.is_complete and not options.dry_run and not self.summary.failed:
            self.summary.delete_unused_figures()
        if options.is_complete and not options.dry_run:
            self._warn_unmatched_labels()
        if with_figures and not options.dry_run:
            outdated = find_outdated_figures(self.context.out)
            self.summary.delete_outdated_figures(outdated)
        self.summary.is_complete = options.is_complete

    def _run_stage(self, stage: Stage[Any], with_figures: bool) -> None:
        stale = [
            product for product in stage.products() if self._is_due(stage, product)
        ]
        if not stale:
            return
        if with_figures:
            self.context.figure_executor.start_processes()
        if stage.in_background:
            self._postponed.append((stage, stale))
        else:
            self._record(stage.compute(stale))
        if self.context.figure_executor.is_ready:
            self._start_postponed()

    def _start_postponed(self) -> None:
        """Start the work in the background, which may wait for processes to start."""
        for stage, stale in self._postponed:
            self._pending.append(stage.compute(stale))
            self._n_pending += len(stale)
        self._postponed.clear()

    def _record_pending(self) -> None:
        """Record what was made in the background, and show how much is left of it."""
        results = chain.from_iterable(self._pending)
        with show_progress("drawing", self._n_pending, "sets of figures") as report:
            self._record(_counted(results, report))

    def _warn_unmatched_labels(self) -> None:
        """Warn of labels that replace no text, unless figures are missing."""
        if not any(name.endswith(FIGURES) for name in self.summary.failed):
            texts = self.summary.figure_texts()
            for line in unmatched_labels(self.context.config, texts):
                self.summary.warn(line)

    def _is_due(self, stage: Stage[Any], product: Product[Any]) -> bool:
        """Whether a product has to be computed now; record whether it is fresh."""
        interrupt.check()
        path, is_due = product.path, False
        with self._isolated(product):
            if product.problem:
                raise product.problem
            key = {}
            # a dry run need not read pulses to see that a product is missing
            is_missing = stage.reads_pulses and not path.is_file()
            if not (is_missing and self.context.dry_run):
                key = self.freshness.key(stage.options(product), stage.inputs(product))
            self.freshness.set_key(path, key)
            if stage.has_figures:
                reason = self.freshness.why_figures_stale(product.name, key)
            else:
                reason = self.freshness.why_stale(path, key)
            if reason:
                self.summary.add_stale(product.name, path, reason)
                is_due = not self.context.dry_run
            else:
                facts = self.freshness.facts(path)
                file = None if stage.has_figures else path
                self.summary.add_fresh(product.name, facts, file)
        return is_due

    def _record(self, results: Iterator[Result[Any]]) -> None:
        """Write products as they come, and record what became of them."""
        for result in results:
            interrupt.check()
            if self.context.figure_executor.is_ready:
                self._start_postponed()
            product = result.product
            with self._isolated(product, is_computed=True):
                content = result.content.unwrap()
                key = self.freshness.keys[product.path]
                if isinstance(content, FigureFiles):
                    digest = provenance.digest_values(key)
                    self.summary.add_figures(product.name, digest, content)
                    for file in content.new_files:
                        self.freshness.record(self.context.out / file)
                    log.info(FIGURES_LINE, product.name, len(content.digests))
                    continue
                facts = json.dumps(content.as_json())
                command = self.summary.options.command
                attributes = {"command": command, nexus.FACTS: facts}
                content.write(product.path, key | attributes)
                self.freshness.record(product.path)
                log.info(PRODUCT_LINE, product.path)
                self.summary.add_product(product.name, product.path, content)

    @contextmanager
    def _isolated(
        self, product: Product[Any], is_computed: bool = False
    ) -> Iterator[None]:
        """Record what goes wrong with one product; the others go on."""
        try:
            yield
            return
        except RixsError as error:
            reason = str(error)
        except OSError as error:
            reason = describe_os_error(error, product.path)
        except Exception as error:
            log.debug("%s", product.name, exc_info=True)
            self.summary.has_internal_error = True
            reason = (
                f"{type(error).__name__}: {error} "
                "(internal error; please report it with the output of -v)"
            )
        if is_computed:
            self.freshness.keys.pop(product.path, None)
        self.summary.add_failure(product.name, reason)


def _counted(
    results: Iterable[Result[Any]], report: Callable[[int], None]
) -> Iterator[Result[Any]]:
    """Yield results, and report how many of them have been used."""
    for number, result in enumerate(results, 1):
        yield result
        report(number)
