"""Find the runs of a beamtime directory: join its logs, pulses and readings."""

from collections.abc import Sequence
from pathlib import Path

from rixs_pipeline.config import BeamtimeConfig
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.beamtime.build_runs import build_runs, make_relative
from rixs_pipeline.io.beamtime.checks.copies import drop_copies
from rixs_pipeline.io.beamtime.checks.given_offsets import remove_given_offsets
from rixs_pipeline.io.beamtime.find_files import (
    FileReader,
    collect_files,
    guessed_times,
    unread_files,
)
from rixs_pipeline.io.beamtime.join_pulses import join_pulses
from rixs_pipeline.io.beamtime.log_copies import LogCopies
from rixs_pipeline.io.beamtime.read_pulse_sets import read_pulse_sets
from rixs_pipeline.io.runs import Beamtime, RefusedRun, Run, name_of


def discover(
    path: Path,
    config: BeamtimeConfig | None = None,
    copies: LogCopies | None = None,
    reader: FileReader | None = None,
) -> Beamtime:
    """Return the runs of a beamtime directory; reads logs and headers, no pulses.

    Problems are one line each, with the file and what to do: those of a run in
    `Run.problems`, all others in `Beamtime.problems`.

    Parameters
    ----------
    path
        The directory.
    config
        Corrects samples, edges and readings, and excludes scans.
    copies
        Logs as they were last read whole.
    reader
        Has read files before, which it need not read again.

    Returns
    -------
    Beamtime
        Runs in order of time.

    Raises
    ------
    InputError
        Not a directory, no usable run, or the config names a file of readings that is
        missing or does not fit its scan.
    """
    if not path.is_dir():
        raise InputError(f"{path}: not a directory; give the folder of a beamtime")
    files = collect_files(path, copies, reader)
    pulses = read_pulse_sets(files)
    distinct = drop_copies(pulses.pulse_sets, pulses.ends)
    files.problems += distinct.problems
    config = config or BeamtimeConfig()
    logs = remove_given_offsets(files.logs, config.clock_offset)
    joined = join_pulses(logs, distinct.pulse_sets, files.photon_lists, files.refused)
    refused = [
        RefusedRun(run.name, make_relative(run.reason, path)) for run in joined.refused
    ]
    if not joined.runs:
        reasons = [*(run.reason for run in refused), *files.problems, *joined.problems]
        first = next((file for file in sorted(path.iterdir()) if file.is_file()), None)
        if not reasons and first is not None:
            reasons = [f"no logs or pulses among its files, such as {first.name}"]
        reason = f" ({reasons[0]})" if reasons else ""
        raise InputError(f"{path}: no usable scan or reference run{reason}")
    built = build_runs(joined.runs, files.ascii_scans, config, path)
    problems = [
        *files.problems,
        *unread_files(files),
        *joined.problems,
        *guessed_times(files.logs),
        *_missing_kinds(path, built.runs, refused),
        *built.problems,
    ]
    relative_problems = tuple(make_relative(problem, path) for problem in problems)
    return Beamtime(
        path, built.runs, relative_problems, _lost_runs(refused, built.runs, config)
    )


def _lost_runs(
    refused: Sequence[RefusedRun], runs: Sequence[Run], config: BeamtimeConfig
) -> tuple[RefusedRun, ...]:
    """Return the refused runs that have no usable copy and are not excluded."""
    usable = {name_of(run.kind, run.number) for run in runs}
    excluded = {
        name_of("scan", int(key)) if str(key).isdecimal() else str(key)
        for key in config.exclude.scans
    }
    lost = {run.name: run for run in refused if run.name not in usable | excluded}
    return tuple(lost.values())


def _missing_kinds(
    path: Path, runs: Sequence[Run], refused: Sequence[RefusedRun]
) -> list[str]:
    """Return one line for each kind of run that the beamtime lacks.

    Of runs that are refused, the reasons are reported.
    """
    names = {"scan": "scans", "calibration": "reference runs"}
    kinds = {run.kind for run in runs}
    prefixes = {kind: name_of(kind, 0).rstrip("0") for kind in names}
    return [
        f"{path}: no {name} found; check for missing or unreadable logs"
        for kind, name in names.items()
        if kind not in kinds
        and not any(run.name.startswith(prefixes[kind]) for run in refused)
    ]
