"""The pulse records of one pixel in one run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.simulate.detector import (
    CLOCK,
    DEAD_TIME,
    FRAME_PERIOD,
    JUMP_BASE_LINE,
    PILE_UP_TIME,
    RECORD_SAMPLES,
    Pixel,
    measured_height,
    tail_of_last,
    triggered,
)
from rixs_pipeline.simulate.drift import BaseLine
from rixs_pipeline.simulate.schedule import START_NS, PlannedRun
from rixs_pipeline.simulate.settings import SimulationSettings

Array = NDArray[np.float64]

PRE_SAMPLES = 259
FIRST_FRAME = 1_388_000_000
TAIL_BASE_LINE = (
    0.3  # units by which the base line stands higher for each eV that a tail adds
)
# Standard deviations, units. The gain follows the base line from pulse to pulse too: of the real pulses above 690 eV,
# 3.5 +- 0.5 e-5 relative a unit for what differs from the running median over 31 pulses, 1.7 +- 0.6 for the median.
BASE_LINE_FLICKER, RESIDUAL_NOISE = 4.5, 2.0


@dataclass(frozen=True)
class Spectra:
    """What leaves the sample in a run, ready to draw from.

    `edges` f8 (bin + 1,), eV, evenly spaced; `yields` f8 (point,), photons at rate 1 and beam 1; `table` f8
    (point, bin + 1), the cumulative share of a point's photons from 0 to 1, plus the number of the point: so the
    whole table ascends and one search serves all points.
    """

    edges: Array
    yields: Array
    table: Array

    def draw(self, point: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Energies of photons of the given points, f8 like `point`, eV: the inverse of the cumulative share."""
        flat = self.table.ravel()
        value = point + rng.random(len(point))
        left = np.searchsorted(flat, value, side="right") - 1
        share = (value - flat[left]) / (flat[left + 1] - flat[left])
        step = self.edges[1] - self.edges[0]
        return np.asarray(self.edges[left - point * self.table.shape[1]] + share * step)

    def binned(self, edges: Array) -> Array:
        """Photons between the given edges (eV, ascending) at rate 1 and beam 1, f8 (point, len(edges) - 1)."""
        shares = [np.diff(np.interp(edges, self.edges, row)) for row in self.table]
        return np.asarray(self.yields[:, None] * np.stack(shares))


def spectra(energy: Array, density: Array) -> Spectra:
    """Spectra of densities (point, energy) per eV on an even grid of `energy` eV: linear between grid points."""
    step = energy[1] - energy[0]
    areas = 0.5 * step * (density[:, 1:] + density[:, :-1])
    cumulative = np.concatenate(
        [np.zeros((len(density), 1)), np.cumsum(areas, axis=1)], axis=1
    )
    yields = cumulative[:, -1]
    return Spectra(
        energy, yields, cumulative / yields[:, None] + np.arange(len(density))[:, None]
    )


@dataclass(frozen=True)
class Pulses:
    """The records of one pixel and run in the order of time, and the truth about them."""

    records: NDArray[np.void]
    energy: (
        Array  # f8 (record,), of the photon that triggered, eV; NaN where no photon did
    )
    good: NDArray[np.bool_]  # one photon, recorded well


def _arrivals(
    run: PlannedRun, rate: Array, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64]]:
    """Times s and points of everything that arrives: `rate` f8 (point,), 1/s, from each start to the next."""
    length = run.next_start - run.start
    number = rng.poisson(rate * length)
    point = np.repeat(np.arange(len(number)), number)
    return np.sort(run.start[point] + rng.random(len(point)) * length[point]), point


def _residuals(pixel: Pixel, n: int, rng: np.random.Generator) -> Array:
    return rng.normal(pixel.residual, RESIDUAL_NOISE * pixel.residual / 30, n)


def _pile_up(
    time: Array, height: Array, keep: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], Array, Array]:
    """Of the kept arrivals: whether a second one fell into the record, and what it adds to height and residual."""
    kept = np.flatnonzero(keep)
    second = np.minimum(kept + 1, len(time) - 1)
    hit = ~keep[second] & (second > kept)
    delay = np.where(hit, time[second] - time[kept], DEAD_TIME)
    apart = np.minimum(
        delay / PILE_UP_TIME, 1.0
    )  # two photons within a few samples look like one of their sum
    added = height[second] * (1 - apart + apart * 0.4 * (1 - delay / DEAD_TIME))
    misfit = apart * 0.25 * (1 - (delay / DEAD_TIME) ** 2) * height[second]
    return hit, np.where(hit, added, 0.0), np.where(hit, misfit, 0.0)


def record_pulses(
    settings: SimulationSettings,
    pixel: Pixel,
    run: PlannedRun,
    source: Spectra,
    base_line: BaseLine,
    dtype: np.dtype[np.void],
) -> Pulses:
    """Simulate one pixel in one run.

    Args:
        settings: the beamtime's.
        pixel: the pixel.
        run: the run; pulses come from its first start to its last end.
        source: the spectra of its points.
        base_line: the drift that all pixels share.
        dtype: of a record, see `writers.record_dtype`.
    """
    rng = np.random.default_rng(
        np.random.SeedSequence(settings.seed, spawn_key=(4, pixel.channel, run.number))
    )
    nominal = settings.rate if run.kind == "scan" else settings.calibration_rate
    photons = nominal * pixel.throughput * run.beam * source.yields
    noise = settings.noise_rate * pixel.noisy
    time, point = _arrivals(run, photons + noise, rng)
    spurious = rng.random(len(time)) < (noise / (photons + noise))[point]
    energy = np.where(spurious, np.nan, source.draw(point, rng))
    keep = triggered(time, DEAD_TIME)

    frame, phase = np.divmod(time / (FRAME_PERIOD * CLOCK), 1.0)
    seen = np.where(spurious, rng.exponential(150.0, len(time)), energy)
    flicker = rng.normal(0, BASE_LINE_FLICKER, len(time))
    height = measured_height(
        pixel, settings, seen, time, phase, base_line, flicker, rng
    )
    lifted = TAIL_BASE_LINE * tail_of_last(settings, time)[keep]
    piled, more_height, more_residual = _pile_up(time, height, keep)
    time, frame, phase, spurious, flicker = (
        time[keep],
        frame[keep],
        phase[keep],
        spurious[keep],
        flicker[keep],
    )
    seen, energy, height = seen[keep], energy[keep], height[keep] + more_height
    n = len(time)
    residual = np.hypot(_residuals(pixel, n, rng), more_residual)
    bad = rng.random(n) < settings.bad_share
    height = np.where(bad, height * rng.uniform(0.2, 1.1, n), height)
    residual = np.where(bad | spurious, residual + rng.lognormal(6.0, 0.7, n), residual)

    drift = (
        lifted
        + pixel.base_line_scale * base_line.at(time)
        + JUMP_BASE_LINE * (time >= pixel.jump_time)
    )
    records = np.zeros(n, dtype)
    records["recordSamples"], records["recordPreSamples"] = RECORD_SAMPLES, PRE_SAMPLES
    records["framecount"] = FIRST_FRAME + frame.astype(np.int64)
    records["unixnano"] = START_NS + np.round(
        frame * (FRAME_PERIOD * CLOCK * 1e9)
    ).astype(np.int64)
    records["pretriggerMean"] = pixel.base_line + drift + flicker
    if "pretriggerDelta" in (dtype.names or ()):
        records["pretriggerDelta"] = rng.normal(0, 14.0, n)
    records["residualStdDev"] = residual
    coefs = records["coefs"]
    coefs[:, 0] = records["pretriggerMean"] + 0.0035 * height + rng.normal(0, 4.0, n)
    coefs[:, 1] = height * (pixel.phase_reading(seen, phase) + rng.normal(0, 0.04, n))
    coefs[:, 2] = height
    coefs[:, 3:] = rng.normal(0, 150.0, (n, settings.bases - 3))
    return Pulses(records, energy, ~(bad | piled | spurious))
