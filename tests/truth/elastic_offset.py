"""Offset of the elastic line of scans against the truth of the simulator.

    python -m tests.truth.elastic_offset --maps 50 --seed 7

With a set of lines that names none of the scanned edge, offsets of a few eV, all kinds
of elastic light, resolutions and counts.
"""

import argparse
from collections import defaultdict

import numpy as np
import xarray as xr

from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.simulate.schedule import scan_energies
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.truth import DetectorResponse, true_map
from rixs_pipeline.stages.scan.scan_attributes import with_elastic_offset

REFERENCE = "hauskat2024"
EDGES = ("Co_L", "Ni_L", "Mn_L", "O_K")
OFFSETS_EV = (-3.0, 4.0)  # of the monochromator
FAR = 4.0  # standard deviations beyond which an offset is called wrong
EMISSION_EDGES = np.arange(480.0, 920.1, 0.5)  # eV


def draw_scan(edge: str, rng: np.random.Generator) -> xr.Dataset:
    """Draw the map of a scan; its attribute `true_offset` is the offset, eV."""
    settings = SimulationSettings.model_validate(
        {
            "elastic": float(rng.choice([1.0, 5.0])),
            "elastic_resonance": rng.choice([0.0, 1.0, None]),
            "incident_offset": rng.uniform(*OFFSETS_EV),
        }
    )
    response = DetectorResponse(
        rng.uniform(1.2, 3.5), rng.uniform(0.12, 0.20), rng.uniform(10, 30)
    )
    incident = scan_energies(edge, int(rng.integers(40, 140)))
    rates = true_map(
        settings, edge, "LMR_RT", incident, EMISSION_EDGES, response=response
    )
    seconds = np.exp(rng.uniform(np.log(10), np.log(1000)))
    variables = {
        "counts": (("point", "bin"), rng.poisson(rates * seconds)),
        "point_status": ("point", np.zeros(len(incident), dtype=int)),
        "incident_energy": ("point", incident),
        "emission_energy_edges": ("edge", EMISSION_EDGES),
    }
    attributes = {"edge": edge, "true_offset": settings.incident_offset}
    return xr.Dataset(variables, attrs=attributes)


def main() -> None:
    """Print how many offsets are stated, their pulls, and those that are wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--maps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    reference = load_reference_set(REFERENCE)
    pulls = defaultdict(list)
    for edge in EDGES:
        for number in range(options.maps):
            rng = np.random.default_rng([options.seed, number])
            scan = with_elastic_offset(draw_scan(edge, rng), reference)
            difference = scan.attrs["elastic_offset"] - scan.attrs["true_offset"]
            pull = difference / scan.attrs["elastic_offset_errors"]
            if np.isfinite(pull):
                pulls[edge].append(pull)
            if abs(pull) > FAR:
                print(f"{edge} {number}: {difference:+.2f} eV, {pull:+.1f} errors")
        stated = np.array(pulls[edge])
        print(f"{edge}: {len(stated)} of {options.maps} stated", end="")
        if len(stated):
            rms = np.sqrt((stated**2).mean())
            print(f", pulls mean {stated.mean():+.2f}, rms {rms:.2f}", end="")
        print(f", {np.count_nonzero(abs(stated) > FAR)} wrong")


if __name__ == "__main__":
    main()
