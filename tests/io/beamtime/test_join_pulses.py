from pathlib import Path

import numpy as np

from rixs_pipeline.io.beamtime.join_pulses import PulseSet, join_pulses
from rixs_pipeline.io.formats.experiment_state import StateInterval
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.runs import Points

ROOT = Path("beamtime")


def log_run(number=1, start_ns=100, end_ns=200, kind="scan", **changes):
    points = Points(np.array([780.0]), np.array([start_ns]), np.array([end_ns]))
    return LogRun(kind, number, "LMR", points, np.zeros(1, np.int64), 1, **changes)


def pulse_set(prefix="20260101_run0000", first_ns=0, last_ns=1000, states=()):
    folder = ROOT / "20260101" / "0000"
    files = (folder / f"{prefix}_chan1.off",)
    return PulseSet(folder, prefix, files, first_ns, last_ns, states)


def test_the_overlap_includes_the_last_pulse():
    assert pulse_set(first_ns=150, last_ns=170).overlap_ns(log_run()) == 21
    assert pulse_set(first_ns=200, last_ns=300).overlap_ns(log_run()) == 0
    assert pulse_set(first_ns=None, last_ns=None).overlap_ns(log_run()) == 0


def test_the_data_path_outweighs_the_overlap():
    short = pulse_set("20260101_run0001", first_ns=190)
    data_path = r"C:\data\20260101_run0001_chan1.off"
    joined = join_pulses([log_run(data_path=data_path)], [pulse_set(), short], [])
    assert joined.runs[0].pulses is short
    assert joined.runs[0].problems == ()


def test_the_time_outweighs_the_data_path():
    late = pulse_set("20260101_run0001", first_ns=500)
    joined = join_pulses(
        [log_run(data_path="20260101_run0001")], [pulse_set(), late], []
    )
    assert joined.runs[0].pulses.prefix == "20260101_run0000"
    assert "no pulses in `data_path` '20260101_run0001'" in joined.runs[0].problems[0]


def test_reference_run_from_experiment_states_without_log():
    states = (StateInterval(100, 200, "CAL3"), StateInterval(300, None, "CAL4"))
    joined = join_pulses([], [pulse_set(states=states)], [])
    first, last = (run.log for run in joined.runs)
    assert (first.number, first.start_ns, first.end_ns) == (3, 100, 200)
    assert (last.number, last.start_ns, last.end_ns) == (4, 300, 1001)
    assert (first.complete, last.complete) == (True, False)
    assert np.isnan(first.points.incident_energy[0])


def test_state_with_a_log_gives_no_second_run():
    states = (StateInterval(100, 200, "CAL3"),)
    log = log_run(kind="calibration", number=3, start_ns=110)
    joined = join_pulses([log], [pulse_set(states=states)], [])
    assert [run.log for run in joined.runs] == [log]


def test_complete_copy_is_preferred():
    near = log_run(log=ROOT / "logs" / "scan0001.json", complete=False)
    far = log_run(log=ROOT / "scan0001.json")
    joined = join_pulses([far, near], [pulse_set()], [])
    assert [run.log for run in joined.runs] == [far]
    assert joined.problems == ()
