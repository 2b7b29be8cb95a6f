"""What a log says about one run, before it is joined with pulses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Literal

import numpy as np

from rixs_pipeline.io.runs import Points, Timed
from rixs_pipeline.types import BoolArray, Edge, FloatArray, IntArray


@dataclass(frozen=True)
class LogRun(Timed):
    """One scan or reference run as its log describes it."""

    kind: Literal["scan", "calibration"]
    number: int
    sample: str
    points: Points
    position: IntArray  # (point,): index of each point among the points in the log
    n_logged: int  # points in the log, usable or not
    edge: Edge | None = None
    readings: dict[str, FloatArray] = field(default_factory=dict)
    data_path: str | None = None  # as written; often a path of another machine
    reference: str | None = None  # calibration that the log names, as written
    routine: str | None = None  # reference runs: calibration routine of the beamline
    complete: bool = True
    log: Path | None = None
    problems: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """Label of this run in experiment states and in names of photon lists."""
        prefix = "SCAN" if self.kind == "scan" else "CAL"
        return f"{prefix}{self.number}"


@dataclass(frozen=True)
class TimeWindows:
    """Start and end of time windows, both (window,), ns since 1970."""

    start_ns: IntArray
    end_ns: IntArray

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def has_length(self) -> BoolArray:
        """Whether each window ends after it starts, (window,)."""
        return np.asarray(self.end_ns > self.start_ns)


@dataclass(frozen=True)
class CleanPoints:
    """Usable points of a log."""

    points: Points
    position: IntArray  # (point,): index of each point among those in the log
    problems: tuple[str, ...]  # one line for each kind of defect


def nanoseconds(seconds: float) -> int:
    """Return a time of a log, in seconds, as integer nanoseconds.

    Uses the decimal digits: seconds x 1e9 in float64 is a multiple of 256 ns, which
    would shift a time that was written to the microsecond.
    """
    return round(Decimal(repr(float(seconds))) * 1_000_000_000)


def number_or_nan(value: object) -> float:
    """Return a number as a float; NaN for text, null, a list, ..."""
    return float(value) if isinstance(value, int | float) else float("nan")


def time_windows(limits: Sequence[Sequence[object]]) -> TimeWindows:
    """Return windows [start, end] in seconds as integer nanoseconds.

    A window without a start or an end becomes empty: (0, 0).
    """
    table = np.zeros((len(limits), 2), dtype=np.int64)
    for row, (start, end) in zip(table, limits, strict=True):
        start_s = number_or_nan(start)
        end_s = number_or_nan(end)
        if isfinite(start_s) and isfinite(end_s):
            row[:] = nanoseconds(start_s), nanoseconds(end_s)
    return TimeWindows(start_ns=table[:, 0], end_ns=table[:, 1])


def reference_window(energy: float, windows: TimeWindows) -> Points:
    """Return the single point of a reference run, from the first start to the last end.

    Parameters
    ----------
    energy
        Energy of the parked monochromator, eV; NaN: unknown.
    windows
        Time windows of the run; empty ones are ignored.

    Returns
    -------
    Points
        One point, or none if all windows are empty.
    """
    used = windows.has_length
    if not used.any():
        return Points(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    return Points(
        incident_energy=np.array([energy]),
        start_ns=windows.start_ns[used].min(keepdims=True),
        end_ns=windows.end_ns[used].max(keepdims=True),
    )


def clean_points(energy: FloatArray, windows: TimeWindows, source: str) -> CleanPoints:
    """Return the usable points in order of time, so that no pulse counts twice.

    A window that overlaps the next one ends where that one starts. Points without a
    finite energy or with an empty window are left out.

    Parameters
    ----------
    energy
        (point,) incident energy, eV.
    windows
        (point,) time window of each point.
    source
        The log, as the problems name it.

    Returns
    -------
    CleanPoints
        The points, their positions in the arguments, and the problems.
    """
    has_energy = np.isfinite(energy)
    has_time = windows.has_length
    usable = np.flatnonzero(has_energy & has_time)
    order = usable[np.argsort(windows.start_ns[usable], kind="stable")]
    start = windows.start_ns[order]
    end = windows.end_ns[order]
    overlapping = end[:-1] > start[1:]
    end[:-1] = np.minimum(end[:-1], start[1:])
    kept = end > start
    points = Points(energy[order][kept], start[kept], end[kept])
    defects = {
        "have no finite incident energy; omitted": np.sum(~has_energy),
        "have no time, or end before they start; omitted": np.sum(
            has_energy & ~has_time
        ),
        "overlap with the next point; shortened to its start": np.sum(overlapping),
    }
    problems = tuple(
        f"{source}: {count} of {len(energy)} points {defect}"
        for defect, count in defects.items()
        if count
    )
    return CleanPoints(points, order[kept], problems)
