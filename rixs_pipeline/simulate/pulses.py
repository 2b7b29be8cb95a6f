"""The pulse records of one pixel in one run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.simulate.detector import (
    CLOCK,
    DEAD_TIME,
    FRAME_PERIOD,
    JUMP_BASELINE,
    RECORD_SAMPLES,
    Detector,
    Photons,
    draw_pulse_heights,
    find_pile_up,
    find_triggers,
    tail_of_previous_photon,
)
from rixs_pipeline.simulate.off_files import record_dtype
from rixs_pipeline.simulate.pixel import Pixel
from rixs_pipeline.simulate.random_streams import Stream, random_generator
from rixs_pipeline.simulate.schedule import START_NS, RunKind
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.source import Measurement
from rixs_pipeline.types import BoolArray, FloatArray

PRE_SAMPLES = 259
FIRST_FRAME = 1_388_000_000
TRUE_FRAME_PERIOD = FRAME_PERIOD * CLOCK  # s
TAIL_BASELINE = 0.3  # units by which the baseline rises for each eV that a tail adds
SPURIOUS_ENERGY = 150.0  # eV, mean of what spurious triggers show

RESIDUAL_NOISE = 2.0  # units, standard deviation at a residual of RESIDUAL_UNIT
RESIDUAL_UNIT = 30
BAD_HEIGHT = (0.2, 1.1)  # range of the pulse height of bad pulses, relative
# residual of bad and spurious pulses: mean and standard deviation of its logarithm
BAD_RESIDUAL = (6.0, 0.7)
DELTA_NOISE = 14.0  # units, standard deviation of pretriggerDelta
# the first coefficient: what a pulse adds to the baseline, and noise in units
MEAN_SHARE, MEAN_NOISE = 0.0035, 4.0
PHASE_NOISE = 0.04  # of derivativeLike / filtValue
COEFFICIENT_NOISE = 150.0  # units, standard deviation of the further coefficients


@dataclass(frozen=True)
class Pulses:
    """The records of one pixel and run in order of time, and the truth about them.

    Attributes
    ----------
    records
        Of `record_dtype`, (record,).
    energy
        Of the photon that triggered, f8 (record,), eV; NaN where no photon did.
    is_good
        Whether a single photon was recorded well, bool (record,).
    """

    records: NDArray[np.void]
    energy: FloatArray
    is_good: BoolArray


@dataclass(frozen=True)
class Arrivals:
    """Photons and spurious triggers in order of time, arrays (arrival,).

    Attributes
    ----------
    photons
        Energy, time and phase.
    frame
        Number of the frame since the start of the beamtime, f8, whole.
    is_spurious
        Whether no photon arrived, bool.
    """

    photons: Photons
    frame: FloatArray
    is_spurious: BoolArray

    def select(self, mask: BoolArray) -> "Arrivals":
        """Return the arrivals of a mask (arrival,)."""
        photons = self.photons.select(mask)
        return Arrivals(photons, self.frame[mask], self.is_spurious[mask])


@dataclass(frozen=True)
class Readings:
    """What a record reads, f8 (record,), units: baseline, pulse height, residual."""

    baseline: FloatArray
    height: FloatArray
    residual: FloatArray


def _draw_arrivals(
    settings: SimulationSettings,
    pixel: Pixel,
    measurement: Measurement,
    rng: np.random.Generator,
) -> Arrivals:
    run, source = measurement.run, measurement.source
    rate = settings.calibration_rate
    if run.kind is RunKind.SCAN:
        rate = settings.rate
    photon_rate = rate * pixel.throughput * run.beam * source.yields
    noise_rate = settings.noise_rate if pixel.is_noisy else 0.0
    total_rate = photon_rate + noise_rate

    exposures = run.exposures(moving=settings.timing.moving)
    length = exposures.end - exposures.start
    first_rate, last_rate = total_rate[exposures.before], total_rate[exposures.after]
    counts = rng.poisson((first_rate + last_rate) / 2 * length)
    exposure = np.repeat(np.arange(len(counts)), counts)
    number = len(exposure)
    share = _place_linearly(
        rng.random(number), first_rate[exposure], last_rate[exposure]
    )
    time = np.sort(exposures.start[exposure] + share * length[exposure])
    point = exposures.before[exposure]
    if settings.timing.moving:
        share = (time - exposures.start[exposure]) / length[exposure]
        weight = share * last_rate[exposure]
        weight /= weight + (1 - share) * first_rate[exposure]
        point = np.where(rng.random(number) < weight, exposures.after[exposure], point)
    is_spurious = rng.random(number) < (noise_rate / total_rate)[point]
    photon_energy = source.draw(point, rng)
    spurious_energy = rng.exponential(SPURIOUS_ENERGY, number)

    frame, phase = np.divmod(time / TRUE_FRAME_PERIOD, 1.0)
    photons = Photons(
        energy=np.where(is_spurious, spurious_energy, photon_energy),
        time=time,
        phase=phase,
        flicker=rng.normal(0, settings.pretrigger_scatter, number),
    )
    return Arrivals(photons, frame, is_spurious)


def _place_linearly(
    uniform: FloatArray, first_rate: FloatArray, last_rate: FloatArray
) -> FloatArray:
    """Return shares of an exposure, 0 to 1, whose density changes linearly.

    The inverse of a x + (b - a) x^2 / 2 = u (a + b) / 2, rates a at 0 and b at 1.
    """
    root = np.sqrt(first_rate**2 + uniform * (last_rate**2 - first_rate**2))
    share = uniform * (first_rate + last_rate) / (first_rate + root)
    return np.where(first_rate == last_rate, uniform, share)


def _fill_records(
    settings: SimulationSettings,
    pixel: Pixel,
    recorded: Arrivals,
    readings: Readings,
    rng: np.random.Generator,
) -> NDArray[np.void]:
    photons, height = recorded.photons, readings.height
    number = len(height)
    records = np.zeros(number, record_dtype(settings))
    records["recordSamples"] = RECORD_SAMPLES
    records["recordPreSamples"] = PRE_SAMPLES
    records["framecount"] = FIRST_FRAME + recorded.frame.astype(np.int64)
    elapsed_ns = np.round(recorded.frame * (TRUE_FRAME_PERIOD * 1e9))
    records["unixnano"] = START_NS + elapsed_ns.astype(np.int64)
    records["pretriggerMean"] = readings.baseline
    if "pretriggerDelta" in (records.dtype.names or ()):
        records["pretriggerDelta"] = rng.normal(0, DELTA_NOISE, number)
    records["residualStdDev"] = readings.residual

    coefs = records["coefs"]
    pulse_mean = records["pretriggerMean"] + MEAN_SHARE * height
    coefs[:, 0] = pulse_mean + rng.normal(0, MEAN_NOISE, number)
    ratio = pixel.phase_ratio(photons.energy, photons.phase)
    coefs[:, 1] = height * (ratio + rng.normal(0, PHASE_NOISE, number))
    coefs[:, 2] = height
    coefs[:, 3:] = rng.normal(0, COEFFICIENT_NOISE, (number, settings.bases - 3))
    return records


def record_pulses(detector: Detector, pixel: Pixel, measurement: Measurement) -> Pulses:
    """Simulate one pixel in one run.

    Parameters
    ----------
    detector
        Settings and common drift.
    pixel
        The pixel.
    measurement
        The run, its pulses' time and its photons.

    Returns
    -------
    Pulses
        Records, and the truth about them.
    """
    settings = detector.settings
    run_number = measurement.run.number
    # the order of the draws is part of every simulated beamtime
    rng = random_generator(settings.seed, Stream.PULSES, pixel.channel, run_number)
    arrivals = _draw_arrivals(settings, pixel, measurement, rng)
    heights = draw_pulse_heights(detector, pixel, arrivals.photons, rng)
    arrival_time = arrivals.photons.time
    is_recorded = find_triggers(arrival_time, DEAD_TIME)
    pile_up = find_pile_up(arrival_time, heights, is_recorded)
    tail = tail_of_previous_photon(settings, arrival_time)[is_recorded]

    recorded = arrivals.select(is_recorded)
    time, is_spurious = recorded.photons.time, recorded.is_spurious
    number = len(time)
    residual_noise = RESIDUAL_NOISE * pixel.residual / RESIDUAL_UNIT
    good_residual = rng.normal(pixel.residual, residual_noise, number)
    residual = np.hypot(good_residual, pile_up.added_residual)
    is_bad = rng.random(number) < settings.bad_share
    height = heights[is_recorded] + pile_up.added_height
    height = np.where(is_bad, height * rng.uniform(*BAD_HEIGHT, number), height)
    misfit = rng.lognormal(*BAD_RESIDUAL, number)
    residual = np.where(is_bad | is_spurious, residual + misfit, residual)

    common_drift = pixel.baseline_scale * detector.baseline_drift.at(time)
    jump = JUMP_BASELINE * (time >= pixel.jump_time)
    drift = TAIL_BASELINE * tail + common_drift + jump
    baseline = pixel.baseline + drift + recorded.photons.flicker
    readings = Readings(baseline, height, residual)
    return Pulses(
        records=_fill_records(settings, pixel, recorded, readings, rng),
        energy=np.where(is_spurious, np.nan, recorded.photons.energy),
        is_good=~(is_bad | pile_up.is_piled_up | is_spurious),
    )
