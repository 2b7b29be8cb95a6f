"""Gain jumps of pixels between two reference runs: which, by how much, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.drift.jumps import gain_jumps, line_shifts
from rixs_pipeline.core.energy import energy
from rixs_pipeline.core.maps import binning
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.pixel_calibrations import (
    PixelCalibration,
    read_run_calibration,
)
from rixs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import xarray as xr

MAX_STEADY_PIXELS = 12  # they show what the sample emits: a smooth spectrum needs few


@dataclass(frozen=True)
class GainJump:
    """A sudden change of a pixel's gain between two reference runs."""

    shift: float  # eV, median over the lines
    time: float = np.inf  # seconds since 1970; inf: unknown, or after all scans


def find_gain_jumps(calibrations: Sequence[xr.Dataset]) -> dict[int, GainJump]:
    """Find the pixels whose gain jumps between two reference runs.

    Parameters
    ----------
    calibrations
        Products of the reference runs, in order of time.

    Returns
    -------
    dict of int to GainJump
        By pixel, at unknown times; empty where there are not two reference runs.
    """
    if len(calibrations) != 2:
        return {}
    before, after = map(read_run_calibration, calibrations)
    late = after.good_pixels
    early = {pixel: row for pixel, row in before.good_pixels.items() if pixel in late}
    if not early:
        return {}
    shifts = line_shifts.line_shifts(
        np.stack([early[pixel].params for pixel in early]),
        np.stack([late[pixel].params for pixel in early]),
        before.line_energy,
    )
    has_jumped = line_shifts.have_jumped(shifts)
    return {
        pixel: GainJump(float(np.nanmedian(shifts[row])))
        for row, pixel in enumerate(early)
        if has_jumped[row]
    }


def find_jump_times(
    scans: Sequence[Run], before: xr.Dataset, after: xr.Dataset
) -> dict[int, float]:
    """Find when the gain of pixels jumps, from the pulses of the scans in between.

    Parameters
    ----------
    scans
        Scans between the two reference runs, in order of time.
    before, after
        Products of the reference runs.

    Returns
    -------
    dict of int to float
        Seconds since 1970, by pixel. A pixel without pulses in the scans is missing.
        Empty without pixels whose gain stays: only they show what the sample emits.
    """
    jumps = find_gain_jumps([before, after])
    early = read_run_calibration(before).good_pixels
    late = read_run_calibration(after).good_pixels
    steady = [pixel for pixel in early if pixel in late and pixel not in jumps]
    if not jumps or not scans or not steady:
        return {}
    energies = []
    for pixel in steady[:MAX_STEADY_PIXELS]:
        pulses = _read_accepted_pulses(scans, pixel, early[pixel])
        if pulses is not None:
            energies.append(_energies(pulses, early[pixel]))
    density = gain_jumps.emission_density(np.concatenate(energies))
    times = {}
    for pixel in jumps:
        pulses = _read_accepted_pulses(scans, pixel, early[pixel])
        if pulses is not None and len(pulses):
            energy_before = _energies(pulses, early[pixel])
            energy_after = _energies(pulses, late[pixel])
            ratio = gain_jumps.log_ratio(energy_before, energy_after, density)
            times[pixel] = gain_jumps.jump_time(pulses.time_ns, ratio)
    return times


def _read_accepted_pulses(
    scans: Sequence[Run], pixel: int, calibration: PixelCalibration
) -> off.Pulses | None:
    """Read the pulses of a pixel within the points of scans that pass its cuts.

    They are in order of time; None where no scan has a file of the pixel.
    """
    parts = []
    for scan in scans:
        for path in scan.pulse_files:
            if off.pixel_number(path) == pixel:
                pulses = off.read_pulses(path, scan.start_ns, scan.end_ns)
                parts.append(pulses.select(_is_accepted(pulses, scan, calibration)))
    return off.concatenate(parts) if parts else None


def _is_accepted(
    pulses: off.Pulses, scan: Run, calibration: PixelCalibration
) -> BoolArray:
    """Return which pulses lie within a point and pass the reference run's cuts."""
    limits = calibration.cut_limits
    if limits is None:
        return np.zeros(len(pulses), dtype=bool)
    slices = binning.find_point_slices(
        pulses.time_ns, scan.points.start_ns, scan.points.end_ns
    )
    is_in_point = binning.is_in_points(slices, len(pulses))
    return cuts.apply_cuts(pulses, limits).is_accepted & is_in_point


def _energies(pulses: off.Pulses, calibration: PixelCalibration) -> FloatArray:
    """Return the energies (pulse,) of pulses by one calibration, eV."""
    return energy(
        pulses.pulse_height,
        pulses.pretrigger_mean,
        pulses.phase,
        pulses.time_ns / 1e9,
        calibration.params,
    )
