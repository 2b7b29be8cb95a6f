"""Energy function of each pixel during a scan, from the surrounding reference runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.calibration.cuts import CutLimits
from rixs_pipeline.core.energy import layout
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval.gain_jumps import GainJump, find_gain_jumps
from rixs_pipeline.stages.interval.pixel_calibrations import (
    PixelCalibration,
    RunCalibration,
    read_run_calibration,
)
from rixs_pipeline.types import FloatArray, PixelState, PixelStatus

if TYPE_CHECKING:
    import xarray as xr

STEP_DURATION = 1e-6  # s: an interpolation over so short a time is a step
SETUP_CHANGE_SHARE = 0.5  # of the good pixels: more do not jump at once by chance
NOT_RECORDED = PixelStatus(PixelState.UNCALIBRATED, "not part of the array")


NO_PARAMS = np.zeros((2, layout.N_PARAMS))  # of a pixel without calibration


@dataclass(frozen=True)
class PixelEnergy:
    """Energy function of one pixel during a scan.

    It rests on one calibration, or on two, between which it is interpolated in time.

    Attributes
    ----------
    status
        Whether the pixel is used and on which reference runs it rests, or why it is
        not used.
    params
        Parameters (N_PARAMS,) of the earlier and the later calibration; None where the
        pixel is not used, and for photons that are calibrated already.
    cut_limits
        Cuts of the reference run.
    reference_times
        When the earlier and the later parameters hold, seconds since 1970; equal where
        both are the same.
    alignment, alignment_error
        Relative gain that aligns the pixel with the others, and its standard deviation:
        energies are multiplied by 1 - alignment.
    misalignment
        The relative gain as measured, before it is shrunk towards 0.
    calibration_error
        What the counting statistics of the reference runs make of it, standard
        deviation: no drift.
    displacement
        How far the pixel stands off the others, eV; NaN where it does not, infinite
        where no displacement explains its spectrum.
    group_shift
        How far the group of the pixel stands off another one of comparable size, eV;
        NaN where the array is one group.
    """

    status: PixelStatus
    params: tuple[FloatArray, FloatArray] | None = None
    cut_limits: CutLimits | None = None
    reference_times: tuple[float, float] = (0.0, 0.0)
    alignment: float = 0.0
    alignment_error: float = np.nan
    misalignment: float = np.nan
    calibration_error: float = np.nan
    displacement: float = np.nan
    group_shift: float = np.nan


def later_share(times: FloatArray, energies: Sequence[PixelEnergy]) -> FloatArray:
    """Return the weights (pixel, time) of the later calibrations at some times, s."""
    reference_times = np.array([energy.reference_times for energy in energies])
    first, second = reference_times.reshape(-1, 2, 1).swapaxes(0, 1)
    duration = np.where(second > first, second - first, np.inf)
    return np.asarray(np.clip((times - first) / duration, 0.0, 1.0))


def select_surrounding(
    time: float, calibrations: Sequence[xr.Dataset]
) -> list[xr.Dataset]:
    """Select the calibrations just before and just after a time, where there are any.

    Parameters
    ----------
    time
        Seconds since 1970.
    calibrations
        Products of reference runs, in order of time.

    Returns
    -------
    list of xr.Dataset
        At most two, in order of time.
    """
    before = [product for product in calibrations if product.attrs["time"] <= time]
    after = [product for product in calibrations if product.attrs["time"] > time]
    return before[-1:] + after[:1]


def select_pixel_energies(
    scan: Run,
    calibrations: Sequence[xr.Dataset],
    *,
    excluded: Sequence[int] = (),
    jumps: Mapping[int, GainJump] | None = None,
) -> tuple[PixelEnergy, ...]:
    """Select the energy function of every pixel of a scan.

    The calibrations just before and just after are interpolated. A pixel that is bad in
    one of them rests on the other. A pixel whose gain jumps between them rests on the
    earlier one up to the jump and on the later one from then on.

    Parameters
    ----------
    scan
        The scan, with one OFF file a pixel.
    calibrations
        Products of reference runs, in order of time.
    excluded
        Pixels that the config excludes.
    jumps
        Gain jumps between the two surrounding calibrations, by pixel; by default they
        are found here, at unknown times. The earlier calibration serves all of the scan
        where the time of a jump is unknown.

    Returns
    -------
    tuple of PixelEnergy
        In the order of the scan's files.
    """
    products = select_surrounding(scan.middle, calibrations)
    if jumps is None:
        jumps = find_gain_jumps(products)
    surrounding = [read_run_calibration(product) for product in products]
    if _is_setup_change(surrounding, jumps):
        nearest = min(surrounding, key=lambda run: abs(run.time - scan.middle))
        surrounding, jumps = [nearest], {}
    energies = []
    for pixel in map(off.pixel_number, scan.pulse_files):
        if pixel in excluded:
            energy = PixelEnergy(PixelStatus(PixelState.EXCLUDED))
        elif pixel in jumps:
            energy = _energy_with_jump(pixel, surrounding, jumps[pixel], scan)
        else:
            energy = _energy_without_jump(pixel, surrounding)
        energies.append(energy)
    return tuple(energies)


def _is_setup_change(
    surrounding: Sequence[RunCalibration], jumps: Mapping[int, GainJump]
) -> bool:
    """Return whether so many pixels jump at once that the setup must have changed."""
    if not jumps:
        return False
    return len(jumps) > max(1, SETUP_CHANGE_SHARE * len(surrounding[0].good_pixels))


def _energy_without_jump(
    pixel: int, surrounding: Sequence[RunCalibration]
) -> PixelEnergy:
    """Interpolate the calibrations of a pixel, or take the one that is good."""
    if not surrounding:
        return PixelEnergy(PixelStatus(PixelState.UNCALIBRATED, "no calibration"))
    good = [run for run in surrounding if pixel in run.good_pixels]
    if not good:
        return PixelEnergy(_status_without_calibration(pixel, surrounding))
    first, last = good[0], good[-1]
    if len(good) == 1:
        return _constant_energy(first.pixels[pixel], f"{first.run} alone")
    return PixelEnergy(
        PixelStatus(PixelState.OK, f"{first.run} to {last.run}"),
        (first.pixels[pixel].params, last.pixels[pixel].params),
        first.pixels[pixel].cut_limits,
        (first.time, last.time),
    )


def _status_without_calibration(
    pixel: int, surrounding: Sequence[RunCalibration]
) -> PixelStatus:
    """Return why no reference run calibrates a pixel: each reason with its runs.

    The state is that of the run in which the pixel has pulses, if there is one.
    """
    runs: dict[PixelStatus, list[str]] = {}
    for run in surrounding:
        status = NOT_RECORDED
        if pixel in run.pixels:
            status = run.pixels[pixel].status
        runs.setdefault(status, []).append(run.run)
    live_first = sorted(runs, key=lambda status: not status.state.is_live)
    state = live_first[0].state
    reasons = []
    for status in live_first:
        reason = status.detail if status.state is state else str(status)
        reasons.append(f"{reason} in {' and '.join(runs[status])}".strip())
    return PixelStatus(state, "; ".join(reasons))


def _energy_with_jump(
    pixel: int, surrounding: Sequence[RunCalibration], jump: GainJump, scan: Run
) -> PixelEnergy:
    """Change from one calibration to the other at the time of the gain jump."""
    before, after = surrounding
    early, late = before.pixels[pixel], after.pixels[pixel]
    jumped = f"jumped by {jump.shift:+.1f} eV"
    if jump.time >= scan.end:
        return _constant_energy(
            early, f"{before.run} alone, {jumped} before {after.run}"
        )
    if jump.time <= scan.start:
        return _constant_energy(late, f"{after.run} alone, {jumped} after {before.run}")
    delay = f"{jump.time - scan.start:.0f} s"
    detail = f"{before.run}, then {after.run} from {delay} on, when it {jumped}"
    return PixelEnergy(
        PixelStatus(PixelState.OK, detail),
        (early.params, late.params),
        early.cut_limits,
        (jump.time, jump.time + STEP_DURATION),
    )


def _constant_energy(calibration: PixelCalibration, detail: str) -> PixelEnergy:
    """Return an energy function that rests on one calibration."""
    return PixelEnergy(
        PixelStatus(PixelState.OK, detail),
        (calibration.params, calibration.params),
        calibration.cut_limits,
    )


def keep_best_resolved(
    scan: Run,
    energies: tuple[PixelEnergy, ...],
    calibrations: Sequence[xr.Dataset],
    number: int | None,
) -> tuple[PixelEnergy, ...]:
    """Use only the pixels with the best resolution.

    The resolution of a pixel is the median over the calibrations.

    Parameters
    ----------
    scan
        The scan, with one OFF file a pixel.
    energies
        Energy functions of its pixels.
    calibrations
        Products of the reference runs on which the energy functions rest.
    number
        How many pixels are used; None: all.

    Returns
    -------
    tuple of PixelEnergy
        In the order of the scan's files.
    """
    pixels = [off.pixel_number(path) for path in scan.pulse_files]
    used = [
        p for p, energy in zip(pixels, energies, strict=True) if energy.status.is_ok
    ]
    if number is None or len(used) <= number:
        return energies

    def order(pixel: int) -> tuple[float, int]:
        return _median_resolution(pixel, calibrations), pixel

    best = sorted(used, key=order)
    rejected = set(best[number:])
    status = PixelStatus(PixelState.NOT_SELECTED, f"{number} used")
    return tuple(
        PixelEnergy(status) if pixel in rejected else energy
        for pixel, energy in zip(pixels, energies, strict=True)
    )


def _median_resolution(pixel: int, calibrations: Sequence[xr.Dataset]) -> float:
    """Return the median resolution of a pixel, eV FWHM; inf where there is none."""
    values = [np.empty(0)]
    for product in calibrations:
        is_pixel = product["pixel"].values == pixel
        values.append(product["resolution"].values[is_pixel])
    resolution = np.concatenate(values)
    is_known = np.isfinite(resolution)
    return float(np.median(resolution[is_known])) if is_known.any() else np.inf
