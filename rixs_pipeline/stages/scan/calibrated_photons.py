"""Calibrated photons of a scan, kept beside its map: other bins need no pulses."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rixs_pipeline.core.maps.scan_counts import PIXEL_ARRAYS, ScanCounts
from rixs_pipeline.io import photon_store
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.scale_variables import scale_from_table, scale_table
from rixs_pipeline.stages.stage import Content
from rixs_pipeline.types import FloatArray, PixelStatus

# Columns of the table of pixels; the photons in the map depend on its bins.
COLUMNS = tuple(name for name in PIXEL_ARRAYS if name != "pixel_counts")
ALIGNMENT = (
    "alignment",
    "alignment_error",
    "misalignment",
    "displacement",
    "group_shift",
)


def write_calibrated_photons(
    path: Path,
    counted: CountedScan,
    parts: Sequence[Path],
    attributes: Mapping[str, Any],
) -> int:
    """Write the photons of a scan, with what the exposure needs of each pixel.

    Parameters
    ----------
    path
        The file to write.
    counted
        The scan with its counts.
    parts
        Files with the photons of blocks of pixels, see `photon_store.append`.
    attributes
        Attributes of the entry, text or numbers.

    Returns
    -------
    int
        Photons written.
    """
    scan, energies = counted.scan, counted.energies
    pixels = {name: getattr(counted.counts, name) for name in COLUMNS}
    pixels["used"] = counted.is_used
    status = [str(energy.status) for energy in energies]
    pixels["status"] = np.array(status)
    for name in ALIGNMENT:
        values = [getattr(energy, name) for energy in energies]
        pixels[name] = np.array(values)
    points = {"incident_energy": scan.points.incident_energy}
    description = {
        "run": scan.name,
        "scan": scan.number,
        "sample": scan.sample,
        "edge": scan.edge or "",
    }
    tables = {"pixels": pixels, "points": points}
    if counted.scale is not None:
        tables["scale"] = scale_table(counted.scale)
    return photon_store.write(path, parts, tables, dict(attributes) | description)


def count_calibrated_photons(
    scan: Run, path: Path, emission_edges: FloatArray
) -> CountedScan:
    """Count calibrated photons into emission bins, as counting the pulses would.

    Parameters
    ----------
    scan
        The scan.
    path
        File with its photons, from `write_calibrated_photons`.
    emission_edges
        Edges of the bins, f8 (bin + 1,), eV.

    Returns
    -------
    CountedScan
        Its energy functions have a status and the alignment, and no parameters.

    Raises
    ------
    InputError
        The file holds no photons of a scan, or is damaged.
    """
    from rixs_pipeline.core.maps import bin_kernel, binning

    pixels = photon_store.read_table(path, "pixels")
    n_pixels, n_points = pixels["triggers"].shape
    # The last column takes photons outside all bins.
    map_counts = np.zeros((n_points, len(emission_edges)), np.int64)
    pixel_counts = np.zeros(n_pixels, np.int64)
    bins = binning.uniform_bins(emission_edges)
    order = np.argsort(pixels["pixel"])
    for photons in photon_store.read(path):
        place = np.searchsorted(pixels["pixel"], photons.pixel, sorter=order)
        pixel_row = order[place]
        bin_kernel.count_photons(
            photons.energy, photons.point, pixel_row, bins, map_counts, pixel_counts
        )
    counts = ScanCounts(
        map_counts=map_counts[:, :-1],
        pixel_counts=pixel_counts,
        **{name: pixels[name] for name in COLUMNS},
    )
    energies = []
    for pixel, status in enumerate(pixels["status"]):
        energy = PixelEnergy(
            PixelStatus.parse(status),
            alignment=float(pixels["alignment"][pixel]),
            alignment_error=float(pixels["alignment_error"][pixel]),
            misalignment=float(pixels["misalignment"][pixel]),
            displacement=float(pixels["displacement"][pixel]),
            group_shift=float(pixels["group_shift"][pixel]),
        )
        energies.append(energy)
    scale = None
    if photon_store.has_table(path, "scale"):
        scale = scale_from_table(photon_store.read_table(path, "scale"))
    return CountedScan(scan, counts, tuple(energies), scale=scale)


def photon_content(parts: Path, counted: CountedScan) -> Content:
    """Return the calibrated photons of a scan.

    Parameters
    ----------
    parts : Path
        Folder of the parts, which is removed when they are one file.
    counted : CountedScan
        The scan with its counts.

    Returns
    -------
    Content
        With the number of photons for run.json.
    """
    part_files = sorted(parts.iterdir())

    def write(path: Path, attributes: Mapping[str, str]) -> None:
        write_calibrated_photons(path, counted, part_files, attributes)
        shutil.rmtree(parts)

    return Content(write, {"photons": photon_store.count_photons(part_files)})
