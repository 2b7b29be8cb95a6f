"""What the reference runs around scans say of the drift of the array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.drift.common_drift.measurements import (
    ReferenceDrift,
    ReferenceShifts,
    TimeOffsets,
    combine_pixels,
)
from rixs_pipeline.core.drift.jumps.line_shifts import line_shifts
from rixs_pipeline.core.energy import (
    correction_derivatives,
    curve_covariance,
    curve_height,
    layout,
)
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import FloatArray, IntArray, are_ok

if TYPE_CHECKING:
    import xarray as xr
# Largest share of the information on drift coefficients that is between bins of time.
MOST_BETWEEN = 0.99
SCALE_STEP = 50.0  # eV, between energies at which levers are given: they are smooth


@dataclass(frozen=True)
class RunDrift:
    """A reference run: energies a unit of its drift coefficients, and their values.

    Attributes
    ----------
    run
        Its name.
    drift
        Its coefficients, in use and as its pulses say.
    lever
        Pixel -> change of energy a unit of pretrigger mean and coefficient,
        f8 (energy, 2), eV.
    pretrigger_ref
        Pixel -> pretrigger mean at which there is no drift.
    line_energy, line_errors
        Lines, and the statistical errors of the mean of the pixels there, (line,), eV.
    line_residual
        How far the mean curve misses the lines, (line,), eV.
    covariance
        Of the mean curve of the pixels, counting statistics and the freedom of the
        curve between the lines, f8 (energy, energy), eV^2.
    params
        Pixel -> parameters of its energy function.
    """

    run: str
    drift: ReferenceDrift
    lever: Mapping[int, FloatArray]
    pretrigger_ref: Mapping[int, float]
    line_energy: FloatArray
    line_errors: FloatArray
    line_residual: FloatArray
    covariance: FloatArray
    params: Mapping[int, FloatArray]


@dataclass(frozen=True)
class RunPair:
    """The reference runs on which the energy function of a pixel rests."""

    early: RunDrift
    late: RunDrift


def scale_energies(edges: FloatArray) -> FloatArray:
    """Return the energies (energy,), eV, at which levers are given, over `edges`."""
    number = int(np.ceil((edges[-1] - edges[0]) / SCALE_STEP)) + 1
    return np.linspace(edges[0], edges[-1], number)


def read_run_drift(product: xr.Dataset, energies: FloatArray) -> RunDrift:
    """Read what a reference run says of drift.

    Parameters
    ----------
    product
        Of the reference run.
    energies
        At which levers are given, f8 (energy,), eV.

    Returns
    -------
    RunDrift
        Of its good pixels.
    """
    good = np.flatnonzero(are_ok(product["status"].values))
    pixels = product["pixel"].values[good].tolist()
    params = product["params"].values[good]
    levers = {
        pixel: _unit_lever(energies, of_pixel)
        for pixel, of_pixel in zip(pixels, params, strict=True)
    }
    errors = product["line_residual_errors"].values[good]
    is_fitted = np.isfinite(errors)
    number = np.maximum(is_fitted.sum(axis=0), 1)
    mean_errors = np.sqrt((np.where(is_fitted, errors, 0.0) ** 2).sum(axis=0)) / number
    residual = product["line_residual"].values[good]
    mean_residual = np.where(is_fitted, residual, 0.0).sum(axis=0) / number
    offsets = read_time_offsets(product, mean_errors, levers, energies)
    return RunDrift(
        run=str(product.attrs["run"]),
        drift=_reference_drift(product, good, offsets),
        lever=levers,
        pretrigger_ref=dict(
            zip(pixels, params[:, layout.PRETRIGGER_REF].tolist(), strict=True)
        ),
        line_energy=product["line_energy"].values,
        line_errors=mean_errors,
        line_residual=mean_residual,
        covariance=_mean_covariance(product, good, energies),
        params=dict(zip(pixels, params, strict=True)),
    )


def read_time_offsets(
    product: xr.Dataset,
    line_errors: FloatArray,
    levers: Mapping[int, FloatArray],
    energies: FloatArray,
) -> TimeOffsets | None:
    """Return what the lines of a reference run move by within it.

    Parameters
    ----------
    product
        Of the reference run.
    line_errors
        Statistical errors of its lines, (line,), eV.
    levers
        Pixel -> change of energy a unit, f8 (energy, 2), eV, of its good pixels.
    energies
        At which levers are given, f8 (energy,), eV.

    Returns
    -------
    TimeOffsets or None
        None without good pixels, or without two bins of time that have photons.
    """
    if not levers or "time_offset" not in product:
        return None
    shift = product["time_offset"].values
    error = product["time_offset_errors"].values
    baseline = product["pretrigger_offset"].values
    is_known = np.isfinite(shift) & np.isfinite(error) & np.isfinite(baseline)
    if is_known.sum() < 2:
        return None
    weight = np.where(line_errors > 0, line_errors, np.inf) ** -2
    energy = np.average(product["line_energy"].values, weights=weight)
    mean_lever = np.mean(list(levers.values()), axis=0)
    lever = at_energies(mean_lever, energies, np.array([energy]))
    bin_time = product["time_bin"].values
    time = float(product.attrs["time"]) + bin_time - bin_time.mean()
    return TimeOffsets(
        time=time[is_known],
        shift=shift[is_known],
        error=error[is_known],
        energy=float(energy),
        lever=baseline[is_known, None] * lever,
    )


def _reference_drift(
    product: xr.Dataset, good: IntArray, offsets: TimeOffsets | None
) -> ReferenceDrift:
    """Return what the pulses of the good pixels say of the drift coefficients.

    What changes between bins of time is left to `offsets`: the information of the
    pulses is that within the bins.
    """
    in_use = product["params"].values[good][:, layout.DRIFT]
    score = np.zeros((len(good), 2))
    information = np.zeros((len(good), 2, 2))
    if "drift_score" in product:
        score = product["drift_score"].values[good]
        information = product["drift_information"].values[good]
    total = float(information[:, 0, 0].sum())
    if offsets is not None and total > 0:
        share = information[:, 0, 0] / total  # of each pixel
        moved = (offsets.lever - offsets.share @ offsets.lever) / offsets.error[:, None]
        between = min(float((moved[:, 0] ** 2).sum()) / total, MOST_BETWEEN)
        slope = -moved.T @ (offsets.shift / offsets.error)
        score = score - share[:, None] * slope
        information = (1 - between) * information
    drift = combine_pixels(in_use, score, information, float(product.attrs["time"]))
    return replace(drift, offsets=offsets)


def find_runs(
    pixel: int, energy: PixelEnergy, runs: Sequence[RunDrift]
) -> RunPair | None:
    """Return the reference runs on which a pixel's energy function rests.

    None for a pixel that is not used.
    """
    if energy.params is None:
        return None
    sides = []
    for params in energy.params:
        for run in runs:
            reference = run.pretrigger_ref.get(pixel)
            if reference == params[layout.PRETRIGGER_REF]:
                sides.append(run)
                break
    return RunPair(*sides) if len(sides) == 2 else None


def reference_shifts(
    before: RunDrift, after: RunDrift, energies: FloatArray
) -> ReferenceShifts | None:
    """Return what lines moved from one reference run to the next.

    Parameters
    ----------
    before, after
        The reference runs.
    energies
        At which levers are given, f8 (energy,), eV.

    Returns
    -------
    ReferenceShifts or None
        Median over the pixels that are good in both; None without any.
    """
    pixels = [pixel for pixel in before.params if pixel in after.params]
    if not pixels:
        return None
    shifts = line_shifts(
        np.stack([before.params[pixel] for pixel in pixels]),
        np.stack([after.params[pixel] for pixel in pixels]),
        before.line_energy,
    )
    is_steady = np.abs(np.median(shifts - np.median(shifts, axis=0), axis=1)) < 8.0
    chosen = np.flatnonzero(is_steady)
    levers = []
    for row in chosen:
        pixel = pixels[row]
        change = after.pretrigger_ref[pixel] - before.pretrigger_ref[pixel]
        levers.append(change * before.lever[pixel])
    lever = np.mean(levers, axis=0)
    at_lines = at_energies(lever, energies, before.line_energy)
    later_errors = np.interp(before.line_energy, after.line_energy, after.line_errors)
    error = np.hypot(before.line_errors, later_errors)
    return ReferenceShifts(
        energy=before.line_energy,
        shift=shifts[chosen].mean(axis=0),
        error=np.maximum(error, 1e-3),
        lever=at_lines,
    )


def at_energies(
    lever: FloatArray, energies: FloatArray, new_energies: FloatArray
) -> FloatArray:
    """Interpolate a lever to other energies.

    Parameters
    ----------
    lever
        f8 (energy, 2), eV.
    energies
        At which it is given, f8 (energy,), eV.
    new_energies
        f8 (n,), eV.

    Returns
    -------
    ndarray
        f8 (n, 2), eV.
    """
    columns = [np.interp(new_energies, energies, column) for column in lever.T]
    return np.stack(columns, axis=-1)


def _mean_covariance(
    product: xr.Dataset, good: IntArray, energies: FloatArray
) -> FloatArray:
    """Return the covariance (energy, energy) of the mean curve of pixels, eV^2.

    Their errors are independent: they leave out those of the reference lines.
    """
    total = np.zeros((len(energies), len(energies)))
    params = product["params"].values
    covariance = product["params_covariance"].values
    for row in good:
        total += curve_covariance(energies, params[row], covariance[row])
    return total / max(len(good), 1) ** 2


def _unit_lever(energies: FloatArray, params: FloatArray) -> FloatArray:
    """Return the change of energy a unit of pretrigger mean and drift coefficient.

    f8 (energy, 2), eV.
    """
    heights = curve_height(energies, params)
    baseline = np.full(len(heights), params[layout.PRETRIGGER_REF] + 1.0)
    phase = np.zeros(len(heights))
    derivatives = correction_derivatives(
        heights, baseline, phase, params, layout.DRIFT
    ).derivatives
    return derivatives.T
