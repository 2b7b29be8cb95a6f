"""The stages of one reduction in order."""

import time
from dataclasses import dataclass
from itertools import chain

from rixs_pipeline import paths
from rixs_pipeline.config.load import dump_config
from rixs_pipeline.io import nexus as products
from rixs_pipeline.runner import memory as heap
from rixs_pipeline.runner.executor import Executor
from rixs_pipeline.stages import calibrate as calibrating
from rixs_pipeline.stages import combine as maps
from rixs_pipeline.stages import compare as comparing
from rixs_pipeline.stages import extract as spectra
from rixs_pipeline.stages import report as figures
from rixs_pipeline.stages.bin import Binning
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.figures import plan as report
from rixs_pipeline.stages.scan.surrounding_calibrations import ReferenceRuns

STAGES = ("calibrate", "bin", "combine", "extract", "compare", "report")


@dataclass
class Reduction:
    """One pass over the stages up to the one asked for."""

    work: Work
    drawing: Executor  # of figures, whose drawing holds the interpreter: threads would wait for each other
    until: str
    partial: bool  # only some scans were asked for

    def __post_init__(self) -> None:
        self._begun: list[figures.Drawn] = []

    def run(self) -> None:
        """All stages up to the one asked for."""
        work, summary = self.work, self.work.summary
        if self.partial and STAGES.index(self.until) > STAGES.index("bin"):
            summary.warn(
                "maps, spectra and figures hold only the scans of --scans; run without it to add them all"
            )
        if not summary.dry_run:
            self._write_config()
            scans = work.scans if self.until != STAGES[0] else []
            work.ledger.read_pulses([*work.beamtime.calibrations, *scans])
        for name in STAGES[: STAGES.index(self.until) + 1]:
            started = time.perf_counter()
            getattr(self, f"_{name}")()
            heap.give_back()
            summary.timings[name] = round(time.perf_counter() - started, 3)
        if not self.partial:
            work.ledger.tell_leftovers()
        summary.whole = self.until == STAGES[-1] and not self.partial

    def _write_config(self) -> None:
        text = dump_config(self.work.config)
        path = self.work.out / paths.RESOLVED_CONFIG
        if (
            not path.is_file()
            or path.read_text(encoding="utf-8", errors="replace") != text
        ):
            with products.atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def _calibrate(self) -> None:
        self._references = ReferenceRuns(self.work, calibrating.calibrate(self.work))

    def _bin(self) -> None:
        Binning(self.work, self._references).run()

    def _combine(self) -> None:
        if (
            self.until == STAGES[-1]
        ):  # in other processes, while the rest is done in this one
            work = self.work
            calibrated = [
                c.name
                for c in work.beamtime.calibrations
                if work.product_of(c) in work.ledger.keys
            ]
            self._begun.append(
                figures.begin(
                    work, self.drawing, report.plan_calibrations(work.out, calibrated)
                )
            )
        maps.combine(self.work)

    def _extract(self) -> None:
        spectra.extract(self.work)

    def _compare(self) -> None:
        spectra.absorption(self.work)
        comparing.compare(self.work)

    def _report(self) -> None:
        work = self.work
        groups = [
            g
            for g in maps.groups(work)
            if paths.spectra_product(work.out, *g) in work.ledger.keys
        ]
        planned = report.plan_results(work.out, work.config, groups, work.ledger.keys)
        self._begun.append(figures.begin(work, self.drawing, planned))
        figures.tell(work, chain.from_iterable(self._begun))
