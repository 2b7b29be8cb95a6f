"""The properties of one pixel: gain, resolution, drifts, defects."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rixs_pipeline.simulate.drift import JumpTimes
from rixs_pipeline.simulate.random_streams import Stream, random_generator
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.types import FloatArray

GAIN_RANGE = (150.0, 1100.0)  # eV, beyond which the gain's roughness is constant
ROUGH_RANGE = (277.0, 1000.0)  # eV, over which its rms is stated
STATED_ENERGY = 851.0  # eV, at which the sizes of drifts are stated: Ni La
PHASE_ENERGY = 1000.0  # eV, at which the size of the phase effect is stated
MAXIMUM_PHASE_ENERGY = 1100.0  # eV, beyond which the phase effect is constant
MINIMUM_RESOLUTION = 0.4  # of the resolution of a mean pixel
NOISY_RESOLUTION = 8  # resolution of a noisy pixel, relative to a good one
NOISY_RESIDUAL = 4  # residual of a noisy pixel, relative to a good one


class Sine(NamedTuple):
    """amplitude sin(2 pi x / period + phase); `period` in units of x, `phase` rad."""

    amplitude: float
    period: float
    phase: float

    def at(self, x: FloatArray) -> FloatArray:
        """Return its values, shaped like `x`."""
        angle = 2 * np.pi * x / self.period + self.phase
        return np.asarray(self.amplitude * np.sin(angle))


class Gain(NamedTuple):
    """PH = scale (1 - exp(-E/energy)) + offset.

    Attributes
    ----------
    scale, offset
        Units of pulse height.
    energy
        Where the gain saturates, eV.
    """

    scale: float
    energy: float
    offset: float


class Trend(NamedTuple):
    """constant + linear E + exponential exp(E / energy of the gain), eV."""

    constant: float
    linear: float
    exponential: float


class PhaseSize(NamedTuple):
    """Peak to peak of the arrival-phase effect, eV: far below 1000 eV, and there."""

    low: float
    high: float


class PhaseShape(NamedTuple):
    """Shape of the arrival-phase effect: curvature, a wave, the wave's phase (rad)."""

    curvature: float
    wave: float
    offset: float


class PhaseReading(NamedTuple):
    """derivativeLike / filtValue: centre at 600 eV, change to 1000 eV, width."""

    centre: float
    slope: float
    width: float


@dataclass(frozen=True)
class GainRoughness:
    """The part of the gain that no formula describes, as an energy.

    Attributes
    ----------
    sines
        Slow sines in the photon energy, eV.
    trend
        What a change of the gain's formula would describe of them: it is subtracted, so
        that the formula stays the best.
    """

    sines: tuple[Sine, ...]
    trend: Trend

    def at(self, energy: FloatArray, gain: Gain) -> FloatArray:
        """Return the roughness.

        Parameters
        ----------
        energy
            Photon energy, eV.
        gain
            The smooth gain of the pixel.

        Returns
        -------
        ndarray
            eV, shaped like `energy`.
        """
        energy = np.clip(energy, *GAIN_RANGE)
        constant, linear, exponential = self.trend
        total = constant + linear * energy + exponential * np.exp(energy / gain.energy)
        for sine in self.sines:
            total = total + sine.at(energy)
        return np.asarray(total)


@dataclass(frozen=True)
class Pixel:
    """What makes one pixel.

    Attributes
    ----------
    channel
        Channel number.
    gain, roughness
        Pulse height of a photon energy.
    fwhm
        Resolution, eV.
    tail_fraction, tail_length
        Share of photons in the low-energy tail, and its decay length, eV.
    throughput
        Relative to a mean pixel.
    baseline
        pretriggerMean at the start.
    baseline_scale
        Share of the common drift of the baseline.
    drift_coefficient
        Relative loss of pulse height a unit of baseline, at 851 eV.
    drift_zero_energy
        Energy at which that coefficient passes zero, eV.
    hidden_drift_sines
        Drift that pretriggerMean misses: amplitude eV at 851 eV, period s.
    phase_size, phase_shape
        Effect of the arrival phase on pulse height.
    phase_reading
        How the phase shows in derivativeLike.
    residual
        residualStdDev of a good pulse, units.
    jump_time
        Time of its gain jump, s since the start of the beamtime; infinite: none.
    is_noisy
        Whether it triggers without photons.
    energy_unit
        Energies relative to those of a detector for 1 keV.
    """

    channel: int
    gain: Gain
    roughness: GainRoughness
    fwhm: float
    tail_fraction: float
    tail_length: float
    throughput: float
    baseline: float
    baseline_scale: float
    drift_coefficient: float
    drift_zero_energy: float
    hidden_drift_sines: tuple[Sine, ...]
    phase_size: PhaseSize
    phase_shape: PhaseShape
    phase_reading: PhaseReading
    residual: float
    jump_time: float = np.inf
    is_noisy: bool = False
    energy_unit: float = 1.0

    def pulse_height(self, energy: FloatArray) -> FloatArray:
        """Return the pulse height at the start of the beamtime, mean over the phase.

        PH = scale (1 - exp(-E'/b)) + offset, with E' = E + roughness(E), E in eV.
        """
        scale, saturation, offset = self.gain
        energy = energy / self.energy_unit
        rough_energy = energy + self.roughness.at(energy, self.gain)
        return np.asarray(scale * (1 - np.exp(-rough_energy / saturation)) + offset)

    def relative_drift(self, energy: FloatArray) -> FloatArray:
        """Return the relative loss of pulse height a unit of baseline; energy in eV."""
        zero = self.drift_zero_energy
        energy = energy / self.energy_unit
        return self.drift_coefficient * (energy - zero) / (STATED_ENERGY - zero)

    def hidden_drift(self, time: FloatArray) -> FloatArray:
        """Return the drift at 851 eV that pretriggerMean misses, eV; time in s."""
        total = np.zeros_like(time)
        for sine in self.hidden_drift_sines:
            total += sine.at(time)
        return total

    def phase_effect(self, energy: FloatArray, phase: FloatArray) -> FloatArray:
        """Return the energy shift by the arrival phase; its mean over the phase is 0.

        Parameters
        ----------
        energy
            Photon energy, eV.
        phase
            Arrival within a sample, 0 to 1, shaped like `energy`.

        Returns
        -------
        ndarray
            eV, shaped like `energy`.
        """
        low, high = self.phase_size
        energy = energy / self.energy_unit
        relative_energy = np.minimum(energy, MAXIMUM_PHASE_ENERGY) / PHASE_ENERGY
        size = low + (high - low) * relative_energy**5
        curvature, wave, offset = self.phase_shape
        x = phase - 0.5
        curve = x - curvature * (x**2 - 1 / 12)
        effect = size * (curve + wave * np.sin(2 * np.pi * phase + offset))
        return np.asarray(self.energy_unit * effect)

    def phase_ratio(self, energy: FloatArray, phase: FloatArray) -> FloatArray:
        """Return derivativeLike / filtValue, which falls with the pulse height.

        Parameters
        ----------
        energy
            Photon energy, eV.
        phase
            Arrival within a sample, 0 to 1, shaped like `energy`.

        Returns
        -------
        ndarray
            Ratio, shaped like `energy`.
        """
        centre, slope, width = self.phase_reading
        energy = energy / self.energy_unit
        return centre + slope * (energy - 600.0) / 400.0 + width * (phase - 0.5)

    def parameters(self) -> dict[str, Any]:
        """Return all parameters as JSON values, under their names in `truth.json`."""
        has_jump = np.isfinite(self.jump_time)
        is_hard = self.energy_unit != 1
        scale = {"energy_unit": self.energy_unit} if is_hard else {}
        return scale | {
            "channel": self.channel,
            "gain": self.gain,
            "rough": self.roughness.sines,
            "smooth": self.roughness.trend,
            "fwhm": self.fwhm,
            "tail_fraction": self.tail_fraction,
            "tail_length": self.tail_length,
            "throughput": self.throughput,
            "base_line": self.baseline,
            "base_line_scale": self.baseline_scale,
            "drift_coefficient": self.drift_coefficient,
            "drift_zero": self.drift_zero_energy,
            "hidden": self.hidden_drift_sines,
            "phase_size": self.phase_size,
            "phase_shape": self.phase_shape,
            "phase_ratio": self.phase_reading,
            "residual": self.residual,
            "jump_time": self.jump_time if has_jump else None,
            "noisy": self.is_noisy,
        }


def _draw_roughness(gain: Gain, rms: float, rng: np.random.Generator) -> GainRoughness:
    """Draw three slow sines, less what a change of `gain` describes; rms in eV."""
    energy = np.linspace(*ROUGH_RANGE, 300)
    periods = rng.uniform(450, 1300, 3)
    phases = rng.uniform(0, 2 * np.pi, 3)
    weights = rng.uniform(0.5, 1, 3)
    angles = 2 * np.pi * energy[:, None] / periods + phases
    total = np.sum(weights * np.sin(angles), axis=1)

    columns = [np.ones_like(energy), energy, np.exp(energy / gain.energy)]
    formula = np.stack(columns, axis=1)
    coefficients = np.linalg.lstsq(formula, -total, rcond=None)[0]
    scale = rms / float(np.std(total + formula @ coefficients))

    rows = np.stack([scale * weights, periods, phases], axis=1).tolist()
    sines = tuple(Sine(*row) for row in rows)
    return GainRoughness(sines, Trend(*(scale * coefficients).tolist()))


def _draw_hidden_drift(size: float, rng: np.random.Generator) -> tuple[Sine, ...]:
    """Draw two slow sines of `size` eV."""
    periods = rng.uniform(5000, 15000, 2).tolist()
    return tuple(Sine(size, period, rng.uniform(0, 2 * np.pi)) for period in periods)


def _jump_time(
    settings: SimulationSettings, channel: int, jump_times: JumpTimes
) -> float:
    times = [np.inf]
    if channel in settings.jumping_pixels:
        times.append(jump_times.before_last_reference)
    if channel in settings.scan_jumping_pixels:
        times.append(jump_times.in_scan)
    return min(times)


def draw_pixel(
    settings: SimulationSettings, channel: int, jump_times: JumpTimes
) -> Pixel:
    """Draw the properties of a pixel; they do not depend on the other pixels.

    Parameters
    ----------
    settings
        Settings of the beamtime.
    channel
        Channel number of the pixel.
    jump_times
        When pixels with a gain jump do so.

    Returns
    -------
    Pixel
        Equal for equal arguments.
    """
    # the order of the draws is part of every simulated beamtime
    rng = random_generator(settings.seed, Stream.PIXEL, channel)
    is_noisy = channel in settings.noisy_pixels
    saturation = 2000 * float(np.exp(rng.normal(0, 0.06)))
    scale = 3e4 * 2 ** float(rng.uniform(-0.5, 0.5))
    gain = Gain(scale, saturation, offset=rng.uniform(-440, 440))
    hidden_drift_sines = _draw_hidden_drift(settings.hidden_drift, rng)
    rms = rng.uniform(*settings.gain_roughness)
    roughness = _draw_roughness(gain, rms, rng)
    relative_fwhm = max(MINIMUM_RESOLUTION, rng.normal(1, settings.fwhm_spread))
    fwhm = settings.fwhm * relative_fwhm * (NOISY_RESOLUTION if is_noisy else 1)
    tail_fraction = rng.uniform(*settings.tail_fraction)
    tail_length = rng.uniform(*settings.tail_length)
    throughput = 2 ** rng.uniform(-0.5, 0.5)
    baseline = rng.uniform(3500, 6500)
    baseline_scale = rng.uniform(0.6, 1.1)
    drift_coefficient = rng.uniform(3e-5, 7e-5)
    drift_zero_energy = float(rng.choice([0.0, 200.0, 392.0]))
    phase_size = PhaseSize(
        low=settings.phase * rng.uniform(0.9, 1.8),
        high=settings.phase * rng.uniform(5.5, 8.5),
    )
    phase_shape = PhaseShape(
        curvature=rng.uniform(0.2, 0.9),
        wave=rng.uniform(0.02, 0.06),
        offset=rng.uniform(0, 2 * np.pi),
    )
    phase_reading = PhaseReading(
        centre=rng.uniform(-0.4, 0.0),
        slope=rng.uniform(-0.9, -0.4),
        width=rng.uniform(0.8, 1.2),
    )
    residual = rng.uniform(24, 41) * (NOISY_RESIDUAL if is_noisy else 1)
    return Pixel(
        channel=channel,
        gain=gain,
        roughness=roughness,
        fwhm=fwhm,
        tail_fraction=tail_fraction,
        tail_length=tail_length,
        throughput=throughput,
        baseline=baseline,
        baseline_scale=baseline_scale,
        drift_coefficient=drift_coefficient,
        drift_zero_energy=drift_zero_energy,
        hidden_drift_sines=hidden_drift_sines,
        phase_size=phase_size,
        phase_shape=phase_shape,
        phase_reading=phase_reading,
        residual=residual,
        jump_time=_jump_time(settings, channel, jump_times),
        is_noisy=is_noisy,
        energy_unit=settings.full_scale / 1000,
    )
