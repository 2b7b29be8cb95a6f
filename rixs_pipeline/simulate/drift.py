"""How the detector changes in time: drift that all pixels share, and gain jumps."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.simulate.random_streams import Stream, random_generator
from rixs_pipeline.simulate.schedule import PlannedRun, RunKind
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.types import FloatArray

KNOT_INTERVAL = 60.0  # s, between the knots of the random walk
# units of pretriggerMean
TREND = 7.0 / 3600  # a second
WAVE = 4.0  # amplitude
WALK = 2.5  # a square root of an hour
WAVE_PERIOD = 1500.0  # s


@dataclass(frozen=True)
class BaselineDrift:
    """Drift of the baseline that all pixels share, linear between its knots.

    Attributes
    ----------
    time
        f8 (knot,), s since the start of the beamtime.
    value
        f8 (knot,), units of pretriggerMean; 0 at the start.
    """

    time: FloatArray
    value: FloatArray

    def at(self, time: FloatArray) -> FloatArray:
        """Return the change of the baseline since the start, f8, shaped like `time`."""
        return np.interp(time, self.time, self.value)


def draw_baseline_drift(settings: SimulationSettings, duration: float) -> BaselineDrift:
    """Draw a trend over hours, a slow wave and a random walk.

    Parameters
    ----------
    settings
        Settings of the beamtime; size 1 is like the real data, which drift by 13 to 45
        units in six hours.
    duration
        Of the beamtime, s.

    Returns
    -------
    BaselineDrift
        The drift.
    """
    rng = random_generator(settings.seed, Stream.BASELINE_DRIFT)
    time = np.arange(0.0, duration + 2 * KNOT_INTERVAL, KNOT_INTERVAL)
    steps = rng.normal(0, WALK * np.sqrt(KNOT_INTERVAL / 3600), len(time))
    walk = np.cumsum(steps)
    phase = rng.uniform(0, 2 * np.pi)
    wave = WAVE * (np.sin(2 * np.pi * time / WAVE_PERIOD + phase) - np.sin(phase))
    value = TREND * time + wave + walk - steps[0]
    return BaselineDrift(time, settings.drift * value)


@dataclass(frozen=True)
class CommonDrift:
    """Gain drift that all pixels share and the baseline does not show: a sine.

    Attributes
    ----------
    amplitude
        eV at 851 eV; in proportion to the energy elsewhere.
    period
        s.
    phase
        At the start of the beamtime, rad.
    """

    amplitude: float = 0.0
    period: float = 1.0
    phase: float = 0.0

    def at(self, time: FloatArray) -> FloatArray:
        """Return the drift at 851 eV, eV; time in s since the start of the beamtime."""
        angle = 2 * np.pi * time / self.period + self.phase
        return np.asarray(self.amplitude * np.sin(angle))


NO_COMMON_DRIFT = CommonDrift()


def draw_common_drift(settings: SimulationSettings) -> CommonDrift:
    """Draw the phase of the drift that all pixels share."""
    rng = random_generator(settings.seed, Stream.COMMON_DRIFT)
    rms, period = settings.common_drift
    return CommonDrift(np.sqrt(2) * rms, period, rng.uniform(0, 2 * np.pi))


@dataclass(frozen=True)
class JumpTimes:
    """When pixels with a gain jump do so, s since the start of the beamtime.

    Attributes
    ----------
    before_last_reference
        Of `jumping_pixels`.
    in_scan
        Of `scan_jumping_pixels`.
    """

    before_last_reference: float = np.inf
    in_scan: float = np.inf


def find_jump_times(runs: tuple[PlannedRun, ...]) -> JumpTimes:
    """Find the gap after the last scan, and the middle of the middle scan."""
    scans = [run for run in runs if run.kind is RunKind.SCAN]
    scan = scans[len(scans) // 2]
    in_scan = float(scan.start[len(scan.start) // 2])
    if runs[-1].kind is RunKind.SCAN:
        return JumpTimes(float(runs[-1].end[-1]), in_scan)
    middle_of_gap = float(runs[-2].end[-1] + runs[-1].start[0]) / 2
    return JumpTimes(middle_of_gap, in_scan)
