"""Join what the logs say with the pulses: by name, checked against the times."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np

from rixs_pipeline.io.beamtime.checks.overlaps import settle_overlaps
from rixs_pipeline.io.beamtime.joined_runs import JoinedRun, JoinedRuns, PulseSet
from rixs_pipeline.io.formats.experiment_state import RUN_LABEL, StateInterval
from rixs_pipeline.io.formats.log import LogRun, TimeWindows, reference_points
from rixs_pipeline.io.formats.photon_list import PHOTON_LIST
from rixs_pipeline.io.runs import NS_PER_S, RefusedRun, name_of
from rixs_pipeline.types import IntArray

# Share of the shorter of two logs of one number, in time, from which on they are copies
COPY_SHARE = 0.5
_PATH_SEPARATORS = re.compile(r"[/\\]+")  # of any operating system


@dataclass(frozen=True, order=True)
class _Match:
    """How well a set of pulses matches a log; earlier fields outweigh later ones."""

    prefix_length: int  # of the data_path that names the set; 0: it does not
    common_folders: int  # in the data_path and the path of the pulses
    overlap_ns: int
    common_parents: int  # in the path of the log and the path of the pulses


def join_pulses(
    logs: Sequence[LogRun],
    pulse_sets: Sequence[PulseSet],
    photon_lists: Sequence[Path],
    damaged: Sequence[RefusedRun] = (),
) -> JoinedRuns:
    """Join each log with its pulses.

    Parameters
    ----------
    logs
        Runs of all logs.
    pulse_sets
        Their experiment states give reference runs that have no log.
    photon_lists
        Used for runs without pulses.
    damaged
        Runs whose logs cannot be read; they are among those that are refused.

    Returns
    -------
    JoinedRuns
        With a problem for each unused log, set of pulses, state or photon list.
    """
    usable = [log for log in logs if len(log.points)]
    problems: list[str] = []
    refused = list(damaged)
    for log in logs:
        if log.refusal:
            problems += log.problems
            reason = f"{log.log}: {log.name}: {log.refusal}; not used"
            refused.append(RefusedRun(log.name, reason))
        elif len(log.points) == 0:
            problems += log.problems
            problems.append(f"{log.log}: {log.state} has no usable points; not used")
    different_copies: list[str] = []
    usable = _drop_copies(usable, different_copies)
    runs = [_find_pulses(log, pulse_sets, photon_lists) for log in usable]
    settled = settle_overlaps(runs)
    refused += settled.refused
    runs = list(settled.runs)
    logged = list(runs)
    refused_names = {run.name for run in refused}
    for pulses in pulse_sets:
        runs += _runs_from_states(pulses, logged, refused_names, problems)
    settled = settle_overlaps(runs)
    used_sets = {id(run.pulses) for run in runs}
    for pulses in pulse_sets:
        if pulses.files and id(pulses) not in used_sets:
            problems.append(
                f"{pulses.name}: {len(pulses.files)} pulse files without a log and "
                "without a CAL state; not used"
            )
    unused_lists = set(photon_lists) - {run.photon_list for run in runs}
    if unused_lists:
        problems.append(
            f"{min(unused_lists)}: {len(unused_lists)} photon lists not used (their "
            "runs have pulse files, or no log)"
        )
    return JoinedRuns(
        runs=settled.runs,
        problems=tuple(different_copies + problems),
        refused=(*refused, *settled.refused),
    )


def _drop_copies(logs: Sequence[LogRun], problems: list[str]) -> list[LogRun]:
    """Return each log once: of copies the one with more points, else in more folders.

    scan_server writes each log twice, for the user and next to the pulses. Copies that
    differ are added to the problems.
    """
    by_run: dict[tuple[str, int], list[LogRun]] = {}
    for log in sorted(logs, key=_completeness):
        others = []
        for kept in by_run.get((log.kind, log.number), []):
            if not _is_copy(kept, log):
                others.append(kept)
            elif _content(kept) != _content(log):
                problems.append(
                    f"{kept.log}: differs from {log.log} of the same run; using the "
                    "latter"
                )
        by_run[log.kind, log.number] = [*others, log]
    return [log for kept in by_run.values() for log in kept]


def _is_copy(first: LogRun, second: LogRun) -> bool:
    """Return whether two logs of one number are of the same run: at the same time.

    Copies may have more or fewer points, or times that are rounded otherwise.
    """
    common = min(first.end_ns, second.end_ns) - max(first.start_ns, second.start_ns)
    shorter = min(first.end_ns - first.start_ns, second.end_ns - second.start_ns)
    return common > COPY_SHARE * shorter


def _completeness(log: LogRun) -> tuple[int, ...]:
    """Return what decides between copies of a log; the largest wins."""
    n_folders = len(log.log.parts) if log.log else 0
    return len(log.points), int(log.complete), n_folders


def _content(log: LogRun) -> tuple[object, ...]:
    """Return what copies of a log have in common."""
    energies = log.points.incident_energy.tobytes()
    start_s = round(log.start_ns / NS_PER_S, ndigits=1)  # some round their times
    return len(log.points), log.sample, log.edge, energies, start_s


def _find_pulses(
    log: LogRun, pulse_sets: Sequence[PulseSet], photon_lists: Sequence[Path]
) -> JoinedRun:
    """Join a log with the best match of all pulses at its time, or a photon list."""
    matches = [_match(log, pulses) for pulses in pulse_sets]
    pairs = list(zip(matches, pulse_sets, strict=True))
    named = [pulses for match, pulses in pairs if match.prefix_length]
    in_time = [(match, pulses) for match, pulses in pairs if match.overlap_ns]
    if in_time:
        best, pulses = max(in_time, key=lambda pair: pair[0])
        if named and not best.prefix_length:
            problem = (
                f"{log.log}: no pulses in `data_path` '{log.data_path}' during the "
                f"run; using {pulses.name}"
            )
            return JoinedRun(log, pulses, problems=(problem,))
        return JoinedRun(log, pulses)
    photon_list = _find_photon_list(log, photon_lists)
    if photon_list:
        return JoinedRun(log, pulses=None, photon_list=photon_list)
    place = f"in {named[0].name}" if named else "in any pulse file"
    labelled = [
        pulses
        for pulses in named or pulse_sets
        if any(state.label == log.state for state in pulses.states)
    ]
    if len(labelled) == 1:  # its clock may be wrong: its label says where it belongs
        return JoinedRun(log, labelled[0])
    problem = f"{log.log}: no pulses during {log.state} {place}; not reduced"
    return JoinedRun(log, pulses=None, problems=(problem,))


def _match(log: LogRun, pulses: PulseSet) -> _Match:
    """Return how well a set of pulses matches a log.

    The data_path of a log is the file of any pixel, a pfolder or a run directory.
    """
    name, *folders = _data_path_parts(log)
    prefix_length = 0
    if name == pulses.prefix or name.startswith(f"{pulses.prefix}_"):
        prefix_length = len(pulses.prefix)
    elif name == pulses.folder.name:
        prefix_length = 1
    common_folders = 0
    if prefix_length:
        pulse_folders = tuple(reversed(pulses.folder.parts))
        common_folders = _count_equal(folders, pulse_folders)
    log_folders = log.log.parent.parts if log.log else ()
    return _Match(
        prefix_length=prefix_length,
        common_folders=common_folders,
        overlap_ns=pulses.overlap_ns(log),
        common_parents=_count_equal(log_folders, pulses.folder.parts),
    )


def _data_path_parts(log: LogRun) -> list[str]:
    """Return the parts of the log's data_path, the last part first."""
    data_path = (log.data_path or "").rstrip("/\\")
    return list(reversed(_PATH_SEPARATORS.split(data_path)))


def _count_equal(parts: Sequence[str], reference: Sequence[str]) -> int:
    """Return how many parts are equal, from the first on."""
    pairs = zip(parts, reference, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _find_photon_list(log: LogRun, photon_lists: Sequence[Path]) -> Path | None:
    """Return the only photon list of the run's state whose prefix fits its data_path.

    Without a data_path any prefix fits.
    """
    data_name = f"{_data_path_parts(log)[0]}_"
    fitting = []
    for path in photon_lists:
        match = PHOTON_LIST.fullmatch(path.name)
        if match is None or match["state"] != log.state:
            continue
        if not log.data_path or data_name.startswith(f"{match['prefix']}_"):
            fitting.append(path)
    return fitting[0] if len(fitting) == 1 else None


def _is_in_label(log: LogRun, labelled: Sequence[StateInterval]) -> bool:
    """Return whether a run coincides with a state of its label: its clock is right."""
    return any(
        log.end_ns > state.start_ns
        and (state.end_ns is None or log.start_ns < state.end_ns)
        for state in labelled
    )


def _time_spans(runs: Sequence[JoinedRun], kind: str) -> tuple[IntArray, IntArray]:
    """Return the starts and the ends of the logged runs of a kind, i8 (run,), ns."""
    logs = [run.log for run in runs if run.log.kind == kind]
    starts = np.array([log.start_ns for log in logs], np.int64)
    return starts, np.array([log.end_ns for log in logs], np.int64)


def _runs_from_states(
    pulses: PulseSet,
    joined: Sequence[JoinedRun],
    refused_names: Collection[str],
    problems: list[str],
) -> list[JoinedRun]:
    """Return the reference runs that only the experiment states know.

    CAL<n> without a log is a reference run with the times of the state. SCAN<n> without
    a log has no incident energies, which is added to the problems. Runs whose logs are
    refused are left out.
    """
    labelled: dict[str, list[StateInterval]] = {}
    for interval in pulses.states:
        labelled.setdefault(interval.label, []).append(interval)
    elsewhere = {  # states whose runs are at another time
        run.log.state
        for run in joined
        if run.pulses is pulses
        and not _is_in_label(run.log, labelled.get(run.log.state, []))
    }
    logged = {kind: _time_spans(joined, kind) for kind in ("scan", "calibration")}
    runs = []
    for interval in pulses.states:
        state = RUN_LABEL.fullmatch(interval.label)
        start_ns, end_ns = interval.start_ns, interval.end_ns
        if end_ns is None:
            end_ns = (pulses.last_ns or 0) + 1
        if state is None or end_ns <= start_ns:
            continue
        kind = "scan" if state[1] == "SCAN" else "calibration"
        starts, ends = logged[kind]
        is_logged = bool(((starts < end_ns) & (ends > start_ns)).any())
        if (
            is_logged
            or interval.label in elsewhere
            or name_of(kind, int(state[2])) in refused_names
        ):
            continue
        if kind == "scan":
            problems.append(
                f"{pulses.name}: incident energies of state {interval.label} unknown "
                "(no log with complete points); not used"
            )
            continue
        windows = TimeWindows(np.array([start_ns]), np.array([end_ns]))
        log = LogRun(
            kind="calibration",
            number=int(state[2]),
            sample="unknown",
            points=reference_points(float("nan"), windows),
            position=np.zeros(1, np.int64),
            n_logged=1,
            complete=interval.end_ns is not None,
        )
        runs.append(JoinedRun(log, pulses))
    return runs
