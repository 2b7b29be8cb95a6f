"""`<prefix>_experiment_state.txt`: what the detector recorded, from when to when."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path


@dataclass(frozen=True)
class StateInterval:
    """One state, start_ns <= t < end_ns in ns since 1970."""

    start_ns: int
    end_ns: int | None  # None: the last state, which has no end
    label: str


@dataclass(frozen=True)
class ExperimentStates:
    """The states of one file in order of time, and one line for each malformed line."""

    intervals: tuple[StateInterval, ...] = ()
    problems: tuple[str, ...] = ()


def read(path: Path) -> ExperimentStates:
    """Read the states of a file; a repeated label does not start a new state."""
    changes: list[tuple[int, str]] = []
    problems = []
    lines = path.read_text(errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        time, comma, label = (part.strip() for part in line.partition(","))
        if comma and time.isdecimal() and label:
            changes.append((int(time), label))
        else:
            problems.append(
                f"{path}: line {number}: '{line.strip()[:60]}' is not "
                "'unixnano, LABEL'; line ignored"
            )
    changes.sort(key=lambda change: change[0])
    return ExperimentStates(_intervals(changes), tuple(problems))


def _intervals(changes: list[tuple[int, str]]) -> tuple[StateInterval, ...]:
    """Return the intervals between changes: time in ns, new label."""
    starts = [
        next(group) for _, group in groupby(changes, key=lambda change: change[1])
    ]
    ends = [*(time for time, _ in starts[1:]), None]
    return tuple(
        StateInterval(start_ns, end_ns, label)
        for (start_ns, label), end_ns in zip(starts, ends, strict=False)
    )
