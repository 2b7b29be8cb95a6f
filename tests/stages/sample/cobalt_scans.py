"""Scans of the Co L edge whose spectra are known."""

import numpy as np

from rixs_pipeline.schema import POINT_NO_I0, labelled

ENERGY = np.arange(770.0, 800.0, 0.5)
EDGES = np.arange(700.0, 810.5, 2.0)


def white_line(energy):
    """Return a Gaussian white line of height 1 at 780.5 eV."""
    return np.exp(-0.5 * ((energy - 780.5) / 1.0) ** 2)


def scan(
    seed, factor=1.0, feature=0.0, shift=0.0, rate=400.0, name="scan0001", **attributes
):
    """Return counts of a Co La line whose yield follows a white line.

    Its reading `tey` is the white line on a straight line.
    """
    rng = np.random.default_rng(seed)
    absorption = 0.1 + white_line(ENERGY - shift)
    absorption = absorption + feature * np.exp(-0.5 * ((ENERGY - 790) / 1.0) ** 2)
    centre = (EDGES[1:] + EDGES[:-1]) / 2
    exposure = rng.uniform(0.8, 1.2, len(ENERGY))
    emission = np.exp(-0.5 * ((centre - 776) / 3) ** 2)
    mean = (
        factor * rate * exposure[:, None] * absorption[:, None] * emission[None, :] / 4
    )
    point, counts = ("incident_energy",), rng.poisson(mean)
    variables = {
        "incident_energy": (point, ENERGY),
        "emission_energy": (("emission_energy",), centre),
        "emission_energy_edges": (("emission_energy_edge",), EDGES),
        "counts": ((*point, "emission_energy"), counts),
        "exposure": (point, exposure),
        "live_time": (point, exposure),
        "dwell": (point, np.ones(len(ENERGY))),
        "i0": (point, exposure),
        "point_status": (point, np.zeros(len(ENERGY), np.int64)),
        "reading_tey": (point, exposure * (3 + 0.02 * (ENERGY - 770) + absorption)),
    }
    description = {"run": name, "sample": "LMR", "edge": "Co_L", "normalisation": "i0"}
    return labelled(variables, {}).assign_attrs(description | attributes)


def numbered_scans(first, last, **changes):
    """Return equal scans with consecutive numbers.

    `changes`: option -> number of the scan -> value, for scans that are different.
    """
    scans = []
    for number in range(first, last + 1):
        options = {
            option: values[number]
            for option, values in changes.items()
            if number in values
        }
        scans.append(scan(number, name=f"scan{number:04d}", **options))
    return scans


def without_flux(rixs_map, points):
    """Return the map with an I0 of 0 at some points, which are then not used."""
    changed = rixs_map.copy(deep=True)
    changed["i0"].values[points] = 0
    changed["exposure"].values[points] = 0
    changed["point_status"].values[points] = POINT_NO_I0
    return changed


def with_pixels(rixs_map, seed, spread):
    """Return the map with 8 pixels whose gains scatter by a relative `spread`."""
    gain = np.random.default_rng(seed).normal(0, spread, 8)
    columns = {
        "pixel": np.arange(1, 17, 2),
        "misalignment": gain,
        "pixel_counts": np.full(8, 1000),
    }
    variables = {name: (("pixel",), values) for name, values in columns.items()}
    return rixs_map.assign(variables)
