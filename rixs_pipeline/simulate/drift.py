"""How the detector wanders: what all pixels share, what each adds, and jumps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.simulate.schedule import PlannedRun

Array = NDArray[np.float64]

KNOT = 60.0  # seconds between the knots of the random walk
TREND, WAVE, WALK = (
    7.0 / 3600,
    4.0,
    2.5,
)  # units of pretriggerMean: a second; amplitude; a square root of an hour
WAVE_PERIOD = 1500.0  # s


@dataclass(frozen=True)
class BaseLine:
    """The base line's common drift in units of pretriggerMean, linear between its knots; 0 at the start."""

    time: Array  # f8 (knot,), s
    value: Array  # f8 (knot,)

    def at(self, time: Array) -> Array:
        """Base line - base line at the start, f8 like `time`."""
        return np.interp(time, self.time, self.value)


def base_line(seed: int, duration: float, size: float) -> BaseLine:
    """A trend over hours, a slow wave and a random walk (like the real data's +13 to +45 units in six hours)."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    time = np.arange(0.0, duration + 2 * KNOT, KNOT)
    steps = rng.normal(0, WALK * np.sqrt(KNOT / 3600), len(time))
    phase = rng.uniform(0, 2 * np.pi)
    wave = WAVE * (np.sin(2 * np.pi * time / WAVE_PERIOD + phase) - np.sin(phase))
    return BaseLine(time, size * (TREND * time + wave + np.cumsum(steps) - steps[0]))


def late_jump(runs: tuple[PlannedRun, ...]) -> float:
    """A time without pulses between the last scan and the last reference run, s."""
    if runs[-1].kind == "scan":
        return float(runs[-1].end[-1])
    return float(runs[-2].end[-1] + runs[-1].start[0]) / 2


def scan_jump(runs: tuple[PlannedRun, ...]) -> float:
    """The middle of the middle scan, s."""
    scans = [run for run in runs if run.kind == "scan"]
    middle = scans[len(scans) // 2]
    return float(middle.start[len(middle.start) // 2])
