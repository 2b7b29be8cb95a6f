from dataclasses import replace
from pathlib import Path

import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.live.kept import LiveSession
from rixs_pipeline.runner.live.watched_folder import BETWEEN_PARTS, WatchedFolder
from tests.io.writers import (
    SECOND,
    T0,
    calibration_log,
    json_log,
    write_json,
    write_off,
)

ENERGIES = [770.0, 780.0, 790.0]


@pytest.fixture
def session(tmp_path):
    """A scan, and a reference run that is being measured."""
    write_off(tmp_path / "a_chan1.off", [T0 + i * SECOND for i in range(200)])
    write_json(tmp_path / "scan0001.json", json_log(1, T0, ENERGIES))
    log = calibration_log(2, T0 + 100 * SECOND, 60.0)
    write_json(tmp_path / "calibration0002.json", log | {"_ended": False})
    session = LiveSession(folder=WatchedFolder(tmp_path))
    session.folder.look()
    session.start_reduction()
    return session


def test_a_reference_run_in_progress_is_left_out(session):
    beamtime = discover(session.folder.path)
    assert [run.name for run in session.select(beamtime).runs] == ["scan0001"]
    only = replace(beamtime, runs=beamtime.calibrations)
    with pytest.raises(InputError, match="no run has ended yet") as error:
        session.select(only)
    assert session.is_known(str(error.value))


def test_a_reference_run_that_was_aborted_is_used(session):
    session.folder.has_ended = True
    session.start_reduction()
    beamtime = discover(session.folder.path)
    assert session.select(beamtime) is beamtime


def test_a_scan_in_progress_is_reduced_when_its_part_is_due(session):
    (session.folder.path / "calibration0002.json").unlink()
    log = json_log(3, T0 + 100 * SECOND, ENERGIES)
    write_json(session.folder.path / "scan0003.json", log | {"_ended": False})
    session.folder.look()
    session.start_reduction()
    beamtime = discover(session.folder.path)
    assert session.select(beamtime) is beamtime  # nothing was reduced before
    session.end_reduction(replace(beamtime, runs=beamtime.runs[:1]))
    session.start_reduction()
    selected = session.select(beamtime)
    assert [run.name for run in selected.runs] == ["scan0001"]
    session.end_reduction(selected)
    assert not session.folder.is_due
    session.folder._reduced_at -= BETWEEN_PARTS
    assert session.folder.is_due  # although no file changed
    session.start_reduction()
    assert session.select(beamtime) is beamtime
    session.end_reduction(beamtime)
    session.start_reduction()
    assert session.select(beamtime) is beamtime  # it is part of a map


def test_a_scan_that_begins_while_logs_are_read_is_in_progress(session):
    (session.folder.path / "calibration0002.json").unlink()
    session.folder.look()
    session.start_reduction()
    session.end_reduction(discover(session.folder.path))
    session.start_reduction()
    log = json_log(3, T0 + 100 * SECOND, ENERGIES)
    write_json(session.folder.path / "scan0003.json", log | {"_ended": False})
    beamtime = discover(session.folder.path)
    assert [run.name for run in session.select(beamtime).runs] == ["scan0001"]
    assert all(map(session.is_known, beamtime.scans[1].problems))


def test_what_is_usual_while_a_run_is_measured_is_not_logged(session):
    problems = discover(session.folder.path).calibrations[0].problems
    assert any("still running" in line for line in problems)
    assert all(map(session.is_known, problems))
    assert not session.is_known("scan0001.json: aborted or still running")
    session.folder.has_ended = True
    session.start_reduction()
    assert not any(map(session.is_known, problems))


def test_a_line_is_known_from_one_reduction_to_the_next(session):
    line, beamtime = "scan0001: no beam at 3 of 60 points", Beamtime(Path("b"), ())
    assert not session.is_known(line)
    session.end_reduction(beamtime)
    assert session.is_known(line)
    assert session.is_known("scan0001: no beam at 4 of 60 points")
    assert not session.is_known("scan0002: no beam at 3 of 60 points")
    session.end_reduction(None)  # a reduction that failed
    session.end_reduction(None)
    assert session.is_known(line)
    session.end_reduction(beamtime)
    session.end_reduction(beamtime)
    assert not session.is_known(line)


def test_usual_lines_are_logged_when_nothing_runs_any_more(session):
    line = "calibration0002.json: aborted or still running"
    assert session.is_known(line)
    session.end_reduction(Beamtime(Path("b"), ()))
    session.folder.has_ended = True
    session.start_reduction()
    assert not session.is_known(line)
