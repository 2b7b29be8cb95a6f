"""The runs of a beamtime in order of time: points, times, beam, readings."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rixs_pipeline.simulate.absorption import absorption
from rixs_pipeline.simulate.random_streams import Stream, random_generator
from rixs_pipeline.simulate.settings import Sample, SimulationSettings
from rixs_pipeline.types import FloatArray, IntArray

START_NS = int(datetime(2026, 1, 1, 8, tzinfo=UTC).timestamp()) * 10**9
FIRST_RUN = 30.0  # s, start of the first run
BETWEEN_SCANS = 15.0  # s
BETWEEN_SAMPLES = 300.0  # s

# readings at a beam, an absorption and a yield of 1
I0_COUNTS, TEY_COUNTS, TFY_COUNTS = 1e5, 4e4, 1e4
I0_NOISE, TEY_NOISE, TFY_NOISE = 0.001, 0.003, 0.01  # relative
OFFSET_NOISE = 10  # counts, standard deviation of a reading without beam

NO_BEAM = 1e-3  # flux that a dumped beam leaves
TOP_UP_INTERVAL = 300.0  # s
BEAM_DECAY = 0.04  # relative, from one top-up to the next
BEAM_NOISE = 0.01  # relative, from point to point
ABORTED_SHARE = 0.6  # of the points of a scan that is aborted
DWELL_OVERHEAD = 0.004  # s, largest excess of a point over its dwell

FEATURE_DENSITY = 6.0  # points per eV at the features, relative to elsewhere
RASTER_DECIMALS = 2  # energies are rounded to 0.01 eV
FINE_POINTS = 4001  # of the grid on which the density of points is integrated


class Interval(NamedTuple):
    """A closed range of incident energies, eV."""

    low: float
    high: float


@dataclass(frozen=True)
class ScanRange:
    """Limits of a scan, and its features, where points are denser; eV."""

    low: float
    high: float
    features: tuple[Interval, ...]


SCAN_RANGES = {
    "C_K": ScanRange(280.0, 310.0, (Interval(284.0, 294.0),)),
    "O_K": ScanRange(526.0, 550.0, (Interval(528.0, 534.0),)),
    "Mn_L": ScanRange(635.0, 660.0, (Interval(639.5, 645.0), Interval(652.0, 656.0))),
    "Co_L": ScanRange(770.0, 805.0, (Interval(777.5, 784.0), Interval(793.0, 797.5))),
    "Ni_L": ScanRange(845.0, 880.0, (Interval(851.5, 857.5), Interval(869.5, 873.5))),
}


class RunKind(StrEnum):
    """Kinds of runs, as the names of their logs have them."""

    SCAN = "scan"
    REFERENCE = "calibration"


class Span(NamedTuple):
    """A time span, s since the start of the beamtime."""

    start: float
    end: float


@dataclass(frozen=True)
class Exposures:
    """Times at one incident energy, or on the way to the next; (exposure,).

    Attributes
    ----------
    start, end
        s since the start of the beamtime.
    before, after
        Points whose energies the monochromator has at the start and at the end.
    """

    start: FloatArray
    end: FloatArray
    before: IntArray
    after: IntArray


@dataclass(frozen=True)
class PlannedRun:
    """One scan or reference run; arrays are f8 (point,).

    Attributes
    ----------
    kind
        Scan or reference run.
    number
        Number of the run in the beamtime.
    energy
        Incident energy as logged, eV.
    start, end
        Of the points, s since the start of the beamtime.
    label
        Of the run in the experiment states.
    pulses
        In which pulses are recorded.
    clock_offset
        Times in the log minus true times, s.
    beam
        True incident flux, 1 on average.
    sample, edge
        Of a scan.
    complete
        Whether the scan measured all its points.
    readings
        I0, TEY and TFY of a scan, counts.
    """

    kind: RunKind
    number: int
    energy: FloatArray
    start: FloatArray
    end: FloatArray
    label: Span
    pulses: Span
    clock_offset: FloatArray
    beam: FloatArray
    sample: Sample | None = None
    edge: str | None = None
    complete: bool = True
    readings: dict[str, FloatArray] = field(default_factory=dict)

    def exposures(self, *, moving: bool) -> "Exposures":
        """Return the time of the pulses, divided by the incident energies.

        Parameters
        ----------
        moving
            Whether the incident energy moves between points; otherwise it is that of
            a point until the next one begins.

        Returns
        -------
        Exposures
            In order of time.
        """
        point = np.arange(len(self.start))
        bounds = np.append(self.start, self.end[-1])
        before, after = point, point
        if moving:
            bounds = np.stack([self.start, self.end], axis=1).ravel()
            before = np.repeat(point, 2)[:-1]
            after = np.repeat(point, 2)[1:]
        if self.pulses.start < self.start[0]:
            bounds = np.append(self.pulses.start, bounds)
            before, after = np.append(0, before), np.append(0, after)
        if self.pulses.end > self.end[-1]:
            bounds = np.append(bounds, self.pulses.end)
            before, after = np.append(before, point[-1]), np.append(after, point[-1])
        return Exposures(bounds[:-1], bounds[1:], before, after)

    @property
    def state(self) -> str:
        """Label in the experiment-state file."""
        prefix = "SCAN" if self.kind is RunKind.SCAN else "CAL"
        return f"{prefix}{self.number}"


def scan_energies(edge: str, points: int) -> FloatArray:
    """Return the incident energies of a scan.

    Parameters
    ----------
    edge
        A key of `SCAN_RANGES`.
    points
        Number of incident energies.

    Returns
    -------
    ndarray
        f8 (points,), eV, ascending, multiples of 0.01 eV, denser at the features.
    """
    scan_range = SCAN_RANGES[edge]
    fine = np.linspace(scan_range.low, scan_range.high, FINE_POINTS)
    is_feature = np.zeros(len(fine), bool)
    for feature in scan_range.features:
        is_feature |= (fine >= feature.low) & (fine <= feature.high)
    density = np.where(is_feature, FEATURE_DENSITY, 1.0)
    position = np.cumsum(density)
    even = np.linspace(position[0], position[-1], points)
    return np.round(np.interp(even, position, fine), RASTER_DECIMALS)


def epoch_seconds(nanoseconds: IntArray) -> FloatArray:
    """Return times as the logs have them: seconds since 1970, rounded to 1 us."""
    return np.round(nanoseconds / 1e9, 6)


def epoch_ns(time: FloatArray | float) -> IntArray:
    """Convert seconds since the start of the beamtime to ns since 1970, whole us."""
    return START_NS + 1000 * np.round(np.asarray(time) * 1e6).astype(np.int64)


def draw_beam(time: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw the incident flux: a decay from top-up to top-up, and noise.

    Parameters
    ----------
    time
        f8 (point,), s since the start of the beamtime.
    rng
        Source of the noise.

    Returns
    -------
    ndarray
        f8 (point,), 1 on average.
    """
    phase = np.mod(time, TOP_UP_INTERVAL)
    decay: FloatArray = 1 + BEAM_DECAY / 2 - BEAM_DECAY * phase / TOP_UP_INTERVAL
    return decay * rng.normal(1.0, BEAM_NOISE, len(time))


def _draw_reading(
    expected: FloatArray, relative_noise: float, rng: np.random.Generator
) -> FloatArray:
    relative = rng.normal(1, relative_noise, len(expected))
    return expected * relative + rng.normal(0, OFFSET_NOISE, len(expected))


def add_readings(run: PlannedRun, yields: FloatArray, seed: int) -> PlannedRun:
    """Add I0, TEY and TFY as a beamline's scalers count them.

    Parameters
    ----------
    run
        A scan, or a reference run, which has no readings.
    yields
        Photons of each point at beam 1, f8 (point,).
    seed
        Seed of the beamtime.

    Returns
    -------
    PlannedRun
        The run with its readings.
    """
    if run.sample is None:
        return run
    rng = random_generator(seed, Stream.READINGS, run.number)
    tey = absorption(run.energy, run.sample, surface=True)
    readings = {
        "i0": _draw_reading(I0_COUNTS * run.beam, I0_NOISE, rng),
        "tey": _draw_reading(TEY_COUNTS * run.beam * tey, TEY_NOISE, rng),
        "tfy": _draw_reading(TFY_COUNTS * run.beam * yields, TFY_NOISE, rng),
    }
    return replace(run, readings=readings)


def _plan_scan(
    settings: SimulationSettings, number: int, begin: float, edge: str, sample: Sample
) -> PlannedRun:
    rng = random_generator(settings.seed, Stream.SCAN, number)
    energy = scan_energies(edge, settings.points)
    is_aborted = number in settings.aborted_scans
    if is_aborted:
        points = max(1, int(ABORTED_SHARE * len(energy)))
        energy = energy[:points]
    wait = settings.settle * rng.uniform(0.9, 1.1, len(energy))
    dwell = settings.dwell + rng.uniform(0, DWELL_OVERHEAD, len(energy))
    start = begin + np.cumsum(wait + dwell) - dwell
    beam = draw_beam(start, rng)
    for dump in settings.beam_dumps:
        if dump.scan == number:
            beam[dump.first : dump.first + dump.points] = NO_BEAM
    end = start + dwell
    return PlannedRun(
        kind=RunKind.SCAN,
        number=number,
        energy=energy,
        start=start,
        end=end,
        label=Span(start[0], end[-1]),
        pulses=Span(start[0], end[-1]),
        clock_offset=np.zeros(len(start)),
        beam=beam,
        sample=sample,
        edge=edge,
        complete=not is_aborted,
    )


def _plan_reference_run(
    settings: SimulationSettings, number: int, begin: float
) -> PlannedRun:
    start = np.array([begin])
    end = start + settings.calibration_duration
    return PlannedRun(
        kind=RunKind.REFERENCE,
        number=number,
        energy=np.array([settings.parked_energy]),
        start=start,
        end=end,
        label=Span(start[0], end[-1]),
        pulses=Span(start[0], end[-1]),
        clock_offset=np.zeros(1),
        beam=np.ones(1),
    )


def plan_runs(settings: SimulationSettings) -> tuple[PlannedRun, ...]:
    """Plan all runs in order of time: a reference run, all scans, a reference run."""
    runs = [_plan_reference_run(settings, 0, FIRST_RUN)]
    for sample in settings.samples:
        begin = runs[-1].end[-1] + BETWEEN_SAMPLES
        for edge in settings.edges_of(sample):
            for _ in range(settings.passes):
                runs.append(_plan_scan(settings, len(runs), begin, edge, sample))
                begin = runs[-1].end[-1] + BETWEEN_SCANS
    if settings.calibrations == 2:
        begin = runs[-1].end[-1] + settings.last_calibration_after
        runs.append(_plan_reference_run(settings, len(runs), begin))
    return _add_timing(settings, runs)


def _add_timing(
    settings: SimulationSettings, runs: list[PlannedRun]
) -> tuple[PlannedRun, ...]:
    """Return the runs with their labels, pulses around their points, and clocks."""
    timing = settings.timing
    rng = random_generator(settings.seed, Stream.LABELS)
    timed = []
    for run in runs:
        first, last = run.start[0], run.end[-1]
        lead, lag = rng.uniform(*timing.label_lead), rng.uniform(*timing.label_lag)
        clock_offset = timing.clock_offset + timing.clock_drift * run.start / 3600
        pulses = run.pulses
        if run.kind is RunKind.SCAN:
            clock_offset = clock_offset + timing.scan_clock_offsets.get(run.number, 0.0)
            pulses = Span(first - timing.beam_before, last + timing.beam_after)
        timed.append(
            replace(
                run,
                label=Span(first - lead, last + lag),
                pulses=pulses,
                clock_offset=clock_offset,
            )
        )
    return tuple(_separate(timed, timing.beam_between))


def _separate(runs: list[PlannedRun], beam_between: bool) -> list[PlannedRun]:
    """Return runs whose labels and pulses end before those of the next run begin.

    With `beam_between` the pulses of a scan end where those of the next scan begin.
    """
    separated = []
    for run, following in pairwise(runs):
        label_end = min(run.label.end, following.label.start)
        pulses_end = min(run.pulses.end, following.pulses.start)
        if beam_between and run.kind is following.kind is RunKind.SCAN:
            pulses_end = following.pulses.start
        separated.append(
            replace(
                run,
                label=Span(run.label.start, label_end),
                pulses=Span(run.pulses.start, pulses_end),
            )
        )
    return [*separated, runs[-1]]
