"""Count a photon list that other software has calibrated, such as that of ucalpost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.maps import binning
from rixs_pipeline.core.maps.scan_counts import PixelCounts, stack_pixels
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.formats import photon_list
from rixs_pipeline.io.formats.photon_list import PhotonList
from rixs_pipeline.io.formats.values import TimeForm
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.counted_scan import CountedScan, exclude_unusable_pixels
from rixs_pipeline.stages.scan.point_records import NO_CUTS
from rixs_pipeline.types import FloatArray, PixelState, PixelStatus

CALIBRATED = PixelStatus(PixelState.OK, "calibrated list")


def count_photon_list(
    scan: Run, emission_edges: FloatArray, excluded: Sequence[int]
) -> CountedScan:
    """Count the photons of a list: no cuts are applied, the dead time is unknown.

    Parameters
    ----------
    scan
        A scan with a photon list.
    emission_edges
        Edges of the emission bins, f8 (bin + 1,), eV.
    excluded
        Pixels that the config excludes.

    Returns
    -------
    CountedScan
        Pixels in order of their number; the live time is that of the points.

    Raises
    ------
    RunFailed
        The scan has no photon list, or an empty one.
    """
    from rixs_pipeline.core.maps import bin_kernel  # compiled: slow to import

    photons = photon_list.read(scan.photon_list) if scan.photon_list else None
    if photons is None or not len(photons):
        raise RunFailed(f"{scan.name}: no pulse files, and no photons in a photon list")
    points = scan.points
    map_counts = np.zeros((len(points), len(emission_edges) - 1), np.int64)
    energies, pixels = [], []
    for pixel in np.unique(photons.pixel).tolist():
        is_excluded = pixel in excluded
        status = PixelStatus(PixelState.EXCLUDED) if is_excluded else CALIBRATED
        of_pixel = photons.pixel == pixel
        slices = binning.find_point_slices(
            photons.time_ns[of_pixel], points.start_ns, points.end_ns
        )
        number = slices.stop - slices.first
        counts_before = int(map_counts.sum())
        if not is_excluded:
            binning.histogram_points(
                photons.energy[of_pixel], slices, emission_edges, map_counts
            )
        energies.append(PixelEnergy(status))
        pixels.append(
            PixelCounts(
                pixel=pixel,
                triggers=number,
                occupied=bin_kernel.find_occupied_parts(
                    photons.time_ns[of_pixel], slices, points.start_ns, points.end_ns
                ),
                countable=number,
                accepted=number,
                live_time=points.duration,
                away_time=np.zeros(len(points)),
                away_error=0.0,
                after_trigger=0.0,
                pixel_counts=int(map_counts.sum()) - counts_before,
                cut_counts=np.repeat(number.sum(), len(CUT_NAMES)),
                cut_limits=NO_CUTS,
            )
        )
    counts = stack_pixels(map_counts, pixels)
    warnings = _describe_defects(scan, photons)
    counted = CountedScan(scan, counts, tuple(energies), warnings)
    return exclude_unusable_pixels(counted, has_cuts=False)


def _describe_defects(scan: Run, photons: PhotonList) -> tuple[str, ...]:
    """Return lines on photons that a list has twice, and on its times."""
    name = scan.photon_list.name if scan.photon_list else ""
    lines = []
    if photons.n_repeated:
        lines.append(
            f"{scan.name}: {photons.n_repeated} photons are in {name} twice; each "
            "counted once"
        )
    if photons.form is not TimeForm.NANOSECONDS:
        lines.append(
            f"{scan.name}: times in {name} are {photons.form}; read as such by the "
            "size of the numbers"
        )
    return tuple(lines)
