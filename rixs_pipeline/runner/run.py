"""Reduce a beamtime: discover it, start the workers, run the stages."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rixs_pipeline import paths
from rixs_pipeline.config import Config, ExecutionConfig
from rixs_pipeline.io.beamtime import discovery
from rixs_pipeline.io.beamtime.log_copies import LogCopies
from rixs_pipeline.io.runs import Beamtime, count_files
from rixs_pipeline.io.temporaries import remove_orphans
from rixs_pipeline.progress import show_activity
from rixs_pipeline.runner.execution.workers import load_early
from rixs_pipeline.runner.options import Options, select_scans
from rixs_pipeline.runner.results.output_folder import (
    changes_since_last,
    check_folder,
    make_folder,
)
from rixs_pipeline.runner.session import Session
from rixs_pipeline.stages.context import MANY_FILES

if TYPE_CHECKING:
    from rixs_pipeline.runner.results.summary import Summary

__all__ = ["Config", "Options", "run"]


def run(
    beamtime_path: Path,
    config: Config,
    out: Path,
    options: Options,
    session: Session | None = None,
) -> "Summary":
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
    changes = set()
    if not options.dry_run:
        changes = changes_since_last(out, config, beamtime_path)
    # Processes load their modules while this one reads the logs and imports the stages,
    # which takes as long. A reduction like the last one may have nothing for them.
    load = partial(load_early, config.execution, with_figures=options.with_figures)
    if changes == {"config"}:  # mostly of regions
        load(with_pulses=False)
    with show_activity("reading logs"):
        logged = discovery.discover(
            beamtime_path, config.beamtime, copies, session.reader
        )
    logged = session.select(logged)
    if changes:
        load(with_pulses=count_files(logged.runs) >= MANY_FILES)
    if options.dry_run:
        check_folder(out, beamtime_path)
        return _reduce(logged, config, out, options, session)
    # scans that are not there are refused before anything is written
    select_scans(logged.scans, options.scans, logged.refused)
    make_folder(out, beamtime_path)
    with session.holding(out, config, beamtime_path):
        remove_orphans(out)
        copies.save()
        return _reduce(logged, config, out, options, session)


def _reduce(
    logged: Beamtime, config: Config, out: Path, options: Options, session: Session
) -> "Summary":
    """Reduce a beamtime, whose runs have the times of the logs."""
    execution = config.execution
    if options.dry_run:
        execution = ExecutionConfig(scheduler="serial")
    workers, with_figures = session.workers, options.with_figures
    with workers.opened(execution, out, with_figures=with_figures) as executors:
        from rixs_pipeline.runner.reduction import reduce_with

        return reduce_with(executors, logged, config, out, options, session)
