import numpy as np
import pytest
import yaml

from rixs_pipeline.io.formats import ssrl_log as ssrl_logs
from tests.io.writers import write_yaml, yaml_header, yaml_pass

ENERGIES = [768.0, 768.4, 769.0]


def test_each_pass_is_a_run(tmp_path):
    path = write_yaml(
        tmp_path / "20260101_002_log",
        yaml_header("data"),
        yaml_pass(12, 1582152300.25, ENERGIES),
        yaml_pass(13, 1582152400.0, ENERGIES),
    )
    runs, problems = ssrl_logs.read(path)
    assert problems == []
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
    points = ssrl_logs.read(path)[0][0].points
    assert points.incident_energy.tolist() == ENERGIES[::-1]
    assert np.all(np.diff(points.start_ns) > 0)


def test_a_calibration_lasts_from_start_to_stop_at_the_parked_energy(tmp_path):
    loop = {0: [90.0, 91.0, 101.0, 102.0], 1: [103.0, 104.0]}
    document = {
        "header": {"htxs": 245, "mono": 1000.0, "start": 100.5, "stop": 200.25},
        "loop": loop,
    }
    runs, _ = ssrl_logs.read(
        write_yaml(tmp_path / "20260101_001_log", yaml_header("cal"), document)
    )
    assert (runs[0].kind, runs[0].number, runs[0].reference) == (
        "calibration",
        245,
        None,
    )
    assert runs[0].points.incident_energy.tolist() == [1000.0]
    assert runs[0].points.start_ns.tolist() == [100_500_000_000]
    assert runs[0].points.end_ns.tolist() == [200_250_000_000]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_the_passes_before_a_cut_survive(tmp_path, share):
    path = tmp_path / "20260101_002_log"
    whole = write_yaml(
        path, yaml_header("data"), yaml_pass(1, 1e9, ENERGIES)
    ).read_text()
    last = yaml.safe_dump_all(
        [yaml_pass(2, 2e9, ENERGIES)], explicit_start=True, default_flow_style=True
    )
    path.write_text(whole + last[: int(share * len(last))])
    runs, problems = ssrl_logs.read(path)
    assert [run.number for run in runs] == [1]
    assert len(problems) == 1
    assert "cut short" in problems[0]
    assert "line" in problems[0]


def test_cut_logs_are_read_alike_without_libyaml(tmp_path, monkeypatch):
    path = tmp_path / "20260101_002_log"
    text = write_yaml(
        path,
        yaml_header("data"),
        yaml_pass(1, 1e9, ENERGIES),
        yaml_pass(2, 2e9, ENERGIES),
    ).read_text()
    path.write_text(text[:-20])
    fast = ssrl_logs.read(path)
    monkeypatch.setattr(ssrl_logs, "_Loader", yaml.SafeLoader)
    slow = ssrl_logs.read(path)
    assert [run.number for run in fast[0]] == [run.number for run in slow[0]] == [1]
    np.testing.assert_array_equal(
        fast[0][0].points.start_ns, slow[0][0].points.start_ns
    )


def test_a_point_without_its_end_is_left_out(tmp_path):
    document = yaml_pass(1, 1e9, ENERGIES)
    document["mono"][ENERGIES[-1]].pop()
    del document["header"]["stop"]
    (run,), _ = ssrl_logs.read(
        write_yaml(tmp_path / "20260101_002_log", yaml_header("data"), document)
    )
    assert (len(run.points), run.logged, run.complete) == (2, 3, False)
    assert any("2 complete of 3 points" in problem for problem in run.problems)


@pytest.mark.parametrize(
    "document", [{"header": {"htxs": 1}}, {"mono": {}}, [1], {"header": None}, "text"]
)
def test_a_document_that_is_no_pass_does_not_cost_the_others(tmp_path, document):
    path = write_yaml(
        tmp_path / "20260101_002_log",
        yaml_header("data"),
        document,
        yaml_pass(2, 1e9, ENERGIES),
    )
    runs, problems = ssrl_logs.read(path)
    assert [run.number for run in runs] == [2]
    assert len(problems) == 1
    assert "document 1" in problems[0]


@pytest.mark.real
def test_real_logs(real_data):
    runs = [
        run
        for path in sorted(real_data.glob("*_log"))
        for run in ssrl_logs.read(path)[0]
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
