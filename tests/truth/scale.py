"""Energy scale of scans against the truth, over many small simulated beamtimes.

``python -m tests.truth.scale --beamtimes 200 --seed 1000`` prints, for each kind of
beamtime, how far the common energy scale of scans is off (eV, at the lines of the
samples), and that over its stated error. Beamtimes with common drift are reduced twice:
once it is learned, once the config states it.

Each good photon of a scan has an error, measured - true energy; the scale is at the
centre of the Gaussian part of these errors (`peak_fits`). Errors of neighbouring scans
of a beamtime are not independent: their number is that of the beamtimes, roughly.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rixs_pipeline import open_product
from rixs_pipeline.config import Config
from rixs_pipeline.core.energy import interpolated_energy
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.formats import off
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.stages.scan import count_scans
from tests.benchmarks.peak_fits import fit

CONDITIONS = {
    "two reference runs": {},
    "one reference run": {"calibrations": 1},
    "strong drift": {"drift": 3.0},
    "strong drift, one": {"drift": 3.0, "calibrations": 1},
    "scatter 1.5": {"pretrigger_scatter": 1.5},
    "scatter 1.5, one": {"pretrigger_scatter": 1.5, "calibrations": 1},
    "scatter 6": {"pretrigger_scatter": 6.0},
    "scatter 6, one": {"pretrigger_scatter": 6.0, "calibrations": 1},
    "common 0.3 eV, 2 h": {"common_drift": (0.3, 7200.0)},
    "common 0.3 eV, 2 h, one": {"common_drift": (0.3, 7200.0), "calibrations": 1},
}
STATED = ", stated"  # ends names of results with the hidden drift as the config has it
WINDOWS = {  # eV of true energy, at lines of the samples
    "O_K": {"O Ka": (515.0, 535.0)},
    "Co_L": {"O Ka": (515.0, 535.0), "Co La": (768.0, 784.0)},
}
ENOUGH = 200  # photons in a window
ERRORS = (-15.0, 10.0)  # eV, of the fit
BOOTSTRAPS = 1000


def settings(seed: int, condition: str) -> SimulationSettings:
    """Two or three samples, two edges, two passes of each; 8 to 12 pixels."""
    rng = np.random.default_rng(seed)
    names = ("first", "second", "third")[: rng.integers(2, 4)]
    values = {
        "seed": seed,
        "pixels": int(rng.integers(8, 13)),
        "rate": float(rng.uniform(2, 4)),
        "calibration_rate": float(rng.uniform(4, 6)),
        "calibration_duration": float(rng.uniform(200, 900)),
        "points": 30,
        "dwell": float(rng.uniform(10, 20)),
        "settle": 0.1,
        "passes": 2,
        "edges": ("Co_L", "O_K"),
        "samples": tuple({"name": name} for name in names),
        "last_calibration_after": 3600.0,
        "projector_samples": 8,
        "bases": 3,
        "dead_pixels": (),
        "noisy_pixels": (),
        "jumping_pixels": (),
        "truncated_pixels": (),
        "beam_dumps": (),
        "event_truth": True,
    }
    return SimulationSettings.model_validate(values | CONDITIONS[condition])


@dataclass(frozen=True)
class ScalePoint:
    """Error of the energy scale of a scan at a line: true and stated, eV."""

    condition: str
    seed: int
    scan: str
    line: str
    bias: float
    stated: float


def measure(seed: int, condition: str) -> list[ScalePoint]:
    """Simulate and reduce a beamtime; return the errors of its scans.

    With common drift, both where it is to be learned and where the config states it.
    """
    simulated = settings(seed, condition)
    with TemporaryDirectory(dir="/dev/shm") as folder:
        beamtime, out = Path(folder) / "beamtime", Path(folder) / "out"
        simulate(beamtime, simulated)
        points = measure_scans(beamtime, out, seed, condition)
        size, period = simulated.common_drift
        if size > 0:
            hidden = {"calibration": {"hidden_drift": {"size": size, "period": period}}}
            name = condition + STATED
            points += measure_scans(beamtime, out, seed, name, hidden)
    return points


def measure_scans(
    beamtime: Path, out: Path, seed: int, condition: str, config: dict | None = None
) -> list[ScalePoint]:
    """Reduce a beamtime and return the errors of its scans."""
    energies = reduce(beamtime, out, config or {})
    truth = np.load(beamtime / "truth.npz")
    points = []
    for scan in discover(beamtime).scans:
        true, error = photon_errors(scan, energies[scan.name], truth)
        product = open_product(out / "scans" / f"{scan.name}.nxs")
        for line, (low, high) in WINDOWS[scan.edge].items():
            inside = (true > low) & (true < high)
            if inside.sum() < ENOUGH:
                continue
            bias = fit(error[inside], ERRORS, sigma=0.6).position
            stated = stated_error(product, float(np.median(true[inside])))
            points.append(ScalePoint(condition, seed, scan.name, line, bias, stated))
    return points


def reduce(beamtime: Path, out: Path, config: dict) -> dict[str, tuple]:
    """Reduce up to the maps of scans; return the energy functions of their pixels."""
    captured = {}
    original = count_scans.find_pixel_energies

    def capture(*arguments, **options):
        found = original(*arguments, **options)
        captured.update(found.energies)
        return found

    count_scans.find_pixel_energies = capture
    try:
        resolved = Config.model_validate(
            {"execution": {"scheduler": "serial"}} | config
        )
        run(beamtime, resolved, out, Options(until="bin"))
    finally:
        count_scans.find_pixel_energies = original
    return {name: outcome.unwrap() for name, outcome in captured.items()}


def photon_errors(scan, energies, truth) -> tuple[np.ndarray, np.ndarray]:
    """Return true energies and errors of the good photons of all used pixels, eV."""
    all_true, all_errors = [], []
    for path, energy in zip(scan.pulse_files, energies, strict=True):
        if energy.params is None:
            continue
        pulses = off.read_pulses(path, scan.start_ns, scan.end_ns)
        rows = off.record_range(off.open_records(path), scan.start_ns, scan.end_ns)
        measured = interpolated_energy(
            pulses.pulse_height,
            pulses.pretrigger_mean,
            pulses.phase,
            pulses.time_ns / 1e9,
            energy.params,
            energy.reference_times,
        )
        good = truth[f"good_chan{pulses.pixel}"][rows]
        true = truth[f"energy_chan{pulses.pixel}"][rows][good]
        all_true.append(true)
        all_errors.append(measured[good] - true)
    return np.concatenate(all_true), np.concatenate(all_errors)


def stated_error(product, energy: float) -> float:
    """Return the stated error of the scale at an energy, eV; NaN without one."""
    if "energy_scale_errors" not in product:
        return np.nan
    errors = product["energy_scale_errors"].values
    return float(np.interp(energy, product["emission_energy"].values, errors))


def rms(values) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else np.nan


def bootstrap_error(beamtimes: list[np.ndarray]) -> float:
    """Return the standard deviation of the rms over all values, beamtimes redrawn.

    `beamtimes`: values (scan,) of each.
    """
    squares = np.array([np.square(values).sum() for values in beamtimes])
    number = np.array([len(values) for values in beamtimes])
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(beamtimes), (BOOTSTRAPS, len(beamtimes)))
    means = squares[drawn].sum(axis=1) / number[drawn].sum(axis=1)
    return float(np.sqrt(means).std())


def report(points: list[ScalePoint]) -> None:
    """Print rms bias, rms stated error, and rms of bias / stated error.

    The last has its own standard error. "all" is without those of a stated drift, which
    are of the same beamtimes.
    """
    print(f"{'condition':33s} {'n':>4s}  bias   worst  stated  pull (worst beamtime)")
    stated = [name + STATED for name in CONDITIONS]
    for name in [*CONDITIONS, *stated, "all"]:
        chosen = [
            p
            for p in points
            if name == p.condition or (name == "all" and p.condition in CONDITIONS)
        ]
        if not chosen:
            continue
        bias = [p.bias for p in chosen]
        pulls = np.array([p.bias / p.stated for p in chosen])
        seeds = np.array([p.seed for p in chosen])
        beamtimes = [pulls[seeds == seed] for seed in np.unique(seeds)]
        print(
            f"{name:33s} {len(beamtimes):4d}  {rms(bias):.3f}  "
            f"{np.max(np.abs(bias)):.2f}   {rms([p.stated for p in chosen]):.3f}   "
            f"{rms(pulls):.2f} +- {bootstrap_error(beamtimes):.2f} "
            f"({max(map(rms, beamtimes)):.1f})"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beamtimes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--condition", action="append", choices=list(CONDITIONS))
    arguments = parser.parse_args()
    conditions = arguments.condition or list(CONDITIONS)
    points = []
    begin = time.time()
    for number in range(arguments.beamtimes):
        seed = arguments.seed + number
        measured = measure(seed, conditions[number % len(conditions)])
        points += measured
        for condition in dict.fromkeys(p.condition for p in measured):
            pulls = [p.bias / p.stated for p in measured if p.condition == condition]
            # at once: a series that is stopped is not lost
            print(f"{seed} {condition}: pull {rms(pulls):.2f}", flush=True)
    report(points)
    print(f"{time.time() - begin:.0f} s")


if __name__ == "__main__":
    main()
