"""What a beamtime holds, as plain JSON values: for `inspect` and the report."""

from math import isfinite
from pathlib import Path
from typing import Any

from rixs_pipeline.io.formats import off
from rixs_pipeline.io.formats import photon_list as photon_lists
from rixs_pipeline.io.runs import Beamtime, Run


def describe(beamtime: Beamtime) -> dict[str, Any]:
    """The beamtime as JSON values: `path`, `runs`, `problems` (all of them, those of the runs included).

    A run: `name`, `kind`, `number`, `directory`, `sample`, `edge`, `points`, `incident_energy` [lowest, highest] eV
    or null, `start_ns`, `duration_s`, `pixels`, `dead_pixels` (without a pulse in the run), `events` (pulses between
    its first start and its last end), `readings`, `complete`, `problems`.
    """
    counts = _pixel_events(beamtime)
    return {
        "path": str(beamtime.path),
        "runs": [_describe_run(run, counts[run.name]) for run in beamtime.runs],
        "problems": [
            *beamtime.problems,
            *(problem for run in beamtime.runs for problem in run.problems),
        ],
    }


def _pixel_events(beamtime: Beamtime) -> dict[str, dict[int, int]]:
    """Run -> pixel -> pulses in the run; each file is opened once, however many runs it holds."""
    users: dict[Path, list[Run]] = {}
    for run in beamtime.runs:
        for path in run.pulse_files:
            users.setdefault(path, []).append(run)
    counts: dict[str, dict[int, int]] = {run.name: {} for run in beamtime.runs}
    for path, runs in users.items():
        records = off.open_records(path)
        for run in runs:
            rows = off.record_range(records, run.start_ns, run.end_ns)
            counts[run.name][off.pixel_number(path)] = rows.stop - rows.start
    for run in beamtime.runs:
        if run.photon_list:
            counts[run.name] = photon_lists.read(run.photon_list).pixel_counts(
                run.start_ns, run.end_ns
            )
    return counts


def _describe_run(run: Run, pixel_events: dict[int, int]) -> dict[str, Any]:
    """One run as JSON values: no NaN, no numpy."""
    energies = [
        float(run.points.incident_energy.min()),
        float(run.points.incident_energy.max()),
    ]
    return {
        "name": run.name,
        "kind": run.kind,
        "number": run.number,
        "directory": run.directory,
        "sample": run.sample,
        "edge": run.edge,
        "points": len(run.points),
        "incident_energy": energies if isfinite(sum(energies)) else None,
        "start_ns": run.start_ns,
        "duration_s": run.duration,
        "pixels": len(pixel_events),
        "dead_pixels": sorted(
            pixel for pixel, events in pixel_events.items() if events == 0
        ),
        "events": sum(pixel_events.values()),
        "readings": sorted(run.readings),
        "complete": run.complete,
        "problems": list(run.problems),
    }


def as_text(description: dict[str, Any]) -> str:
    """What `describe` gives, as a table for people."""
    columns = "{:24} {:11} {:14} {:6} {:>6} {:>19} {:>8} {:>7} {:>9}"
    head = columns.format(
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
    rows = [columns.format(*_row(run)) for run in description["runs"]]
    problems = [f"problem: {problem}" for problem in description["problems"]]
    return "\n".join([description["path"], head, *rows, *(problems or ["no problems"])])


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    """The cells of one run."""
    span = run["incident_energy"]
    incident = (
        ""
        if span is None
        else f"{span[0]:.2f}"
        if span[0] == span[1]
        else f"{span[0]:.2f} - {span[1]:.2f}"
    )
    alive = run["pixels"] - len(run["dead_pixels"])
    pixels = str(alive) if alive == run["pixels"] else f"{alive}/{run['pixels']}"
    name = run["name"] if run["complete"] else f"{run['name']} (aborted)"
    cells = (
        name,
        run["kind"],
        run["sample"],
        run["edge"] or "",
        str(run["points"]),
        incident,
    )
    return (*cells, f"{run['duration_s']:.0f}", pixels, str(run["events"]))
