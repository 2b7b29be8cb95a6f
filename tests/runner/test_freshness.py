"""Digests of pulses; keys are tested in `test_run.py` and `test_faults.py`."""

import os
import signal
import time

import numpy as np
import pytest

from rixs_pipeline.io.runs import Beamtime, Points, Run
from rixs_pipeline.runner.freshness import Freshness
from rixs_pipeline.runner.summary import Summary

POINTS = Points(np.array([780.0]), np.array([0]), np.array([10**9]))


def test_ctrl_c_waits_for_the_files_that_are_being_read_alone(tmp_path, monkeypatch):
    files = tuple(tmp_path / f"x_chan{n}.off" for n in range(200))
    run = Run("scan", 1, "scan0001", "", "LMR", "Co_L", POINTS, pulse_files=files)
    summary = Summary(tmp_path, Beamtime(tmp_path, (run,)), "", False)
    freshness = Freshness(tmp_path, summary)
    begun = []

    def reads(path, windows):
        begun.append(path)
        if len(begun) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

    monkeypatch.setattr(freshness.digests, "digest_records", reads)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            freshness.read_pulses([run])
    finally:
        signal.signal(signal.SIGINT, before)
    assert 0 < len(begun) < len(files) / 2
