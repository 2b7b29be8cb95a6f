"""What is worth a reduction, and what is being measured, on a clock of its own."""

import os
import time
from types import SimpleNamespace

import pytest

from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.runner.live import watched_folder
from rixs_pipeline.runner.live.watched_folder import (
    BETWEEN_PARTS,
    SETTLED,
    STALLED,
    RunningRun,
    WatchedFolder,
)
from tests.io.writers import (
    SECOND,
    T0,
    calibration_log,
    json_log,
    off_records,
    write_json,
    write_off,
)

ENERGIES = [770.0, 780.0, 790.0]
POINT = 11 * SECOND // 10


@pytest.fixture
def clock(monkeypatch):
    """Time on the machine: `clock[0] += seconds` lets it pass."""
    now, since = [1000.0], time.time() - 1000.0
    fake = SimpleNamespace(monotonic=lambda: now[0], time=lambda: since + now[0])
    monkeypatch.setattr(watched_folder, "time", fake)
    return now


@pytest.fixture
def folder(tmp_path, clock):
    """A beamtime with one scan, reduced long after its last change."""
    write_off(tmp_path / "a_chan1.off", [T0 + i * SECOND // 10 for i in range(20)])
    write_log(tmp_path, 1, T0)
    watched = WatchedFolder(tmp_path)
    watched.look()
    assert watched.is_due
    reduce(watched)
    clock[0] += 2 * STALLED
    watched.look()
    assert not watched.is_due
    return watched


def reduce(watched):
    watched.start_reduction()
    watched.end_reduction(discover(watched.path))


def write_log(folder, number, start_ns, points=3, ended=True):
    log = json_log(number, start_ns, ENERGIES[:points])
    path = folder / f"scan{number:04d}.json"
    if not ended:
        log["epoch_time_end_s"] = log["epoch_time_end_s"][:-1]
    write_json(path, log | {"_ended": ended})


def append_record(watched, time_ns):
    with (watched.path / "a_chan1.off").open("ab") as file:
        file.write(off_records([time_ns]).tobytes())


def is_due_after(watched, clock, seconds):
    clock[0] += seconds
    watched.look()
    return watched.is_due


def test_a_scan_that_ends_is_due_at_once(folder, clock):
    write_log(folder.path, 2, T0 + 100 * SECOND)
    assert is_due_after(folder, clock, 0.1)


def test_a_scan_in_progress_is_due_now_and_then(folder, clock):
    reduce(folder)
    write_log(folder.path, 2, T0 + 100 * SECOND, points=2, ended=False)
    assert not is_due_after(folder, clock, 0.1)
    assert folder.running() == RunningRun("scan0002", points=1)
    assert is_due_after(folder, clock, BETWEEN_PARTS)
    reduce(folder)
    write_log(folder.path, 2, T0 + 100 * SECOND, points=3, ended=False)
    assert not is_due_after(folder, clock, BETWEEN_PARTS / 2)
    assert folder.running().progress == ", 2 points so far"
    write_log(folder.path, 2, T0 + 100 * SECOND)
    assert is_due_after(folder, clock, 0.1)
    assert folder.running() is None


def test_a_reference_run_in_progress_is_due_when_it_is_aborted(folder, clock):
    log = calibration_log(3, T0 + 100 * SECOND, 90.0) | {"_ended": False}
    write_json(folder.path / "calibration0003.json", log)
    assert not is_due_after(folder, clock, 0.1)
    assert folder.running() == RunningRun("cal0003")
    folder.start_reduction()
    beamtime = discover(folder.path)
    folder.end_reduction(beamtime, beamtime.calibrations)  # left out
    for _ in range(4):
        append_record(folder, T0 + 110 * SECOND)
        assert not is_due_after(folder, clock, STALLED / 2)
    assert is_due_after(folder, clock, STALLED)
    assert folder.running() is None


def test_a_log_that_is_half_written_has_time_to_become_whole(folder, clock):
    path = folder.path / "scan0002.json"
    write_log(folder.path, 2, T0 + 100 * SECOND)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert not is_due_after(folder, clock, 0.1)
    path.write_bytes(whole)
    assert is_due_after(folder, clock, 0.1)
    path.write_bytes(whole[: len(whole) // 2])
    assert not is_due_after(folder, clock, 0.1)
    assert is_due_after(folder, clock, SETTLED)


def test_pulses_are_due_that_belong_to_a_scan_that_was_reduced(folder, clock):
    append_record(folder, T0 + 2 * SECOND)
    assert is_due_after(folder, clock, 0.1)
    reduce(folder)
    append_record(folder, T0 + 200 * SECOND)
    assert not is_due_after(folder, clock, 0.1)
    assert folder.has_pulses_arriving
    assert folder.running() is None
    assert not is_due_after(folder, clock, 10 * STALLED)
    assert not folder.has_pulses_arriving


def test_part_of_a_record_is_not_due(folder, clock):
    with (folder.path / "a_chan1.off").open("ab") as file:
        file.write(off_records([T0 + 2 * SECOND]).tobytes()[:10])
    assert not is_due_after(folder, clock, 10 * STALLED)


def test_a_label_tells_what_is_measured_without_a_log(folder, clock):
    states = folder.path / "a_experiment_state.txt"
    states.write_text(f"# states\n{T0}, SCAN1\n{T0 + 50 * SECOND}, SCAN2\n")
    append_record(folder, T0 + 60 * SECOND)
    assert not is_due_after(folder, clock, SETTLED)
    assert folder.running() == RunningRun("scan0002")
    with states.open("a") as file:
        file.write(f"{T0 + 90 * SECOND}, PAUSE\n")
    assert not is_due_after(folder, clock, 0.1)
    assert folder.running() is None
    assert is_due_after(folder, clock, SETTLED)


def test_files_that_are_no_data_are_ignored(folder, clock):
    (folder.path / "notes.txt").write_text("shutter open")
    (folder.path / ".hidden").write_text("")
    assert not is_due_after(folder, clock, 10 * STALLED)


def test_files_that_are_removed_or_replaced_are_due(folder, clock):
    (folder.path / "scan0001.json").rename(folder.path / ".away")
    assert not is_due_after(folder, clock, 0.1)
    assert is_due_after(folder, clock, SETTLED)
    (folder.path / ".away").rename(folder.path / "scan0001.json")
    assert not is_due_after(folder, clock, 0.1)
    write_off(folder.path / "a_chan1.off", [T0])
    assert not is_due_after(folder, clock, 0.1)
    assert is_due_after(folder, clock, SETTLED)


def test_at_the_end_every_change_is_due(folder, clock):
    folder.has_ended = True
    assert not is_due_after(folder, clock, 0.1)
    append_record(folder, T0 + 200 * SECOND)
    assert is_due_after(folder, clock, 0.1)
    assert not folder.has_pulses_arriving


def test_files_of_long_ago_are_not_being_written(tmp_path, clock):
    write_log(tmp_path, 1, T0, ended=False)
    long_ago = time.time() - 10 * STALLED
    os.utime(tmp_path / "scan0001.json", (long_ago, long_ago))
    watched = WatchedFolder(tmp_path)
    watched.look()
    assert watched.is_due
    assert watched.running() is None


def test_a_folder_that_is_not_there_is_empty(tmp_path, clock):
    watched = WatchedFolder(tmp_path / "later")
    watched.look()
    assert watched.files == {}
    assert not watched.is_due


@pytest.mark.parametrize(
    ("line", "is_subject"),
    [
        ("logs/scan0012.json: still running", True),
        ("incident energies of state SCAN12 unknown", True),
        ("x_log: scan 12: still running", True),
        ("logs/scan0120.json: still running", False),
        ("pixel 12: dead", False),
    ],
)
def test_lines_about_a_run(line, is_subject):
    assert RunningRun("scan0012").is_subject_of(line) is is_subject
