"""What a reference run says against its calibration, one line each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.config import CurveName
from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.calibration.line_fits import narrowest_fwhm
from rixs_pipeline.core.calibration.line_shapes import SOFT_BIN_EV, LineGrid
from rixs_pipeline.core.calibration.reference_consistency import compare_lines
from rixs_pipeline.core.gain import CurveForm, EnergyRange
from rixs_pipeline.types import PixelState, PixelStatus, are_ok

if TYPE_CHECKING:
    import xarray as xr

MISSING_SHARE = 0.5  # of the ok pixels: a line that more of them lack is reported
# Combined uncertainties of the lines, from which on one contradicts the others. Tables
# and rough gains reach 2; the rough gain of a single pixel is not averaged: in 380
# simulated ones it reached 3 in nine, and 3.4 at most.
MAX_DEVIATIONS = 3.0
MAX_DEVIATIONS_OF_ONE = 3.5


def calibration_warnings(
    dataset: xr.Dataset,
    name: str,
    named_lines: Sequence[str] | None,
    curve: CurveName = "physical",
) -> list[str]:
    """Return what is wrong with the lines of a reference run.

    Parameters
    ----------
    dataset
        As `schema.PIXEL_CALIBRATION`.
    name
        Of the run.
    named_lines
        Lines that the config names; None: none.
    curve
        Form of the gain curves.

    Returns
    -------
    list of str
        One line each.
    """
    lines = json.loads(dataset.attrs.get("hint_problems", "[]"))
    lines += _pixel_problems(dataset)
    lines += _missing_lines(dataset, named_lines or ())
    lines += _narrow_lines(dataset)
    lines += _repeated_pulses(dataset)
    lines += _unexplained_peaks(dataset)
    lines += _contradicting_lines(dataset, curve)
    return [f"{name}: {line}" for line in lines]


def _pixel_problems(dataset: xr.Dataset) -> list[str]:
    """Return a line for live pixels whose lines are wrong or unknown, if some are ok.

    If none is ok the run is lost, which is reported by itself.
    """
    statuses = [PixelStatus.parse(str(text)) for text in dataset["status"].values]
    states = (PixelState.MISASSIGNED, PixelState.UNCALIBRATED)
    wrong = [
        (channel, status)
        for channel, status in zip(dataset["pixel"].values, statuses, strict=True)
        if status.state in states
    ]
    if not wrong or not any(status.is_ok for status in statuses):
        return []
    channels = ", ".join(str(channel) for channel, _ in wrong[:8])
    ellipsis = ", ..." if len(wrong) > 8 else ""
    plural = "s" if len(wrong) > 1 else ""
    return [f"pixel{plural} {channels}{ellipsis} not calibrated: {wrong[0][1]}"]


def _missing_lines(dataset: xr.Dataset, named_lines: Sequence[str]) -> list[str]:
    """Return a line for lines of the config that most of the ok pixels lack."""
    is_ok = are_ok(dataset["status"].values)
    if not is_ok.any():
        return []
    residual = dataset["line_residual"].values[is_ok]
    missing_share = np.isnan(residual).mean(axis=0)
    shares = dict(
        zip(map(str, dataset["line_name"].values), missing_share, strict=True)
    )
    missing = [line for line in named_lines if shares.get(line, 1.0) > MISSING_SHARE]
    if not missing:
        return []
    return [
        f"{', '.join(missing)} of `calibration.lines` not found in most pixels; remove "
        "lines that the sample does not show, or lower `calibration.min_line_counts`"
    ]


def _narrow_lines(dataset: xr.Dataset) -> list[str]:
    """Return a line if the resolution of most ok pixels is at the fit's lower limit."""
    energy = dataset["line_energy"].values
    if not dataset.attrs.get("narrowest_share", 0.0) > MISSING_SHARE:
        return []
    energy_range = EnergyRange.up_to(float(energy.max(initial=0.0)))
    narrowest = narrowest_fwhm(LineGrid(SOFT_BIN_EV * energy_range.width_unit))
    return [
        f"resolution of most lines at the lower limit of the fit, {narrowest:.1f} eV "
        "FWHM; a better resolution, or the lines of another energy range: check "
        "`calibration.reference`"
    ]


def _repeated_pulses(dataset: xr.Dataset) -> list[str]:
    """Return a line for pulses that are recorded again."""
    repeated = json.loads(dataset.attrs.get("repeated_pulses", "{}"))
    if not repeated:
        return []
    limits = dataset["cut_limits"].values[:, CUT_NAMES.index("since_last") - 2, 0]
    is_left_out = np.nanmax(limits) >= repeated["longest"]
    consequence = "they are left out by the hold-off, check the trigger"
    if not is_left_out:
        consequence = "they are used, set `calibration.hold_off` to `auto`"
    return [
        f"pulses are recorded twice in {repeated['pixels']:.0f} pixels: up to "
        f"{100 * repeated['share']:.1f} % follow the previous one within "
        f"{1e3 * repeated['longest']:.1f} ms; {consequence}"
    ]


def _unexplained_peaks(dataset: xr.Dataset) -> list[str]:
    """Return a line for strong peaks of most ok pixels that are no emission line."""
    energies = json.loads(dataset.attrs.get("unexplained_peaks", "[]"))
    if not energies:
        return []
    listed = ", ".join(f"{energy:.0f}" for energy in energies)
    return [
        f"strong peak at {listed} eV is no emission line; lines may be identified "
        "wrongly: check `calibration.lines` and `calibration.reference`"
    ]


def _contradicting_lines(dataset: xr.Dataset, curve: CurveName) -> list[str]:
    """Return a line if one of the lines contradicts the others in most ok pixels."""
    is_ok = are_ok(dataset["status"].values)
    is_anchor = np.isfinite(dataset["line_energy_errors"].values)
    of_lines = ["line_name", "line_energy", "line_energy_errors"]
    of_pixels = ["line_residual", "line_left_out"]
    anchors = dataset[of_lines + of_pixels].isel(line=is_anchor, pixel=is_ok)
    comparison = compare_lines(
        anchors["line_energy"].values,
        anchors["line_energy_errors"].values,
        anchors["line_residual"].values[None],
        anchors["line_left_out"].values[None],
        CurveForm(curve),
    )
    most = np.where(comparison.pixels > 1, MAX_DEVIATIONS, MAX_DEVIATIONS_OF_ONE)
    contradicting = [
        f"{anchors['line_name'].values[line]} {comparison.left_out[line]:+.1f} +- "
        f"{comparison.expected[line]:.1f}"
        for line in np.flatnonzero(np.abs(comparison.deviations) > most)
    ]
    if not contradicting:
        return []
    return [
        "lines contradict each other: distances from the curve through the other lines "
        f"{', '.join(contradicting)} eV; check `calibration.lines` and "
        "`calibration.reference`, see calibration/references.csv"
    ]
