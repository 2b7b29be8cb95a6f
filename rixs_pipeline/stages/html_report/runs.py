"""Reference runs and scans for the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Run
from rixs_pipeline.types import are_ok

SHOWN_BIN_EV = 1.0  # of the spectra of reference runs, at least
S_PER_H = 3600.0
SCALE = "energy scale"  # name of the correction

Facts = Mapping[str, Mapping[str, Any]]  # product -> what run.json says of it


def reference_runs(out: Path, names: Sequence[str], facts: Facts) -> list[Any]:
    """Return the spectrum and the lines of each reference run.

    Parameters
    ----------
    out
        Folder of the results.
    names
        Of the runs that have a calibration.
    facts
        Of all products.

    Returns
    -------
    list of dict
    """
    wanted = ("emission_energy", "spectrum", "status", "line_name", "line_energy")
    runs = []
    for name in names:
        values = {
            key: variable.values
            for key, variable in nexus.read_variables(
                paths.calibration_product(out, name), wanted
            ).items()
        }
        counts = values["spectrum"][are_ok(values["status"])].sum(axis=0)
        energy = values["emission_energy"]
        spacing = float(np.median(np.diff(energy)))
        together = max(1, round(SHOWN_BIN_EV / spacing))
        usable = len(energy) // together * together
        residuals = facts[name].get("line_residuals", {})
        runs.append(
            {
                "name": name,
                "energy": _rounded(energy[:usable].reshape(-1, together).mean(axis=1)),
                "counts": counts[:usable].reshape(-1, together).sum(axis=1).tolist(),
                "lines": [
                    {
                        "line": str(line),
                        "energy": float(line_energy),
                        "value": residuals.get(str(line), [None, None])[0],
                        "error": residuals.get(str(line), [None, None])[1],
                    }
                    for line, line_energy in zip(
                        values["line_name"], values["line_energy"], strict=True
                    )
                ],
                "resolution": facts[name].get("resolution", [None, None]),
                "pixels_ok": facts[name].get("pixels_ok", 0),
                "pixels_live": facts[name].get("pixels_live", 0),
            }
        )
    return runs


def pixel_statuses(
    out: Path, calibrations: Sequence[str], scans: Sequence[str]
) -> list[Any]:
    """Return the status and the pulses of each pixel in each run.

    Parameters
    ----------
    out
        Folder of the results.
    calibrations, scans
        Names of runs that have a product.

    Returns
    -------
    list of dict
    """
    sources = [
        (name, paths.calibration_product(out, name), "status") for name in calibrations
    ]
    sources += [(name, paths.scan_product(out, name), "pixel_status") for name in scans]
    runs = []
    for name, path, status in sources:
        values = nexus.read_variables(path, ("pixel", status, "cut_counts"))
        runs.append(
            {
                "name": name,
                "pixels": values["pixel"].values.tolist(),
                "status": [str(text) for text in values[status].values],
                "counts": values["cut_counts"].values[:, 0].tolist(),
            }
        )
    return runs


def line_positions(scans: Sequence[Run], facts: Facts, start: float) -> dict[str, Any]:
    """Return the position of each line in each scan, by line.

    Parameters
    ----------
    scans
        In order of time.
    facts
        Of all products.
    start
        Of the first run, Unix time, s.

    Returns
    -------
    dict of str to list of dict
    """
    by_line: dict[str, list[Any]] = defaultdict(list)
    for scan in scans:
        positions = facts.get(scan.name, {}).get("line_positions", {})
        for line, (position, error) in positions.items():
            if position is not None:
                by_line[line].append(
                    {
                        "scan": scan.name,
                        "hours": _hours(scan, start),
                        "value": position,
                        "error": error or 0.0,
                    }
                )
    return dict(by_line)


def scale_corrections(
    scans: Sequence[Run], facts: Facts, start: float
) -> list[dict[str, Any]]:
    """Return the correction of the energy scale of each scan that has one, eV."""
    return [
        {
            "scan": scan.name,
            "hours": _hours(scan, start),
            "value": correction["value"],
            "error": correction["error"],
        }
        for scan in scans
        for correction in facts.get(scan.name, {}).get("corrections", [])
        if correction["name"] == SCALE
    ]


def flux(out: Path, scans: Sequence[Run], start: float) -> list[dict[str, Any]]:
    """Return I0 at the points of each scan, and its photons per exposure.

    Parameters
    ----------
    out
        Folder of the results.
    scans
        That have a product.
    start
        Of the first run, Unix time, s.

    Returns
    -------
    list of dict
    """
    described = []
    for scan in scans:
        path = paths.scan_product(out, scan.name)
        variables = nexus.read_variables(path, ("counts", "exposure"))
        counts = variables["counts"].values.sum(axis=1)
        exposure = variables["exposure"].values
        rate = np.divide(
            counts, exposure, out=np.full(len(counts), np.nan), where=exposure > 0
        )
        hours = (scan.points.start_ns / 1e9 - start) / S_PER_H
        if len(hours) != len(rate):  # points without a place on the axis of the map
            hours = np.full(len(rate), _hours(scan, start))
        try:
            i0 = nexus.read_variables(path, ("i0",))["i0"].values
        except InputError:
            i0 = None
        described.append(
            {
                "scan": scan.name,
                "sample": scan.sample,
                "hours": _rounded(hours),
                "i0": None if i0 is None else _rounded(i0),
                "rate": _rounded(rate),
            }
        )
    return described


def _hours(run: Run, start: float) -> float:
    return round((run.start - start) / S_PER_H, 4)


def _rounded(values: Any) -> list[float | None]:
    """Return numbers with five digits; None where they are not finite."""
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values]
