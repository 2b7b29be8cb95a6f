"""Small simulated beamtimes, reduced: results of the tests between samples and passes.

Every beamtime has its own array, drift, reference runs and photons; two samples, two
edges, two passes of each.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rixs_pipeline import open_product
from rixs_pipeline.config import Config
from rixs_pipeline.core.spectra.amplitudes import SpectrumPoints, feature_amplitude
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.runner.execution.executor import available_cores
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.benchmarks import spectra_truth
from tests.core.spectra.builders import make_region

SAMPLES = ("LMR_RT", "LMR_100C")
REGIONS = {
    "Co_PFY": {"kind": "pfy", "edge": "Co_L", "emission": [762, 800]},
    "Co_sPFY": {"kind": "spfy", "edge": "Co_L", "emission": [775, 777]},
    "Co_XES": {
        "kind": "xes",
        "edge": "Co_L",
        "incident": [779, 783],
        "emission": [740, 795],
    },
    "O_PFY": {"kind": "pfy", "edge": "O_K", "emission": [515, 530]},
    "O_sPFY": {"kind": "spfy", "edge": "O_K", "emission": [523, 524]},
    "O_band": {
        "kind": "pfy",
        "edge": "O_K",
        "emission": [525.5, 528],
        "exclude_elastic": None,
    },
    "O_XES": {
        "kind": "xes",
        "edge": "O_K",
        "incident": [530.5, 531.5],
        "emission": [505, 535],
    },
}
FEATURE = {
    "region": "O_sPFY",
    "window": [530, 532],
    "baseline": [534, 551],
    "rest": "O_band",
}
COMPARISONS = {
    "free": {"samples": SAMPLES, "feature": FEATURE},
    "known": {"samples": SAMPLES, "scale": "known"},
    "feature": {
        "samples": SAMPLES,
        "regions": ["O_sPFY"],
        "window": [530, 532],
        "scale": [534, 551],
    },
    "flank": {
        "samples": SAMPLES,
        "regions": ["O_XES"],
        "window": [520, 525],
        "scale": [525, 530],
    },
}


def settings(seed: int, redox: float = 1.0) -> SimulationSettings:
    """Six pixels without defects at 10 counts/s.

    There are 600 photons per point of a pass and 6000 in each pixel's reference run;
    the second sample's redox feature is `redox` times as strong.
    """
    return SimulationSettings(
        seed=seed,
        pixels=6,
        rate=10.0,
        calibration_rate=10.0,
        calibration_duration=600.0,
        points=40,
        dwell=10.0,
        settle=0.1,
        passes=2,
        edges=("O_K", "Co_L"),
        last_calibration_after=3600.0,
        projector_samples=8,
        bases=3,
        samples=({"name": SAMPLES[0]}, {"name": SAMPLES[1], "redox": redox}),
        dead_pixels=(),
        noisy_pixels=(),
        jumping_pixels=(),
        truncated_pixels=(),
        beam_dumps=(),
    )


@dataclass(frozen=True)
class BeamtimeResults:
    """Test results of a reduced beamtime: p values, and ratios of the redox amplitude.

    `ratio` is measured, with its 95 % interval.
    """

    chances: dict[str, float]
    ratio: tuple[float, float, float]
    endless: float


def simulate_and_test(beamtime_settings: SimulationSettings) -> BeamtimeResults:
    """Simulate and reduce a beamtime in a temporary folder; return its test results."""
    with TemporaryDirectory() as folder:
        out = reduce(beamtime_settings, Path(folder))
        return BeamtimeResults(
            chances(out),
            ratio(out),
            endless_ratio(beamtime_settings, Path(folder) / "beamtime", out),
        )


def simulate_and_test_all(beamtimes: list[SimulationSettings]) -> list[BeamtimeResults]:
    """Simulate and reduce many beamtimes on all cores."""
    with ProcessPoolExecutor(
        available_cores(), mp_context=get_context("spawn")
    ) as pool:
        return list(pool.map(simulate_and_test, beamtimes))


def reduce(beamtime_settings: SimulationSettings, folder: Path) -> Path:
    """Simulate a beamtime and reduce it up to its comparisons, in this process."""
    simulate(folder / "beamtime", beamtime_settings)
    config = {
        "regions": REGIONS,
        "compare": COMPARISONS,
        "execution": {"scheduler": "serial"},
    }
    summary = run(
        folder / "beamtime",
        Config.model_validate(config),
        folder / "out",
        Options(until="compare"),
    )
    assert summary.failed == {}
    return folder / "out"


def chances(out: Path) -> dict[str, float]:
    """Every p value of a reduced beamtime: regions, feature, passes, next scans."""
    p_values = {}
    for path in sorted((out / "comparisons").glob("*.nxs")):
        how = path.stem.split("-")[0]
        for region, comparison in open_product(path).items():
            p_values[f"{region}, {how}"] = float(comparison["p"][0])
            if "ratio_p" in comparison:
                p_values["redox amplitude"] = float(comparison["ratio_p"][0])
    for path in sorted((out / "maps").glob("*.nxs")):
        passes = json.loads(open_product(path).attrs["passes"])
        p_values[f"consecutive passes, {path.stem}"] = next(
            iter(passes["consecutive_p"].values())
        )
    return p_values


def ratio(out: Path) -> tuple[float, float, float]:
    """Redox amplitude of the second sample over the first's, with 95 % interval."""
    comparison = open_product(out / "comparisons" / "free-O_K.nxs")["O_sPFY"]
    return tuple(
        float(comparison[name][0]) for name in ("ratio", "ratio_lower", "ratio_upper")
    )


def endless_ratio(
    beamtime_settings: SimulationSettings, beamtime: Path, out: Path
) -> float:
    """The same ratio for an endless measurement by the same pixels.

    It is smaller than the ratio of the samples: a thick sample absorbs part of its own
    emission, and the common factor absorbs part of the feature.
    """
    truth = json.loads((beamtime / "truth.json").read_text())
    strengths, levels = [], []
    for sample in SAMPLES:
        rixs_map = open_product(out / "maps" / f"{sample}-O_K.nxs")
        scans = [
            open_product(out / "scans" / f"{name}.nxs")
            for name in json.loads(rixs_map.attrs["scans"])
        ]
        shown = spectra_truth.shown_map(
            beamtime_settings, rixs_map, spectra_truth.pixel_responses(truth, scans)
        )(0.0)
        incident, edges = (
            rixs_map["incident_energy"].values,
            rixs_map["emission_energy_edges"].values,
        )
        yields = {
            name: (
                shown * region_weights(make_region(**REGIONS[name]), incident, edges)
            ).sum(axis=1)
            for name in ("O_sPFY", "O_band")
        }
        window, baseline = (
            (incident >= low) & (incident < high)
            for low, high in (FEATURE["window"], FEATURE["baseline"])
        )
        measured = [
            SpectrumPoints(values, np.ones(len(values))) for values in yields.values()
        ]
        amplitude = feature_amplitude(measured[0], window, baseline, measured[1])
        strengths.append(amplitude.value)
        levels.append(
            float(
                yields["O_sPFY"]
                @ rixs_map["exposure"].values
                / rixs_map["exposure"].values.sum()
            )
        )
    return strengths[1] / strengths[0] * levels[0] / levels[1]
