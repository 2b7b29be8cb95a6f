"""One pixel of the detector: photons in, pulse records out."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.simulate.drift import BaseLine
from rixs_pipeline.simulate.lines import FWHM
from rixs_pipeline.simulate.settings import SimulationSettings

Array = NDArray[np.float64]

RECORD_SAMPLES = 1024
FRAME_PERIOD = 4.8e-6  # s, nominal
CLOCK = 1 + 1.25e-5  # true / nominal frame period: frame numbers are not a clock
DEAD_TIME = RECORD_SAMPLES * FRAME_PERIOD  # s
GAIN_RANGE = (150.0, 1100.0)  # eV, beyond which the gain's rough part is constant
ROUGH_RANGE = (277.0, 1000.0)  # eV, over which its rms is stated
JUMP = (11.6, 0.0122)  # eV and eV/eV: 15 eV at C Ka, 22 eV at Ni La
JUMP_BASE_LINE = 22.0
PILE_UP_TIME = 100e-6  # s: two photons this close begin to look like one


@dataclass(frozen=True)
class Pixel:
    """What makes one pixel: all in eV unless told otherwise; energies E in eV."""

    channel: int
    gain: tuple[float, float, float]  # a, b, d of PH = a (1 - exp(-E/b)) + d
    rough: tuple[
        tuple[float, float, float], ...
    ]  # amplitude, period, phase (rad) of sines in E
    smooth: tuple[
        float, float, float
    ]  # of 1, E, exp(E/b): subtracted, so that the formula above stays the best
    fwhm: float
    tail_fraction: float
    tail_length: float
    throughput: float  # relative
    base_line: float  # pretriggerMean at the start
    base_line_scale: float  # how much of the common drift it sees
    drift_coefficient: (
        float  # relative change of pulse height a unit of base line, at 851 eV
    )
    drift_zero: float  # energy where that coefficient passes zero
    hidden: tuple[
        tuple[float, float, float], ...
    ]  # amplitude at 851 eV, period s, phase of the hidden drift
    phase_size: tuple[
        float, float
    ]  # peak to peak of the arrival-phase effect: far below 1000 eV; at 1000 eV
    phase_shape: tuple[float, float, float]  # curvature, wave, phase of the wave
    phase_ratio: tuple[
        float, float, float
    ]  # derivativeLike / filtValue: centre at 600 eV, change to 1000 eV, width
    residual: float  # residualStdDev of a good pulse, units
    jump_time: float = np.inf  # s
    noisy: bool = False

    def roughness(self, energy: Array) -> Array:
        """The gain's part that no formula describes, eV."""
        energy = np.clip(energy, *GAIN_RANGE)
        one, linear, exponential = self.smooth
        total = one + linear * energy + exponential * np.exp(energy / self.gain[1])
        for amplitude, period, phase in self.rough:
            total = total + amplitude * np.sin(2 * np.pi * energy / period + phase)
        return np.asarray(total)

    def pulse_height(self, energy: Array) -> Array:
        """PH = a (1 - exp(-E'/b)) + d, E' = E + roughness(E): at the start of the beamtime, mean over the phase."""
        a, b, d = self.gain
        return np.asarray(a * (1 - np.exp(-(energy + self.roughness(energy)) / b)) + d)

    def relative_drift(self, energy: Array) -> Array:
        """Relative loss of pulse height a unit of base line."""
        return (
            self.drift_coefficient
            * (energy - self.drift_zero)
            / (851.0 - self.drift_zero)
        )

    def hidden_drift(self, time: Array) -> Array:
        """Drift that pretriggerMean does not see, eV at 851 eV; proportional to the energy."""
        total = np.zeros_like(time)
        for amplitude, period, phase in self.hidden:
            total += amplitude * np.sin(2 * np.pi * time / period + phase)
        return total

    def phase_effect(self, energy: Array, phase: Array) -> Array:
        """Shift by the arrival within a sample, `phase` in 0..1; its mean over the phase is 0, eV."""
        low, high = self.phase_size
        size = low + (high - low) * (np.minimum(energy, 1100.0) / 1000.0) ** 5
        curvature, wave, offset = self.phase_shape
        x = phase - 0.5
        return size * (
            x - curvature * (x**2 - 1 / 12) + wave * np.sin(2 * np.pi * phase + offset)
        )

    def phase_reading(self, energy: Array, phase: Array) -> Array:
        """derivativeLike / filtValue: its centre falls with the pulse height, as in real data."""
        centre, slope, width = self.phase_ratio
        return centre + slope * (energy - 600.0) / 400.0 + width * (phase - 0.5)

    def parameters(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        values = asdict(self)
        return values | {
            "jump_time": None if np.isinf(self.jump_time) else self.jump_time
        }


def _gain_roughness(b: float, rms: float, rng: np.random.Generator) -> dict[str, Any]:
    """Three slow sines without what a change of a, b, d would describe, scaled to `rms` eV."""
    energy = np.linspace(*ROUGH_RANGE, 300)
    periods, phases, weights = (
        rng.uniform(450, 1300, 3),
        rng.uniform(0, 2 * np.pi, 3),
        rng.uniform(0.5, 1, 3),
    )
    sines = np.sum(
        weights * np.sin(2 * np.pi * energy[:, None] / periods + phases), axis=1
    )
    formula = np.stack([np.ones_like(energy), energy, np.exp(energy / b)], axis=1)
    smooth = np.linalg.lstsq(formula, -sines, rcond=None)[0]
    scale = rms / float(np.std(sines + formula @ smooth))
    rough = zip(
        (scale * weights).tolist(), periods.tolist(), phases.tolist(), strict=True
    )
    return {"rough": tuple(rough), "smooth": tuple((scale * smooth).tolist())}


def draw_pixel(
    settings: SimulationSettings, channel: int, jump_times: tuple[float, float]
) -> Pixel:
    """A pixel with its own character, the same whatever the other pixels are.

    Args:
        settings: the beamtime's.
        channel: its number.
        jump_times: when `jumping_pixels` and `scan_jumping_pixels` jump, s.
    """
    rng = np.random.default_rng(
        np.random.SeedSequence(settings.seed, spawn_key=(3, channel))
    )
    b = 2000 * float(np.exp(rng.normal(0, 0.06)))
    gain = (3e4 * 2 ** float(rng.uniform(-0.5, 0.5)), b, float(rng.uniform(-440, 440)))
    jumps = [
        t
        for t, who in zip(
            jump_times,
            (settings.jumping_pixels, settings.scan_jumping_pixels),
            strict=True,
        )
        if channel in who
    ]
    noisy = channel in settings.noisy_pixels
    hidden = [
        (settings.hidden_drift, p, rng.uniform(0, 2 * np.pi))
        for p in rng.uniform(5000, 15000, 2).tolist()
    ]
    return Pixel(
        channel=channel,
        gain=gain,
        **_gain_roughness(b, float(rng.uniform(*settings.gain_roughness)), rng),
        fwhm=settings.fwhm
        * max(0.4, float(rng.normal(1, settings.fwhm_spread)))
        * (8 if noisy else 1),
        tail_fraction=float(rng.uniform(*settings.tail_fraction)),
        tail_length=float(rng.uniform(*settings.tail_length)),
        throughput=2 ** float(rng.uniform(-0.5, 0.5)),
        base_line=float(rng.uniform(3500, 6500)),
        base_line_scale=float(rng.uniform(0.6, 1.1)),
        drift_coefficient=float(rng.uniform(3e-5, 7e-5)),
        drift_zero=float(rng.choice([0.0, 200.0, 392.0])),
        hidden=tuple(hidden),
        phase_size=(
            settings.phase * rng.uniform(0.9, 1.8),
            settings.phase * rng.uniform(5.5, 8.5),
        ),
        phase_shape=(
            rng.uniform(0.2, 0.9),
            rng.uniform(0.02, 0.06),
            rng.uniform(0, 2 * np.pi),
        ),
        phase_ratio=(
            rng.uniform(-0.4, 0.0),
            rng.uniform(-0.9, -0.4),
            rng.uniform(0.8, 1.2),
        ),
        residual=float(rng.uniform(24, 41)) * (4 if noisy else 1),
        jump_time=min(jumps, default=np.inf),
        noisy=noisy,
    )


def triggered(time: Array, dead_time: float) -> NDArray[np.bool_]:
    """Which arrivals make a record: non-paralyzable, so that a record blinds the pixel for `dead_time` s.

    Args:
        time: f8 (photon,), s, ascending.
        dead_time: s.

    Returns:
        bool (photon,). Of a rate r, the share 1 / (1 + r dead_time) is kept.
    """
    keep = np.zeros(len(time), bool)
    follows = np.searchsorted(
        time, time + dead_time
    )  # the first that can trigger after each
    heads = np.flatnonzero(np.diff(time, prepend=-np.inf) >= dead_time)
    free = np.append(keep, True)
    free[heads] = True  # whatever came before, these trigger
    keep[heads] = True
    current = follows[heads]
    while len(current := current[~free[current]]):
        keep[current] = True
        current = follows[current]
    return keep


def tail_of_last(settings: SimulationSettings, time: Array) -> Array:
    """What the tail of the photon before adds to photons that come at `time` s (photon,), ascending: eV."""
    size, decay = settings.tail_after_pulse
    return np.asarray(size * np.exp(-np.diff(time, prepend=-np.inf) / decay))


def measured_height(
    pixel: Pixel,
    settings: SimulationSettings,
    energy: Array,
    time: Array,
    phase: Array,
    base_line: BaseLine,
    flicker: Array,
    rng: np.random.Generator,
) -> Array:
    """Pulse heights of photons of `energy` eV that came at `time` s, f8 (photon,): resolution, tail, phase, drifts."""
    n = len(energy)
    lost = np.where(
        rng.random(n) < pixel.tail_fraction, rng.exponential(pixel.tail_length, n), 0.0
    )
    seen = np.maximum(energy - lost, 0.0)
    seen += pixel.phase_effect(seen, phase) + rng.normal(0, pixel.fwhm / FWHM, n)
    seen += pixel.hidden_drift(time) * energy / 851.0
    seen += np.where(time >= pixel.jump_time, JUMP[0] + JUMP[1] * energy, 0.0)
    seen += tail_of_last(settings, time)
    drift = pixel.base_line_scale * base_line.at(time) + (
        flicker if settings.drift > 0 else 0.0
    )
    return pixel.pulse_height(seen) * (1 - pixel.relative_drift(energy) * drift)
