"""When everything happens: the runs of a beamtime in order of time, the beam, and what is written down beside it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.simulate.emission import absorption, scan_energies
from rixs_pipeline.simulate.settings import Sample, SimulationSettings

START_NS = int(datetime(2026, 1, 1, 8, tzinfo=UTC).timestamp()) * 10**9
FIRST_RUN, BETWEEN_SCANS, BETWEEN_SAMPLES = 30.0, 15.0, 300.0  # seconds
I0_COUNTS, TEY_COUNTS, TFY_COUNTS = (
    1e5,
    4e4,
    1e4,
)  # readings at a beam, absorption and yield of 1
NO_BEAM = 1e-3  # what a dumped beam leaves

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PlannedRun:
    """One scan or reference run. Times in seconds since the start of the beamtime, f8 (point,)."""

    kind: Literal["scan", "calibration"]
    number: int
    energy: Array  # incident energy as the log has it, eV
    start: Array
    end: Array
    beam: Array  # true incident flux, 1 on average
    sample: Sample | None = None
    edge: str | None = None
    complete: bool = True
    readings: dict[str, Array] = field(default_factory=dict)

    @property
    def next_start(self) -> Array:
        """Where the pulses of a point end: at the next one's start, f8 (point,), s."""
        return np.append(self.start[1:], self.end[-1])

    @property
    def state(self) -> str:
        """Label in the experiment-state file."""
        return f"{'SCAN' if self.kind == 'scan' else 'CAL'}{self.number}"


def seconds(nanoseconds: NDArray[np.int64]) -> Array:
    """Epoch time as the logs have it, float seconds with microseconds."""
    return np.round(nanoseconds / 1e9, 6)


def epoch_ns(time: Array | float) -> NDArray[np.int64]:
    """Seconds since the start of the beamtime -> ns since 1970, i8, whole microseconds."""
    return START_NS + 1000 * np.round(np.asarray(time) * 1e6).astype(np.int64)


def beam(time: Array, rng: np.random.Generator) -> Array:
    """Incident flux: a decay of 4 % between top-ups every 300 s, and 1 % of noise a point; mean 1."""
    decay: Array = 1.02 - 0.04 * np.mod(time, 300.0) / 300.0
    return decay * rng.normal(1.0, 0.01, len(time))


def with_readings(run: PlannedRun, yields: Array, seed: int) -> PlannedRun:
    """The same run with I0, TEY and TFY as a beamline's scalers give them; a reference run has none.

    `yields`: photons a point at beam 1, f8 (point,).
    """
    if run.sample is None:
        return run
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, run.number)))
    n = len(run.energy)
    tey = absorption(run.energy, run.sample, surface=True)
    readings = {
        "i0": I0_COUNTS * run.beam * rng.normal(1, 0.001, n) + rng.normal(0, 10, n),
        "tey": TEY_COUNTS * run.beam * tey * rng.normal(1, 0.003, n)
        + rng.normal(0, 10, n),
        "tfy": TFY_COUNTS * run.beam * yields * rng.normal(1, 0.01, n)
        + rng.normal(0, 10, n),
    }
    return replace(run, readings=readings)


def _scan(
    settings: SimulationSettings, number: int, begin: float, edge: str, sample: Sample
) -> PlannedRun:
    rng = np.random.default_rng(
        np.random.SeedSequence(settings.seed, spawn_key=(1, number))
    )
    energy = scan_energies(edge, settings.points)
    aborted = number in settings.aborted_scans
    if aborted:
        energy = energy[: max(1, int(0.6 * len(energy)))]
    wait = settings.settle * rng.uniform(0.9, 1.1, len(energy))
    dwell = settings.dwell + rng.uniform(0, 0.004, len(energy))
    start = begin + np.cumsum(wait + dwell) - dwell
    flux = beam(start, rng)
    for dump in settings.beam_dumps:
        if dump.scan == number:
            flux[dump.first : dump.first + dump.points] = NO_BEAM
    return PlannedRun(
        "scan", number, energy, start, start + dwell, flux, sample, edge, not aborted
    )


def _calibration(settings: SimulationSettings, number: int, begin: float) -> PlannedRun:
    energy = np.array([settings.parked_energy])
    start = np.array([begin])
    return PlannedRun(
        "calibration",
        number,
        energy,
        start,
        start + settings.calibration_duration,
        np.ones(1),
    )


def plan(settings: SimulationSettings) -> tuple[PlannedRun, ...]:
    """All runs in order of time: a reference run, every pass of every edge and sample, a reference run."""
    runs = [_calibration(settings, 0, FIRST_RUN)]
    for sample in settings.samples:
        begin = runs[-1].end[-1] + BETWEEN_SAMPLES
        for edge in settings.edges_of(sample):
            for _ in range(settings.passes):
                runs.append(_scan(settings, len(runs), begin, edge, sample))
                begin = runs[-1].end[-1] + BETWEEN_SCANS
    if settings.calibrations == 2:
        begin = runs[-1].end[-1] + settings.last_calibration_after
        runs.append(_calibration(settings, len(runs), begin))
    return tuple(runs)
