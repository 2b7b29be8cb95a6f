"""The whole command, without figures, on beamtimes of any size: time, memory, and what a second worker brings."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline import open_product
from rixs_pipeline.execution import available_cores
from rixs_pipeline.io import off
from rixs_pipeline.simulate.beamtime import SimulationSettings, simulate

# one edge and sample, so that more pulses are more scans; a reference run of 0.6 million pulses
BEAMTIME = {
    "seed": 5, "pixels": 64, "edges": ["Co_L"], "samples": [{"name": "LMR"}], "points": 200, "rate": 160.0,
    "calibrations": 1, "dead_pixels": [], "noisy_pixels": [], "jumping_pixels": [], "truncated_pixels": [],
    "beam_dumps": [], "projector_samples": 8,
}  # fmt: skip
SIZES = {"1e6": {"passes": 1, "rate": 30.0}, "1e7": {"passes": 5}, "1e8": {"passes": 50}}


@pytest.fixture(scope="module", params=["1e6", "1e7", pytest.param("1e8", marks=pytest.mark.slow)])
def beamtime(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizes") / "beamtime"
    simulate(folder, SimulationSettings.model_validate(BEAMTIME | SIZES[request.param]))
    yield folder
    shutil.rmtree(folder.parent)  # 1e8 pulses are 6 GB


def anonymous(pid: int) -> int:
    """Memory of a process that is no file's, bytes; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def watched(*command: object) -> int:
    """Run the command line; the most memory that it had, looked at every 5 ms."""
    process = subprocess.Popen([sys.executable, "-m", "rixs_pipeline", *map(str, command)])
    most = 0
    while process.poll() is None:
        most = max(most, anonymous(process.pid))
        time.sleep(0.005)
    assert process.returncode == 0
    return most


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told by Linux's /proc")
def test_whole_runs(timed, table, beamtime, tmp_path):
    pulses = sum(off.read_header(path).n_records for path in beamtime.rglob("*.off"))
    counts = []
    for workers in range(1, min(available_cores(), 2) + 1):
        out = tmp_path / f"out{workers}"
        command = "extract", beamtime, "-o", out, "-q", "--scheduler", "threads", "--workers", workers
        started = time.perf_counter()
        if workers == 1:  # a benchmark has one row
            most = timed("whole runs, one worker", f"{pulses:.1e}", lambda c=command: watched(*c), pulses, "pulses", 1)
        else:
            most = watched(*command)
        seconds = time.perf_counter() - started
        stages = json.loads((out / "run.json").read_text(encoding="utf-8"))["timings"]
        row = {"pulses": pulses, "workers": workers, "whole, s": seconds}
        row |= {f"{name}, s": value for name, value in stages.items()} | {"anonymous memory at most, MB": most / 1e6}
        table("whole runs without figures", row)
        assert most < 1e9  # the default of execution.memory
        (path,) = (out / "maps").glob("*.nxs")
        counts.append(open_product(path)["counts"].values)
    assert all(np.array_equal(one, counts[0]) for one in counts)
    assert counts[0].sum() > 0.1 * pulses
