"""What a log says about one run, before it is joined with pulses."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from rixs_pipeline.io.formats.values import TimeForm, parse_time
from rixs_pipeline.io.runs import ClockOffset, Points, Timed, name_of
from rixs_pipeline.types import (
    PLAUSIBLE_ENERGIES,
    BoolArray,
    Edge,
    FloatArray,
    IntArray,
)

LOWEST_ENERGY, HIGHEST_ENERGY = PLAUSIBLE_ENERGIES

NO_POINTS = Points(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))


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
    time_form: TimeForm = TimeForm.SECONDS
    clock_offset: ClockOffset | None = None  # of the config, removed from the points
    beamtime: str = ""  # its number at the facility
    refusal: str = ""  # why the run cannot be used; its points are then none

    @property
    def name(self) -> str:
        """Name such as scan0001 or cal0000."""
        return name_of(self.kind, self.number)

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
    form: TimeForm = TimeForm.SECONDS  # as the log writes them

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


def time_windows(
    limits: Sequence[Sequence[object]], keys: tuple[str, str] = ("start", "end")
) -> TimeWindows:
    """Return windows [start, end] as integer nanoseconds.

    Parameters
    ----------
    limits
        Start and end of each window, as `values.parse_time` reads them. A window
        without a start or an end becomes empty: (0, 0).
    keys
        Of starts and ends in the log, for messages.

    Returns
    -------
    TimeWindows
        In the order of `limits`.

    Raises
    ------
    ValueError
        A value is not a time, or times are written in different forms.
    """
    table = np.zeros((len(limits), 2), dtype=np.int64)
    forms: dict[TimeForm, str] = {}  # form -> key where it occurs
    for row, window in zip(table, limits, strict=True):
        times = [parse_time(time, key) for time, key in zip(window, keys, strict=True)]
        for time, key in zip(times, keys, strict=True):
            if time is not None:
                forms.setdefault(time.form, key)
        start, end = times
        if start is not None and end is not None:
            row[:] = start.ns, end.ns
    if len(forms) > 1:
        mixture = " and ".join(f"{form} (`{key}`)" for form, key in forms.items())
        raise ValueError(f"times in different forms: {mixture}")
    form = next(iter(forms), TimeForm.SECONDS)
    return TimeWindows(start_ns=table[:, 0], end_ns=table[:, 1], form=form)


def reference_points(energy: float, windows: TimeWindows) -> Points:
    """Return the points of a reference run: its time windows, without gaps in between.

    Parameters
    ----------
    energy
        Energy of the parked monochromator, eV; NaN: unknown.
    windows
        Time windows of the run; empty ones are ignored, overlapping and adjacent ones
        become one.

    Returns
    -------
    Points
        In order of time; none if all windows are empty.
    """
    used = windows.has_length
    order = np.argsort(windows.start_ns[used], kind="stable")
    start = windows.start_ns[used][order]
    end = np.maximum.accumulate(windows.end_ns[used][order])
    is_first = np.ones(len(start), bool)
    is_first[1:] = start[1:] > end[:-1]
    is_last = np.roll(is_first, -1)
    return Points(
        incident_energy=np.full(int(is_first.sum()), energy),
        start_ns=start[is_first],
        end_ns=end[is_last],
    )


def refuse_unusable(run: LogRun, windows: TimeWindows, implausible: str) -> LogRun:
    """Return a run, refused where its log has points but none that can be used.

    Parameters
    ----------
    run
        As its log describes it.
    windows
        Time windows of its complete points.
    implausible
        What is wrong with its incident energies; nothing where they are plausible.

    Returns
    -------
    LogRun
        One without a complete point was aborted or has just started: not refused.
    """
    if implausible:
        return replace(run, points=NO_POINTS, refusal=implausible)
    if len(windows) and not len(run.points):
        return replace(run, refusal="no usable points")
    return run


def find_implausible(energy: FloatArray) -> str:
    """Return what is wrong with incident energies that cannot be those of a scan.

    Parameters
    ----------
    energy
        Incident energies, (point,), eV. Those that are not finite and positive do not
        count: their points are left out one by one.

    Returns
    -------
    str
        Nothing where they are plausible.
    """
    positive = energy[np.isfinite(energy) & (energy > 0)]
    is_plausible = (positive >= LOWEST_ENERGY) & (positive <= HIGHEST_ENERGY)
    if is_plausible.all():
        return ""
    low, high = positive[~is_plausible].min(), positive[~is_plausible].max()
    values = f"{low:g} eV" if low == high else f"{low:g} to {high:g} eV"
    if low >= LOWEST_ENERGY / 1e3 and high <= HIGHEST_ENERGY / 1e3:
        return f"incident energies of {values} look like keV"
    if low >= HIGHEST_ENERGY and high <= HIGHEST_ENERGY * 1e3:
        return f"incident energies of {values} look like meV, or eV called keV"
    return (
        f"incident energies of {values} are outside {LOWEST_ENERGY:g} eV to "
        f"{HIGHEST_ENERGY / 1e3:g} keV"
    )


def clean_points(energy: FloatArray, windows: TimeWindows, source: str) -> CleanPoints:
    """Return the usable points in order of time, so that no pulse counts twice.

    A window that overlaps the next one ends where that one starts. Points without a
    positive, finite energy or with an empty window are left out.

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
    has_energy = np.isfinite(energy) & (energy > 0)
    has_time = windows.has_length
    usable = np.flatnonzero(has_energy & has_time)
    steps = np.diff(windows.start_ns[usable])
    is_jumbled = (steps < 0).any() and (steps > 0).any()
    order = usable[np.argsort(windows.start_ns[usable], kind="stable")]
    start = windows.start_ns[order]
    end = windows.end_ns[order]
    overlapping = end[:-1] > start[1:]
    end[:-1] = np.minimum(end[:-1], start[1:])
    kept = end > start
    points = Points(energy[order][kept], start[kept], end[kept])
    defects = {
        "have no positive, finite incident energy; omitted": np.sum(~has_energy),
        "have no time, or end before they start; omitted": np.sum(
            has_energy & ~has_time
        ),
        "overlap with the next point; shortened to its start": np.sum(overlapping),
        "start before the point that precedes them in the log; sorted by time": (
            np.sum(steps < 0) if is_jumbled else 0
        ),
    }
    problems = tuple(
        f"{source}: {count} of {len(energy)} points {defect}"
        for defect, count in defects.items()
        if count
    )
    return CleanPoints(points, order[kept], problems)
