"""Correct the clocks of a beamtime, check the config against it, run the stages."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.checks.overlaps import separate
from rixs_pipeline.io.caches.array_cache import ArrayCache
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.runs import Beamtime, count_files
from rixs_pipeline.progress import show_activity
from rixs_pipeline.runner.config_checks import unmatched_entries, unreached_regions
from rixs_pipeline.runner.execution.workers import Executors
from rixs_pipeline.runner.open_pipeline import open_pipeline
from rixs_pipeline.runner.options import Options, select_beamtime, select_scans
from rixs_pipeline.runner.results.disk_space import little_room
from rixs_pipeline.runner.results.freshness import pulse_windows
from rixs_pipeline.runner.results.output_folder import (
    config_digest,
    unusable_caches,
    write_config,
)
from rixs_pipeline.runner.results.report_page import Report
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.runner.session import Session
from rixs_pipeline.stages.clock.correct_clocks import correct_clocks
from rixs_pipeline.stages.clock.scan_clock import ScanClock, prepare_clock
from rixs_pipeline.stages.context import MANY_FILES


def reduce_with(
    executors: Executors,
    logged: Beamtime,
    config: Config,
    out: Path,
    options: Options,
    session: Session,
) -> Summary:
    """Reduce a beamtime with open executors.

    Parameters
    ----------
    executors : Executors
        The workers.
    logged : Beamtime
        With the times of the logs.
    config : Config
        Resolved.
    out : Path
        The folder of the results.
    options : Options
        What to make.
    session : Session
        Of a process that may reduce again and again.

    Returns
    -------
    Summary
        What was made.
    """
    memo = Memo.load(out / paths.MEMO)
    cache = ArrayCache(out / paths.ARRAY_CACHE / "clocks", not options.dry_run)
    prepare = partial(_prepare_clocks, logged, out, session, executors)
    activity = show_activity("comparing the clocks of logs and detector")
    with activity, _reading_pulses(logged, out, options, session):
        corrected = correct_clocks(logged, config, memo, cache, prepare)
    separated = separate(corrected.runs)
    discovered = replace(
        corrected, runs=separated.runs, refused=(*corrected.refused, *separated.refused)
    )
    scans = select_scans(discovered.scans, options.scans, discovered.refused)
    beamtime = select_beamtime(discovered, options.scans)
    summary = Summary(out, beamtime, options, scans, config_digest(config))
    summary.is_known = session.is_known
    summary.report_warnings()
    for warning in unmatched_entries(beamtime, config):
        summary.warn(warning)
    if not options.dry_run:
        if other := summary.replaced_beamtime:
            summary.warn(
                f"{out}: has results of {other}, which are replaced now; use one "
                "folder (-o) for each beamtime"
            )
        for warning in (
            *little_room(beamtime, scans, config, out),
            *unusable_caches(out),
        ):
            summary.warn(warning)
    if "extract" in options.verbs:
        summary.lose(unreached_regions(beamtime, config))
    if options.is_partial and "combine" in options.verbs:
        summary.warn(
            "maps, spectra and figures contain only the scans selected with --scans; "
            "run without --scans to include all"
        )
    with open_pipeline(scans, config, summary, executors, memo, session) as pipeline:
        if not options.dry_run:
            write_config(config, out)
        context, file_digest = pipeline.context, pipeline.freshness.file_digest
        report = Report(summary, config, file_digest, context.pass_maps)
        pipeline.run(while_drawing=report.read_products)
        summary.ended = time.time()
        if not options.dry_run:
            with show_activity("writing the report"):
                report.write()
    return summary


def _prepare_clocks(
    logged: Beamtime,
    out: Path,
    session: Session,
    executors: Executors,
    clocks: Sequence[ScanClock],
) -> None:
    """Fit clocks in worker processes.

    Those of `watch` run already; meanwhile this process reads the pulses, whose digests
    are needed next, mostly in the times of the logs. Others take seconds to start,
    which many pulse files justify. They begin with the last clock, this process with
    the first one. It fits, and reports, what they could not fit.
    """
    if processes := session.workers.running_processes:
        fits = processes.outcomes(prepare_clock, clocks)
        session.digests(out).digest_files(pulse_windows(logged.runs))
        list(fits)
        return
    has_many_files = count_files(clock.scan for clock in clocks) >= MANY_FILES
    if has_many_files and executors.numbers.has_processes:
        executors.numbers.start(prepare_clock, reversed(clocks))


def _reading_pulses(
    logged: Beamtime, out: Path, options: Options, session: Session
) -> AbstractContextManager[None]:
    """Read new pulses while a block runs: their digests are needed next.

    The windows have the times of the logs, mostly those of the detector. `watch` reads
    the pulses while its processes fit clocks.
    """
    if options.dry_run or session.workers.running_processes:
        return nullcontext()
    runs = [*logged.calibrations]
    if options.with_scans:
        runs += select_scans(logged.scans, options.scans, logged.refused)
    return session.digests(out).reading(pulse_windows(runs))
