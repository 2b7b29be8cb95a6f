"""All that the HTML report shows, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rixs_pipeline.config import Config
from rixs_pipeline.config.load import dump_config
from rixs_pipeline.core.stats.intervals import BLAKER_LOWER, BLAKER_UPPER
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.stages.html_report import runs
from rixs_pipeline.stages.html_report.parts import ProductParts

IS_THERE = ("done", "fresh")
COMPARE = "compare "  # begins the names of comparisons


def report_content(
    out: Path,
    beamtime: Beamtime,
    config: Config,
    summary: Mapping[str, Any],
    quality: Sequence[Mapping[str, str]],
    parts: ProductParts,
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
    parts
        What is known of products already.

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
    measured = {run.name: facts[run.name] for run in beamtime.runs if run.name in facts}
    in_order = measured | facts  # runs in order of time, then the rest
    start = min((run.start for run in beamtime.runs), default=0.0)
    warnings = [*summary["problems"], *summary["warnings"]]
    rows, maps = [], []
    for name in (name for name, item in facts.items() if "passes" in item):
        part = parts.map(out / "maps" / f"{name}.nxs", config)
        maps.append(part["map"])
        rows.append(part["row"] | _facts_of_row(name, facts, warnings))
    return {
        "made": f"Made {summary['started']} from {beamtime.path}",
        "rows": rows,
        "quality": list(quality),
        "ratios": {"lower": list(BLAKER_LOWER), "upper": list(BLAKER_UPPER)},
        "maps": maps,
        "pixels": [
            *(parts.calibration_pixels(out, name) for name in calibrations),
            *(parts.scan_pixels(out, scan.name) for scan in scans),
        ],
        "references": [
            runs.with_facts(parts.reference_run(out, name), facts[name])
            for name in calibrations
        ],
        "positions": runs.line_positions(scans, facts, start),
        "scales": runs.scale_corrections(scans, facts, start),
        "flux": [
            runs.with_times(parts.flux(out, scan.name), scan, start) for scan in scans
        ],
        "cuts": [
            {"name": name, "cuts": item["cuts"]}
            for name, item in in_order.items()
            if "cuts" in item
        ],
        "corrections": [
            {**correction, "name": correction["name"].rstrip(",:")}
            for item in in_order.values()
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


def _facts_of_row(
    name: str, facts: runs.Facts, warnings: Sequence[str]
) -> dict[str, Any]:
    """Return what the facts say of a sample and edge, for the first table."""
    scans = facts[name]["scans"]
    pixels = [facts[scan].get("pixels_used", 0) for scan in scans if scan in facts]
    subjects = tuple(f"{subject}:" for subject in (name, *scans))
    return {
        "passes": len(scans),
        "pixels": min(pixels, default=0),
        "p": facts[name]["passes"].get("p"),
        "warnings": sum(line.startswith(subjects) for line in warnings),
    }


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
