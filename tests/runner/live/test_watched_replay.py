"""A replayed beamtime under `watch` ends as the reduction of the recorded one.

Logs are half written at times, pulse files always end in a part of a record, and a
reference run comes last. What is made is counted: nothing is redone for nothing.
"""

import json
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.compare_products import find_differences
from rixs_pipeline.runner.live import watched_folder
from rixs_pipeline.runner.live.replay import Recording
from rixs_pipeline.runner.live.watched_folder import BETWEEN_PARTS, SETTLED
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.runner.watch import Watch
from tests.without_figures import leave_out_figures

CONFIG = Config.model_validate(
    {"execution": {"scheduler": "serial"}, "regions": {"P": {"kind": "pfy"}}}
)


class Replayed:
    """A beamtime that grows under a watch, on a clock of its own."""

    def __init__(self, recorded, tmp_path, monkeypatch):
        self.runs = {run.name: run for run in discover(recorded).runs}
        self.recording = Recording.of(recorded)
        self.folder, self.out = tmp_path / "beamtime", tmp_path / "out"
        self.recording.make_folders(self.folder)
        self.watch = Watch(self.folder, CONFIG, self.out)
        self.now = time.monotonic()
        since = time.time() - self.now
        fake = SimpleNamespace(
            monotonic=lambda: self.now, time=lambda: since + self.now
        )
        monkeypatch.setattr(watched_folder, "time", fake)

    def advance(self, name, share):
        """Write what is there at a share of a run; little time passes."""
        run = self.runs[name]
        time_ns = run.start_ns + round(share * (run.end_ns - run.start_ns))
        self.recording.write(self.folder, time_ns)
        self.look(0.1)

    def look(self, seconds):
        self.now += seconds
        self.watch._look()

    def log(self, name):
        (path,) = self.folder.rglob(f"{name}.json")
        return path

    def rounds(self):
        """Return what each reduction made."""
        lines = (self.out / paths.JOURNAL).read_text().splitlines()
        return [json.loads(line)["made"] for line in lines]


@pytest.fixture
def replayed(small_beamtime, tmp_path, monkeypatch):
    leave_out_figures(monkeypatch)
    return Replayed(small_beamtime, tmp_path, monkeypatch)


def test_a_watched_replay_equals_the_reduction(replayed, small_beamtime, tmp_path):
    replayed.advance("cal0000", 0.5)
    replayed.look(BETWEEN_PARTS / 2)
    assert not (replayed.out / "calibration").exists()  # it has not ended
    replayed.advance("cal0000", 1.0)

    replayed.advance("scan0001", 0.3)
    assert replayed.watch._waits_for() == (
        "waiting for the next scan (scan0001 is running",
        ", 3 points so far)",
    )
    replayed.advance("scan0001", 1.0)

    replayed.advance("scan0002", 0.3)
    replayed.look(BETWEEN_PARTS / 2)
    replayed.advance("scan0002", 0.7)
    replayed.look(BETWEEN_PARTS / 2)  # the points so far
    replayed.advance("scan0002", 1.0)

    replayed.advance("scan0003", 0.5)
    log = replayed.log("scan0003")
    partial = log.read_bytes()
    log.write_bytes(partial[: len(partial) // 2])
    replayed.look(0.1)
    replayed.look(SETTLED)  # used as it was: it had not been reduced
    log.write_bytes(partial)
    replayed.advance("scan0003", 1.0)

    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    replayed.look(0.1)
    replayed.look(SETTLED)  # used as it was when it was last whole
    log.write_bytes(whole)
    replayed.advance("scan0004", 1.0)
    for share in (0.3, 0.6, 0.9):
        replayed.advance("cal0005", share)
        replayed.look(BETWEEN_PARTS / 2)
    replayed.recording.write(replayed.folder, replayed.recording.last_ns)
    replayed.watch._folder.has_ended = True
    replayed.look(0.1)

    batch = tmp_path / "batch"
    assert run(small_beamtime, CONFIG, batch, Options()).exit_code == 0
    assert list(find_differences(replayed.out, batch)) == []
    made = Counter(file for files in replayed.rounds() for file in files)
    scans = {name: made[f"scans/{name}.nxs"] for name in replayed.runs}
    # each scan once, again with the reference run after it; scan0002 also in progress
    assert scans == {
        "cal0000": 0,
        "scan0001": 2,
        "scan0002": 3,
        "scan0003": 2,
        "scan0004": 2,
        "cal0005": 0,
    }
    assert made["calibration/cal0000.nxs"] == made["calibration/cal0005.nxs"] == 1
    for folder in ("maps", "spectra"):
        assert made[f"{folder}/LMR_RT-Co_L.nxs"] == 4  # scans 1, part of 2, 2, all
        assert made[f"{folder}/LMR_100C-Co_L.nxs"] == 3


def test_pulses_that_come_late_change_their_scan_alone(replayed):
    replayed.advance("cal0000", 1.0)
    replayed.advance("scan0001", 1.0)
    replayed.advance("scan0002", 0.9)
    pulse_files = [*replayed.folder.rglob("*.off")]
    early = {path: path.read_bytes() for path in pulse_files}
    replayed.recording.write(
        replayed.folder, replayed.runs["scan0002"].end_ns + 2 * 10**9
    )
    late = {path: path.read_bytes() for path in pulse_files}
    for path, content in early.items():
        path.write_bytes(content)
    replayed.look(0.1)
    before = len(replayed.rounds())
    for path, content in late.items():
        with path.open("ab") as file:
            file.write(content[len(early[path]) :])
    replayed.look(0.1)
    (made,) = replayed.rounds()[before:]
    assert [file for file in made if file.startswith("scans")] == ["scans/scan0002.nxs"]
    replayed.advance("scan0003", 0.1)  # pulses go on
    assert len(replayed.rounds()) == before + 1


def test_without_changes_nothing_is_reduced(replayed):
    replayed.advance("cal0000", 1.0)
    replayed.advance("scan0001", 1.0)
    before = replayed.rounds()
    for _ in range(5):
        replayed.look(2 * BETWEEN_PARTS)
    assert replayed.rounds() == before
