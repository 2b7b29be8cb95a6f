"""What a scan log says about one run, before it is joined with pulses; what all kinds of logs share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.io.runs import Points, Timed
from rixs_pipeline.types import Edge


@dataclass(frozen=True)
class LogRun(Timed):
    """One scan or reference run as its log has it.

    `position` i8 (point,): where each point stands in the log, of the `logged` points that it names.
    """

    kind: Literal["scan", "calibration"]
    number: int
    sample: str
    points: Points
    position: NDArray[np.int64]
    logged: int
    edge: Edge | None = None
    readings: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    data_path: str | None = (
        None  # a pulse file or folder, as written: often of another machine
    )
    reference: str | None = None  # the calibration that the log names, as written
    routine: str | None = (
        None  # calibrations: what made the energy scale at the beamline
    )
    complete: bool = True
    log: Path | None = None
    problems: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """The label of this run in the experiment states and in the names of photon lists."""
        return f"{'SCAN' if self.kind == 'scan' else 'CAL'}{self.number}"


def nanoseconds(seconds: float) -> int:
    """Seconds as a log writes them, in integer ns.

    Goes through the decimal digits: seconds x 1e9 in float64 is a multiple of 256 ns and would move
    what was written to the microsecond.
    """
    return round(Decimal(repr(float(seconds))) * 1_000_000_000)


def number_or_nan(value: object) -> float:
    """A number of a log as a float; NaN for everything that is none (text, null, a list)."""
    return float(value) if isinstance(value, int | float) else float("nan")


def windows_ns(
    windows: Sequence[Sequence[object]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends, i8 (window,), of [start, end] in seconds; a window that lacks a time is empty: (0, 0)."""
    pairs = []
    for window in windows:
        start, end = (number_or_nan(time) for time in window)
        known = isfinite(start) and isfinite(end)
        pairs.append((nanoseconds(start), nanoseconds(end)) if known else (0, 0))
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def reference_window(
    energy: float, start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]
) -> Points:
    """The points of a reference run: one, from the first start to the last end, or none if no window lasts.

    `energy` (eV) is that of the parked monochromator, NaN if unknown; start_ns, end_ns (window,).
    """
    lasting = end_ns > start_ns
    if not lasting.any():
        return Points(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    return Points(
        np.array([energy]),
        start_ns[lasting].min(keepdims=True),
        end_ns[lasting].max(keepdims=True),
    )


def clean_points(
    energy: NDArray[np.float64],
    start_ns: NDArray[np.int64],
    end_ns: NDArray[np.int64],
    where: object,
) -> tuple[Points, NDArray[np.int64], tuple[str, ...]]:
    """Points in order of time whose windows are not empty and do not overlap, so that no pulse counts twice.

    A window that reaches into the next one is cut at its start; points without a finite energy (eV) or with an
    empty window are left out. All arguments (point,); `where` names the log in the problems.

    Returns:
        The points, the index of each in the arguments, and one line for each kind of defect.
    """
    dark, empty = ~np.isfinite(energy), end_ns <= start_ns
    order = np.flatnonzero(~dark & ~empty)
    order = order[np.argsort(start_ns[order], kind="stable")]
    start, end = start_ns[order], end_ns[order]
    overlapping = end[:-1] > start[1:]
    end[:-1] = np.minimum(end[:-1], start[1:])
    lasting = end > start
    points = Points(energy[order][lasting], start[lasting], end[lasting])
    defects = {
        "without a finite incident energy: left out": dark.sum(),
        "that end before they start or have no time: left out": (empty & ~dark).sum(),
        "that overlap the next one: cut at its start": overlapping.sum(),
    }
    problems = tuple(
        f"{where}: {n} of {len(energy)} points {text}"
        for text, n in defects.items()
        if n
    )
    return points, order[lasting], problems
