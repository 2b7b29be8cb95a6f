"""Pixels that stand off the others: how many are found, and how many sound ones are.

    python -m tests.truth.pixels --scans 300 --seed 5000
    python -m tests.truth.pixels --beamtimes 20 --seed 5000

Scans of arrays of four to sixteen pixels at five edges. Photons are those of the
simulator, with the resolution, tail and throughput of each pixel; every pixel has an
error of its calibration and hidden drift. In half of the scans one pixel, in large
arrays maybe two, is displaced by 4 to 30 eV at its brightest line, for a stretch of
time in which it has 100 photons in this line. With `--beamtimes`, whole beamtimes are
simulated and reduced; the gain of one pixel jumps and returns between the reference
runs, or beside the only one.
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.core.drift.pixel_comparison.displaced_pixels import find_displaced
from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.io import nexus
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import Sample, SimulationSettings
from rixs_pipeline.simulate.source import Measurement, plan_measurements
from rixs_pipeline.stages.interval.align_pixels import MAX_PIECES, spectrum_edges
from rixs_pipeline.types import FloatArray, IntArray
from tests.conftest import SMALL
from tests.faults import pixels as faults

EDGES = ("Co_L", "O_K", "Mn_L", "Ni_L", "C_K")
SHIFTS_EV = (4.0, 30.0)
LINE_PHOTONS = 100  # while displaced
LINE_HALF_WIDTH_EV = 5.0
MAIN_LINES = {"Co_L": 776.0, "O_K": 525.0, "Mn_L": 637.0, "Ni_L": 851.0, "C_K": 277.0}


@dataclass(frozen=True)
class ArrayOfPixels:
    """Pixels of an array, (pixel,) each: their response and errors."""

    throughput: FloatArray
    fwhm: FloatArray  # eV
    tail_fraction: FloatArray
    tail_length: FloatArray  # eV
    gain_error: FloatArray  # relative
    drift: FloatArray  # relative, from the first to the last point

    @classmethod
    def draw(
        cls, number: int, fwhm: float, rng: np.random.Generator
    ) -> "ArrayOfPixels":
        """Draw an array with a resolution of `fwhm` eV."""
        hidden = rng.choice([0.2, 0.5]) / 851
        return cls(
            throughput=2 ** rng.uniform(-0.5, 0.5, number),
            fwhm=fwhm * np.maximum(rng.normal(1, 0.12, number), 0.4),
            tail_fraction=rng.uniform(0.08, 0.25, number),
            tail_length=rng.uniform(10, 30, number),
            gain_error=rng.normal(0, np.hypot(hidden, 0.2 / 851), number),
            drift=rng.normal(0, hidden / 2, number),
        )


@dataclass(frozen=True)
class Photons:
    """Photons of one pixel in a scan, in order of time."""

    point: IntArray
    energy: FloatArray  # eV, as the pixel reads them


@cache
def measured_scan(edge: str, points: int, sample: int) -> Measurement:
    """Return a scan of one of three samples."""
    samples = (
        Sample(name="oxide"),
        Sample(name="fluorinated", fluorine=1.0, redox=1.4),
        Sample(name="charged", redox=2.0, oxide=0.6),
    )
    settings = SimulationSettings.model_validate(
        {"edges": [edge], "passes": 1, "points": points, "samples": [samples[sample]]}
    )
    return plan_measurements(settings)[1]


def draw_photons(
    measurement: Measurement,
    array: ArrayOfPixels,
    pixel: int,
    mean: float,
    rng: np.random.Generator,
) -> Photons:
    """Draw the photons that a pixel records; a mean pixel has `mean` of them."""
    run, source = measurement.run, measurement.source
    expected = source.yields * run.beam
    expected *= mean * array.throughput[pixel] / expected.sum()
    number = rng.poisson(expected)
    point = np.repeat(np.arange(len(number)), number)
    energy = source.draw(point, rng)
    is_tail = rng.random(len(point)) < array.tail_fraction[pixel]
    energy = energy - is_tail * rng.exponential(array.tail_length[pixel], len(point))
    energy += rng.normal(0, array.fwhm[pixel] / 2.355, len(point))
    time = point / len(number) - 0.5
    energy *= 1 + array.gain_error[pixel] + array.drift[pixel] * time
    return Photons(point, energy)


def brightest_line(energy: FloatArray) -> float:
    """Return the energy around which most of the photons lie, eV."""
    counts, edges = np.histogram(energy, np.arange(200.0, 1100.0, 1.0))
    window = np.ones(int(2 * LINE_HALF_WIDTH_EV))
    return float(edges[np.argmax(np.convolve(counts, window, "same"))] + 0.5)


def displace(
    photons: Photons, shift: float, rng: np.random.Generator
) -> Photons | None:
    """Displace a pixel while it has `LINE_PHOTONS` in its brightest line.

    Returns
    -------
    Photons or None
        None where the scan has fewer photons in this line.
    """
    line = brightest_line(photons.energy)
    in_line = np.flatnonzero(np.abs(photons.energy - line) < LINE_HALF_WIDTH_EV)
    if len(in_line) < LINE_PHOTONS:
        return None
    first = int(rng.integers(0, len(in_line) - LINE_PHOTONS + 1))
    start, stop = in_line[first], in_line[first + LINE_PHOTONS - 1] + 1
    energy = photons.energy.copy()
    energy[start:stop] *= 1 + shift / line
    return Photons(photons.point, energy)


def spectra(array: list[Photons], n_points: int, edges: FloatArray) -> IntArray:
    """Return the spectra (pixel, piece, bin) as the reduction makes them."""
    piece_edges = np.arange(MAX_PIECES + 1) - 0.5
    rows = []
    for photons in array:
        in_point = np.bincount(photons.point, minlength=n_points)
        first = np.cumsum(in_point) - in_point
        rank = np.arange(len(photons.point)) - first[photons.point]
        place = photons.point + rank / in_point[photons.point]
        piece = np.floor(place * MAX_PIECES / n_points)
        counts, _, _ = np.histogram2d(piece, photons.energy, [piece_edges, edges])
        rows.append(counts.astype(np.int32))
    return np.stack(rows)


@dataclass(frozen=True)
class Trial:
    """One scan: its array, and what was displaced and found."""

    label: str
    n_pixels: int
    displaced: frozenset[int]
    found: frozenset[int]
    shift: float
    measured: float
    is_undetermined: bool


def run_trial(seed: int, n_displaced: int) -> Trial:
    """Simulate a scan and compare its pixels."""
    rng = np.random.default_rng(seed)
    edge = str(rng.choice(EDGES))
    n_points = int(rng.choice([20, 40, 70, 240]))
    fwhm = float(rng.choice([1.4, 3.0]))
    number = int(rng.choice([4, 5, 6, 8, 12, 16]))
    mean = float(np.exp(rng.uniform(np.log(60), np.log(6000))))
    measurement = measured_scan(edge, n_points, int(rng.integers(3)))
    array = ArrayOfPixels.draw(number, fwhm, rng)
    photons = [draw_photons(measurement, array, p, mean, rng) for p in range(number)]
    shift = float(rng.uniform(*SHIFTS_EV) * rng.choice([-1, 1]))
    displaced = set()
    for pixel in rng.permutation(number)[:n_displaced].tolist():
        changed = displace(photons[pixel], shift, rng)
        if changed is not None:
            photons[pixel] = changed
            displaced.add(pixel)
    edges = spectrum_edges()
    counts = PieceCounts.from_array(spectra(photons, n_points, edges))
    result = find_displaced(counts, edges)
    found = frozenset(np.flatnonzero(result.is_displaced | result.is_unlike).tolist())
    measured = [float(result.shift[pixel]) for pixel in displaced & found]
    return Trial(
        label=f"{edge}, {n_points} points, {fwhm} eV, {mean:.0f} photons",
        n_pixels=number,
        displaced=frozenset(displaced),
        found=found,
        shift=shift,
        measured=measured[0] if measured else np.nan,
        is_undetermined=result.is_undetermined,
    )


@dataclass(frozen=True)
class BeamtimeResult:
    """Pixels of the scans of a beamtime, by what was wrong and what was found."""

    label: str
    displaced: int
    found: int
    sound: int
    sound_found: int


def run_beamtime(seed: int) -> BeamtimeResult:
    """Simulate a beamtime with one pixel that leaves, and reduce it up to the maps."""
    rng = np.random.default_rng([seed, 2])
    number = int(rng.choice([4, 6, 8]))
    edge = str(rng.choice(EDGES))
    changes = {
        "seed": seed,
        "pixels": number,
        "edges": [edge],
        "samples": [{"name": "LMR"}],
        "passes": 3,
        "points": int(rng.choice([20, 40])),
        "dwell": 3.0,
        "rate": float(rng.uniform(6, 15)),
        "calibration_rate": 20.0,
        "calibration_duration": 200.0,
        "last_calibration_after": float(rng.choice([600.0, 7200.0])),
        "calibrations": int(rng.choice([1, 2])),
        "fwhm": float(rng.choice([1.4, 3.0])),
        "hidden_drift": float(rng.choice([0.2, 0.5])),
    }
    settings = SimulationSettings.model_validate(SMALL | changes)
    first = int(rng.integers(1, 4))
    last = 3 if settings.calibrations == 1 else int(rng.integers(first, 4))
    pixel = 2 * int(rng.integers(number)) + 1
    shift = float(rng.uniform(*SHIFTS_EV) * rng.choice([-1, 1]))
    factor = 1 + shift / MAIN_LINES[edge]
    with TemporaryDirectory() as folder:
        beamtime, out = Path(folder, "beamtime"), Path(folder, "out")
        simulate(beamtime, settings)
        start = faults.window(beamtime, f"scan{first:04d}")[0]
        end = faults.window(beamtime, f"scan{last:04d}")[1]
        faults.change_gain(beamtime, pixel, factor, start, end)
        config = Config.model_validate({"execution": {"scheduler": "serial"}})
        run(beamtime, config, out, Options(until="bin"))
        totals: Counter[str] = Counter()
        for scan in range(1, 4):
            product = nexus.read_entry(paths.scan_product(out, f"scan{scan:04d}"))
            numbers = product["pixel"].values.tolist()
            for channel, status in zip(
                numbers, product["pixel_status"].values, strict=True
            ):
                is_off = str(status).startswith(("displaced", "unlike"))
                is_displaced = channel == pixel and first <= scan <= last
                kind = "displaced" if is_displaced else "sound"
                totals[kind] += 1
                totals[f"{kind} found"] += is_off
    label = (
        f"seed {seed}: {number} pixels, {edge}, {settings.calibrations} reference runs,"
        f" pixel {pixel} {shift:+.1f} eV"
    )
    return BeamtimeResult(
        label=label,
        displaced=totals["displaced"],
        found=totals["displaced found"],
        sound=totals["sound"],
        sound_found=totals["sound found"],
    )


def print_beamtimes(number: int, seed: int) -> None:
    """Print what is found in whole beamtimes."""
    results = []
    for beamtime in range(number):
        result = run_beamtime(seed + beamtime)
        results.append(result)
        if result.found < result.displaced or result.sound_found:
            print(
                f"{result.label}: {result.found} of {result.displaced} found, "
                f"{result.sound_found} of {result.sound} sound ones",
                flush=True,
            )
    print(
        f"{number} beamtimes: {sum(r.found for r in results)} of "
        f"{sum(r.displaced for r in results)} displaced pixels found, "
        f"{sum(r.sound_found for r in results)} of {sum(r.sound for r in results)} "
        "sound ones"
    )


def main() -> None:
    """Print how many displaced and sound pixels are found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=300, help="of displaced pixels")
    parser.add_argument("--sound", type=int, default=5000, help="sound pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beamtimes", type=int, default=0, help="whole beamtimes")
    arguments = parser.parse_args()
    if arguments.beamtimes:
        print_beamtimes(arguments.beamtimes, arguments.seed)
        return
    seed = arguments.seed
    totals: Counter[str] = Counter()
    while totals["displaced"] < arguments.scans:
        trial = run_trial(seed, n_displaced=1)
        seed += 1
        if not trial.displaced:
            continue
        totals["displaced"] += 1
        is_found = trial.displaced == trial.found and not trial.is_undetermined
        totals["found"] += is_found
        totals["others found"] += len(trial.found - trial.displaced)
        if not is_found:
            print(
                f"seed {seed - 1}: {trial.n_pixels} pixels, {trial.label}: missed "
                f"{trial.shift:+.1f} eV; found {sorted(trial.found)}"
            )
    while totals["sound"] < arguments.sound:
        trial = run_trial(seed, n_displaced=0)
        seed += 1
        totals["sound"] += trial.n_pixels
        totals["sound found"] += len(trial.found)
        if trial.found:
            print(
                f"seed {seed - 1}: {trial.n_pixels} pixels, {trial.label}: "
                f"{len(trial.found)} sound pixels found"
            )
    print(
        f"displaced: {totals['found']} of {totals['displaced']} found, "
        f"{totals['others found']} sound ones beside them"
    )
    print(f"sound: {totals['sound found']} of {totals['sound']} found")


if __name__ == "__main__":
    main()
