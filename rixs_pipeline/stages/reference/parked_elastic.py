"""What is said of the elastic line of reference runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.core.elastic.parked_line import (
    ParkedLine,
    average_over_pixels,
    move_between,
)
from rixs_pipeline.types import FloatArray, are_ok

if TYPE_CHECKING:
    import xarray as xr

ENERGY = "elastic_line_energy"
ERRORS = "elastic_line_energy_errors"


def _pixel_positions(calibration: xr.Dataset) -> tuple[FloatArray, FloatArray]:
    """Return position and error of the line in every pixel that is ok, else NaN, eV."""
    is_ok = are_ok(calibration["status"].values)
    if "elastic_energy" not in calibration:
        missing = np.full(len(is_ok), np.nan)
        return missing, missing
    position = np.where(is_ok, calibration["elastic_energy"].values, np.nan)
    return position, calibration["elastic_energy_errors"].values


def parked_line(calibration: xr.Dataset) -> ParkedLine:
    """Return the position of the elastic line of a reference run, eV."""
    return average_over_pixels(*_pixel_positions(calibration))


def parked_line_attributes(calibration: xr.Dataset) -> dict[str, float]:
    """Return the position of the elastic line and its error as attributes, eV."""
    line = parked_line(calibration)
    return {ENERGY: line.value, ERRORS: line.error}


def parked_line_results(calibration: xr.Dataset) -> list[str]:
    """Return the position of the elastic line in words, as `status` prints it."""
    line = parked_line(calibration)
    if not np.isfinite(line.value):
        return []
    parked = float(calibration.attrs["parked_energy"])
    text = f"elastic line {line.value:.2f} +- {line.error:.2f} eV"
    return [f"{text}, monochromator at {parked:.2f} eV"]


def parked_line_moves(calibrations: Sequence[xr.Dataset]) -> list[str]:
    """Return a line for each significant move between consecutive reference runs.

    Parameters
    ----------
    calibrations
        Of the reference runs, as `schema.PIXEL_CALIBRATION`.

    Returns
    -------
    list of str
        Moves of the line against the reading of the monochromator.
    """
    ordered = sorted(calibrations, key=lambda product: float(product.attrs["time"]))
    lines = []
    for first, second in pairwise(ordered):
        shared = np.intersect1d(first["pixel"].values, second["pixel"].values)
        sides = []
        for product in (first, second):
            position, errors = _pixel_positions(product)
            rows = np.searchsorted(product["pixel"].values, shared)
            parked = float(product.attrs.get("parked_energy", np.nan))
            offset = position[rows] - parked
            sides.append((offset, errors[rows]))
        move = move_between(sides[0], sides[1])
        if move.is_significant:
            lines.append(
                f"{second.attrs['run']}: elastic line moved by {move.value:+.2f} +- "
                f"{move.error:.2f} eV since {first.attrs['run']}; incident energies "
                "of the scans may be wrong by as much; compare their `elastic_offset`, "
                "or set `map.elastic_offset: apply`"
            )
    return lines
