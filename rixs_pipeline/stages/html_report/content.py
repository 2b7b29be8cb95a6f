"""All that the HTML report shows, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.config import Config
from rixs_pipeline.config.load import dump_config
from rixs_pipeline.core.stats.intervals import BLAKER_LOWER, BLAKER_UPPER
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.stages.html_report import runs
from rixs_pipeline.stages.html_report.maps import packed_map

if TYPE_CHECKING:
    import xarray as xr

IS_THERE = ("done", "fresh")
COMPARE = "compare "  # begins the names of comparisons


def report_content(
    out: Path,
    beamtime: Beamtime,
    config: Config,
    summary: Mapping[str, Any],
    quality: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Return what the report shows.

    Parameters
    ----------
    out
        Folder of the results.
    beamtime
        As it was reduced.
    config
        Resolved.
    summary
        The content of `run.json`.
    quality
        Lines on what is lost and on warnings, with `text` and `level`.

    Returns
    -------
    dict
        JSON values, as `report/report.js` reads them.

    Raises
    ------
    InputError
        A product cannot be read.
    """
    facts = {
        name: item
        for name, item in summary["items"].items()
        if item["status"] in IS_THERE
    }
    calibrations = [run.name for run in beamtime.calibrations if run.name in facts]
    scans = [run for run in beamtime.scans if run.name in facts]
    start = min((run.start for run in beamtime.runs), default=0.0)
    warnings = [*summary["problems"], *summary["warnings"]]
    rows, maps = [], []
    for name in (name for name, item in facts.items() if "passes" in item):
        rixs_map = nexus.read_entry(out / "maps" / f"{name}.nxs", without=NOT_SHOWN)
        packed = packed_map(rixs_map, config)
        maps.append(packed)
        rows.append(_row(name, rixs_map, packed, facts, warnings))
    return {
        "made": f"Made {summary['started']} from {beamtime.path}",
        "rows": rows,
        "quality": list(quality),
        "ratios": {"lower": list(BLAKER_LOWER), "upper": list(BLAKER_UPPER)},
        "maps": maps,
        "pixels": runs.pixel_statuses(out, calibrations, [scan.name for scan in scans]),
        "references": runs.reference_runs(out, calibrations, facts),
        "positions": runs.line_positions(scans, facts, start),
        "scales": runs.scale_corrections(scans, facts, start),
        "flux": runs.flux(out, scans, start),
        "cuts": [
            {"name": name, "cuts": item["cuts"]}
            for name, item in facts.items()
            if "cuts" in item
        ],
        "corrections": [
            correction
            for item in facts.values()
            for correction in item.get("corrections", [])
        ],
        "comparisons": [
            {"name": name.removeprefix(COMPARE), "text": text}
            for name, item in facts.items()
            if name.startswith(COMPARE)
            for text in item.get("results", [])
        ],
        "provenance": _provenance(summary, beamtime.runs),
        "config": dump_config(config, with_execution=False),
    }


# variables of a map that the report does not show
NOT_SHOWN = ("intensity", "intensity_errors", "scale_mode_errors", "misalignment")


def _row(
    name: str,
    rixs_map: xr.Dataset,
    packed: Mapping[str, Any],
    facts: runs.Facts,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the row of a sample and edge in the first table."""
    scans = facts[name]["scans"]
    pixels = [facts[scan].get("pixels_used", 0) for scan in scans if scan in facts]
    resolution = [
        float(rixs_map.attrs.get(f"resolution_fwhm{suffix}", np.nan))
        for suffix in ("", "_errors")
    ]
    subjects = tuple(f"{subject}:" for subject in (name, *scans))
    return {
        "sample": packed["sample"],
        "edge": packed["edge"],
        "passes": len(scans),
        "points": len(packed["incident"]),
        "photons": int(rixs_map["counts"].values.sum()),
        "pixels": min(pixels, default=0),
        "resolution": _number(resolution[0]),
        "resolution_error": _number(resolution[1]),
        "scale_error": _scale_error(rixs_map, packed),
        "p": facts[name]["passes"].get("p"),
        "warnings": sum(line.startswith(subjects) for line in warnings),
    }


def _scale_error(rixs_map: xr.Dataset, packed: Mapping[str, Any]) -> float | None:
    """Return the error of the scale in the middle of the first region, eV."""
    if "energy_scale_errors" not in rixs_map:
        return None
    limits = [
        region["region"]["emission"]
        for region in packed["regions"]
        if region["region"]["emission"]
    ]
    middle = float(np.mean(limits[0] if limits else packed["shown"]))
    energy = rixs_map["emission_energy"].values
    return _number(
        float(np.interp(middle, energy, rixs_map["energy_scale_errors"].values))
    )


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _provenance(summary: Mapping[str, Any], run_list: Sequence[Run]) -> list[Any]:
    versions = ", ".join(f"{k} {v}" for k, v in summary["environment"].items())
    rows = {
        "program": summary["program_version"],
        "command": summary["command"],
        "beamtime": summary["beamtime"],
        "config": summary["config_digest"],
        "runs": ", ".join(run.name for run in run_list),
        "versions": versions,
    }
    return [{"name": name, "text": str(text)} for name, text in rows.items()]
