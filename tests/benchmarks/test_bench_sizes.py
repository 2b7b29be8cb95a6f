"""The whole command on beamtimes of any size.

Measures time, memory of all processes, and the gain from a second worker.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline import open_product
from rixs_pipeline.io.formats import off
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings

# one edge and sample, so that more pulses mean more scans; 0.6 million reference pulses
BEAMTIME = {
    "seed": 5,
    "pixels": 64,
    "edges": ["Co_L"],
    "samples": [{"name": "LMR"}],
    "points": 200,
    "rate": 160.0,
    "calibrations": 1,
    "dead_pixels": [],
    "noisy_pixels": [],
    "jumping_pixels": [],
    "truncated_pixels": [],
    "beam_dumps": [],
    "projector_samples": 8,
}
SIZES = {
    "1e6": {"passes": 1, "rate": 30.0},
    "1e7": {"passes": 6},
    "1e8": {"passes": 60},
}


@pytest.fixture(
    scope="module", params=["1e6", "1e7", pytest.param("1e8", marks=pytest.mark.slow)]
)
def beamtime(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizes") / "beamtime"
    simulate(folder, SimulationSettings.model_validate(BEAMTIME | SIZES[request.param]))
    yield folder
    shutil.rmtree(folder.parent)  # 1e8 pulses are 6 GB


def anonymous(pid: int) -> int:
    """Anonymous memory of a process and its children, bytes; 0 if it has ended."""
    process = Path(f"/proc/{pid}")
    try:
        lines = (process / "status").read_text(encoding="ascii").splitlines()
        children = [
            int(child)
            for one in process.glob("task/*/children")
            for child in one.read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = 1024 * next(
        (int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0
    )
    return own + sum(map(anonymous, children))


def watched(*command: object) -> int:
    """Run the command line; return peak memory of its processes, sampled at 10 ms."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rixs_pipeline", *map(str, command)]
    )
    most = 0
    while process.poll() is None:
        most = max(most, anonymous(process.pid))
        time.sleep(0.01)
    assert process.returncode == 0
    return most


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc"
)
def test_whole_runs(timed, table, beamtime, tmp_path):
    """Nanoseconds per pulse hold for the stages that grow with the number of scans.

    The reference run is always the same.
    """
    pulses = sum(off.read_header(path).n_records for path in beamtime.rglob("*.off"))
    counts = []
    for verb, *options in (
        ("run",),
        ("extract", "--workers", 1),
        ("extract", "--workers", 2),
    ):
        out = tmp_path / f"out{len(counts)}"
        command = verb, beamtime, "-o", out, "-q", *options
        started = time.perf_counter()
        if verb == "run":  # a benchmark has one row
            most = timed(
                "whole runs",
                f"{pulses:.1e}",
                lambda c=command: watched(*c),
                pulses,
                "pulses",
                1,
            )
        else:
            most = watched(*command)
        seconds = time.perf_counter() - started
        stages = json.loads((out / "run.json").read_text(encoding="utf-8"))["timings"]
        growing = stages["bin"] + stages["combine"]
        row = {
            "pulses": pulses,
            "command": " ".join(map(str, (verb, *options))),
            "whole, s": seconds,
        }
        row |= {
            f"{name}, s": stages.get(name)
            for name in ("calibrate", "bin", "combine", "extract", "report")
        }
        table(
            "whole runs",
            row
            | {
                "bin and combine, ns a pulse": 1e9 * growing / pulses,
                "memory, MB": most / 1e6,
            },
        )
        assert most < 1e9  # the default of execution.memory
        (path,) = (out / "maps").glob("*.nxs")
        counts.append(open_product(path)["counts"].values)
    assert all(np.array_equal(one, counts[0]) for one in counts)
    assert counts[0].sum() > 0.1 * pulses
