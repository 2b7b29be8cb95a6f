"""Stated errors against the truth of the simulator.

    python -m tests.truth.errors ipfy --beamtimes 50 --seed 1

Parts: `ipfy`, the test of an inverse yield's line; `widths`, resolution and widths of
lines; `leak`, the low-energy tail of the response; `xas`, normalised TEY and TFY.
"""

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import xarray as xr

from rixs_pipeline.config import CalibrationConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.maps.map_data import MapData, ResponseTail
from rixs_pipeline.core.response.resolution import ELASTIC_LINE
from rixs_pipeline.core.response.tail_fit import LENGTH_FACTORS, LENGTH_WEIGHTS
from rixs_pipeline.core.spectra.inverse_yield_line import check_line
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.core.spectra.regions import Scale
from rixs_pipeline.core.spectra.xas import normalise_passes, supports_line
from rixs_pipeline.core.stats.reading_noise import estimate_noise
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.simulate.absorption import absorption
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.emission import ELASTIC_FWHM
from rixs_pipeline.simulate.lines import FWHM_PER_SIGMA
from rixs_pipeline.simulate.schedule import scan_energies
from rixs_pipeline.simulate.settings import Sample, SimulationSettings
from rixs_pipeline.simulate.truth import DetectorResponse, true_map
from rixs_pipeline.stages.reference.calibrate_run import calibrate_run
from rixs_pipeline.types import Edge
from tests.benchmarks.line_truth import probe_lines
from tests.truth.sound import NO_DEFECTS

FEW = 3  # pixels
XAS_EDGES = ("Co_L", "Ni_L", "O_K")
PARKED_EV = 1000.0
EMISSION_EV = (200.0, 1100.0)
LEAK_WINDOWS_EV = ((5, 20), (20, 40), (40, 70))  # below a line
EMISSION_EDGES = np.arange(200.0, 1000.5, 0.5)  # eV
POINTS = 60
TAIL_ERROR = 0.15  # relative, of both values of a tail
# emission windows, eV, and whether nothing in them resonates at the edge
IPFY_WINDOWS = {
    "Co_L": {
        "C_Ka": (265, 290, True),
        "O_Ka": (510, 540, True),
        "Co_La": (765, 785, False),
        "tail": (700, 755, False),
    },
    "Mn_L": {
        "C_Ka": (265, 290, True),
        "O_Ka": (510, 535, True),
        "Mn_La": (625, 645, False),
    },
    "Ni_L": {
        "C_Ka": (265, 290, True),
        "O_Ka": (510, 540, True),
        "Co_La": (762, 800, True),
        "Ni_La": (838, 880, False),
        "tail": (790, 830, False),
    },
}


def draw_response(rng: np.random.Generator) -> DetectorResponse:
    """Draw the response of a detector as real ones are."""
    return DetectorResponse(
        fwhm=rng.uniform(1.2, 3.0),
        tail_fraction=rng.uniform(0.12, 0.20),
        tail_length=rng.uniform(10.0, 30.0),
    )


def measure_ipfy(beamtimes: int, seed: int) -> None:
    """Print how many lines are accepted, by edge, window and counts."""
    for edge, windows in IPFY_WINDOWS.items():
        for seconds in (100.0, 2000.0):
            passed = dict.fromkeys(windows, 0)
            photons = dict.fromkeys(windows, 0)
            for beamtime in range(beamtimes):
                rng = np.random.default_rng([seed, beamtime])
                data = draw_map(edge, seconds, rng)
                for name, (low, high, _) in windows.items():
                    inside = (data.centres > low) & (data.centres < high)
                    weights = np.broadcast_to(inside * 1.0, data.counts.shape)
                    passed[name] += check_line(data, weights, Edge(edge)).passed
                    photons[name] += int(data.counts[:, inside].sum())
            for name, (_, _, is_sound) in windows.items():
                print(
                    f"{edge} {name:6s} {photons[name] // beamtimes:6d} photons: "
                    f"{passed[name]} of {beamtimes} accepted, "
                    f"{'all' if is_sound else 'none'} expected"
                )


def draw_map(edge: str, seconds: float, rng: np.random.Generator) -> MapData:
    """Draw the map of a sample with a drawn amount of fluorine and redox feature."""
    sample = {"name": "A", "fluorine": rng.uniform(0, 0.5), "redox": rng.uniform(0, 2)}
    settings = SimulationSettings.model_validate(
        {"samples": [sample], "edges": [edge], "rate": 1.0}
    )
    incident = scan_energies(edge, POINTS)
    response = draw_response(rng)
    rates = true_map(settings, edge, "A", incident, EMISSION_EDGES, response=response)
    counts = rng.poisson(rates * seconds)
    exposure = np.full(POINTS, seconds)
    data = MapData(counts, exposure, EMISSION_EDGES, incident)
    return replace(data, tail=draw_tail(response, rng))


def draw_tail(response: DetectorResponse, rng: np.random.Generator) -> ResponseTail:
    """Draw the tail that a reference run gives of a response."""
    fraction, length = response.tail_fraction, response.tail_length
    fraction_error, length_error = TAIL_ERROR * fraction, TAIL_ERROR * length
    return ResponseTail(
        rng.normal(fraction, fraction_error),
        fraction_error,
        rng.normal(length, length_error),
        length_error,
    )


@dataclass(frozen=True)
class ReferenceRun:
    """A calibrated reference run of a simulated beamtime, and its truth."""

    settings: SimulationSettings
    calibration: xr.Dataset
    of_few_pixels: xr.Dataset
    pixels: dict[int, dict[str, float]]


def draw_reference_runs(beamtimes: int, seed: int) -> Iterator[ReferenceRun]:
    """Simulate and calibrate reference runs, also with `FEW` of their pixels alone."""
    for beamtime in range(beamtimes):
        rng = np.random.default_rng([seed, beamtime])
        counts = np.exp(rng.uniform(np.log(300), np.log(2000)))
        pixels = int(rng.choice([4, 6, 8, 12]))
        settings = SimulationSettings.model_validate(
            {
                "seed": int(rng.integers(1 << 30)),
                "pixels": pixels,
                "edges": ["Co_L"],
                "samples": [{"name": "A"}],
                "passes": 1,
                "points": 5,
                "dwell": 0.2,
                "calibrations": 1,
                "calibration_rate": 20.0,
                "calibration_duration": counts * 7.5 / 20.0,
                "fwhm": rng.uniform(1.4, 3.5),
                **NO_DEFECTS,
            }
        )
        with TemporaryDirectory() as folder:
            path = Path(folder) / "beamtime"
            simulate(path, settings)
            (run,) = (r for r in discover(path).runs if r.kind == "calibration")
            config, reference = CalibrationConfig(), load_reference_set("srd128")
            few = replace(run, pulse_files=run.pulse_files[:FEW])
            yield ReferenceRun(
                settings=settings,
                calibration=calibrate_run(run, reference, config, EMISSION_EV),
                of_few_pixels=calibrate_run(few, reference, config, EMISSION_EV),
                pixels={
                    pixel["channel"]: pixel
                    for pixel in json.loads((path / "truth.json").read_text())["pixels"]
                },
            )


def measure_widths(beamtimes: int, seed: int) -> None:
    """Print pulls of resolution and Gaussian widths, and what other pixels change."""
    pulls: dict[str, list[float]] = defaultdict(list)
    for run in draw_reference_runs(beamtimes, seed):
        calibration = run.calibration
        channels = calibration["pixel"].values
        true = np.array([run.pixels[channel]["fwhm"] for channel in channels])
        energies = np.append(calibration["line_energy"].values, PARKED_EV)
        _, scatter = probe_lines(run.settings, calibration, 0, energies)
        widths = np.hypot(true[:, None], FWHM_PER_SIGMA * scatter)
        elastic = np.hypot(widths[:, -1], ELASTIC_FWHM)
        is_elastic = calibration["resolution_source"].values == ELASTIC_LINE
        from_lines = np.median(widths[:, :-1], axis=1)
        expected = np.where(is_elastic, elastic, from_lines)
        _add_pulls(pulls, calibration, "resolution", expected)
        _add_pulls(pulls, calibration, "fwhm", widths[:, :-1])
        is_same = run.of_few_pixels.sizes["line"] == calibration.sizes["line"]
        for name in ("resolution", "fwhm", "line_width") if is_same else ():
            few, errors = run.of_few_pixels[name], calibration[f"{name}_errors"]
            same = errors.values[:FEW]
            change = (few.values - calibration[name].values[:FEW]) / same
            pulls[f"{name} without the other pixels"] += change.ravel().tolist()
    for name, values in pulls.items():
        _print_pulls(name, values)


def _add_pulls(
    pulls: dict[str, list[float]],
    calibration: xr.Dataset,
    name: str,
    expected: np.ndarray,
) -> None:
    difference = calibration[name].values - expected
    deviations = difference / calibration[f"{name}_errors"].values
    pulls[name] += deviations.ravel().tolist()


def _print_pulls(name: str, values: list[float]) -> None:
    known = np.array(values)[np.isfinite(values)]
    rms = np.sqrt(np.mean(known**2))
    print(f"{name}: pulls mean {known.mean():+.2f}, rms {rms:.2f} of {len(known)}")


def measure_leak(beamtimes: int, seed: int) -> None:
    """Print leaks from a line into windows below it, relative to the true ones."""
    ratios = defaultdict(list)
    pulls = defaultdict(list)
    for run in draw_reference_runs(beamtimes, seed):
        for count, product in (("all", run.calibration), (FEW, run.of_few_pixels)):
            weights = np.nansum(product["line_counts"].values, axis=1)
            if not weights.any() or np.isnan(product.attrs["tail_fraction"]):
                continue
            channels = product["pixel"].values
            fractions, lengths = (
                np.array([run.pixels[channel][name] for channel in channels])
                for name in ("tail_fraction", "tail_length")
            )
            attributes = product.attrs
            fraction, length = attributes["tail_fraction"], attributes["tail_length"]
            step = np.array([1e-3 * fraction, 1e-3 * length])
            for near, far in LEAK_WINDOWS_EV:
                shares = _tail_share(fractions, lengths, near, far)
                true = np.average(shares, weights=weights)
                leak = _mean_share(fraction, length, near, far)
                slopes = [
                    (_mean_share(fraction + step[0], length, near, far) - leak),
                    (_mean_share(fraction, length + step[1], near, far) - leak),
                ]
                errors = np.array(
                    [
                        attributes["tail_fraction_errors"],
                        attributes["tail_length_errors"],
                    ]
                )
                changes = np.array(slopes) / step * errors
                cross = 2 * attributes["tail_correlation"] * changes.prod()
                error = np.sqrt((changes**2).sum() + cross)
                key = f"{near}-{far} eV below, {count} pixels"
                ratios[key].append(leak / true - 1)
                pulls[key].append((leak - true) / error)
    for key, values in ratios.items():
        known = np.array(values)[np.isfinite(values)]
        mean_error = known.std() / np.sqrt(len(known))
        print(
            f"leak {key}: {100 * known.mean():+.1f} ± {100 * mean_error:.1f} %",
            end=", ",
        )
        _print_pulls("", pulls[key])


def _tail_share(
    fraction: np.ndarray, length: np.ndarray, near: float, far: float
) -> np.ndarray:
    return fraction * (np.exp(-near / length) - np.exp(-far / length))


def _mean_share(fraction: float, length: float, near: float, far: float) -> float:
    lengths = length * LENGTH_FACTORS
    shares = _tail_share(np.array(fraction), lengths, near, far)
    return float(LENGTH_WEIGHTS @ shares)


def measure_xas(beamtimes: int, seed: int) -> None:
    """Print pulls of normalised readings against truth and between equal samples."""
    pulls = defaultdict(list)
    for beamtime in range(beamtimes):
        rng = np.random.default_rng([seed, beamtime])
        for edge, passes in itertools.product(XAS_EDGES, (1, 2, 5)):
            energy = scan_energies(edge, int(rng.choice([60, 120])))
            windows = PRESETS[Edge(edge)].edge
            is_linear = supports_line(energy, windows.pre_edge)
            sample = Sample(name="A", redox=rng.uniform(0, 2))
            true = absorption(energy, sample, surface=True)
            noise = rng.choice([0.002, 0.005, 0.01])
            drawn = [
                [
                    rng.uniform(0.8, 1.2) * true * rng.normal(1, noise, len(energy))
                    for _ in range(passes)
                ]
                for _ in range(2)
            ]
            first, second = (
                normalise_passes(
                    energy,
                    readings,
                    estimate_noise(energy, readings),
                    Scale.MAX,
                    windows,
                    is_linear=is_linear,
                )
                for readings in drawn
            )
            exact = normalise_passes(
                energy,
                [true],
                [np.zeros(len(energy))],
                Scale.MAX,
                windows,
                is_linear=is_linear,
            )
            is_off_the_maximum = np.abs(exact.values) < 0.9
            of_truth = (first.values - exact.values) / first.errors
            between = (first.values - second.values) / np.hypot(
                first.errors, second.errors
            )
            key = f"{passes} passes"
            pulls[f"{key}, truth"] += of_truth[is_off_the_maximum].tolist()
            pulls[f"{key}, equal samples"] += between[is_off_the_maximum].tolist()
    for name, values in pulls.items():
        _print_pulls(name, values)


PARTS = {
    "ipfy": measure_ipfy,
    "widths": measure_widths,
    "leak": measure_leak,
    "xas": measure_xas,
}


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--beamtimes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    PARTS[arguments.part](arguments.beamtimes, arguments.seed)


if __name__ == "__main__":
    main()
