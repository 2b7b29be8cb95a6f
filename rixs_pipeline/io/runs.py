"""What a beamtime directory holds: the result of discovery, used by all stages."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from rixs_pipeline.types import Edge, FloatArray, IntArray

NS_PER_S = 1e9


@dataclass(frozen=True)
class Points:
    """The points of a run in the order they were measured.

    A pulse at time t belongs to a point when start <= t < end. The time windows ascend
    and do not overlap. Those of a reference run are its parts, mostly one; their energy
    is that of the parked monochromator (NaN: unknown).
    """

    incident_energy: FloatArray  # (point,), eV
    start_ns: IntArray  # (point,), ns since 1970
    end_ns: IntArray  # (point,), ns since 1970

    def __len__(self) -> int:
        return len(self.incident_energy)

    @property
    def duration(self) -> FloatArray:
        """Duration of each point, (point,), s."""
        return np.asarray((self.end_ns - self.start_ns) / NS_PER_S)

    @cached_property
    def middle(self) -> FloatArray:
        """Middle of each point, (point,), seconds since 1970."""
        return np.asarray((self.start_ns / 2 + self.end_ns / 2) / NS_PER_S)


class Timed:
    """Times of a run, from its first point to its last."""

    points: Points

    @property
    def start_ns(self) -> int:
        """Start of the first point, ns since 1970."""
        return int(self.points.start_ns[0])

    @property
    def end_ns(self) -> int:
        """End of the last point, ns since 1970."""
        return int(self.points.end_ns[-1])

    @property
    def start(self) -> float:
        """Start of the first point, seconds since 1970."""
        return self.start_ns / NS_PER_S

    @property
    def end(self) -> float:
        """End of the last point, seconds since 1970."""
        return self.end_ns / NS_PER_S

    @property
    def middle(self) -> float:
        """Half way between start and end, seconds since 1970."""
        return (self.start_ns + self.end_ns) / (2 * NS_PER_S)

    @property
    def duration(self) -> float:
        """Time from start to end, s."""
        return (self.end_ns - self.start_ns) / NS_PER_S


def move_points(points: Points, seconds: float) -> Points:
    """Return points at later times."""
    shift_ns = round(seconds * NS_PER_S)
    return replace(
        points, start_ns=points.start_ns + shift_ns, end_ns=points.end_ns + shift_ns
    )


@dataclass(frozen=True)
class ClockOffset:
    """Time in a log minus that of the detector, with its standard deviation, s.

    The error is 0 where the config gives the offset.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Run(Timed):
    """One scan (a pass) or one reference run."""

    kind: Literal["scan", "calibration"]
    number: int  # scan_num, cal number, or htxs
    name: str  # scan0001, cal0000; after the directory where numbers come back
    directory: str  # of the pulses in the beamtime, its parts joined by `-`
    sample: str
    edge: Edge | None  # None: neither in the log nor clear from the incident range
    points: Points
    # channel -> (point,), NaN where missing
    readings: dict[str, FloatArray] = field(default_factory=dict)
    pulse_files: tuple[Path, ...] = ()  # one OFF file a pixel
    photon_list: Path | None = None  # an already calibrated list instead
    log: Path | None = None
    readings_file: Path | None = None  # SSRL ASCII file of the readings
    reference_run: str | None = None  # that the log names, as written there
    complete: bool = True  # False: aborted, or still running
    problems: tuple[str, ...] = ()  # one line each
    label_ns: tuple[int, int] | None = None  # of its state label, ns since 1970
    clock_offset: ClockOffset | None = None  # removed from the points
    beamtime: str = ""  # its number at the facility; empty: the log has none

    def with_clock_offset(self, offset: ClockOffset) -> "Run":
        """Return the run with the times of the detector's clock.

        An offset that was removed before is added to the one that is recorded.
        """
        points = move_points(self.points, -offset.value)
        before = self.clock_offset.value if self.clock_offset else 0.0
        total = ClockOffset(before + offset.value, offset.error)
        return replace(self, points=points, clock_offset=total)


MAX_RUN_NUMBER = 10**9  # runs have smaller numbers
RUN_DIGITS = r"\d{1,9}"  # of the number of a run, in a regular expression


def name_of(kind: str, number: int) -> str:
    """Return the name of a run by kind and number: scan0001, cal0000."""
    prefix = "scan" if kind == "scan" else "cal"
    return f"{prefix}{number:04d}"


def count_files(runs: Iterable[Run]) -> int:
    """Return the number of pulse files of runs; of each run one a pixel."""
    return sum(len(run.pulse_files) for run in runs)


@dataclass(frozen=True)
class RefusedRun:
    """A scan or reference run that was measured and cannot be used."""

    name: str  # such as scan0001
    reason: str  # one line: subject, cause, what to do


@dataclass(frozen=True)
class Beamtime:
    """All runs in order of time, and the problems of no single run."""

    path: Path
    runs: tuple[Run, ...]
    problems: tuple[str, ...] = ()  # one line each
    refused: tuple[RefusedRun, ...] = ()  # not among `runs`

    @property
    def losses(self) -> tuple[str, ...]:
        """One line for each run that cannot be used at all."""
        return tuple(run.reason for run in self.refused)

    @property
    def scans(self) -> tuple[Run, ...]:
        """The scans, in order of time."""
        return tuple(run for run in self.runs if run.kind == "scan")

    @property
    def calibrations(self) -> tuple[Run, ...]:
        """The reference runs, in order of time."""
        return tuple(run for run in self.runs if run.kind == "calibration")
