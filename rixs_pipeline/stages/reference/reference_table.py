"""Pixel calibrations -> the table of what each line says about the reference set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import CurveName
from rixs_pipeline.core.calibration import reference_consistency as reference_report
from rixs_pipeline.types import are_ok

if TYPE_CHECKING:
    import xarray as xr

_COLUMNS = (
    "residual",
    "residual_errors",
    "spread",
    "left_out",
    "left_out_errors",
    "ratio",
    "expected",
    "deviations",
)


def reference_table(
    calibrations: Sequence[xr.Dataset], curve: CurveName
) -> dict[str, list[Any]]:
    """Columns of the table, a row for each line of any of the reference runs, in the order of their energies."""
    energies = {name: row for one in calibrations for name, row in _lines(one).items()}
    names = sorted(energies, key=lambda name: energies[name][0])
    pixels = sorted({int(p) for one in calibrations for p in one["pixel"].values})
    energy, uncertainty = (
        np.array([energies[name][:2] for name in names], dtype=float).reshape(-1, 2).T
    )
    tables = [
        np.stack([_aligned(one, variable, pixels, names) for one in calibrations])
        for variable in ("line_residual", "line_left_out")
    ]
    result = reference_report.report(energy, uncertainty, tables[0], tables[1], curve)
    columns: dict[str, list[Any]] = {
        "line": names,
        "variant": [energies[name][2] for name in names],
    }
    columns |= {
        "energy": energy.tolist(),
        "uncertainty": uncertainty.tolist(),
        "pixels": result.pixels.tolist(),
    }
    columns["runs"] = [
        sum(name in _lines(one) for one in calibrations) for name in names
    ]
    return (
        columns
        | {c: getattr(result, c).tolist() for c in _COLUMNS}
        | {"verdict": result.verdicts}
    )


def _lines(calibration: xr.Dataset) -> dict[str, tuple[float, float, str]]:
    """Energy, uncertainty and variant of the lines of a run, by name."""
    columns = (
        calibration[f"line_{what}"].values
        for what in ("name", "energy", "energy_errors", "variant")
    )
    return {
        str(name): (float(e), float(u), str(v))
        for name, e, u, v in zip(*columns, strict=True)
    }


def _aligned(
    calibration: xr.Dataset, variable: str, pixels: list[int], names: list[str]
) -> NDArray[np.float64]:
    """A variable (pixel, line) of a run on the pixels and lines of the table; NaN where it has none that is ok."""
    values = np.full((len(pixels), len(names)), np.nan)
    ok = are_ok(calibration["status"].values)
    rows = [pixels.index(int(p)) for p in calibration["pixel"].values[ok]]
    columns = [names.index(str(name)) for name in calibration["line_name"].values]
    values[np.ix_(rows, columns)] = calibration[variable].values[ok]
    return values
