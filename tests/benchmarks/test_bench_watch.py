"""What `watch` takes while nothing changes, and how late the results of a scan are."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from rixs_pipeline.runner.live.watched_folder import WatchedFolder
from rixs_pipeline.simulate import simulate_preset
from tests.io.writers import SECOND, T0, json_log, write_json, write_off

SCANS, PIXELS = 500, 240
EVERY = 10.0  # s, default of --every


def test_idle(timed, table, tmp_path):
    for pixel in range(PIXELS):
        write_off(tmp_path / "20260101" / f"a_chan{2 * pixel + 1}.off", [T0])
    for number in range(SCANS):
        start_ns = T0 + number * 600 * SECOND
        log = json_log(number, start_ns, np.linspace(770, 800, 60).tolist())
        path = write_json(tmp_path / "logs" / f"scan{number:04d}.json", log)
        os.utime(path, (0, 0))
    folder = WatchedFolder(tmp_path)
    folder.look()
    folder.start_reduction()
    folder.end_reduction(None)

    def look():
        folder.look()
        return folder.is_due, folder.running()

    files = SCANS + PIXELS
    used = time.process_time()
    rounds = 20
    result = timed("watch", "a look at files", look, files, "files", rounds)
    cpu_s = (time.process_time() - used) / rounds
    assert result[0] is False
    row = {"files": files, "CPU, ms a look": 1e3 * cpu_s}
    table("idle watch", row | {f"% of a core, every {EVERY:g} s": 100 * cpu_s / EVERY})


@pytest.mark.slow
def test_delay(timed, table, tmp_path):
    """Of scans of 240 pixels, from the last byte of their log to their figures."""
    recorded, out = tmp_path / "recorded", tmp_path / "out"
    simulate_preset(recorded, "benchmark_240")
    command = [sys.executable, "-m", "rixs_pipeline", "watch", tmp_path / "replay"]
    options = ["--replay", recorded, "--speed", "40", "--every", "0.5", "-q"]
    arguments = [*command, "-o", out, *options]
    timed(
        "watched replay",
        "12 scans, 240 pixels",
        lambda: subprocess.run([*map(str, arguments)], check=True),
        12,
        "scans",
        1,
    )
    rounds = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    delays = [
        delay
        for entry in rounds
        for name, delay in entry["delays_s"].items()
        if name.startswith("scan")
    ]
    assert len(delays) == 12
    low, median, high = np.percentile(delays, [5, 50, 95]).tolist()
    row = {"scans": len(delays), "5 %, s": low, "median, s": median, "95 %, s": high}
    table("delay of scans", row)
