"""Find the runs of a beamtime directory: join its logs, pulses and readings."""

from collections.abc import Sequence
from pathlib import Path

from rixs_pipeline.config import BeamtimeConfig
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.build_runs import build_runs, make_relative
from rixs_pipeline.io.checks.copies import drop_copies
from rixs_pipeline.io.checks.given_offsets import remove_given_offsets
from rixs_pipeline.io.find_files import (
    BeamtimeFiles,
    PulseSetKey,
    collect_files,
    read_problem,
    unread_files,
)
from rixs_pipeline.io.formats import experiment_state, off
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.formats.values import TimeForm
from rixs_pipeline.io.join_pulses import join_pulses
from rixs_pipeline.io.joined_runs import PulseSet
from rixs_pipeline.io.runs import Beamtime, RefusedRun, Run, name_of


def discover(path: Path, config: BeamtimeConfig | None = None) -> Beamtime:
    """Return the runs of a beamtime directory; reads logs and headers, no pulses.

    Problems are one line each, with the file and what to do: those of a run in
    `Run.problems`, all others in `Beamtime.problems`.

    Parameters
    ----------
    path
        The directory.
    config
        Corrects samples, edges and readings, and excludes scans.

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
    files = collect_files(path)
    ends: dict[Path, off.FileEnds] = {}
    pulse_sets = [
        _read_pulse_set(key, off_files, files, ends)
        for key, off_files in sorted(files.off_files.items())
    ]
    distinct = drop_copies(pulse_sets, ends)
    files.problems += distinct.problems
    config = config or BeamtimeConfig()
    logs = remove_given_offsets(files.logs, config.clock_offset)
    joined = join_pulses(logs, distinct.pulse_sets, files.photon_lists, files.refused)
    refused = [
        RefusedRun(run.name, make_relative(run.reason, path)) for run in joined.refused
    ]
    if not joined.runs:
        reasons = [*(run.reason for run in refused), *files.problems, *joined.problems]
        reason = f" ({reasons[0]})" if reasons else ""
        raise InputError(f"{path}: no usable scan or reference run{reason}")
    built = build_runs(joined.runs, files.ascii_scans, config, path)
    problems = [
        *files.problems,
        *unread_files(files),
        *joined.problems,
        *_guessed_times(files.logs),
        *_missing_kinds(path, {run.kind for run in built.runs}),
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


def _guessed_times(logs: Sequence[LogRun]) -> list[str]:
    """Return one line for each form of times that is recognised by their size."""
    files: dict[TimeForm, list[Path]] = {}
    for log in logs:
        if log.time_form.is_guessed and log.log is not None:
            files.setdefault(log.time_form, []).append(log.log)
    problems = []
    for form, paths in files.items():
        count = f" and {len(paths) - 1} more logs" if len(paths) > 1 else ""
        how = "read as such by the size of the numbers"
        if form is TimeForm.TEXT_WITHOUT_ZONE:
            how = "read as UTC"
        problems.append(f"{paths[0]}{count}: times are {form}; {how}")
    return problems


def _missing_kinds(path: Path, kinds: set[str]) -> list[str]:
    """Return one line for each kind of run that the beamtime lacks."""
    names = {"scan": "scans", "calibration": "reference runs"}
    return [
        f"{path}: no {name} found; check for missing or unreadable logs"
        for kind, name in names.items()
        if kind not in kinds
    ]


def _read_pulse_set(
    key: PulseSetKey,
    paths_of_set: list[Path],
    files: BeamtimeFiles,
    ends: dict[Path, off.FileEnds],
) -> PulseSet:
    """Read the headers and experiment states of a set of OFF files.

    Unreadable files are left out and added to the problems; first and last records are
    added to `ends`.
    """
    folder, prefix = key
    headers: dict[Path, off.OffHeader] = {}
    times: list[int] = []
    for path in sorted(paths_of_set, key=off.pixel_number):
        try:
            headers[path] = off.read_header(path)
            file_ends = off.read_ends(path, headers[path])
        except (InputError, OSError) as error:
            files.problems.append(read_problem(path, error))
            continue
        if file_ends:
            ends[path] = file_ends
            times += [file_ends.first_ns, file_ends.last_ns]
    states = experiment_state.ExperimentStates()
    if key in files.state_files:
        states = experiment_state.read(files.state_files[key])
        files.problems.extend(states.problems)
    empty = [path for path, header in headers.items() if header.n_records == 0]
    truncated = [path for path, header in headers.items() if header.truncated_bytes]
    if empty:
        files.problems.append(
            f"{folder / prefix}: no pulses in pixel {_pixel_numbers(empty)} (dead or "
            "switched off); pixel not used"
        )
    if truncated:
        files.problems.append(
            f"{folder / prefix}: last record of pixel {_pixel_numbers(truncated)} is "
            "incomplete (file still being written?); record not used"
        )
    return PulseSet(
        folder=folder,
        prefix=prefix,
        files=tuple(headers),
        first_ns=min(times, default=None),
        last_ns=max(times, default=None),
        states=states.intervals,
    )


def _pixel_numbers(off_files: list[Path]) -> str:
    """Return the pixel numbers of files, such as `3, 5, 7`."""
    return ", ".join(str(off.pixel_number(path)) for path in off_files)
