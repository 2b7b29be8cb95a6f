"""What is run, in which order, what is fresh, and the summary of it all (`run.json`)."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config.load import initial_config, load_config
from rixs_pipeline.config.models import Config, ExecutionConfig, FigureSheet
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io import discovery, inspection
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.runner.executor import Executor, available_cores
from rixs_pipeline.runner.freshness import Ledger
from rixs_pipeline.runner.pipeline import STAGES, Reduction
from rixs_pipeline.runner.summary import Summary
from rixs_pipeline.runner.summary import read as read_summary
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.figures import plan as report
from rixs_pipeline.stages.sample import region_spectra as extract
from rixs_pipeline.stages.sample.configured_regions import select_regions

log = logging.getLogger("rixs_pipeline")


@dataclass(frozen=True)
class Options:
    """What a command line asks for, apart from the config."""

    until: str = "report"
    scans: str | None = None  # "1,3-7" or names
    force: bool = False
    dry_run: bool = False
    command: str = ""


def run(beamtime_path: Path, config: Config, out: Path, options: Options) -> Summary:
    """Reduce a beamtime: everything that is not fresh, up to the stage asked for.

    Raises:
        RixsError: the input as a whole cannot be used; a single run that fails is part of the summary instead.
    """
    if options.until not in STAGES:
        raise UsageError(
            f"--until {options.until}: no such stage; there are {', '.join(STAGES)}"
        )
    beamtime = discovery.discover(beamtime_path, config.beamtime)
    reference = load_reference_set(
        config.calibration.reference, config.calibration.variants
    )
    scans = select_scans(beamtime.scans, options.scans)
    if not options.dry_run:
        _make_folder(out, beamtime_path)
    summary = Summary(out, beamtime, options.command, options.dry_run)
    for text in summary.problems:
        log.warning("%s", text)
    for text in asked_in_vain(beamtime, config):
        summary.warn(text)
    how = ExecutionConfig(scheduler="serial") if options.dry_run else config.execution
    with (
        Executor(how, out / paths.LOGS) as executor,
        Executor(_drawing(executor), preload=report.MODULES) as drawing,
    ):
        begin = drawing.warm_up if options.until == STAGES[-1] else lambda: None
        ledger = Ledger(out, summary, options.force, options.command, begin)
        partial = options.scans is not None
        try:
            work = Work(
                beamtime, scans, config, out, reference, executor, summary, ledger
            )
            Reduction(work, drawing, options.until, partial).run()
        finally:
            if not options.dry_run:
                ledger.digests.save()
                summary.write()
    return summary


def _drawing(executor: Executor) -> ExecutionConfig:
    """How figures are drawn: in as many processes as there are workers, but in this machine."""
    workers = min(executor.workers, available_cores())
    return ExecutionConfig(
        scheduler="processes" if workers > 1 else "serial", workers=workers
    )


def _make_folder(out: Path, beamtime: Path) -> None:
    """The folder for the results."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{out}: no folder for results can be made there ({error.strerror}); choose another"
        ) from error
    if out.resolve() == beamtime.resolve():
        raise UsageError(
            f"{out}: is the beamtime itself; choose another folder for the results"
        )


def asked_in_vain(beamtime: Beamtime, config: Config) -> list[str]:
    """One line for each thing that the config asks for and the beamtime does not have: a slip, or left out."""
    scans, exclude = beamtime.scans, config.beamtime.exclude
    pixels = {
        off.pixel_number(path) for run in beamtime.runs for path in run.pulse_files
    }
    samples = dict.fromkeys(s.sample for s in scans)
    regions = {
        name for s in scans if s.edge for name in select_regions(s.edge, config.regions)
    }
    regions |= {f"log_{channel}" for channel in extract.LOG_SPECTRA}
    lines = [
        f"exclude.pixels: no pixel {p}"
        for p in exclude.pixels
        if pixels and p not in pixels
    ]
    known = {s.name for s in scans} | {s.number for s in scans}
    lines += [
        f"exclude.points: no scan {key}" for key in exclude.points if key not in known
    ]
    lines = [f"beamtime.{line}" for line in lines]
    for name, comparison in config.compare.items():
        lines += [
            f"compare.{name}: no sample '{one}'"
            for one in comparison.samples
            if one not in samples
        ]
        feature = comparison.feature
        asked = [
            *(comparison.regions or ()),
            *filter(None, [feature and feature.region, feature and feature.rest]),
        ]
        lines += [
            f"compare.{name}: no region '{one}'"
            for one in dict.fromkeys(asked)
            if one not in regions
        ]
    for name, sheet in config.figures.items():
        lines += [f"figures.{name}: no {what}" for what in _not_shown(sheet, scans)]
    return [f"config: {line} in this beamtime" for line in lines]


def _not_shown(sheet: FigureSheet, scans: Sequence[Run]) -> list[str]:
    """What a figure leaves out: samples and edges that are not there, pairs and channels of those that are."""
    samples, edges = ({getattr(s, of) for s in scans} for of in ("sample", "edge"))
    lines = [f"sample '{sample}'" for sample in sheet.samples if sample not in samples]
    lines += [f"edge {edge}" for edge in sheet.edges if edge not in edges]
    for sample, edge in product(sheet.samples, sheet.edges):
        passes = [s for s in scans if (s.sample, s.edge) == (sample, edge)]
        if not passes and sample in samples and edge in edges:
            lines.append(f"{sample} at {edge}")
        channels = [c for c in sheet.channel if sheet.kind == "xas" and c != "pfy"]
        lines += [
            f"{c} of {sample} at {edge}"
            for c in channels
            if passes and not any(c in s.readings for s in passes)
        ]
    return lines


def select_scans(scans: Sequence[Run], wanted: str | None) -> list[Run]:
    """The scans that `--scans` names: numbers, ranges of numbers `3-7`, or names, separated by commas.

    Raises:
        UsageError: a part that names no scan.
    """
    if wanted is None:
        return list(scans)
    chosen: list[Run] = []
    for part in filter(None, (p.strip() for p in wanted.split(","))):
        low, dash, high = part.partition("-")
        is_range = low.isdecimal() and (high.isdecimal() or not dash)
        numbers = range(int(low), int(high or low) + 1) if is_range else ()
        found = [s for s in scans if s.name == part or s.number in numbers]
        if not found:
            raise UsageError(
                f"--scans {wanted}: '{part}' names no scan; there are {_names(scans)}"
            )
        chosen += [s for s in found if s not in chosen]
    if not chosen:
        raise UsageError(f"--scans {wanted}: names no scan; there are {_names(scans)}")
    return sorted(chosen, key=lambda s: scans.index(s))


def _names(scans: Sequence[Run]) -> str:
    return (
        ", ".join(s.name for s in scans[:12]) + (", ..." if len(scans) > 12 else "")
        if scans
        else "none"
    )


def first_config(beamtime: Path) -> str:
    """A commented config fitted to a beamtime, for a person to go on from.

    Raises:
        InputError: not a beamtime directory.
    """
    found = inspection.describe(discovery.discover(beamtime))
    edges = {run["edge"] for run in found["runs"] if run["edge"]}
    return initial_config(
        found, {edge: select_regions(edge, None) for edge in sorted(edges)}
    )


def status(out: Path) -> dict[str, str]:
    """What is done, stale or failed in a folder that `run` wrote: name -> state, with the reason.

    Raises:
        InputError: the folder has no run.json, or its beamtime is no longer there.
    """
    before = read_summary(out)
    if "beamtime" not in before:
        raise InputError(
            f"{out}: no {paths.RUN_SUMMARY} there: not a folder that `rixs-pipeline run` wrote"
        )
    config = load_config(out / paths.RESOLVED_CONFIG)
    now = run(Path(before["beamtime"]), config, out, Options(dry_run=True))
    states = {name: _state(item) for name, item in now.items.items()}
    failed = {
        name: f"failed: {reason}"
        for name, reason in (before["failed"] | now.failed).items()
    }
    return states | failed


def _state(item: Mapping[str, Any]) -> str:
    """Status, reason and results of an item in one line."""
    parts = [str(item[key]) for key in ("status", "reason") if key in item]
    return ": ".join(
        [*parts, *(["; ".join(item["results"])] if item.get("results") else [])]
    )


def watch(
    beamtime: Path, config: Config, out: Path, every: float, rounds: int | None
) -> int:
    """Reduce again and again, `every` seconds, until interrupted or for a number of rounds; the last exit code.

    A beamtime that has nothing to show yet is waited for. What was said once is not said every round.
    """
    code, done = 0, 0
    with _no_repeats():
        while True:
            try:
                code = run(
                    beamtime, config, out, Options(command="rixs-pipeline watch")
                ).exit_code
            except InputError as error:
                log.warning("%s", error)
                code = error.exit_code
            done += 1
            if rounds is not None and done >= rounds:
                return code
            time.sleep(every)


@contextmanager
def _no_repeats() -> Iterator[None]:
    """Warnings and errors are logged once."""
    told: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        repeated = record.levelno >= logging.WARNING and text in told
        told.add(text)
        return not repeated

    log.addFilter(is_new)
    try:
        yield
    finally:
        log.removeFilter(is_new)
