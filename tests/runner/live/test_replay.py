"""A replay ends with the same files, and is at any time what acquisition writes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rixs_pipeline.errors import UsageError
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.runner.live.replay import MARKER, Recording, Replay, replaying


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER
    }


@pytest.mark.parametrize("name", ["small_beamtime", "real_data"])
def test_a_recording_ends_as_the_recorded_one(request, tmp_path, name):
    source = request.getfixturevalue(name)
    recording = Recording.of(source)
    recording.make_folders(tmp_path)
    duration = recording.last_ns - recording.first_ns
    for share in (0.0, 0.3, 0.7, 1.0):
        recording.write(tmp_path, recording.first_ns + round(share * duration))
    assert contents(tmp_path) == contents(source)


def test_files_are_partial_in_between(small_beamtime, tmp_path):
    recording = Recording.of(small_beamtime)
    recording.make_folders(tmp_path)
    logs, scans = tmp_path / "logs", discover(small_beamtime).scans
    recording.write(tmp_path, scans[1].start_ns + round(0.55 * scans[1].duration * 1e9))
    beamtime = discover(tmp_path)
    assert [scan.complete for scan in beamtime.scans] == [True, False]
    assert len(beamtime.scans[1].points) == 6
    log = json.loads((logs / "scan0002.json").read_text())
    assert len(log["epoch_time_start_s"]) == len(log["point_extras"]) + 1 == 7
    assert not (logs / "scan0003.json").exists()
    (problem,) = [line for line in beamtime.problems if "last record" in line]
    assert "1, 3, 5" in problem
    states = next(tmp_path.rglob("*_experiment_state.txt")).read_text()
    assert states.splitlines()[-1].endswith("SCAN2")


def test_logs_of_passes_grow_by_passes(real_data, tmp_path):
    recording = Recording.of(real_data)
    recording.make_folders(tmp_path)
    (scan,) = [run for run in discover(real_data).scans if run.number == 248]
    recording.write(tmp_path, scan.end_ns + 10**9)
    text = (tmp_path / scan.log.name).read_text()
    assert text.count("htxs") == 2
    assert (real_data / scan.log.name).read_text().startswith(text)


def test_a_replay_runs_in_a_process_of_its_own(small_beamtime, tmp_path):
    folder = tmp_path / "replay"
    replay = Replay(small_beamtime, folder, speed=1e6)
    with replay.held(), replaying(replay) as process:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert contents(folder) == contents(small_beamtime)
    (folder / "logs" / "scan0001.json").unlink()
    with replay.held():  # a former replay
        replay.clear()
    assert contents(folder) == {}


def test_a_replay_ends_with_its_block(small_beamtime, tmp_path):
    started = time.monotonic()
    replay = Replay(small_beamtime, tmp_path / "replay", 1e-3)
    with replay.held(), replaying(replay) as process:
        assert process.is_alive()
    assert not process.is_alive()
    assert time.monotonic() - started < 60


def test_folders_with_something_else_are_refused(small_beamtime, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(UsageError, match="not empty, and not a replay of"),
        Replay(small_beamtime, tmp_path).held(),
    ):
        pytest.fail("held")
    (tmp_path / MARKER).write_text(json.dumps({"replay of": "/another"}))
    with (
        pytest.raises(UsageError, match="not empty, and not a replay of"),
        Replay(small_beamtime, tmp_path).held(),
    ):
        pytest.fail("held")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_replay_is_apart_from_what_it_replays(small_beamtime, tmp_path):
    for folder in (small_beamtime, small_beamtime / "replay", small_beamtime.parent):
        with (
            pytest.raises(UsageError, match="is, contains or is within"),
            Replay(small_beamtime, folder).held(),
        ):
            pytest.fail("held")
    with (
        pytest.raises(UsageError, match="no such folder to replay"),
        Replay(tmp_path / "missing", tmp_path / "replay").held(),
    ):
        pytest.fail("held")
    assert not (small_beamtime / MARKER).exists()


def test_one_replay_at_a_time_is_written_into_a_folder(small_beamtime, tmp_path):
    replay = Replay(small_beamtime, tmp_path / "replay")
    for _ in range(2):
        with (
            replay.held(),
            pytest.raises(UsageError, match="another replay"),
            replay.held(),
        ):
            pytest.fail("held")


KILLED = """
import os, signal, sys
from pathlib import Path
from rixs_pipeline.runner.live.replay import Replay, replaying
if __name__ == "__main__":
    replay = Replay(Path(sys.argv[1]), Path(sys.argv[2]), 1e-3)
    with replay.held(), replaying(replay) as process:
        print(process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
def test_a_replay_ends_with_a_process_that_is_killed(small_beamtime, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, script, small_beamtime, tmp_path / "replay"]
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, timeout=120)
    process = Path(f"/proc/{int(done.stdout)}/cmdline")
    until = time.monotonic() + 60
    while process.exists() and process.read_bytes() and time.monotonic() < until:
        time.sleep(0.1)
    assert not process.exists() or not process.read_bytes()
