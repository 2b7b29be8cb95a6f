"""Join what the logs say with the pulses: by the name that the log tells, held against the times of the pulses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import numpy as np

from rixs_pipeline.io.experiment_state import Interval
from rixs_pipeline.io.log_runs import LogRun, reference_window
from rixs_pipeline.io.photon_lists import PHOTON_LIST

_STATE = re.compile(r"(SCAN|CAL)(\d+)")


@dataclass(frozen=True)
class PulseSet:
    """The OFF files of one acquisition: same folder, same prefix, one a pixel, in order of the pixels."""

    folder: Path
    prefix: str
    files: tuple[Path, ...]
    first_ns: int | None  # of all pixels; None: no pulse at all
    last_ns: int | None
    states: tuple[Interval, ...] = ()

    @property
    def name(self) -> Path:
        """What the file names have in common, as a path."""
        return self.folder / self.prefix

    def overlap_ns(self, log: LogRun) -> int:
        """How long the pulses and the run coincide, ns; 0 if they do not."""
        if self.first_ns is None or self.last_ns is None:
            return 0
        return max(min(self.last_ns + 1, log.end_ns) - max(self.first_ns, log.start_ns), 0)


@dataclass(frozen=True)
class Joined:
    """A run with its pulses, before it is named."""

    log: LogRun
    pulses: PulseSet | None
    photon_list: Path | None = None
    problems: tuple[str, ...] = ()


def join(
    logs: Sequence[LogRun], sets: Sequence[PulseSet], photon_lists: Sequence[Path]
) -> tuple[list[Joined], list[str]]:
    """Join each log with its pulses; reference runs that only the experiment states know become runs too.

    Returns:
        The runs in order of time, and one line for each log, set of pulses, state or list that is left over.
    """
    problems: list[str] = []
    for log in logs:
        if len(log.points) == 0:
            problems += [*log.problems, f"{log.log}: {log.state} has no usable point; it is left out"]
    usable, copies = _without_copies([log for log in logs if len(log.points)])
    joined = [_with_pulses(log, sets, photon_lists) for log in usable]
    for pulses in sets:
        from_states, unknown = _from_states(pulses, usable)
        joined += from_states
        problems += unknown
    used = {id(run.pulses) for run in joined}
    problems += [
        f"{pulses.name}: {len(pulses.files)} pulse files without a log (and no CAL state); not used"
        for pulses in sets
        if pulses.files and id(pulses) not in used
    ]
    spare = set(photon_lists) - {run.photon_list for run in joined}
    if spare:
        problems.append(
            f"{min(spare)}: {len(spare)} photon lists are not used: the pulses of their runs are there, or no log is"
        )
    joined.sort(key=lambda run: (run.log.start_ns, run.log.end_ns))
    return joined, copies + problems


def _without_copies(logs: Sequence[LogRun]) -> tuple[list[LogRun], list[str]]:
    """scan_server writes each log twice, for the user and beside the pulses: keep the fuller, then the deeper one."""
    best: dict[tuple[str, int, int], LogRun] = {}
    problems = []
    for log in sorted(logs, key=lambda log: (len(log.points), log.complete, len(log.log.parts if log.log else ()))):
        key = (log.kind, log.number, log.start_ns)
        other = best.get(key)
        if other and (len(other.points), other.sample, other.edge) != (len(log.points), log.sample, log.edge):
            problems.append(f"{other.log}: differs from {log.log} of the same run; the latter is used")
        best[key] = log
    return list(best.values()), problems


def _with_pulses(log: LogRun, sets: Sequence[PulseSet], photon_lists: Sequence[Path]) -> Joined:
    """The set of pulses that the log names, if its times fit; else the set with most time in common."""
    in_time = [pulses for pulses in sets if pulses.overlap_ns(log)]
    named = [pulses for pulses in sets if _named_by(log, pulses) > (0, 0)]
    if in_time:
        best = max(in_time, key=lambda pulses: _fit(log, pulses))
        if named and best not in named:
            problem = f"{log.log}: its data_path '{log.data_path}' has no pulses at its time; joined with {best.name}"
            return Joined(log, best, None, (problem,))
        return Joined(log, best)
    photons = _photon_list(log, photon_lists)
    if photons:
        return Joined(log, None, photons)
    where = f"in {named[0].name}" if named else "in any pulse file"
    return Joined(log, None, None, (f"{log.log}: no pulses at the time of {log.state} {where}; it cannot be reduced",))


def _last_parts(log: LogRun) -> list[str]:
    """The parts of the log's data_path, the last one first; the path may come from any operating system."""
    return list(reversed(re.split(r"[/\\]+", (log.data_path or "").rstrip("/\\"))))


def _named_by(log: LogRun, pulses: PulseSet) -> tuple[int, int]:
    """How well the log's data_path (a file of any pixel, a pfolder, a run directory) names the set.

    The length of the prefix, then the number of folders in common; (0, 0): not at all.
    """
    last, *folders = _last_parts(log)
    same = _in_common(folders, tuple(reversed(pulses.folder.parts)))
    if last == pulses.prefix or last.startswith(f"{pulses.prefix}_"):
        return len(pulses.prefix), same
    return (1, same) if last == pulses.folder.name else (0, 0)


def _in_common(parts: Sequence[str], others: Sequence[str]) -> int:
    """How many parts are equal, from the first on."""
    pairs = zip(parts, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _fit(log: LogRun, pulses: PulseSet) -> tuple[tuple[int, int], int, int]:
    """What decides between sets that have pulses at the run's time: the name, the time, the nearness to the log."""
    near = _in_common(log.log.parent.parts if log.log else (), pulses.folder.parts)
    return _named_by(log, pulses), pulses.overlap_ns(log), near


def _photon_list(log: LogRun, photon_lists: Sequence[Path]) -> Path | None:
    """The list of the run's state with the log's prefix; without a data_path the only list of that state."""
    matches = [(PHOTON_LIST.fullmatch(path.name), path) for path in photon_lists]
    of_state = [(match["prefix"], path) for match, path in matches if match and match["state"] == log.state]
    if log.data_path:
        last = _last_parts(log)[0]
        of_state = [(prefix, path) for prefix, path in of_state if f"{last}_".startswith(f"{prefix}_")]
    return of_state[0][1] if len(of_state) == 1 else None


def _from_states(pulses: PulseSet, logs: Sequence[LogRun]) -> tuple[list[Joined], list[str]]:
    """CAL<n> that no log covers is a reference run with the times of the state; SCAN<n> has no incident energies."""
    joined, problems = [], []
    for interval in pulses.states:
        match = _STATE.fullmatch(interval.label)
        end_ns = interval.end_ns if interval.end_ns is not None else (pulses.last_ns or 0) + 1
        kind = "scan" if match and match[1] == "SCAN" else "calibration"
        covered = any(log.kind == kind and log.start_ns < end_ns and log.end_ns > interval.start_ns for log in logs)
        if match is None or covered or end_ns <= interval.start_ns:
            continue
        if kind == "scan":
            problems.append(
                f"{pulses.name}: state {interval.label} has no log with complete points: "
                "its incident energies are unknown, it cannot be mapped"
            )
            continue
        points = reference_window(float("nan"), np.array([interval.start_ns]), np.array([end_ns]))
        log = LogRun("calibration", int(match[2]), "unknown", points, np.zeros(1, np.int64), 1)
        joined.append(Joined(replace(log, complete=interval.end_ns is not None), pulses))
    return joined, problems
