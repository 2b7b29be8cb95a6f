"""Describe what a beamtime holds, as plain JSON values."""

from collections import defaultdict
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.io.formats import off, photon_list
from rixs_pipeline.io.runs import Beamtime, Run

_ROW = "{:24} {:11} {:14} {:6} {:>6} {:>19} {:>8} {:>7} {:>9}"
_HEAD = (
    "run",
    "kind",
    "sample",
    "edge",
    "points",
    "incident / eV",
    "time / s",
    "pixels",
    "pulses",
)


def describe(beamtime: Beamtime) -> dict[str, Any]:
    """Return a beamtime as JSON values: `path`, `runs`, `problems` (of runs too).

    A run has `name`, `kind`, `number`, `directory`, `sample`, `edge`, `points`,
    `incident_energy` [lowest, highest] in eV or null, `start_ns`, `duration_s`,
    `pixels`, `dead_pixels` (without pulses in the run), `events` (pulses between its
    start and its end), `readings`, `complete`, `problems`.
    """
    counts = _count_pulses(beamtime)
    run_problems = [problem for run in beamtime.runs for problem in run.problems]
    return {
        "path": str(beamtime.path),
        "runs": [_describe_run(run, counts[run.name]) for run in beamtime.runs],
        "problems": [*beamtime.losses, *beamtime.problems, *run_problems],
    }


def _count_pulses(beamtime: Beamtime) -> dict[str, dict[int, int]]:
    """Return run -> pixel -> pulses in the run; each file is opened once."""
    runs_of_file: dict[Path, list[Run]] = defaultdict(list)
    for run in beamtime.runs:
        for path in run.pulse_files:
            runs_of_file[path].append(run)
    counts: dict[str, dict[int, int]] = {run.name: {} for run in beamtime.runs}
    for path, runs in runs_of_file.items():
        records = off.open_records(path)
        pixel = off.pixel_number(path)
        for run in runs:
            counts[run.name][pixel] = _count_records(records, run)
    for run in beamtime.runs:
        if run.photon_list:
            photons = photon_list.read(run.photon_list)
            counts[run.name] = photons.pixel_counts(run.start_ns, run.end_ns)
    return counts


def _count_records(records: NDArray[np.void], run: Run) -> int:
    """Count the pulses between start and end of a scan, in parts of a reference run."""
    windows = [(run.start_ns, run.end_ns)]
    if run.kind == "calibration":
        points = run.points
        windows = list(zip(points.start_ns, points.end_ns, strict=True))
    rows = [off.record_range(records, start, end) for start, end in windows]
    return sum(row.stop - row.start for row in rows)


def _describe_run(run: Run, pixel_counts: dict[int, int]) -> dict[str, Any]:
    """Return a run as JSON values: no NaN, no numpy."""
    lowest = float(run.points.incident_energy.min())
    highest = float(run.points.incident_energy.max())
    has_energy = isfinite(lowest) and isfinite(highest)
    dead_pixels = [pixel for pixel, count in pixel_counts.items() if count == 0]
    return {
        "name": run.name,
        "kind": run.kind,
        "number": run.number,
        "directory": run.directory,
        "sample": run.sample,
        "edge": run.edge,
        "points": len(run.points),
        "incident_energy": [lowest, highest] if has_energy else None,
        "start_ns": run.start_ns,
        "duration_s": run.duration,
        "pixels": len(pixel_counts),
        "dead_pixels": sorted(dead_pixels),
        "events": sum(pixel_counts.values()),
        "readings": sorted(run.readings),
        "complete": run.complete,
        "problems": list(run.problems),
    }


def as_text(description: dict[str, Any]) -> str:
    """Return the result of `describe` as a table for people."""
    rows = [_ROW.format(*_cells(run)) for run in description["runs"]]
    problems = [f"problem: {problem}" for problem in description["problems"]]
    lines = [description["path"], _ROW.format(*_HEAD), *rows]
    return "\n".join(lines + (problems or ["no problems"]))


def _cells(run: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one run."""
    used_pixels = run["pixels"] - len(run["dead_pixels"])
    pixels = str(used_pixels)
    if run["dead_pixels"]:
        pixels = f"{used_pixels}/{run['pixels']}"
    return (
        run["name"] if run["complete"] else f"{run['name']} (aborted)",
        run["kind"],
        run["sample"],
        run["edge"] or "",
        str(run["points"]),
        _incident_range(run["incident_energy"]),
        f"{run['duration_s']:.0f}",
        pixels,
        str(run["events"]),
    )


def _incident_range(limits: list[float] | None) -> str:
    """Return an incident range such as `768.00 - 804.80`, or a single energy."""
    if limits is None:
        return ""
    low, high = limits
    return f"{low:.2f}" if low == high else f"{low:.2f} - {high:.2f}"
