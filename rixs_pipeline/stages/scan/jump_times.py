"""When the pixels that jumped between two reference runs did so, from the scans in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.drift import gain_jumps as jumps
from rixs_pipeline.core.energy import energy
from rixs_pipeline.core.maps import binning
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.scan.pixel_energies import PixelRow, jumped_by, rows

if TYPE_CHECKING:
    import xarray as xr

Float = NDArray[np.float64]

DONORS = 12  # pixels that tell what the sample emits: enough for a smooth spectrum


def jump_times(
    scans: Sequence[Run], before: xr.Dataset, after: xr.Dataset
) -> dict[int, float]:
    """Pixel -> time of its jump (s since 1970), for all that jumped between the two and have photons in the scans.

    Args:
        scans: those between the two reference runs, in order of time.
        before, after: the calibrations.
    """
    moved = jumped_by(before, after)
    early, late = rows(before), rows(after)
    steady = [
        p
        for p, row in early.items()
        if row.ok and p in late and late[p].ok and p not in moved
    ]
    if not moved or not scans or not steady:
        return {}  # without pixels that stayed, nobody tells what the sample emits
    donors = [
        (_pulses(scans, pixel, early[pixel]), early[pixel]) for pixel in steady[:DONORS]
    ]
    density = jumps.emission_density(
        np.concatenate([_energies(d, row) for d, row in donors if d is not None])
    )
    found = {}
    for pixel in moved:
        pulses = _pulses(scans, pixel, early[pixel])
        if pulses is not None and len(pulses):
            ratio = jumps.log_ratio(
                _energies(pulses, early[pixel]), _energies(pulses, late[pixel]), density
            )
            found[pixel] = jumps.jump_time(pulses.time_ns, ratio)
    return found


def _pulses(scans: Sequence[Run], pixel: int, row: PixelRow) -> off.Pulses | None:
    """The pixel's pulses in the points of the scans that pass the reference run's cuts, in order of time.

    None where no scan has a file of the pixel.
    """
    parts = []
    for one in scans:
        for path in one.pulse_files:
            if off.pixel_number(path) == pixel:
                pulses = off.read_pulses(path, one.start_ns, one.end_ns)
                parts.append(pulses.take(_accepted(pulses, one, row)))
    return off.joined(parts) if parts else None


def _accepted(pulses: off.Pulses, one: Run, row: PixelRow) -> NDArray[np.bool_]:
    points = binning.find_point_slices(
        pulses.time_ns, one.points.start_ns, one.points.end_ns
    )
    limits = cuts.CutLimits.from_table(row.limits)
    if limits is None:
        return np.zeros(len(pulses), dtype=bool)
    passed = cuts.apply_cuts(pulses, limits)
    return passed.is_accepted & binning.is_in_points(points, len(pulses))


def _energies(pulses: off.Pulses, row: PixelRow) -> Float:
    return energy(
        pulses.pulse_height,
        pulses.pretrigger_mean,
        pulses.phase,
        pulses.time_ns / 1e9,
        row.params,
    )
