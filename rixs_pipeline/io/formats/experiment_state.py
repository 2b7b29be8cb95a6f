"""`<prefix>_experiment_state.txt`: what the detector recorded, from when to when."""

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rixs_pipeline.files.opening import FileKind, one_line, read_text, reader
from rixs_pipeline.io.runs import RUN_DIGITS, name_of

RUN_LABEL = re.compile(rf"(SCAN|CAL)({RUN_DIGITS})")
_LATEST_NS = 1 << 62  # in 2116
_SHOWN_LINES = 10  # that are malformed


@dataclass(frozen=True)
class StateInterval:
    """One state, start_ns <= t < end_ns in ns since 1970."""

    start_ns: int
    end_ns: int | None  # None: the last state, which has no end
    label: str

    @property
    def run_name(self) -> str | None:
        """Name of the run that the label means, such as scan0012."""
        match = RUN_LABEL.fullmatch(self.label)
        if match is None:
            return None
        kind = "scan" if match[1] == "SCAN" else "calibration"
        return name_of(kind, int(match[2]))


@dataclass(frozen=True)
class ExperimentStates:
    """The states of one file in order of time, and one line for each malformed line."""

    intervals: tuple[StateInterval, ...] = ()
    problems: tuple[str, ...] = ()


@reader("damaged", "states not used")
def read(path: Path) -> ExperimentStates:
    """Read the states of a file; a repeated label does not start a new state."""
    changes: list[tuple[int, str]] = []
    malformed = []
    lines = read_text(path, FileKind.STATES).splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        time, comma, label = (part.strip() for part in line.partition(","))
        if comma and label and _is_time(time):
            changes.append((int(time), label))
        else:
            malformed.append(number)
    problems = [
        f"{path}: line {number}: '{one_line(lines[number - 1].strip(), 60)}' is not "
        "'unixnano, LABEL'; line ignored"
        for number in malformed[:_SHOWN_LINES]
    ]
    if len(malformed) > _SHOWN_LINES:
        problems.append(
            f"{path}: {len(malformed) - _SHOWN_LINES} more lines are not 'unixnano, "
            "LABEL'; lines ignored"
        )
    changes.sort(key=lambda change: change[0])
    return ExperimentStates(_intervals(changes), tuple(problems))


def _is_time(text: str) -> bool:
    """Return whether a text is a time in ns."""
    is_whole = text.isdecimal() and len(text) <= len(str(_LATEST_NS))
    return is_whole and int(text) <= _LATEST_NS


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
