import json

import numpy as np

from rixs_pipeline.simulate.logs import write_log, write_state_file
from rixs_pipeline.simulate.off_files import RUN_FOLDER
from rixs_pipeline.simulate.schedule import add_readings, plan_runs
from rixs_pipeline.simulate.settings import SimulationSettings, Timing

SETTINGS = SimulationSettings(points=10, passes=1, aborted_scans=(2,))
RUNS = plan_runs(SETTINGS)


def read_log(folder, run):
    (folder / "logs").mkdir()
    write_log(folder, run, SETTINGS)
    name = f"{run.kind}{run.number:04d}.json"
    return json.loads((folder / "logs" / name).read_text())


def test_log_of_a_scan_has_its_readings_by_point(tmp_path):
    run = add_readings(RUNS[1], np.ones(10), seed=0)
    log = read_log(tmp_path, run)
    assert log["calibration"] is False
    assert list(log["point_extras"]) == [str(point) for point in range(10)]
    assert set(log["point_extras"]["0"]) == {"i0", "tey", "tfy"}
    assert log["var_values"] == run.energy.tolist()


def test_log_of_an_aborted_scan_lacks_the_last_end(tmp_path):
    log = read_log(tmp_path, RUNS[2])
    assert log["_ended"] is False
    assert len(log["epoch_time_start_s"]) == 6
    assert len(log["epoch_time_end_s"]) == 5


def test_log_of_a_reference_run_has_no_readings(tmp_path):
    log = read_log(tmp_path, RUNS[0])
    assert log["calibration"] is True
    assert log["sample_id"] == "reference_mix"
    assert log["point_extras"] == {}
    assert log["extra"] == {}


def test_state_file_has_a_start_and_a_pause_for_every_run(tmp_path):
    (tmp_path / RUN_FOLDER).mkdir(parents=True)
    write_state_file(tmp_path, RUNS)
    (path,) = (tmp_path / RUN_FOLDER).iterdir()
    labels = [line.split(", ")[1] for line in path.read_text().splitlines()[1:]]
    assert labels[0] == "START"
    assert labels[-1] == "STOP"
    assert labels[1:-1:2] == [run.state for run in RUNS]
    assert set(labels[2:-1:2]) == {"PAUSE"}


def test_log_times_have_the_offset_of_its_clock_and_states_do_not(tmp_path):
    late = SETTINGS.model_copy(update={"timing": Timing(clock_offset=2.5)})
    (tmp_path / "sound").mkdir()
    (tmp_path / "late").mkdir()
    run = plan_runs(late)[1]
    sound, shifted = (
        read_log(tmp_path / name, r) for name, r in (("sound", RUNS[1]), ("late", run))
    )
    for key in ("epoch_time_start_s", "epoch_time_end_s"):
        difference = np.subtract(shifted[key], sound[key])
        np.testing.assert_allclose(difference, 2.5, atol=1e-5)
    assert run.label == RUNS[1].label
