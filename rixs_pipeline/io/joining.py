"""Join what the logs say with the pulses, by name held against their times, and with the files of readings."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

import numpy as np

from rixs_pipeline.io.formats.experiment_state import StateInterval
from rixs_pipeline.io.formats.log import LogRun, TimeWindows, reference_window
from rixs_pipeline.io.formats.photon_list import PHOTON_LIST
from rixs_pipeline.io.formats.ssrl_ascii import AsciiScan

_STATE = re.compile(r"(SCAN|CAL)(\d+)")
_HOUR = 3_600_000_000_000  # ns

_T = TypeVar("_T")


@dataclass(frozen=True)
class PulseSet:
    """The OFF files of one acquisition: same folder, same prefix, one a pixel, in order of the pixels."""

    folder: Path
    prefix: str
    files: tuple[Path, ...]
    first_ns: int | None  # of all pixels; None: no pulse at all
    last_ns: int | None
    states: tuple[StateInterval, ...] = ()

    @property
    def name(self) -> Path:
        """What the file names have in common, as a path."""
        return self.folder / self.prefix

    def overlap_ns(self, log: LogRun) -> int:
        """How long the pulses and the run coincide, ns; 0 if they do not."""
        if self.first_ns is None or self.last_ns is None:
            return 0
        return max(
            min(self.last_ns + 1, log.end_ns) - max(self.first_ns, log.start_ns), 0
        )


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
            problems += [
                *log.problems,
                f"{log.log}: {log.state} has no usable point; it is left out",
            ]
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
    for log in sorted(
        logs,
        key=lambda log: (
            len(log.points),
            log.complete,
            len(log.log.parts if log.log else ()),
        ),
    ):
        key = (log.kind, log.number, log.start_ns)
        other = best.get(key)
        if other and (len(other.points), other.sample, other.edge) != (
            len(log.points),
            log.sample,
            log.edge,
        ):
            problems.append(
                f"{other.log}: differs from {log.log} of the same run; the latter is used"
            )
        best[key] = log
    return list(best.values()), problems


def _with_pulses(
    log: LogRun, sets: Sequence[PulseSet], photon_lists: Sequence[Path]
) -> Joined:
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
    return Joined(
        log,
        None,
        None,
        (
            f"{log.log}: no pulses at the time of {log.state} {where}; it cannot be reduced",
        ),
    )


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
    of_state = [
        (match["prefix"], path)
        for match, path in matches
        if match and match["state"] == log.state
    ]
    if log.data_path:
        last = _last_parts(log)[0]
        of_state = [
            (prefix, path)
            for prefix, path in of_state
            if f"{last}_".startswith(f"{prefix}_")
        ]
    return of_state[0][1] if len(of_state) == 1 else None


def _from_states(
    pulses: PulseSet, logs: Sequence[LogRun]
) -> tuple[list[Joined], list[str]]:
    """CAL<n> that no log covers is a reference run with the times of the state; SCAN<n> has no incident energies."""
    joined, problems = [], []
    for interval in pulses.states:
        match = _STATE.fullmatch(interval.label)
        end_ns = (
            interval.end_ns
            if interval.end_ns is not None
            else (pulses.last_ns or 0) + 1
        )
        kind = "scan" if match and match[1] == "SCAN" else "calibration"
        covered = any(
            log.kind == kind
            and log.start_ns < end_ns
            and log.end_ns > interval.start_ns
            for log in logs
        )
        if match is None or covered or end_ns <= interval.start_ns:
            continue
        if kind == "scan":
            problems.append(
                f"{pulses.name}: state {interval.label} has no log with complete points: "
                "its incident energies are unknown, it cannot be mapped"
            )
            continue
        points = reference_window(
            float("nan"), TimeWindows(np.array([interval.start_ns]), np.array([end_ns]))
        )
        log = LogRun(
            "calibration", int(match[2]), "unknown", points, np.zeros(1, np.int64), 1
        )
        joined.append(
            Joined(replace(log, complete=interval.end_ns is not None), pulses)
        )
    return joined, problems


def join_readings(
    scans: Mapping[str, Joined], files: Sequence[AsciiScan], settled: Collection[str]
) -> tuple[dict[str, AsciiScan], dict[str, str], list[str]]:
    """Join scans, by name, with the files of readings of their number, where no other match is possible.

    Of several scans of a number, or files of a scan, the folder, date and sample must single out one.

    Returns:
        The file of each scan; for each scan with files of which none has its rows one line; and one line for each
        number of which a file may belong to several scans, or several files to one that is not `settled`.
    """
    readings: dict[str, AsciiScan] = {}
    misfits: dict[str, str] = {}
    unclear: list[str] = []
    for number in sorted({file.number for file in files if file.number is not None}):
        same = {name: run for name, run in scans.items() if run.log.number == number}
        of_number = [file for file in files if file.number == number]
        owners = {
            file.path: _told(
                list(same), [_evidence(run, file) for run in same.values()]
            )
            for file in of_number
        }
        open_files: dict[str, list[AsciiScan]] = {}
        for name, run in same.items():
            mine = [file for file in of_number if name in owners[file.path]]
            fitting = [file for file in mine if fits(run.log, file)]
            best = _told(fitting, [_evidence(run, file) for file in fitting])
            if mine and not fitting:
                misfits[name] = (
                    f"{mine[0].path}: {mine[0].n_rows} rows do not fit the {run.log.n_logged} points of scan {number}; "
                    "its readings are not used"
                )
            elif len(best) == 1 and owners[best[0].path] == [name]:
                readings[name] = best[0]
            elif fitting and name not in settled:
                open_files[name] = fitting
        if open_files:
            paths = dict.fromkeys(
                str(file.path) for mine in open_files.values() for file in mine
            )
            told = dict.fromkeys(
                name
                for file in of_number
                if str(file.path) in paths
                for name in owners[file.path]
            )
            unclear.append(
                f"{', '.join(paths)}: may hold the readings of {', '.join(told)}: folder, date and sample do not "
                f"tell; not used; set beamtime.scans.<name>.readings for {', '.join(open_files)}"
            )
    return readings, misfits, unclear


def fits(log: LogRun, file: AsciiScan) -> bool:
    """A row for each point that the log names, or for each that was completed."""
    return file.n_rows in (log.n_logged, len(log.points))


def _told(candidates: Sequence[_T], evidence: Sequence[tuple[bool, ...]]) -> list[_T]:
    """The candidates for which all speaks that speaks for any; all of them where what speaks is in contradiction."""
    speaking = [kind for kind in zip(*evidence, strict=True) if any(kind)]
    best = [
        one for i, one in enumerate(candidates) if all(kind[i] for kind in speaking)
    ]
    return best or list(candidates)


def _evidence(run: Joined, file: AsciiScan) -> tuple[bool, ...]:
    """Whether the folder, the date and the sample of a file speak for a scan."""
    folders = [run.pulses.folder] if run.pulses else []
    folders += [run.log.log.parent] if run.log.log else []
    sample = file.sample.casefold()
    return (
        file.path.parent in folders,
        _in_time(run.log, file.date),
        sample == run.log.sample.strip().casefold(),
    )


def _in_time(log: LogRun, date: str) -> bool:
    """Whether a date without a time zone can be within the run: local time is UTC - 12 h to UTC + 14 h."""
    try:
        seconds = (
            datetime.strptime(date, "%a %b %d %H:%M:%S %Y")
            .replace(tzinfo=UTC)
            .timestamp()
        )
    except ValueError:
        return False  # another form of date tells nothing
    return log.start_ns - 12 * _HOUR <= seconds * 1e9 <= log.end_ns + 14 * _HOUR
