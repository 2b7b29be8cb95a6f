import numpy as np
import pytest

from rixs_pipeline.io.formats import ssrl_log
from rixs_pipeline.io.formats.values import TimeForm
from tests.io.writers import dump_yaml, write_yaml, yaml_header, yaml_pass

ENERGIES = [768.0, 768.4, 769.0]


def test_each_pass_is_a_run(tmp_path):
    path = write_yaml(
        tmp_path / "20260101_002_log",
        yaml_header("data"),
        yaml_pass(12, 1582152300.25, ENERGIES),
        yaml_pass(13, 1582152400.0, ENERGIES),
    )
    log = ssrl_log.read(path)
    runs = log.runs
    assert log.problems == ()
    assert [(run.kind, run.number, run.sample) for run in runs] == [
        ("scan", 12, "ad1"),
        ("scan", 13, "ad1"),
    ]
    assert (runs[0].data_path, runs[0].reference, runs[0].complete) == (
        "20260101_002",
        "20260101_001",
        True,
    )
    np.testing.assert_array_equal(runs[0].points.incident_energy, ENERGIES)
    assert runs[0].points.start_ns[0] == 1582152301_250_000_000
    np.testing.assert_array_equal(
        runs[0].points.end_ns - runs[0].points.start_ns, [10**9] * 3
    )


def test_a_scan_down_in_energy_is_in_order_of_time(tmp_path):
    """PyYAML writes the points in order of their energy."""
    path = write_yaml(
        tmp_path / "20260101_002_log",
        yaml_header("data"),
        yaml_pass(1, 1e9, ENERGIES[::-1]),
    )
    points = ssrl_log.read(path).runs[0].points
    assert points.incident_energy.tolist() == ENERGIES[::-1]
    assert np.all(np.diff(points.start_ns) > 0)


def calibration_pass(loop, **changes):
    header = {"htxs": 245, "mono": 1000.0, "start": 100.5, "stop": 200.25} | changes
    return {"header": header, "loop": loop}


def read_calibration(folder, document):
    path = write_yaml(folder / "20260101_001_log", yaml_header("cal"), document)
    (run,) = ssrl_log.read(path).runs
    return run


def test_a_calibration_lasts_from_start_to_stop_at_the_parked_energy(tmp_path):
    loop = {0: [0.0, 1.0, 101.0, 150.0]} | {1: [151.0, 199.5]}
    run = read_calibration(tmp_path, calibration_pass(loop))
    assert (run.kind, run.number, run.reference) == ("calibration", 245, None)
    assert run.points.incident_energy.tolist() == [1000.0]
    assert run.points.start_ns.tolist() == [100_500_000_000]
    assert run.points.end_ns.tolist() == [200_250_000_000]
    assert run.problems == ()


def test_times_when_its_loop_stood_still_are_not_part_of_a_calibration(tmp_path):
    starts = [110, 112, 114, 150, 152, 180, 182]
    loop = {i: [start, start + 1.9] for i, start in enumerate(starts)}
    run = read_calibration(tmp_path, calibration_pass(loop))
    assert (run.points.start_ns / 1e9).tolist() == [110.0, 150.0, 180.0]
    assert (run.points.end_ns / 1e9).tolist() == [115.9, 153.9, 183.9]
    assert "interrupted 2 times" in run.problems[0]


def test_numbers_and_times_as_text(tmp_path):
    document = yaml_pass(12, 1582152300.25, ENERGIES)
    sound = ssrl_log.read(
        write_yaml(tmp_path / "20260101_002_log", yaml_header("data"), document)
    )
    document["mono"] = {
        f"{energy}": [
            f"{np.datetime64(round(time * 1e6), 'us')}+00:00" for time in window
        ]
        for energy, window in document["mono"].items()
    }
    path = write_yaml(tmp_path / "20260101_003_log", yaml_header("data"), document)
    (run,) = ssrl_log.read(path).runs
    assert run.points.incident_energy.tolist() == ENERGIES
    assert run.points.start_ns.tolist() == sound.runs[0].points.start_ns.tolist()
    assert run.time_form is TimeForm.TEXT


def test_a_malformed_pass_is_refused_with_its_key(tmp_path):
    document = yaml_pass(12, 1e9, ENERGIES)
    document["mono"]["7x"] = [1.1e9, 1.1e9 + 1]
    path = write_yaml(
        tmp_path / "20260101_002_log",
        yaml_header("data"),
        document,
        yaml_pass(13, 2e9, ENERGIES),
    )
    log = ssrl_log.read(path)
    assert [run.number for run in log.runs] == [13]
    (refused,) = log.refusals
    assert refused.name == "scan0012"
    assert "`mono`: '7x' is not a number" in refused.reason


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_passes_before_a_truncation_are_kept(tmp_path, share):
    path = tmp_path / "20260101_002_log"
    whole = write_yaml(
        path, yaml_header("data"), yaml_pass(1, 1e9, ENERGIES)
    ).read_text()
    last = dump_yaml(yaml_pass(2, 2e9, ENERGIES))
    path.write_text(whole + last[: int(share * len(last))])
    log = ssrl_log.read(path)
    assert [run.number for run in log.runs] == [1]
    assert len(log.problems) == 1
    assert "truncated" in log.problems[0]
    assert "line" in log.problems[0]


@pytest.mark.parametrize("name", ["089", "2E1", "1.5e3", "20200219_016", "0o12", "yes"])
def test_names_that_look_like_numbers_stay_text(tmp_path, name):
    """PyYAML, which writes the logs, quotes a name only where it would misread it."""
    quoted = f"'{name}'" if name in ("20200219_016", "yes") else name
    path = tmp_path / "20260101_002_log"
    write_yaml(path, yaml_header("data"), yaml_pass(1, 1e9, ENERGIES))
    path.write_text(path.read_text().replace("sample: ad1", f"sample: {quoted}"))
    (run,) = ssrl_log.read(path).runs
    assert run.sample == name


@pytest.mark.parametrize("text", ["1.0e+3", "1000.", "1000.0", "1000"])
def test_numbers_of_a_log(tmp_path, text):
    path = tmp_path / "20260101_001_log"
    path.write_text(
        "--- {dtype: cal, file_header: true}\n"
        f"--- {{header: {{htxs: 1, mono: {text}, start: 100.5, stop: 200.25}}, loop: "
        f"{{}}}}\n"
    )
    (run,) = ssrl_log.read(path).runs
    assert run.points.incident_energy.tolist() == [1000.0]


def test_a_point_without_its_end_is_left_out(tmp_path):
    document = yaml_pass(1, 1e9, ENERGIES)
    document["mono"][ENERGIES[-1]].pop()
    del document["header"]["stop"]
    path = write_yaml(tmp_path / "20260101_002_log", yaml_header("data"), document)
    (run,) = ssrl_log.read(path).runs
    assert (len(run.points), run.n_logged, run.complete) == (2, 3, False)
    assert any("2 complete of 3 points" in problem for problem in run.problems)


@pytest.mark.parametrize(
    "document", [{"header": {"htxs": 1}}, {"mono": {}}, [1], {"header": None}, "text"]
)
def test_document_without_pass_does_not_affect_others(tmp_path, document):
    path = write_yaml(
        tmp_path / "20260101_002_log",
        yaml_header("data"),
        document,
        yaml_pass(2, 1e9, ENERGIES),
    )
    log = ssrl_log.read(path)
    assert [run.number for run in log.runs] == [2]
    assert len(log.problems) == 1
    assert "document 1" in log.problems[0]


@pytest.mark.real
def test_real_logs(real_data):
    runs = [
        run
        for path in sorted(real_data.glob("*_log"))
        for run in ssrl_log.read(path).runs
    ]
    assert [run.number for run in runs] == [245, 247, 248, 249, 251, 252, 253, 288]
    assert [run.kind for run in runs] == ["calibration"] + 6 * ["scan"] + [
        "calibration"
    ]
    assert all(run.problems == () and run.complete for run in runs)
    scan = runs[1]
    assert len(scan.points) == 243
    assert (scan.points.start_ns[0], scan.points.end_ns[0]) == (
        1582152317990670000,
        1582152319190477000,
    )
