"""`<prefix>_experiment_state.txt`: what the detector was recording, from one moment to the next."""

from pathlib import Path
from typing import NamedTuple


class Interval(NamedTuple):
    """One state, start_ns <= t < end_ns, ns since 1970; `end_ns` None: it is the last one and has no end."""

    start_ns: int
    end_ns: int | None
    label: str


def read(path: Path) -> tuple[list[Interval], list[str]]:
    """Read the states in order of time; a label that is only repeated does not start a new one.

    Returns:
        The intervals, and one line for each line of the file that is malformed (and was left out).
    """
    changes: list[tuple[int, str]] = []
    problems: list[str] = []
    for number, line in enumerate(
        path.read_text(errors="replace").splitlines(), start=1
    ):
        if not line.strip() or line.startswith("#"):
            continue
        time, comma, label = line.partition(",")
        if not comma or not time.strip().isdecimal() or not label.strip():
            problems.append(
                f"{path}: line {number}: '{line.strip()[:60]}' is not 'unixnano, LABEL'; ignored"
            )
            continue
        changes.append((int(time), label.strip()))
    changes.sort(key=lambda change: change[0])
    changes = [
        change
        for i, change in enumerate(changes)
        if i == 0 or change[1] != changes[i - 1][1]
    ]
    ends = [*(time for time, _ in changes[1:]), None]
    return [
        Interval(start, end, label)
        for (start, label), end in zip(changes, ends, strict=False)
    ], problems
