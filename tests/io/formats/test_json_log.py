from datetime import UTC, datetime

import numpy as np
import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import json_log as json_logs
from rixs_pipeline.io.formats.values import TimeForm
from tests.io.writers import SECOND, T0, calibration_log, json_log, write_json

ENERGIES = [780.0, 781.0, 782.5]


def read(folder, log):
    return json_logs.read(write_json(folder / "scan0001.json", log))


def test_a_scan(tmp_path):
    log = json_log(
        7,
        T0,
        ENERGIES,
        extra={"edge": "Co_L"},
        cal_number=2,
        data_path="/elsewhere/a_chan1.off",
    )
    run = read(tmp_path, log)
    assert (run.kind, run.number, run.state, run.sample, run.edge) == (
        "scan",
        7,
        "SCAN7",
        "LMR_RT",
        "Co_L",
    )
    assert (run.reference, run.data_path, run.complete, run.problems) == (
        "2",
        "/elsewhere/a_chan1.off",
        True,
        (),
    )
    np.testing.assert_array_equal(run.points.incident_energy, ENERGIES)
    np.testing.assert_array_equal(
        run.points.start_ns - T0, [0, 1.1 * SECOND, 2.2 * SECOND]
    )
    np.testing.assert_array_equal(run.points.end_ns - run.points.start_ns, [SECOND] * 3)


def test_dwell_time_is_not_rounded_to_seconds(tmp_path):
    log = json_log(
        1,
        T0,
        [780.0],
        epoch_time_start_s=[1767225600.9],
        epoch_time_end_s=[1767225602.1],
    )
    points = read(tmp_path, log).points
    assert points.end_ns[0] - points.start_ns[0] == 1_200_000_000


def test_readings_follow_their_points_in_any_order(tmp_path):
    log = json_log(
        1,
        T0,
        ENERGIES,
        point_extras={"0": {"i0": 1.0, "note": "x"}, "2": {"i0": 3, "tey": 5.0}},
    )
    for key in ("var_values", "epoch_time_start_s", "epoch_time_end_s"):
        log[key] = log[key][::-1]
    run = read(tmp_path, log)
    np.testing.assert_array_equal(run.points.incident_energy, ENERGIES)
    np.testing.assert_array_equal(run.readings["i0"], [3.0, np.nan, 1.0])
    np.testing.assert_array_equal(run.readings["tey"], [5.0, np.nan, np.nan])
    assert set(run.readings) == {"i0", "tey"}


def test_readings_as_a_list(tmp_path):
    run = read(
        tmp_path, json_log(1, T0, ENERGIES, point_extras=[{"i0": 1.0}, {}, {"i0": 3.0}])
    )
    np.testing.assert_array_equal(run.readings["i0"], [1.0, np.nan, 3.0])


def test_aborted_scan_keeps_its_complete_points(tmp_path):
    log = json_log(1, T0, ENERGIES, _ended=False)
    log["epoch_time_end_s"].pop()
    run = read(tmp_path, log)
    assert (len(run.points), run.n_logged, run.complete) == (2, 3, False)
    assert "2 complete of 3 points" in run.problems[0]


def test_scan_marked_as_running_is_not_complete(tmp_path):
    run = read(tmp_path, json_log(1, T0, ENERGIES, _ended=False))
    assert (len(run.points), run.complete) == (3, False)


def test_scan_without_a_complete_point(tmp_path):
    run = read(tmp_path, json_log(1, T0, []))
    assert len(run.points) == 0


def test_points_without_energy_or_time_are_left_out_with_their_readings(tmp_path):
    log = json_log(
        1,
        T0,
        [780.0, None, 782.0, 783.0],
        point_extras={str(i): {"i0": i} for i in range(4)},
    )
    log["epoch_time_end_s"][2] = None
    run = read(tmp_path, log)
    assert run.points.incident_energy.tolist() == [780.0, 783.0]
    assert run.readings["i0"].tolist() == [0.0, 3.0]
    assert len(run.problems) == 2


def test_overlapping_points_are_cut_and_reported(tmp_path):
    log = json_log(1, T0, ENERGIES)
    log["epoch_time_end_s"][0] += 0.5
    run = read(tmp_path, log)
    assert run.points.end_ns[0] == run.points.start_ns[1]
    assert "1 of 3 points overlap" in run.problems[0]


@pytest.mark.parametrize(
    ("changes", "energy"),
    [
        ({}, np.nan),
        ({"extra": {"mono": 1000.0}}, 1000.0),
        ({"var_name": "mono", "var_unit": "eV", "var_values": [980.0]}, 980.0),
    ],
)
def test_a_calibration_is_one_window(tmp_path, changes, energy):
    run = read(tmp_path, calibration_log(3, T0, 600.0, **changes))
    assert (run.kind, run.number, run.state, run.sample) == (
        "calibration",
        3,
        "CAL3",
        "mix",
    )
    assert (run.routine, run.reference, run.problems) == ("ssrl_10_1_mix_cal", None, ())
    assert (run.points.start_ns[0], run.points.end_ns[0]) == (T0, T0 + 600 * SECOND)
    np.testing.assert_array_equal(run.points.incident_energy, [energy])


def test_gaps_between_points_are_not_part_of_a_calibration(tmp_path):
    log = json_log(
        3,
        T0,
        [1.0, 2.0, 3.0],
        var_name="time",
        var_unit="s",
        calibration=True,
        routine="r",
    )
    run = read(tmp_path, log)
    np.testing.assert_array_equal(
        run.points.start_ns - T0, [0, 1.1 * SECOND, 2.2 * SECOND]
    )
    assert run.points.duration.tolist() == [1.0, 1.0, 1.0]
    assert run.duration == 3.2
    assert np.isnan(run.points.incident_energy).all()


TIME_KEYS = ("epoch_time_start_s", "epoch_time_end_s")


@pytest.mark.parametrize(
    ("write", "form"),
    [
        (lambda time: 1e3 * time, TimeForm.MILLISECONDS),
        (lambda time: round(1e6 * time), TimeForm.MICROSECONDS),
        (lambda time: round(1e9 * time), TimeForm.NANOSECONDS),
        (str, TimeForm.SECONDS),
        (lambda time: f"{1e3 * time}", TimeForm.MILLISECONDS),
        (lambda time: datetime.fromtimestamp(time, UTC).isoformat(), TimeForm.TEXT),
        (
            lambda time: str(np.datetime64(round(time * 1e6), "us")),
            TimeForm.TEXT_WITHOUT_ZONE,
        ),
    ],
)
@pytest.mark.parametrize("number", [float, str])
def test_times_and_numbers_in_other_forms(tmp_path, write, form, number):
    log = json_log(1, T0, ENERGIES, point_extras={"0": {"i0": number(3.0)}})
    sound = read(tmp_path, log)
    log |= {key: [write(time) for time in log[key]] for key in TIME_KEYS}
    log["var_values"] = [number(value) for value in log["var_values"]]
    run = read(tmp_path, log)
    assert run.time_form is form
    assert np.abs(run.points.start_ns - sound.points.start_ns).max() < 1000
    assert run.points.incident_energy.tolist() == ENERGIES
    assert run.readings["i0"][0] == 3.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"var_values": ["780.0", "abc", "782.5"]}, "`var_values`: 'abc'"),
        ({"var_values": "780.0"}, "`var_values` is not a list"),
        ({"epoch_time_start_s": ["yesterday"] * 3}, "`epoch_time_start_s`: 'yest"),
        ({"epoch_time_start_s": [T0] * 3}, "nanoseconds .*`epoch_time_start_s`"),
        ({"epoch_time_start_s": [1767225600.0]}, "3 values, 1 starts and 3 ends"),
        ({"var_values": [780.0]}, "1 values, 3 starts and 3 ends"),
    ],
)
def test_malformed_lists_are_refused_with_file_and_key(tmp_path, changes, words):
    with pytest.raises(InputError, match=words) as error:
        read(tmp_path, json_log(1, T0, ENERGIES, **changes))
    assert "scan0001.json" in str(error.value)


def test_truth_values_as_text(tmp_path):
    run = read(
        tmp_path,
        json_log(1, T0, ENERGIES, calibration="false", _ended="True", cal_number="-1"),
    )
    assert (run.kind, run.complete, run.reference) == ("scan", True, None)


def test_kev_called_ev_is_refused(tmp_path):
    run = read(tmp_path, json_log(1, T0, [0.78, 0.79, 0.8]))
    assert len(run.points) == 0
    assert "0.78 to 0.8 eV look like keV; correct `var_values`" in run.refusal


def test_parked_energy_that_is_implausible_is_not_used(tmp_path):
    run = read(tmp_path, calibration_log(3, T0, 600.0, extra={"mono": 1.0}))
    assert (len(run.points), run.refusal) == (1, "")
    assert np.isnan(run.points.incident_energy[0])
    assert "1 eV look like keV" in run.problems[0]


@pytest.mark.parametrize(("unit", "values"), [("eV", [780.0]), ("keV", [0.78])])
def test_units_of_the_incident_energy(tmp_path, unit, values):
    run = read(tmp_path, json_log(1, T0, values, var_name="en", var_unit=unit))
    assert run.points.incident_energy[0] == pytest.approx(780.0, rel=1e-12)


def test_a_scan_in_time_has_the_energy_of_the_parked_monochromator(tmp_path):
    run = read(
        tmp_path,
        json_log(
            1, T0, [0.0, 1.0], var_name="time", var_unit="s", extra={"mono": 531.0}
        ),
    )
    assert run.points.incident_energy.tolist() == [531.0, 531.0]


@pytest.mark.parametrize(
    ("name", "edge"), [("Co_L", "Co_L"), ("o k", "O_K"), ("Ni-L", "Ni_L"), ("", None)]
)
def test_spellings_of_the_edge(tmp_path, name, edge):
    run = read(tmp_path, json_log(1, T0, ENERGIES, extra={"edge": name}))
    assert (run.edge, run.problems) == (edge, ())


def test_an_unknown_edge_is_a_problem(tmp_path):
    run = read(tmp_path, json_log(1, T0, ENERGIES, extra={"edge": "Unobtainium"}))
    assert run.edge is None
    assert "Unobtainium" in run.problems[0]


@pytest.mark.parametrize(
    ("identity", "description", "sample"),
    [
        (1, "LMR_RT", "LMR_RT"),
        ("12", "LMR_RT", "LMR_RT"),
        ("LMR_RT", "charged cathode", "LMR_RT"),
        ("", "charged cathode", "charged cathode"),
        ("LMR_RT", "", "LMR_RT"),
        (0, "", "0"),
        (None, None, "unknown"),
        ("", "  ", "unknown"),
    ],
)
def test_sample_name_identifies_the_sample(tmp_path, identity, description, sample):
    assert (
        read(
            tmp_path,
            json_log(1, T0, ENERGIES, sample_desc=description, sample_id=identity),
        ).sample
        == sample
    )


def test_other_json_is_not_a_log(tmp_path):
    for content in ({"scan_num": 1}, {"truth": 1}, [1, 2]):
        assert read(tmp_path, content) is None


def test_broken_json_is_reported_with_line_and_column(tmp_path):
    path = write_json(tmp_path / "scan0001.json", json_log(1, T0, ENERGIES))
    path.write_text(path.read_text()[:60])
    with pytest.raises(
        InputError, match=r"scan0001\.json: broken JSON at line \d+, column \d+"
    ):
        json_logs.read(path)


def test_binary_file_is_an_input_error(tmp_path):
    path = tmp_path / "scan0001.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        json_logs.read(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"scan_num": None},
        {"var_values": 3},
        {"epoch_time_end_s": [1e300] * 3},
        {"extra": "Co_L"},
    ],
)
def test_values_of_the_wrong_type_are_an_input_error(tmp_path, changes):
    with pytest.raises(InputError, match=r"scan0001\.json: a value has the wrong type"):
        read(tmp_path, json_log(1, T0, ENERGIES, **changes))


def test_readings_counted_from_one_belong_to_the_points_before(tmp_path):
    extras = {str(i + 1): {"i0": float(i)} for i in range(3)}
    run = read(tmp_path, json_log(1, T0, ENERGIES, point_extras=extras))
    assert run.readings["i0"].tolist() == [0.0, 1.0, 2.0]
    assert "counts the points from 1" in run.problems[0]


def test_missing_first_reading_is_not_counting_from_one(tmp_path):
    extras = {"1": {"i0": 1.0}, "2": {"i0": 2.0}}
    run = read(tmp_path, json_log(1, T0, ENERGIES, point_extras=extras))
    np.testing.assert_array_equal(run.readings["i0"], [np.nan, 1.0, 2.0])
    assert run.problems == ()


def test_a_list_of_too_few_readings_is_not_used(tmp_path):
    run = read(tmp_path, json_log(1, T0, ENERGIES, point_extras=[{"i0": 1.0}] * 2))
    assert run.readings == {}
    assert "`point_extras` has 2 entries for 3 points" in run.problems[0]
