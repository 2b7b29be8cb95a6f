"""What the pulses and the state label of one scan say about the clock of its log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import hypot, sqrt
from typing import Any

import numpy as np

from rixs_pipeline.core.timing.channels import make_channels, usable_points
from rixs_pipeline.core.timing.shift_fits import (
    BINS_PER_SPACING,
    BandCounts,
    LoggedScan,
    ShiftCurve,
    fit_shifts,
)
from rixs_pipeline.core.timing.wide_search import Evidence, search_offsets
from rixs_pipeline.io import provenance
from rixs_pipeline.io.caches.array_cache import ArrayCache, digest_arrays, keep
from rixs_pipeline.io.runs import NS_PER_S, ClockOffset, Run
from rixs_pipeline.stages.clock.scan_pulses import (
    TimeWindow,
    count_in_bands,
    window_digest,
)
from rixs_pipeline.types import FloatArray

MIN_POINTS = 12  # of a scan whose structure is compared
# How far labels may be off: real ones are 0.1 s off; by less than half a point an
# offset does not matter
LABEL_SLACK = 1.0  # s
LABEL_LATENCY = 0.1  # s, standard deviation of the time at which a label is written
SEARCH_RANGE = 300.0  # s, on either side, where there is no label
HALF_WIDTH = 4.0  # points on either side of an offset in which it is determined
MAX_SHARE = 0.25  # of the duration of a scan, largest half width
# Share of the pulses at the best place, below which a scan has none in its points
EMPTY_SHARE = 0.02
DARK_SHARE = 0.2  # of the photons just inside a scan, just outside without beam
MIN_BEAM_COUNTS = 30  # photons just inside a scan, which make this certain


@dataclass(frozen=True)
class OffsetRange:
    """Limits of the offset of a clock, s."""

    low: float
    high: float

    def contains(self, offset: float) -> bool:
        """Whether an offset lies within the limits."""
        return self.low <= offset <= self.high


def scan_spacing(scan: Run) -> float:
    """Return the time from point to point, s; of a single point its length."""
    starts = scan.points.start_ns
    if len(starts) < 2:
        return scan.duration
    return float(np.median(np.diff(starts))) / NS_PER_S


def label_range(run: Run) -> OffsetRange | None:
    """Return the offsets at which a run lies within its state label; None: no label.

    Where the label is shorter than the run, `low` is above `high`.
    """
    if run.label_ns is None:
        return None
    start_ns, end_ns = run.label_ns
    return OffsetRange(
        (run.end_ns - end_ns) / NS_PER_S, (run.start_ns - start_ns) / NS_PER_S
    )


def widened(limits: OffsetRange, slack: float) -> OffsetRange:
    """Return limits in ascending order, with slack."""
    low, high = sorted((limits.low, limits.high))
    return OffsetRange(low - slack, high + slack)


def place_by_label(run: Run, tolerance: float) -> ClockOffset | None:
    """Return the offset that puts a run into its state label, if that is unambiguous.

    Parameters
    ----------
    run
        A scan or reference run.
    tolerance
        Largest difference of the durations of run and label, s.

    Returns
    -------
    ClockOffset or None
        None: no label, or it leaves more room than the tolerance.
    """
    limits = label_range(run)
    if limits is None or abs(limits.high - limits.low) > tolerance:
        return None
    room = abs(limits.high - limits.low)
    error = hypot(room / sqrt(12), LABEL_LATENCY)
    return ClockOffset((limits.low + limits.high) / 2, error)


def prepare_clock(clock: "ScanClock") -> None:
    """Put into the cache what a decision about the clock of a scan rests on.

    That is what is known at once: where the offset is far from 0, more is needed.
    """
    if not clock.has_label:
        _ = clock.evidence
    clock.curve(0.0)


class ScanClock:
    """The clock of one scan, from its own pulses, readings and label.

    Attributes
    ----------
    scan
        The scan.
    allowed
        Offsets at which it lies within its state label, with slack; without a label
        those that are searched.
    """

    def __init__(
        self,
        scan: Run,
        i0: FloatArray | None,
        readings: Sequence[FloatArray],
        excluded: Iterable[int],
        cache: ArrayCache | None = None,
    ) -> None:
        self.scan = scan
        self._cache = cache
        self.spacing = scan_spacing(scan)
        slack = max(LABEL_SLACK, self.spacing / 2)
        limits = label_range(scan)
        self.has_label = limits is not None
        search = OffsetRange(-SEARCH_RANGE, SEARCH_RANGE)
        self.allowed = search if limits is None else widened(limits, slack)
        self._i0, self._readings = i0, list(readings)
        self._excluded = tuple(excluded)
        self._curves: dict[float, ShiftCurve | None] = {}

    @cached_property
    def logged(self) -> LoggedScan | None:
        """Points and channels; None without structure in the readings."""
        i0, readings = self._i0, self._readings
        points = self.scan.points
        if len(points) < MIN_POINTS or self.spacing <= 0:
            return None
        channels = make_channels(i0, readings, points.incident_energy)
        if channels is None:
            return None
        start = (points.start_ns - self.scan.start_ns) / NS_PER_S
        end = (points.end_ns - self.scan.start_ns) / NS_PER_S
        return LoggedScan(start, end, channels, usable_points(i0, readings))

    @property
    def half_width(self) -> float:
        """Half width of the range in which an offset is determined, s."""
        width = HALF_WIDTH * self.spacing
        if self.has_label:
            width = max(width, (self.allowed.high - self.allowed.low) / 2)
        return min(width, MAX_SHARE * self.scan.duration)

    @property
    def contradicts_label(self) -> bool:
        """Whether the times of the log lie outside the state label."""
        return self.has_label and not self.allowed.contains(0.0)

    @property
    def window(self) -> TimeWindow:
        """The pulses that may matter."""
        margin = 2 * self.half_width
        low = min(self.allowed.low, 0.0) - margin
        high = max(self.allowed.high, 0.0) + margin
        return TimeWindow(
            self.scan.start_ns - round(high * NS_PER_S),
            self.scan.end_ns - round(low * NS_PER_S),
        )

    @cached_property
    def pulses_digest(self) -> list[list[int | str]]:
        """What the pulses in the window are recognised by."""
        return window_digest(self.scan, self.window)

    @cached_property
    def pulses(self) -> BandCounts:
        """Pulses in the window."""
        spacing = self.spacing or self.scan.duration  # 0: same starts
        width = spacing / BINS_PER_SPACING
        values = {
            "version": provenance.code_version(),
            "start": self.scan.start_ns,
            "window": [self.window.start_ns, self.window.end_ns],
            "width": width,
            "excluded": sorted(self._excluded),
            "pulses": self.pulses_digest,
        }

        def count() -> BandCounts:
            return count_in_bands(self.scan, self.window, width, self._excluded)

        key = provenance.digest_values(values)
        counts = keep(self._cache, self.scan.name, key, BandCounts, count)
        assert counts is not None
        return counts

    def _key_of_fit(self, log: LoggedScan, limits: Sequence[float]) -> str:
        """Return a digest of all that a fit of the pulses depends on."""
        parts = {"pulses": vars(self.pulses), "log": vars(log)}
        values: dict[str, Any] = {
            f"{part} {name}": value
            for part, fields in parts.items()
            for name, value in fields.items()
        }
        digest = digest_arrays(values | {"limits": np.array(limits)})
        return f"{provenance.code_version()} {digest}"

    def curve(self, centre: float) -> ShiftCurve | None:
        """Return the likelihood around an offset; None where nothing can be said."""
        log, half_width = self.logged, self.half_width
        if log is None:
            return None
        if centre not in self._curves:
            fit = partial(fit_shifts, self.pulses, log, centre, half_width)
            key = self._key_of_fit(log, [centre, half_width])
            name = f"{self.scan.name}-curve"
            self._curves[centre] = keep(self._cache, name, key, ShiftCurve, fit)
        return self._curves[centre]

    @cached_property
    def evidence(self) -> Evidence | None:
        """Evidence for each offset that is allowed, and for zero."""
        log = self.logged
        if log is None:
            return None
        low, high = min(self.allowed.low, 0.0), max(self.allowed.high, 0.0)
        search = partial(search_offsets, self.pulses, log, low, high)
        key = self._key_of_fit(log, [low, high])
        return keep(self._cache, f"{self.scan.name}-evidence", key, Evidence, search)

    def has_beam_of_log(self, offset: float) -> bool:
        """Whether the beam is on at the times of the log only.

        Parameters
        ----------
        offset
            s; times that are wrong by as much would be noticed.

        Returns
        -------
        bool
            There are photons within `offset` of both ends inside the scan, but hardly
            any outside.
        """
        total = self.pulses.counts.sum(axis=0)
        edges = self.pulses.start + self.pulses.width * np.arange(len(total) + 1)
        cumulative = np.concatenate([[0.0], np.cumsum(total)])
        width, end = abs(offset), self.scan.duration
        limits = [-width, 0.0, width, end - width, end, end + width]
        before, first, _, last, after = np.diff(np.interp(limits, edges, cumulative))
        is_clear = min(first, last) >= MIN_BEAM_COUNTS
        return bool(
            is_clear and before < DARK_SHARE * first and after < DARK_SHARE * last
        )

    @property
    def is_empty(self) -> bool:
        """Whether the points of the log hold no pulses, while others nearby do."""
        start, end = 0.0, self.scan.duration
        total = self.pulses.counts.sum(axis=0)
        edges = self.pulses.start + self.pulses.width * np.arange(len(total) + 1)
        cumulative = np.concatenate([[0.0], np.cumsum(total)])
        length = max(1, round((end - start) / self.pulses.width))
        at_log = np.diff(np.interp([start, end], edges, cumulative))[0]
        if len(total) < length:
            return False
        largest = float((cumulative[length:] - cumulative[:-length]).max())
        return bool(largest >= len(self.scan.points) and at_log < EMPTY_SHARE * largest)
