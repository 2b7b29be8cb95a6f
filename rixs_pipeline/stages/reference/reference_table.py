"""Table that compares each reference line with the others, over all reference runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.config import CurveName
from rixs_pipeline.core.calibration.reference_consistency import compare_lines
from rixs_pipeline.core.gain import CurveForm
from rixs_pipeline.types import FloatArray, IntArray, are_ok

if TYPE_CHECKING:
    import xarray as xr

RESULT_COLUMNS = (
    "residual",
    "residual_errors",
    "spread",
    "left_out",
    "left_out_errors",
    "ratio",
    "expected",
    "deviations",
)


@dataclass(frozen=True)
class _Line:
    """A reference line as the product of a reference run holds it."""

    energy: float  # eV
    uncertainty: float  # one standard deviation, eV
    variant: str  # chemical state; "" where the reference set states none


def reference_table(
    calibrations: Sequence[xr.Dataset], curve: CurveName
) -> dict[str, list[Any]]:
    """Return the columns of the table, with a row for each line of any reference run.

    Parameters
    ----------
    calibrations
        Products of the reference runs.
    curve
        The form of the gain curves.

    Returns
    -------
    dict of str to list
        Rows are in the order of the line energies.
    """
    lines: dict[str, _Line] = {}
    for product in calibrations:
        lines |= _read_lines(product)
    names = sorted(lines, key=lambda name: lines[name].energy)
    energy = [lines[name].energy for name in names]
    uncertainty = [lines[name].uncertainty for name in names]
    pixels_of_runs = [product["pixel"].values for product in calibrations]
    pixels = np.unique(np.concatenate(pixels_of_runs))
    residual = []
    left_out = []
    names_of_runs: list[str] = []
    for product in calibrations:
        residual.append(_on_grid(product, "line_residual", pixels, names))
        left_out.append(_on_grid(product, "line_left_out", pixels, names))
        names_of_runs += map(str, product["line_name"].values)
    result = compare_lines(
        np.array(energy, float),
        np.array(uncertainty, float),
        np.stack(residual),
        np.stack(left_out),
        CurveForm(curve),
    )
    columns: dict[str, list[Any]] = {
        "line": names,
        "variant": [lines[name].variant for name in names],
        "energy": energy,
        "uncertainty": uncertainty,
        "pixels": result.pixels.tolist(),
        "runs": [names_of_runs.count(name) for name in names],
    }
    for name in RESULT_COLUMNS:
        values = getattr(result, name)
        columns[name] = values.tolist()
    columns["verdict"] = result.conclusions
    return columns


def _read_lines(calibration: xr.Dataset) -> dict[str, _Line]:
    """Read the lines of a reference run, by name."""
    names = map(str, calibration["line_name"].values)
    energy = calibration["line_energy"].values.tolist()
    uncertainty = calibration["line_energy_errors"].values.tolist()
    variant = map(str, calibration["line_variant"].values)
    lines = map(_Line, energy, uncertainty, variant)
    return dict(zip(names, lines, strict=True))


def _on_grid(
    calibration: xr.Dataset, variable: str, pixels: IntArray, names: list[str]
) -> FloatArray:
    """Return a variable of a run on the pixels and lines of the table, (pixel, line).

    NaN where the run does not have the line, or the pixel is not ok.
    """
    n_pixels = len(pixels)
    n_lines = len(names)
    values = np.full((n_pixels, n_lines), np.nan)
    is_ok = are_ok(calibration["status"].values)
    run_values = calibration[variable].values
    run_pixels = calibration["pixel"].values
    run_names = map(str, calibration["line_name"].values)
    rows = np.searchsorted(pixels, run_pixels[is_ok])
    columns = [names.index(name) for name in run_names]
    for column, line_values in zip(columns, run_values[is_ok].T, strict=True):
        values[rows, column] = line_values
    return values
