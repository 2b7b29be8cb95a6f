"""Photon lists of scans: what a map is made of, apart from its bins; and maps with other bins from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.io import photon_store as kept_photons
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.scan.count_pulses import Binned
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy

# what is known of each pixel's energy function
FUNCTIONS = ("used", "status", "alignment", "alignment_error", "misalignment")
PIXELS = (
    "pixel",
    "triggers",
    "countable",
    "accepted",
    "live_time",
    "after_trigger",
    "cut_counts",
    "cut_limits",
)


def write(
    path: Path,
    run: Run,
    binned: Binned,
    functions: tuple[PixelEnergy, ...],
    parts: Sequence[Path],
    attributes: Mapping[str, Any],
) -> int:
    """Write the list of a scan from its parts, with what exposure needs of each pixel; how many photons it holds."""
    pixels = {name: getattr(binned, name) for name in PIXELS}
    pixels |= {
        name: np.array([getattr(f, name) for f in functions]) for name in FUNCTIONS
    }
    tables = {
        "pixels": pixels,
        "points": {"incident_energy": run.points.incident_energy},
    }
    about = {
        "run": run.name,
        "scan": run.number,
        "sample": run.sample,
        "edge": run.edge or "",
    }
    return kept_photons.write(path, parts, tables, dict(attributes) | about)


def read(
    path: Path, edges: NDArray[np.float64]
) -> tuple[Binned, tuple[PixelEnergy, ...]]:
    """Count the photons of a list into bins, `edges` f8 (bin + 1,) eV: what counting the pulses into them gives.

    Raises:
        InputError: not a photon list, or a damaged one.
    """
    from rixs_pipeline.core.maps import bin_kernel, binning

    pixels = kept_photons.read_table(path, "pixels")
    number, points = pixels["triggers"].shape
    counts, in_map = (
        np.zeros((points, len(edges)), np.int64),
        np.zeros(number, np.int64),
    )
    order = np.argsort(pixels["pixel"])
    for energy, point, pixel in kept_photons.read(path):
        row = order[np.searchsorted(pixels["pixel"], pixel, sorter=order)]
        bin_kernel.count_photons(
            energy, point, row, binning.uniform_bins(edges), counts, in_map
        )
    columns = {name: pixels[name] for name in PIXELS}
    rows = zip(*(pixels[name].tolist() for name in FUNCTIONS), strict=True)
    functions = tuple(
        PixelEnergy(
            status,
            calibrated=used,
            alignment=shift,
            alignment_error=error,
            misalignment=measured,
        )
        for used, status, shift, error, measured in rows
    )
    return Binned(counts=counts[:, :-1], pixel_counts=in_map, **columns), functions
