import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.config import BeamtimeConfig
from rixs_pipeline.errors import InputError
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.beamtime.inspection import describe
from tests.io.writers import (
    SECOND,
    T0,
    calibration_log,
    json_log,
    off_records,
    write_ascii,
    write_json,
    write_off,
    write_yaml,
    yaml_header,
    yaml_pass,
)

ENERGIES = [780.0, 781.0, 782.5]
FOREIGN = "/nsls2/data/sst/raw/2026/01"
HOUR = 3600 * SECOND


def pulses(start_ns, seconds=100):
    """A pulse every half second."""
    return start_ns + np.arange(2 * seconds) * SECOND // 2


def run_directory(
    root, day="20260101", run="0000", start_ns=T0, pixels=(1, 3), **changes
):
    """Pulse files of one acquisition, from `start_ns` for 100 s."""
    folder = root / day / run
    for pixel in pixels:
        write_off(
            folder / f"{day}_run{run}_chan{pixel}.off", pulses(start_ns), **changes
        )
    return folder


def data_path(day="20260101", run="0000"):
    return f"{FOREIGN}/{day}/{run}/{day}_run{run}_chan1.off"


def states(folder, text):
    (folder / f"{folder.parent.name}_run{folder.name}_experiment_state.txt").write_text(
        text
    )


@pytest.fixture
def beamtime(tmp_path):
    """A reference run and two scans, each log next to the pulses and in `logs`."""
    folder = run_directory(tmp_path)
    logs = {
        "calibration0000.json": calibration_log(0, T0, 20.0, data_path=data_path()),
        "scan0001.json": json_log(1, T0 + 30 * SECOND, ENERGIES, data_path=data_path()),
        "scan0002.json": json_log(2, T0 + 50 * SECOND, ENERGIES, data_path=data_path()),
    }
    for name, log in logs.items():
        write_json(tmp_path / "logs" / name, log)
    states(
        folder,
        f"#\n{T0}, CAL0\n{T0 + 25 * SECOND}, PAUSE\n"
        f"{T0 + 29 * SECOND}, SCAN1\n{T0 + 40 * SECOND}, STOP\n",
    )
    return tmp_path


def names(discovered):
    return [run.name for run in discovered.runs]


def all_problems(discovered):
    return describe(discovered)["problems"]


def test_a_tidy_beamtime_has_no_problems(beamtime):
    discovered = discover(beamtime)
    assert names(discovered) == ["cal0000", "scan0001", "scan0002"]
    assert all_problems(discovered) == []
    scan = discovered.scans[0]
    assert (scan.kind, scan.number, scan.directory, scan.sample) == (
        "scan",
        1,
        "20260101-0000",
        "LMR_RT",
    )
    assert (scan.edge, scan.reference_run, scan.complete) == ("Co_L", "0", True)
    assert [path.name for path in scan.pulse_files] == [
        "20260101_run0000_chan1.off",
        "20260101_run0000_chan3.off",
    ]
    assert discovered.calibrations[0].edge is None


def test_pulse_files_are_in_order_of_the_pixel_number(beamtime):
    run_directory(beamtime, pixels=(10, 2, 100))
    files = discover(beamtime).scans[0].pulse_files
    assert [path.name.split("chan")[1] for path in files] == [
        "1.off",
        "2.off",
        "3.off",
        "10.off",
        "100.off",
    ]


def test_copies_of_a_log_are_one_run(beamtime):
    copy = beamtime / "20260101" / "0000" / "logs"
    shutil.copytree(beamtime / "logs", copy)
    discovered = discover(beamtime)
    assert names(discovered) == ["cal0000", "scan0001", "scan0002"]
    assert all_problems(discovered) == []
    log = json.loads((copy / "scan0001.json").read_text())
    write_json(copy / "scan0001.json", log | {"sample_desc": "another"})
    discovered = discover(beamtime)
    assert discovered.scans[0].sample == "another"
    assert any("differs from" in problem for problem in discovered.problems)


def test_scan_numbers_repeated_on_another_day_get_the_directory(tmp_path):
    for day, start in (("20260101", T0), ("20260102", T0 + HOUR)):
        run_directory(tmp_path, day, start_ns=start)
        log = json_log(1, start + SECOND, ENERGIES, data_path=data_path(day))
        write_json(tmp_path / day / "logs" / "scan0001.json", log)
    write_json(
        tmp_path / "logs" / "scan0002.json",
        json_log(2, T0 + 20 * SECOND, ENERGIES, data_path=data_path()),
    )
    discovered = discover(tmp_path)
    assert names(discovered) == [
        "20260101-0000-scan0001",
        "scan0002",
        "20260102-0000-scan0001",
    ]
    assert "already used" not in " ".join(all_problems(discovered))


def test_aborted_scan_and_its_repetition_are_both_runs(beamtime):
    first = json_log(2, T0 + 45 * SECOND, ENERGIES, data_path=data_path(), _ended=False)
    first["epoch_time_end_s"].pop()
    write_json(beamtime / "logs" / "scan0002_old.json", first)
    discovered = discover(beamtime)
    assert names(discovered)[-2:] == [
        "20260101-0000-scan0002",
        "20260101-0000-scan0002-2",
    ]
    assert [run.complete for run in discovered.scans] == [True, False, True]
    assert any(
        "another run in this folder" in problem for problem in discovered.problems
    )
    assert any("aborted" in problem for problem in discovered.runs[-2].problems)


def test_a_log_without_a_data_path_is_joined_by_time(tmp_path):
    for run, start in (("0000", T0), ("0001", T0 + HOUR)):
        run_directory(tmp_path, run=run, start_ns=start)
    write_json(
        tmp_path / "logs" / "scan0001.json", json_log(1, T0 + HOUR + SECOND, ENERGIES)
    )
    discovered = discover(tmp_path)
    assert discovered.scans[0].directory == "20260101-0001"
    assert discovered.scans[0].problems == ()
    assert any(
        "20260101_run0000: 2 pulse files without a log" in problem
        for problem in discovered.problems
    )


def test_time_wins_over_a_wrong_data_path_which_is_reported(tmp_path):
    for run, start in (("0000", T0), ("0001", T0 + HOUR)):
        run_directory(tmp_path, run=run, start_ns=start)
    log = json_log(1, T0 + HOUR + SECOND, ENERGIES, data_path=data_path(run="0000"))
    write_json(tmp_path / "logs" / "scan0001.json", log)
    scan = discover(tmp_path).scans[0]
    assert scan.directory == "20260101-0001"
    assert "during the run; using" in scan.problems[0]


def test_the_name_decides_between_two_sets_of_the_same_time_and_directory(tmp_path):
    folder = run_directory(tmp_path)
    write_off(folder / "20260101_run0001_chan1.off", pulses(T0))
    for number, run in ((1, "0000"), (2, "0001")):
        path = f"D:\\data\\20260101\\0000\\20260101_run{run}_chan1.ljh"
        log = json_log(number, T0 + number * 20 * SECOND, ENERGIES, data_path=path)
        write_json(tmp_path / "logs" / f"scan{number:04d}.json", log)
    first, second = discover(tmp_path).scans
    assert {path.name.split("_chan")[0] for path in first.pulse_files} == {
        "20260101_run0000"
    }
    assert {path.name.split("_chan")[0] for path in second.pulse_files} == {
        "20260101_run0001"
    }


def test_run_without_pulses_is_reported(beamtime):
    write_json(
        beamtime / "logs" / "scan0003.json",
        json_log(3, T0 + HOUR, ENERGIES, data_path=data_path()),
    )
    scan = discover(beamtime).scans[-1]
    assert (scan.name, scan.pulse_files) == ("scan0003", ())
    assert "no pulses during SCAN3" in scan.problems[0]


def test_a_log_without_complete_points_is_no_run(beamtime):
    write_json(beamtime / "logs" / "scan0003.json", json_log(3, T0, []))
    discovered = discover(beamtime)
    assert "scan0003" not in names(discovered)
    assert discovered.problems == (
        "logs/scan0003.json: SCAN3 has no usable points; not used",
    )


def test_a_scan_without_incident_energies_is_left_out_with_the_reason(beamtime):
    log = json_log(
        3, T0, ENERGIES, var_name="time", var_unit="s", data_path=data_path()
    )
    write_json(beamtime / "logs" / "scan0003.json", log)
    discovered = discover(beamtime)
    assert len(discovered.problems) == 1
    assert "3 of 3 points have no positive, finite" in discovered.problems[0]
    (refused,) = discovered.refused
    assert refused.name == "scan0003"
    assert "logs/scan0003.json: scan0003: no usable points" in refused.reason


def test_states_without_logs(beamtime):
    folder = beamtime / "20260101" / "0000"
    (beamtime / "logs" / "calibration0000.json").unlink()
    (beamtime / "logs" / "scan0001.json").unlink()
    with (folder / "20260101_run0000_experiment_state.txt").open("a") as file:
        file.write(f"{T0 + 80 * SECOND}, CAL7\n")
    discovered = discover(beamtime)
    assert names(discovered) == ["cal0000", "scan0002", "cal0007"]
    first, last = discovered.calibrations
    assert (first.points.start_ns[0], first.points.end_ns[0], first.log) == (
        T0,
        T0 + 25 * SECOND,
        None,
    )
    assert np.isnan(first.points.incident_energy[0])
    assert len(first.pulse_files) == 2
    assert first.complete
    assert not last.complete
    assert last.points.end_ns[0] == pulses(T0)[-1] + 1
    assert any("state SCAN1 unknown" in problem for problem in discovered.problems)


def test_defects_of_pulse_files_are_problems_not_errors(beamtime):
    folder = beamtime / "20260101" / "0000"
    write_off(folder / "20260101_run0000_chan5.off")
    write_off(folder / "20260101_run0000_chan7.off", pulses(T0), tail=b"123")
    (folder / "20260101_run0000_chan9.off").write_bytes(b"not a header")
    (folder / "20260101_run0000_chan11.off").symlink_to(folder / "nowhere")
    discovered = discover(beamtime)
    text = "\n".join(discovered.problems)
    assert "20260101/0000/20260101_run0000: no pulses in pixel 5" in text
    assert "last record of pixel 7 is incomplete" in text
    assert "20260101_run0000_chan9.off: no OFF header" in text
    assert "20260101_run0000_chan11.off: cannot be read" in text
    assert len(discovered.problems) == 4
    assert [path.stem.split("chan")[1] for path in discovered.scans[0].pulse_files] == [
        "1",
        "3",
        "5",
        "7",
    ]


def test_unread_data_files_are_reported_and_other_files_ignored(beamtime):
    folder = beamtime / "20260101" / "0000"
    (folder / "20260101_run0000_chan1.ljh").write_bytes(b"#LJH Memorial File Format\n")
    (folder / "20260101_run0000_chan3.ljh").write_bytes(b"#LJH Memorial File Format\n")
    (beamtime / "mystery.dat").write_text("1 2 3\n")
    (beamtime / "mass.hdf5").write_bytes(b"\x89HDF")
    for name in ("README.md", "truth.json", "MANIFEST", "notes.txt", ".hidden.dat"):
        (beamtime / name).write_text("{}")
    (beamtime / "logs" / "scan0009.json").write_text('{"scan_num": 9,')
    discovered = discover(beamtime)
    (refused,) = discovered.refused
    assert refused.name == "scan0009"
    assert "logs/scan0009.json: broken JSON at line 1, column" in refused.reason
    problems = discovered.problems
    assert len(problems) == 3
    text = "\n".join([*problems, refused.reason])
    assert "2 LJH files of raw pulses not read" in text
    assert "mystery.dat: unknown format" in text
    assert "mass.hdf5: unknown format" in text
    assert str(beamtime) not in text


def test_a_named_pipe_does_not_block(beamtime):
    os.mkfifo(beamtime / "pipe.dat")
    problems = discover(beamtime).problems
    assert problems == ("pipe.dat: a named pipe, not a file; not used",)


def test_a_log_that_cannot_be_opened_is_a_lost_run(beamtime):
    os.mkfifo(beamtime / "logs" / "scan0009.json")
    (refused,) = discover(beamtime).refused
    assert refused.name == "scan0009"
    assert refused.reason == "logs/scan0009.json: a named pipe, not a file; not used"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_file_truncated_anywhere_does_not_crash(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    files = [
        write_off(folder / "20260101_chan1.off", pulses(T0)),
        write_off(folder / "20260101_chan3.off", pulses(T0), "0.1.0"),
        write_json(
            folder / "scan0001.json",
            json_log(1, T0, ENERGIES, point_extras={"1": {"i0": 2.0}}),
        ),
        write_yaml(
            folder / "20260101_002_log",
            yaml_header("data"),
            yaml_pass(2, T0 / 1e9 + 4, ENERGIES),
        ),
        write_ascii(folder / "a.dat", 1, {"I0": [10.0, 11.0, 12.0]}),
    ]
    whole = describe(discover(folder))
    assert [run["name"] for run in whole["runs"]] == ["scan0001", "scan0002"]
    for path in data.draw(st.lists(st.sampled_from(files), unique=True, min_size=1)):
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        description = describe(discover(folder))
    except InputError as error:
        assert "\n" not in str(error)
        return
    json.dumps(description, allow_nan=False)
    assert {run["name"] for run in description["runs"]} <= {"scan0001", "scan0002"}
    assert not any("\n" in problem for problem in description["problems"])


def test_links_to_folders_are_followed_once(beamtime):
    (beamtime / "20260101" / "loop").symlink_to(beamtime)
    (beamtime / "again").symlink_to(beamtime / "logs")
    discovered = discover(beamtime)
    assert names(discovered) == ["cal0000", "scan0001", "scan0002"]
    assert all_problems(discovered) == []


def test_products_inside_the_beamtime_are_no_input(beamtime):
    out = beamtime / "reduced"
    out.mkdir()
    for name in ("run.json", "config.yaml", ".owner.json", "list.npz"):
        (out / name).write_text("{}")
    assert discover(beamtime).problems == ()


def test_a_config_and_a_summary_hide_no_data(beamtime):
    """`init` writes config.yaml by default, and others have a run.json."""
    before = names(discover(beamtime))
    for folder in (beamtime, beamtime / "logs"):
        for name in ("run.json", "config.yaml"):
            (folder / name).write_text("{}")
    assert names(discover(beamtime)) == before
    (beamtime / ".owner.json").write_text("{}")
    assert names(discover(beamtime)) == before


def test_an_edge_is_named_by_the_config_then_the_log_then_the_range(beamtime):
    both_edges = [705.0, 850.0]
    log = json_log(
        2, T0 + 50 * SECOND, both_edges, data_path=data_path(), extra={"edge": "Ni_L"}
    )
    write_json(beamtime / "logs" / "scan0002.json", log)
    write_json(
        beamtime / "logs" / "scan0003.json",
        json_log(3, T0 + 60 * SECOND, [600.0, 620.0]),
    )
    assert [run.edge for run in discover(beamtime).scans] == ["Co_L", "Ni_L", None]
    config = BeamtimeConfig(
        scans={2: {"edge": "Fe_L"}, "scan0003": {"edge": "O_K", "sample": "x"}}
    )
    scans = discover(beamtime, config).scans
    assert [run.edge for run in scans] == ["Co_L", "Fe_L", "O_K"]
    assert scans[2].sample == "x"


def test_config_renames_and_excludes(beamtime):
    config = BeamtimeConfig(
        samples={"LMR_RT": "LMR"}, exclude={"scans": [2, "cal0000"]}
    )
    discovered = discover(beamtime, config)
    assert [(run.name, run.sample) for run in discovered.runs] == [("scan0001", "LMR")]
    assert discovered.problems == (
        f"{beamtime}: no reference runs found; check for missing or unreadable logs",
    )


def test_config_entries_without_match_are_reported(beamtime):
    config = BeamtimeConfig(
        samples={"a": "b"}, scans={12: {"sample": "x"}}, exclude={"scans": ["scan0014"]}
    )
    problems = discover(beamtime, config).problems
    assert len(problems) == 3
    for text in ("no scan 12", "no scan scan0014", "sample 'a' not found in any log"):
        assert any(text in problem for problem in problems)


def test_readings_come_from_the_ascii_file_with_the_number_and_as_many_points(beamtime):
    columns = {"MONO": ENERGIES, "I0": [10.0, 11.0, 12.0], "SC": [1.0, 2.0, 3.0]}
    write_ascii(beamtime / "a.dat", 1, columns)
    write_ascii(
        beamtime / "b.dat", 2, {name: values[:2] for name, values in columns.items()}
    )
    first, second = discover(beamtime).scans
    assert first.readings_file == beamtime / "a.dat"
    assert first.readings["i0"].tolist() == [10.0, 11.0, 12.0]
    assert first.readings["tey"].tolist() == [1.0, 2.0, 3.0]
    assert (second.readings, second.readings_file) == ({}, None)
    assert "number of rows (2) differs" in second.problems[0]
    assert "of scan 2 (3); readings not used" in second.problems[0]


def test_rows_of_points_that_are_left_out_are_left_out(beamtime):
    log = json_log(1, T0 + 30 * SECOND, [780.0, None, 782.0], data_path=data_path())
    log["point_extras"] = {str(i): {"i0": 100.0 + i} for i in range(3)}
    write_json(beamtime / "logs" / "scan0001.json", log)
    write_ascii(
        beamtime / "a.dat", 1, {"I0": [10.0, 11.0, 12.0], "SC": [1.0, 2.0, 3.0]}
    )
    scan = discover(beamtime).scans[0]
    assert scan.readings["tey"].tolist() == [1.0, 3.0]
    assert scan.readings["i0"].tolist() == [100.0, 102.0], "the log's own readings win"


def test_readings_files_named_in_the_config(beamtime):
    write_ascii(beamtime / "a.dat", 77, {"I0": [10.0, 11.0, 12.0]})
    config = BeamtimeConfig(scans={1: {"readings": "a.dat"}})
    assert discover(beamtime, config).scans[0].readings["i0"].tolist() == [
        10.0,
        11.0,
        12.0,
    ]
    with pytest.raises(
        InputError,
        match=r"nowhere\.dat: no such file; correct `beamtime\.scans\.1\.readings`",
    ):
        discover(beamtime, BeamtimeConfig(scans={1: {"readings": "nowhere.dat"}}))
    write_ascii(beamtime / "a.dat", 77, {"I0": [10.0]})
    with pytest.raises(InputError, match=r"number of points of scan 1 \(3\)"):
        discover(beamtime, config)


@pytest.fixture
def two_days(tmp_path):
    """A scan 1 of each of two days, of different samples."""
    for day, start, sample in (
        ("20260101", T0, "a"),
        ("20260103", T0 + 48 * HOUR, "b"),
    ):
        run_directory(tmp_path, day, start_ns=start)
        log = json_log(1, start, ENERGIES, data_path=data_path(day), sample_desc=sample)
        write_json(tmp_path / "logs" / f"{day}.json", log)
    return tmp_path


FIRST, SECOND_DAY = "20260101-0000-scan0001", "20260103-0000-scan0001"
NO_DATE = {"date": "no date", "sample": "c"}


@pytest.mark.parametrize(
    ("folder", "header"),
    [
        ("20260103/0000", NO_DATE),
        ("", NO_DATE | {"date": "Sat Jan  3 04:00:00 2026"}),
        (
            "logs",
            NO_DATE | {"date": "Fri Jan  2 16:00:00 2026"},
        ),  # local time is behind UTC
        ("", NO_DATE | {"sample": "b"}),
    ],
)
def test_readings_of_a_repeated_number_follow_folder_date_or_sample(
    two_days, folder, header
):
    path = write_ascii(
        two_days / folder / "x.dat", 1, {"I0": [10.0, 11.0, 12.0]}, **header
    )
    discovered = discover(two_days)
    assert [(run.name, run.readings_file) for run in discovered.scans] == [
        (FIRST, None),
        (SECOND_DAY, path),
    ]
    assert not any("x.dat" in problem for problem in all_problems(discovered))


@pytest.mark.parametrize(
    ("folder", "header"),
    [
        ("", NO_DATE),
        ("20260101/0000", NO_DATE | {"sample": "b"}),
        ("", {"sample": "b"}),
    ],
    ids=["no information", "folder contradicts sample", "date contradicts sample"],
)
def test_ambiguous_readings_are_not_used(two_days, folder, header):
    write_ascii(two_days / folder / "x.dat", 1, {"I0": [10.0, 11.0, 12.0]}, **header)
    discovered = discover(two_days)
    assert [run.readings_file for run in discovered.scans] == [None, None]
    problem, *others = [each for each in all_problems(discovered) if "x.dat" in each]
    assert others == []
    for text in (FIRST, SECOND_DAY, "set `beamtime.scans.<name>.readings`"):
        assert text in problem
    config = {FIRST: {"readings": str(two_days / folder / "x.dat")}}
    discovered = discover(two_days, BeamtimeConfig(scans=config))
    assert [run.readings_file is None for run in discovered.scans] == [False, True]
    assert not any("x.dat" in each for each in all_problems(discovered))


def test_two_readings_files_of_a_scan_are_ambiguous(beamtime):
    for name, shift in (("x", 0.0), ("y", 5.0)):
        write_ascii(beamtime / f"{name}.dat", 1, {"I0": [10.0 + shift, 11.0, 12.0]})
    discovered = discover(beamtime)
    assert discovered.scans[0].readings == {}
    (problem,) = all_problems(discovered)
    assert problem.startswith("x.dat, y.dat: ambiguous by folder, date and sample")
    assert "(candidates: scan0001)" in problem
    write_ascii(beamtime / "y.dat", 1, {"I0": [15.0, 11.0, 12.0]}, sample="LMR_RT")
    discovered = discover(beamtime)
    assert discovered.scans[0].readings_file == beamtime / "y.dat"
    (problem,) = all_problems(discovered)
    assert problem.startswith("x.dat: belongs to no scan here")


def test_scan_number_matching_several_scans_is_reported(two_days):
    config = BeamtimeConfig(
        scans={1: {"sample": "x"}}, exclude={"points": {1: [0], SECOND_DAY: [1]}}
    )
    discovered = discover(two_days, config)
    assert [run.sample for run in discovered.scans] == ["x", "x"]
    meant = (
        f"1 matches 2 scans ({FIRST}, {SECOND_DAY}); applied to all "
        "(use a name to select one)"
    )
    reports = [
        problem for problem in discovered.problems if "applied to all" in problem
    ]
    assert reports == [
        f"config: `beamtime.{section}`: {meant}"
        for section in ("scans", "exclude.points")
    ]
    log = json_log(7, T0 + 20 * SECOND, ENERGIES, data_path=data_path())
    write_json(two_days / "logs" / "scan0007.json", log)
    discovered = discover(two_days, BeamtimeConfig(exclude={"scans": [1]}))
    assert names(discovered) == ["scan0007"]
    assert f"config: `beamtime.exclude.scans`: {meant}" in discovered.problems


def test_photon_list_replaces_pulse_files(beamtime):
    times = T0 + HOUR + np.arange(3) * SECOND
    for state in ("SCAN3", "SCAN8"):
        path = beamtime / f"20260101_run0005_{state}.npz"
        np.savez(
            path,
            timestamps=times,
            energies=np.full(3, 525.0),
            channels=np.array([1, 1, 4]),
        )
    log = json_log(3, T0 + HOUR, ENERGIES, data_path=data_path(run="0005"))
    write_json(beamtime / "logs" / "scan0003.json", log)
    discovered = discover(beamtime)
    scan = discovered.scans[-1]
    assert (scan.photon_list, scan.pulse_files) == (
        beamtime / "20260101_run0005_SCAN3.npz",
        (),
    )
    assert scan.problems == ()
    assert ["SCAN8.npz" in problem for problem in discovered.problems] == [True]
    assert describe(discovered)["runs"][-1]["events"] == 3


def test_a_flat_ssrl_beamtime(tmp_path):
    start_s = 1582152300.0
    times = int(start_s * 1e9) + np.arange(400) * SECOND
    for pixel in (1, 9):
        write_off(tmp_path / f"20260101_chan{pixel}.off", times)
    reference = {
        "header": {"htxs": 10, "mono": 1000.0, "start": start_s, "stop": start_s + 50},
        "loop": {},
    }
    write_yaml(
        tmp_path / "20260101_001_log",
        yaml_header("cal", sample="mix", pfolder="20260101_001"),
        reference,
    )
    passes = [
        yaml_pass(11, start_s + 60, ENERGIES),
        yaml_pass(12, start_s + 80, ENERGIES),
    ]
    write_yaml(tmp_path / "20260101_002_log", yaml_header("data"), *passes)
    discovered = discover(tmp_path)
    assert names(discovered) == ["cal0010", "scan0011", "scan0012"]
    assert all_problems(discovered) == []
    assert {run.directory for run in discovered.runs} == {""}
    assert discovered.scans[0].reference_run == "20260101_001"


def test_description_is_json_and_counts_what_is_in_the_windows(beamtime):
    folder = beamtime / "20260101" / "0000"
    write_off(folder / "20260101_run0000_chan5.off")
    description = json.loads(json.dumps(describe(discover(beamtime)), allow_nan=False))
    reference, scan, _ = description["runs"]
    assert reference["incident_energy"] is None
    assert reference["events"] == 2 * 40
    assert scan["incident_energy"] == [780.0, 782.5]
    assert scan["duration_s"] == pytest.approx(3.2)
    assert scan["events"] == 2 * 7
    assert (scan["pixels"], scan["dead_pixels"], scan["points"]) == (3, [5], 3)


@pytest.mark.parametrize("content", ["missing", "file", "empty", "pulses"])
def test_beamtime_without_usable_files_is_one_line(tmp_path, content):
    path = tmp_path / "beamtime"
    if content == "file":
        path.write_text("")
    elif content != "missing":
        path.mkdir()
    if content == "pulses":
        run_directory(path)
    with pytest.raises(InputError) as error:
        discover(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_order_of_files_on_disk_does_not_matter(beamtime, monkeypatch):
    walk = os.walk

    def backwards(*args, **kwargs):
        for folder, subfolders, files in walk(*args, **kwargs):
            subfolders.reverse()
            yield folder, subfolders, files[::-1]

    shutil.copytree(beamtime / "logs", beamtime / "20260101" / "0000" / "logs")
    straight = describe(discover(beamtime))
    monkeypatch.setattr(os, "walk", backwards)
    assert describe(discover(beamtime)) == straight


def test_discovery_of_many_pixels(tmp_path):
    records = off_records(pulses(T0))
    for pixel in range(240):
        records["residual_stddev"] = pixel
        write_off(
            tmp_path / "20260101" / "0000" / f"20260101_run0000_chan{pixel}.off",
            records=records,
        )
    write_json(tmp_path / "logs" / "scan0001.json", json_log(1, T0, ENERGIES))
    discovered = discover(tmp_path)
    assert len(discovered.scans[0].pulse_files) == 240


@pytest.mark.real
def test_real_beamtime(real_data):
    discovered = discover(real_data)
    assert names(discovered) == [
        "cal0245",
        *(f"scan0{n}" for n in (247, 248, 249, 251, 252, 253)),
        "cal0288",
    ]
    assert all_problems(discovered) == []
    for scan in discovered.scans:
        assert (len(scan.points), scan.edge, scan.sample, scan.complete) == (
            243,
            "Co_L",
            "ad1",
            True,
        )
        assert (scan.reference_run, scan.readings) == ("20200219_016", {})
    assert {len(run.pulse_files) for run in discovered.runs} == {4}
    assert [
        float(run.points.incident_energy[0]) for run in discovered.calibrations
    ] == [1000.0, 1000.0]


@pytest.mark.real
def test_real_description_counts_the_pulses_of_each_run(real_data):
    runs = describe(discover(real_data))["runs"]
    assert all(run["pixels"] == 4 and run["dead_pixels"] == [] for run in runs)
    rates = [run["events"] / run["duration_s"] / run["pixels"] for run in runs]
    assert all(1.5 < rate < 5 for rate in rates), (
        "two to five pulses a second and pixel"
    )
