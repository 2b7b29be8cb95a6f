"""Reference runs and scans for the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Run
from rixs_pipeline.types import IntArray, are_ok

if TYPE_CHECKING:
    import xarray as xr

SHOWN_BIN_EV = 1.0  # of the spectra of reference runs, at least
S_PER_H = 3600.0
SCALE = "energy scale"  # name of the correction

Facts = Mapping[str, Mapping[str, Any]]  # product -> what run.json says of it


def reference_run(out: Path, name: str) -> dict[str, Any]:
    """Return the spectrum and the lines of a reference run.

    Parameters
    ----------
    out
        Folder of the results.
    name
        Of the run.

    Returns
    -------
    dict
        Photons of all ok pixels in bins of `SHOWN_BIN_EV`, and energies of the lines.
    """
    wanted = ("emission_energy", "spectrum", "status", "line_name", "line_energy")
    read = nexus.read_variables(paths.calibration_product(out, name), wanted)
    values = {key: variable.values for key, variable in read.items()}
    counts = values["spectrum"][are_ok(values["status"])].sum(axis=0)
    energy = values["emission_energy"]
    together = max(1, round(SHOWN_BIN_EV / float(np.median(np.diff(energy)))))
    usable = len(energy) // together * together
    lines = zip(values["line_name"], values["line_energy"], strict=True)
    return {
        "name": name,
        "energy": _rounded(energy[:usable].reshape(-1, together).mean(axis=1)),
        "counts": counts[:usable].reshape(-1, together).sum(axis=1).tolist(),
        "lines": [{"line": str(line), "energy": float(at)} for line, at in lines],
    }


def with_facts(run: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a reference run with what `run.json` says of its lines and pixels."""
    residuals = facts.get("line_residuals", {})
    lines = []
    for line in run["lines"]:
        value, error = residuals.get(line["line"], (None, None))
        lines.append({**line, "value": value, "error": error})
    return {
        **run,
        "lines": lines,
        "resolution": facts.get("resolution", [None, None]),
        "pixels_ok": facts.get("pixels_ok", 0),
        "pixels_live": facts.get("pixels_live", 0),
    }


def pixel_statuses(path: Path, status: str) -> dict[str, Any]:
    """Return the status and the pulses of each pixel in a run.

    Parameters
    ----------
    path
        Product of a reference run or scan.
    status
        Its variable with the statuses.

    Returns
    -------
    dict
    """
    values = nexus.read_variables(path, ("pixel", status, "cut_counts"))
    return {
        "name": path.stem,
        "pixels": values["pixel"].values.tolist(),
        "status": [str(text) for text in values[status].values],
        "counts": values["cut_counts"].values[:, 0].tolist(),
    }


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


def flux(name: str, scan_map: xr.Dataset, photons: IntArray) -> dict[str, Any]:
    """Return I0 at the points of a scan, and its photons per exposure.

    Parameters
    ----------
    name
        Of the scan.
    scan_map
        As `schema.SCAN_MAP`; its counts are not needed.
    photons
        At each point (point,).

    Returns
    -------
    dict
    """
    exposure = scan_map["exposure"].values
    rate = np.divide(
        photons, exposure, out=np.full(len(photons), np.nan), where=exposure > 0
    )
    i0 = _rounded(scan_map["i0"].values) if "i0" in scan_map else None
    return {"scan": name, "i0": i0, "rate": _rounded(rate)}


def with_times(flux: Mapping[str, Any], scan: Run, start: float) -> dict[str, Any]:
    """Return the flux of a scan with its sample, and the times of its points in h."""
    hours = (scan.points.start_ns / 1e9 - start) / S_PER_H
    if len(hours) != len(flux["rate"]):  # points without a place on the map's axis
        hours = np.full(len(flux["rate"]), _hours(scan, start))
    return {**flux, "sample": scan.sample, "hours": _rounded(hours)}


def _hours(run: Run, start: float) -> float:
    return round((run.start - start) / S_PER_H, 4)


def _rounded(values: Any) -> list[float | None]:
    """Return numbers with five digits; None where they are not finite."""
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values]
