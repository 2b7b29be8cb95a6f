"""Which energy function every pixel has during a scan, from the reference runs around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.drift import line_shifts
from rixs_pipeline.io.formats import off
from rixs_pipeline.types import PixelState

if TYPE_CHECKING:
    import xarray as xr

Float = NDArray[np.float64]

AT_ONCE = 1e-6  # s: an interpolation over so short a time is a step


def is_ok(status: str) -> bool:
    """Whether a pixel's verdict in a reference run is that it can be used."""
    return status == PixelState.OK


@dataclass(frozen=True)
class PixelRow:
    """One pixel of one calibration."""

    status: str
    params: Float
    limits: Float  # (quantity, 2), of the cuts

    @property
    def ok(self) -> bool:
        """Whether the pixel was calibrated."""
        return is_ok(self.status)


@dataclass(frozen=True)
class PixelEnergy:
    """The energy function of one pixel during a scan: one calibration, or two and the times between which it moves."""

    status: str  # `ok ...`, or why the pixel is not used
    params: tuple[Float, Float] | None = None
    limits: Float | None = None  # (quantity, 2) cut limits of the reference run
    reference_times: tuple[float, float] = (0.0, 0.0)
    calibrated: bool = False  # a photon list, which needs no parameters
    alignment: float = 0.0  # relative: energies were multiplied by 1 - this, to align the pixel with the others
    alignment_error: float = np.nan
    misalignment: float = (
        np.nan
    )  # relative, as measured: the alignment before it was drawn to 0

    @property
    def used(self) -> bool:
        """Whether the pixel's pulses are counted."""
        return self.params is not None or self.calibrated


def rows(calibration: xr.Dataset) -> dict[int, PixelRow]:
    """The pixels of a calibration by number."""
    columns = (
        calibration[name].values for name in ("pixel", "status", "params", "cut_limits")
    )
    return {
        int(pixel): PixelRow(str(status), params, limits)
        for pixel, status, params, limits in zip(*columns, strict=True)
    }


def jumped_by(before: xr.Dataset, after: xr.Dataset) -> dict[int, float]:
    """Pixels that jumped between two calibrations, and by how many eV."""
    early, late = rows(before), rows(after)
    shared = [
        pixel
        for pixel, row in early.items()
        if row.ok and pixel in late and late[pixel].ok
    ]
    if not shared:
        return {}
    first, last = (
        np.stack([table[pixel].params for pixel in shared]) for table in (early, late)
    )
    shifts = line_shifts.line_shifts(first, last, before["line_energy"].values)
    jumped = line_shifts.have_jumped(shifts)
    return {
        p: float(np.nanmedian(s))
        for p, s, j in zip(shared, shifts, jumped, strict=True)
        if j
    }


def around(time: float, calibrations: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """The calibrations just before and just after `time` (s), as far as there are such."""
    before = [c for c in calibrations if c.attrs["time"] <= time][-1:]
    return before + [c for c in calibrations if c.attrs["time"] > time][:1]


def pixel_energies(
    files: tuple[Path, ...],
    span: tuple[float, float],
    calibrations: Sequence[xr.Dataset],
    excluded: tuple[int, ...],
    jump_at: Mapping[int, float] | None = None,
    moved: Mapping[int, float] | None = None,
) -> tuple[PixelEnergy, ...]:
    """The energy function of every pixel for a scan.

    The calibrations just before and just after are interpolated; a pixel that is bad in one of them rests on the
    other. A pixel that jumped between them rests on the earlier one up to its jump and on the later one from then on.

    Args:
        files: one OFF file a pixel.
        span: start and end of the scan, seconds since 1970.
        calibrations: of the beamtime, in order of time.
        excluded: pixels that the config leaves out.
        jump_at: pixel -> time of its jump; where it is not known, the earlier calibration is used for all of the scan.
        moved: what `jumped_by` says of the two calibrations, where it is known already.
    """
    known = around(sum(span) / 2, calibrations)
    if moved is None or len(known) < 2:
        moved = jumped_by(*known) if len(known) == 2 else {}
    tables = [rows(c) for c in known]
    if moved and len(moved) > max(1, 0.5 * sum(row.ok for row in tables[0].values())):
        # most pixels at once: another setup, not a jump; the reference run that is nearer in time has the scan's
        known = [min(known, key=lambda c: abs(float(c.attrs["time"]) - sum(span) / 2))]
        moved, tables = {}, [rows(known[0])]
    names = [str(c.attrs["run"]) for c in known]
    times = [float(c.attrs["time"]) for c in known]
    found = []
    for pixel in map(off.pixel_number, files):
        if pixel in excluded:
            found.append(PixelEnergy("excluded by the config"))
        elif pixel in moved:
            jump = (jump_at or {}).get(pixel, np.inf)
            found.append(
                _jumping(
                    tables[0][pixel], tables[1][pixel], names, moved[pixel], jump, span
                )
            )
        else:
            found.append(_steady([table.get(pixel) for table in tables], names, times))
    return tuple(found)


def best_resolved(
    files: tuple[Path, ...],
    functions: tuple[PixelEnergy, ...],
    calibrations: Sequence[xr.Dataset],
    number: int | None,
) -> tuple[PixelEnergy, ...]:
    """The energy functions with all but the `number` best resolved of the used pixels left out; None: all stay.

    The resolution of a pixel is the median over the lines of `calibrations`.
    """
    used = {
        off.pixel_number(f)
        for f, function in zip(files, functions, strict=True)
        if function.used
    }
    if number is None or len(used) <= number:
        return functions
    widths: dict[int, list[float]] = {pixel: [] for pixel in used}
    for calibration in calibrations:
        for pixel, fwhm in zip(
            calibration["pixel"].values, calibration["fwhm"].values, strict=True
        ):
            if int(pixel) in used:
                widths[int(pixel)] += fwhm[np.isfinite(fwhm)].tolist()
    best = sorted(
        used,
        key=lambda pixel: (
            float(np.median(widths[pixel])) if widths[pixel] else np.inf,
            pixel,
        ),
    )
    left_out = used - set(best[:number])
    return tuple(
        PixelEnergy(f"not among the {number} best resolved pixels")
        if off.pixel_number(f) in left_out
        else function
        for f, function in zip(files, functions, strict=True)
    )


def _steady(
    found: list[PixelRow | None], names: list[str], times: list[float]
) -> PixelEnergy:
    """A pixel that did not jump: both calibrations interpolated, or the one in which it is good."""
    good = [
        (row, name)
        for row, name in zip(found, names, strict=True)
        if row is not None and row.ok
    ]
    if not names:
        return PixelEnergy("no calibration")
    if not good:
        reasons = (
            "not in this reference run" if row is None else row.status for row in found
        )
        return PixelEnergy(
            "; ".join(
                f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True)
            )
        )
    (first, name), (last, other) = good[0], good[-1]
    if len(good) == 1:
        return PixelEnergy(
            f"{PixelState.OK}: {name} alone", (first.params, first.params), first.limits
        )
    return PixelEnergy(
        f"{PixelState.OK}: {name} to {other}",
        (first.params, last.params),
        first.limits,
        (times[0], times[1]),
    )


def _jumping(
    early: PixelRow,
    late: PixelRow,
    names: list[str],
    by: float,
    at: float,
    span: tuple[float, float],
) -> PixelEnergy:
    """A pixel that jumped by `by` eV at the time `at` (s)."""
    if at >= span[1]:
        status = f"{PixelState.OK}: {names[0]} alone, jumped by {by:+.1f} eV before {names[1]}"
        return PixelEnergy(status, (early.params, early.params), early.limits)
    if at <= span[0]:
        status = f"{PixelState.OK}: {names[1]} alone, jumped by {by:+.1f} eV after {names[0]}"
        return PixelEnergy(status, (late.params, late.params), late.limits)
    status = f"{PixelState.OK}: {names[0]}, then {names[1]} from {at - span[0]:.0f} s on, when it jumped by {by:+.1f} eV"
    return PixelEnergy(
        status, (early.params, late.params), early.limits, (at, at + AT_ONCE)
    )
