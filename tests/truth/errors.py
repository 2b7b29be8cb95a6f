"""Stated errors against the truth of the simulator.

    python -m tests.truth.errors ipfy --beamtimes 50 --seed 1

Parts: `ipfy`, the test of an inverse yield's line.
"""

import argparse

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.inverse_yield_line import check_line
from rixs_pipeline.simulate.schedule import scan_energies
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.truth import DetectorResponse, true_map
from rixs_pipeline.types import Edge

EMISSION_EDGES = np.arange(200.0, 1000.5, 0.5)  # eV
POINTS = 60
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
    rates = true_map(
        settings, edge, "A", incident, EMISSION_EDGES, response=draw_response(rng)
    )
    counts = rng.poisson(rates * seconds)
    return MapData(counts, np.full(POINTS, seconds), EMISSION_EDGES, incident)


PARTS = {"ipfy": measure_ipfy}


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
