"""The detector: photons in, pulse heights and triggers out."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.simulate.drift import NO_COMMON_DRIFT, BaselineDrift, CommonDrift
from rixs_pipeline.simulate.lines import FWHM_PER_SIGMA
from rixs_pipeline.simulate.pixel import STATED_ENERGY, Pixel
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

RECORD_SAMPLES = 1024
FRAME_PERIOD = 4.8e-6  # s, nominal
CLOCK = 1 + 1.25e-5  # true / nominal frame period: frame numbers are not a clock
DEAD_TIME = RECORD_SAMPLES * FRAME_PERIOD  # s
# of a gain jump, eV and eV/eV: 15 eV at C Ka, 22 eV at Ni La
JUMP_OFFSET, JUMP_SLOPE = 11.6, 0.0122
JUMP_BASELINE = 22.0  # units of pretriggerMean, change of the baseline in a gain jump
PILE_UP_TIME = 100e-6  # s: photons closer than this begin to look like a single photon
# of a pulse height, the share that a second photon late in the record adds
PILE_UP_HEIGHT = 0.4
# of a pulse height, the misfit that a second photon early in the record causes
PILE_UP_RESIDUAL = 0.25


@dataclass(frozen=True)
class Detector:
    """What all pixels share: the settings, and drifts of baseline and gain."""

    settings: SimulationSettings
    baseline_drift: BaselineDrift
    common_drift: CommonDrift = NO_COMMON_DRIFT


@dataclass(frozen=True)
class Photons:
    """Photons that arrive at a pixel in order of time, f8 (photon,).

    Attributes
    ----------
    energy
        eV; of a spurious trigger the energy that its pulse shows.
    time
        s since the start of the beamtime, ascending.
    phase
        Arrival within a sample, 0 to 1.
    flicker
        Random part of the baseline, units of pretriggerMean.
    """

    energy: FloatArray
    time: FloatArray
    phase: FloatArray
    flicker: FloatArray

    def select(self, mask: BoolArray) -> "Photons":
        """Return the photons of a mask (photon,)."""
        return Photons(
            energy=self.energy[mask],
            time=self.time[mask],
            phase=self.phase[mask],
            flicker=self.flicker[mask],
        )


@dataclass(frozen=True)
class PileUp:
    """What second photons add to the recorded pulses, arrays (record,).

    Attributes
    ----------
    is_piled_up
        Whether a second photon arrived within the record.
    added_height
        Added to the pulse height, f8.
    added_residual
        Added to the residual, in quadrature, f8.
    """

    is_piled_up: BoolArray
    added_height: FloatArray
    added_residual: FloatArray


def find_triggers(time: FloatArray, dead_time: float) -> BoolArray:
    """Find the arrivals that make a record.

    The dead time is non-paralysable: a record blinds the pixel for `dead_time`, so that
    of a rate r the share 1 / (1 + r dead_time) is recorded.

    Parameters
    ----------
    time
        f8 (photon,), s, ascending.
    dead_time
        s.

    Returns
    -------
    ndarray
        bool (photon,).
    """
    is_recorded = np.zeros(len(time), bool)
    # the first arrival that can trigger after each
    successor = np.searchsorted(time, time + dead_time)
    is_alone = np.diff(time, prepend=-np.inf) >= dead_time
    heads = np.flatnonzero(is_alone)
    is_recorded[heads] = True  # these trigger whatever came before
    # chains of successors end at a head or after the last arrival
    is_end = np.append(is_alone, True)
    current = successor[heads]
    while len(current := current[~is_end[current]]):
        is_recorded[current] = True
        current = successor[current]
    return is_recorded


def tail_of_previous_photon(
    settings: SimulationSettings, time: FloatArray
) -> FloatArray:
    """Return the energy that the tail of the photon before adds to each photon.

    Parameters
    ----------
    settings
        Settings of the beamtime.
    time
        Arrival of the photons, f8 (photon,), s, ascending.

    Returns
    -------
    ndarray
        f8 (photon,), eV.
    """
    size, decay = settings.tail_after_pulse
    delay = np.diff(time, prepend=-np.inf)
    return np.asarray(size * np.exp(-delay / decay))


def draw_pulse_heights(
    detector: Detector, pixel: Pixel, photons: Photons, rng: np.random.Generator
) -> FloatArray:
    """Draw the pulse heights of photons: resolution, tail, phase, drifts, gain jump.

    Parameters
    ----------
    detector
        Settings and common drift.
    pixel
        The pixel.
    photons
        What arrives at it.
    rng
        Source of resolution and tail.

    Returns
    -------
    ndarray
        f8 (photon,).
    """
    settings = detector.settings
    energy, time = photons.energy, photons.time
    number = len(energy)
    is_in_tail = rng.random(number) < pixel.tail_fraction
    loss = rng.exponential(pixel.tail_length, number)
    apparent = np.maximum(energy - np.where(is_in_tail, loss, 0.0), 0.0)

    resolution = rng.normal(0, pixel.fwhm / FWHM_PER_SIGMA, number)
    apparent += pixel.phase_effect(apparent, photons.phase) + resolution
    apparent += pixel.hidden_drift(time) * energy / STATED_ENERGY
    apparent += detector.common_drift.at(time) * energy / STATED_ENERGY
    has_jumped = time >= pixel.jump_time
    apparent += np.where(has_jumped, JUMP_OFFSET + JUMP_SLOPE * energy, 0.0)
    apparent += tail_of_previous_photon(settings, time)

    baseline = pixel.baseline_scale * detector.baseline_drift.at(time)
    if settings.drift > 0:
        baseline = baseline + photons.flicker
    gain = 1 - pixel.relative_drift(energy) * baseline
    return pixel.pulse_height(apparent) * gain


def find_pile_up(
    time: FloatArray, height: FloatArray, is_recorded: BoolArray
) -> PileUp:
    """Find second photons within the records, and what they add.

    Parameters
    ----------
    time
        Arrivals, f8 (photon,), s, ascending.
    height
        Pulse heights, f8 (photon,).
    is_recorded
        Whether the photon made a record, bool (photon,).

    Returns
    -------
    PileUp
        Of the recorded photons.
    """
    recorded: IntArray = np.flatnonzero(is_recorded)
    second = np.minimum(recorded + 1, len(time) - 1)
    is_piled_up = ~is_recorded[second] & (second > recorded)
    delay = np.where(is_piled_up, time[second] - time[recorded], DEAD_TIME)
    # photons within a few samples look like a single photon of their sum
    separation = np.minimum(delay / PILE_UP_TIME, 1.0)
    share = separation * PILE_UP_HEIGHT * (1 - delay / DEAD_TIME)
    added_height = height[second] * (1 - separation + share)
    misfit = separation * PILE_UP_RESIDUAL * (1 - (delay / DEAD_TIME) ** 2)
    added_residual = misfit * height[second]
    return PileUp(
        is_piled_up=is_piled_up,
        added_height=np.where(is_piled_up, added_height, 0.0),
        added_residual=np.where(is_piled_up, added_residual, 0.0),
    )
