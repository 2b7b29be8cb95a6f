"""Reduce a beamtime: discover it, check the config against it, run the stages."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config, ExecutionConfig
from rixs_pipeline.io import discovery
from rixs_pipeline.io.array_cache import ArrayCache
from rixs_pipeline.io.checks.overlaps import separate
from rixs_pipeline.io.log_copies import LogCopies
from rixs_pipeline.io.memo import Memo
from rixs_pipeline.io.runs import Beamtime, count_files
from rixs_pipeline.io.temporaries import remove_orphans
from rixs_pipeline.progress import show_activity
from rixs_pipeline.runner.config_checks import unmatched_entries, unreached_regions
from rixs_pipeline.runner.disk_space import little_room
from rixs_pipeline.runner.freshness import pulse_windows
from rixs_pipeline.runner.open_pipeline import open_pipeline
from rixs_pipeline.runner.options import Options, select_beamtime, select_scans
from rixs_pipeline.runner.output_folder import (
    check_folder,
    config_digest,
    held,
    make_folder,
    write_config,
)
from rixs_pipeline.runner.report_page import write_report
from rixs_pipeline.runner.session import Session
from rixs_pipeline.runner.summary import Summary
from rixs_pipeline.runner.workers import Executors
from rixs_pipeline.stages.clock.correct_clocks import correct_clocks
from rixs_pipeline.stages.clock.scan_clock import ScanClock, prepare_clock
from rixs_pipeline.stages.context import MANY_FILES

MANY_CLOCKS = 20  # which take longer to fit than processes to start

__all__ = ["Config", "Options", "Summary", "run"]


def run(
    beamtime_path: Path,
    config: Config,
    out: Path,
    options: Options,
    session: Session | None = None,
) -> Summary:
    """Reduce a beamtime: make everything that is not fresh.

    Parameters
    ----------
    beamtime_path : Path
        The beamtime directory.
    config : Config
        Resolved.
    out : Path
        The folder of the results.
    options : Options
        What to make.
    session : Session, optional
        Of a process that reduces again and again.

    Returns
    -------
    Summary
        What was made; a run that failed is part of it.

    Raises
    ------
    RixsError
        The input as a whole cannot be used.
    """
    if config.execution.is_remote:  # workers may have another current folder
        beamtime_path, out = beamtime_path.absolute(), out.absolute()
    copies = LogCopies(out / paths.LOG_COPIES)
    session = session or Session()
    with show_activity("reading logs"):
        logged = discovery.discover(
            beamtime_path, config.beamtime, copies, session.reader
        )
    logged = session.select(logged)
    if options.dry_run:
        check_folder(out, beamtime_path)
        return _reduce(logged, config, out, options, session)
    # scans that are not there are refused before anything is written
    select_scans(logged.scans, options.scans, logged.refused)
    make_folder(out, beamtime_path)
    with held(out, config, beamtime_path):
        remove_orphans(out)
        copies.save()
        return _reduce(logged, config, out, options, session)


def _prepare_clocks(
    logged: Beamtime,
    out: Path,
    session: Session,
    executors: Executors,
    clocks: Sequence[ScanClock],
) -> None:
    """Fit clocks in worker processes.

    Those of `watch` run already; meanwhile the pulses are read, whose digests are
    needed next, mostly in the times of the logs. Others take seconds to start. They
    begin with the last clock, this process with the first one. What they could not fit
    is fitted, and reported, by this one.
    """
    if processes := session.workers.running_processes:
        fits = processes.outcomes(prepare_clock, clocks)
        session.digests(out).digest_files(pulse_windows(logged.runs))
        list(fits)
    elif count_files(clock.scan for clock in clocks) >= MANY_FILES:
        executors.numbers.warm_up()  # the reference runs come next
        if len(clocks) >= MANY_CLOCKS and executors.numbers.has_processes:
            executors.numbers.start(prepare_clock, reversed(clocks))


def _reduce(
    logged: Beamtime, config: Config, out: Path, options: Options, session: Session
) -> Summary:
    """Reduce a beamtime, whose runs have the times of the logs."""
    execution = config.execution
    if options.dry_run:
        execution = ExecutionConfig(scheduler="serial")
    workers, with_figures = session.workers, options.with_figures
    with workers.opened(execution, out, with_figures=with_figures) as executors:
        return _reduce_with(executors, logged, config, out, options, session)


def _reduce_with(
    executors: Executors,
    logged: Beamtime,
    config: Config,
    out: Path,
    options: Options,
    session: Session,
) -> Summary:
    """Reduce a beamtime with executors that are open."""
    memo = Memo.load(out / paths.MEMO)
    cache = ArrayCache(out / paths.ARRAY_CACHE / "clocks", not options.dry_run)
    prepare = partial(_prepare_clocks, logged, out, session, executors)
    with show_activity("comparing the clocks of logs and detector"):
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
        for warning in little_room(beamtime, scans, config, out):
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
        pipeline.run()
        summary.ended = time.time()
        if not options.dry_run:
            with show_activity("writing the report"):
                write_report(summary, config, pipeline.freshness.file_digest)
    return summary
