"""Reduce a beamtime: discover it, check the config against it, run the stages."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config.load import dump_config
from rixs_pipeline.config.models import Config, ExecutionConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.errors import UsageError
from rixs_pipeline.io import discovery, nexus
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.config_checks import unmatched_entries
from rixs_pipeline.runner.executor import Executor, available_cores
from rixs_pipeline.runner.freshness import Freshness
from rixs_pipeline.runner.pipeline import VERBS, Pipeline
from rixs_pipeline.runner.summary import Summary
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.figures.plan import MODULES

SHOWN_NAMES = 12  # scans that an error message lists

log = logging.getLogger("rixs_pipeline")


@dataclass(frozen=True)
class Options:
    """What a command line asks for, apart from the config.

    Attributes
    ----------
    until : str
        The verb of the last stage.
    scans : str or None
        As `--scans`: numbers, ranges and names.
    force : bool
        Make everything again.
    dry_run : bool
        Make nothing.
    command : str
        Stored in products.
    """

    until: str = VERBS[-1]
    scans: str | None = None
    force: bool = False
    dry_run: bool = False
    command: str = ""


def run(beamtime_path: Path, config: Config, out: Path, options: Options) -> Summary:
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

    Returns
    -------
    Summary
        What was made; a run that failed is part of it.

    Raises
    ------
    RixsError
        The input as a whole cannot be used.
    """
    if options.until not in VERBS:
        raise UsageError(
            f"--until {options.until}: no such stage; the stages are {', '.join(VERBS)}"
        )
    beamtime = discovery.discover(beamtime_path, config.beamtime)
    calibration = config.calibration
    reference_set = load_reference_set(calibration.reference, calibration.variants)
    scans = select_scans(beamtime.scans, options.scans)
    if not options.dry_run:
        _make_folder(out, beamtime_path)
    summary = Summary(out, beamtime, options.command, options.dry_run)
    for problem in summary.problems:
        log.warning("%s", problem)
    for warning in unmatched_entries(beamtime, config):
        summary.warn(warning)
    is_partial = options.scans is not None
    if is_partial and VERBS.index(options.until) > VERBS.index("bin"):
        summary.warn(
            "maps, spectra and figures contain only the scans of --scans; "
            "run without it to add all scans"
        )
    execution = config.execution
    if options.dry_run:
        execution = ExecutionConfig(scheduler="serial")
    freshness = Freshness(out, summary, options.force)
    with (
        Executor(execution, out / paths.LOGS) as executor,
        Executor(_figure_execution(executor), preload=MODULES) as figure_executor,
    ):
        context = RunContext(
            beamtime=beamtime,
            scans=scans,
            config=config,
            out=out,
            reference_set=reference_set,
            executor=executor,
            figure_executor=figure_executor,
            products=freshness,
            warn=summary.warn,
            dry_run=options.dry_run,
            drawn_figures={} if options.force else summary.drawn_figures(),
            gain_jump_memo=summary.gain_jumps,
        )
        try:
            if not options.dry_run:
                _write_config(config, out)
                used = scans if options.until != VERBS[0] else []
                freshness.read_pulses([*beamtime.calibrations, *used])
            Pipeline(context, summary, freshness, options.command).run(options.until)
            if not is_partial:
                freshness.warn_leftovers()
            summary.is_complete = options.until == VERBS[-1] and not is_partial
        finally:
            if not options.dry_run:
                freshness.digests.save()
                summary.write()
    return summary


def _figure_execution(executor: Executor) -> ExecutionConfig:
    """Draw figures in as many processes as there are workers, on this machine."""
    workers = min(executor.workers, available_cores())
    scheduler = "processes" if workers > 1 else "serial"
    return ExecutionConfig(scheduler=scheduler, workers=workers)


def _make_folder(out: Path, beamtime_path: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{out}: cannot create the folder ({error.strerror}); choose another one"
        ) from error
    if out.resolve() == beamtime_path.resolve():
        raise UsageError(
            f"{out}: is the beamtime directory; choose another folder for the results"
        )


def _write_config(config: Config, out: Path) -> None:
    """Write the resolved config, unless the file holds it already."""
    text, path = dump_config(config), out / paths.RESOLVED_CONFIG
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    with nexus.atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def select_scans(scans: Sequence[Run], selection: str | None) -> list[Run]:
    """Return the scans that `--scans` selects.

    Parameters
    ----------
    scans : sequence of Run
        All scans.
    selection : str or None
        Numbers, ranges of numbers (`3-7`) or names, separated by commas; None selects
        all.

    Returns
    -------
    list of Run
        In the order of `scans`.

    Raises
    ------
    UsageError
        A part of the selection matches no scan.
    """
    if selection is None:
        return list(scans)
    selected: set[str] = set()
    for part in filter(None, (text.strip() for text in selection.split(","))):
        low, dash, high = part.partition("-")
        is_range = low.isdecimal() and (high.isdecimal() or not dash)
        numbers = range(int(low), int(high or low) + 1) if is_range else ()
        names = {s.name for s in scans if s.name == part or s.number in numbers}
        if not names:
            raise UsageError(
                f"--scans {selection}: '{part}' matches no scan; "
                f"there are {_list_names(scans)}"
            )
        selected |= names
    if not selected:
        raise UsageError(
            f"--scans {selection}: matches no scan; there are {_list_names(scans)}"
        )
    return [scan for scan in scans if scan.name in selected]


def _list_names(scans: Sequence[Run]) -> str:
    names = ", ".join(scan.name for scan in scans[:SHOWN_NAMES]) or "none"
    return f"{names}, ..." if len(scans) > SHOWN_NAMES else names
