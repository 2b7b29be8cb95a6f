"""Benchmarks, run with `--benchmark-only` (`make bench`): assert results, report speed.

Times from different machines, or from one machine at different hours, are not
comparable. Each is therefore given relative to the first of its group, measured in the
same session. All are printed as one table at the end and written as JSON. Tables of
other measures, such as the energy scale against the truth, follow below it and in the
same JSON.
"""

import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.runner.execution.executor import available_cores
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.stages.reference.reference_pulses import read_reference_pulses

HERE = Path(__file__).parent
RESULTS = Path(
    os.environ.get("RIXS_BENCHMARKS", HERE.parent.parent / "build" / "benchmarks.json")
)
ROWS = pytest.StashKey[list[dict[str, str | float]]]()
TABLES = pytest.StashKey[dict[str, list[dict[str, Any]]]]()

# one reference run of 15 minutes, and as little else as there can be
REFERENCE_RUN = {
    "seed": 3,
    "pixels": 120,
    "edges": ["Co_L"],
    "samples": [{"name": "LMR"}],
    "passes": 1,
    "points": 5,
    "calibrations": 1,
    "calibration_duration": 900.0,
    "calibration_rate": 10.0,
    "dead_pixels": [],
    "noisy_pixels": [],
    "jumping_pixels": [],
    "truncated_pixels": [],
    "beam_dumps": [],
    "projector_samples": 8,
}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if not config.getoption("benchmark_only"):
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(
                    pytest.mark.skip(
                        reason="a benchmark: needs --benchmark-only (make bench)"
                    )
                )


@pytest.fixture
def timed(request, benchmark) -> Callable[..., Any]:
    """Time calls of a function on an amount; the fastest becomes a table row."""

    def run(group, what, function, amount, unit, rounds=20, setup=None):
        result = benchmark.pedantic(
            function, setup=setup, rounds=rounds, warmup_rounds=0
        )
        rows = request.config.stash.setdefault(ROWS, [])
        seconds = benchmark.stats.stats.min
        first = next(
            (row for row in rows if row["group"] == group), {"rate": amount / seconds}
        )
        row = {
            "group": group,
            "what": what,
            "seconds": seconds,
            "rate": amount / seconds,
            "unit": unit,
        }
        rows.append(row | {"relative": row["rate"] / first["rate"]})
        return result

    return run


@pytest.fixture
def table(request) -> Callable[[str, dict[str, Any]], None]:
    """Add a row (column -> value) to a named table, without columns named `_...`."""

    def add(name, row):
        rows = request.config.stash.setdefault(TABLES, {}).setdefault(name, [])
        rows.append(
            {
                column: value
                for column, value in row.items()
                if not column.startswith("_")
            }
        )

    return add


@pytest.fixture(scope="session")
def reference_pulses(tmp_path_factory) -> Sequence[ReferencePulses]:
    """Pulses of a simulated reference run, independent for each pixel."""
    folder = tmp_path_factory.mktemp("benchmarks") / "reference_run"
    simulate(folder, SimulationSettings.model_validate(REFERENCE_RUN))
    (run,) = discover(folder).calibrations
    return [read_reference_pulses(run, path) for path in run.pulse_files]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows, tables = config.stash.get(ROWS, []), config.stash.get(TABLES, {})
    if not rows and not tables:
        return
    machine = {
        "cores": available_cores(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine, "rows": rows, **tables}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    terminalreporter.section(
        f"benchmarks, {machine['cores']} cores; relative to each group's first rate"
    )
    for row in rows:
        seconds, rate = f"{row['seconds']:.3f} s", f"{row['rate']:.3g} {row['unit']}/s"
        columns = f"{row['group']:<20}{row['what']:<44}{seconds:>10}{rate:>22}"
        terminalreporter.line(f"{columns}{row['relative']:>9.2f}")
    for name, entries in tables.items():
        terminalreporter.section(name)
        for line in _lines(entries):
            terminalreporter.line(line)
    terminalreporter.line(f"written to {RESULTS}")


def _lines(entries: Sequence[dict[str, Any]]) -> list[str]:
    """A table as text; lists, such as what missed its limits, stand below their row."""
    columns = [
        column for column, value in entries[0].items() if not isinstance(value, list)
    ]
    first = max(len(str(row[columns[0]])) for row in entries) + 2
    lines = [
        columns[0].ljust(first)
        + "".join(column.rjust(len(column) + 2) for column in columns[1:])
    ]
    for row in entries:
        values = (
            _text(row.get(column)).rjust(len(column) + 2) for column in columns[1:]
        )
        lines.append(str(row[columns[0]]).ljust(first) + "".join(values))
        lines += [
            f"    {text}"
            for value in row.values()
            if isinstance(value, list)
            for text in value
        ]
    return lines


def _text(value: Any) -> str:
    return (
        ""
        if value is None
        else f"{value:.3g}"
        if isinstance(value, float)
        else str(value)
    )
