"""Clocks of logs that differ from that of the detector: no wrong number in silence."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline import open_product, paths
from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.stages.clock.correct_clocks import correct_clocks
from tests.conftest import SMALL
from tests.faults import clock as faults

DWELL = 2.0
SETTINGS = {
    "seed": 31,
    "pixels": 5,
    "edges": ["O_K"],
    "points": 36,
    "dwell": DWELL,
    "rate": 25.0,
    "settle": 0.2,
    "timing": {
        "label_lead": (0.0, 3.0),
        "label_lag": (0.0, 0.5),
        "beam_before": 4.0,
        "beam_between": True,
        "moving": True,
    },
}
SCANS = ["scan0001", "scan0002", "scan0003", "scan0004"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A beamtime with late labels and beam between scans; read-only."""
    path = tmp_path_factory.mktemp("sound") / "beamtime"
    simulate(path, SimulationSettings.model_validate(SMALL | SETTINGS))
    return path


@pytest.fixture
def beamtime(sound, tmp_path) -> Path:
    """A private copy of it."""
    shutil.copytree(sound, tmp_path / "beamtime")
    return tmp_path / "beamtime"


def correct(path: Path, clock_offset: object = "auto") -> Beamtime:
    config = Config.model_validate({"beamtime": {"clock_offset": clock_offset}})
    return correct_clocks(discover(path, config.beamtime), config, Memo())


def true_starts(sound: Path) -> dict[str, int]:
    return {scan.name: scan.start_ns for scan in discover(sound).scans}


def errors_of_times(sound: Path, corrected: Beamtime) -> dict[str, float]:
    """Start of each scan after the correction minus its true start, s."""
    truth = true_starts(sound)
    return {
        scan.name: (scan.start_ns - truth[scan.name]) / 1e9 for scan in corrected.scans
    }


def assert_within_errors(sound: Path, corrected: Beamtime) -> None:
    wrong = errors_of_times(sound, corrected)
    for scan in corrected.scans:
        error = scan.clock_offset.error if scan.clock_offset else DWELL / 8
        assert abs(wrong[scan.name]) < 4 * error
        assert error < DWELL / 4


@pytest.mark.parametrize("labels", [True, False])
def test_times_of_a_sound_beamtime_stay_as_they_are(sound, beamtime, labels):
    if not labels:
        faults.remove_labels(beamtime)
    corrected = correct(beamtime)
    assert [scan.clock_offset for scan in corrected.scans] == [None] * len(SCANS)
    assert set(errors_of_times(sound, corrected).values()) == {0.0}
    assert not corrected.refused
    assert not [line for line in corrected.problems if "clock" in line]


@pytest.mark.parametrize("offset", [1.0, -2.5, 5.0])
def test_an_offset_of_all_scans_is_found(sound, beamtime, offset):
    faults.shift_scans(beamtime, offset)
    corrected = correct(beamtime)
    assert [scan.name for scan in corrected.scans] == SCANS
    for scan in corrected.scans:
        assert scan.clock_offset.value == pytest.approx(offset, abs=DWELL / 4)
        assert any("clock of the log is off" in line for line in scan.problems)
    assert_within_errors(sound, corrected)


@pytest.mark.parametrize("labels", [True, False])
def test_200_s_early_no_scan_has_the_pulses_of_another(sound, beamtime, labels):
    if not labels:
        faults.remove_labels(beamtime)
    faults.shift_scans(beamtime, -200.0)
    corrected = correct(beamtime)
    names = {scan.name for scan in corrected.scans}
    names |= {scan.name for scan in corrected.refused}
    assert names == set(SCANS)
    assert_within_errors(sound, corrected)
    if labels:
        assert not corrected.refused


@pytest.mark.parametrize(
    ("scan", "offset"), [("scan0002", 60.0), ("scan0003", -5.0), ("scan0001", 40.0)]
)
def test_the_clock_of_one_scan_is_found_or_the_scan_refused(
    sound, beamtime, scan, offset
):
    faults.shift_scans(beamtime, offset, scan)
    corrected = correct(beamtime)
    others = [name for name in SCANS if name != scan]
    assert set(others) <= {good.name for good in corrected.scans}
    assert_within_errors(sound, corrected)
    is_lost = scan in {lost.name for lost in corrected.refused}
    assert is_lost or scan in {good.name for good in corrected.scans}


def test_an_offset_of_less_than_half_a_point_is_not_made_larger(sound, beamtime):
    faults.shift_scans(beamtime, 0.4 * DWELL)
    corrected = correct(beamtime)
    wrong = errors_of_times(sound, corrected)
    assert set(wrong) == set(SCANS)
    assert max(map(abs, wrong.values())) <= 0.4 * DWELL + 1e-3


def test_a_drift_over_the_beamtime_is_followed(sound, beamtime):
    faults.shift_scans(beamtime, 3.0)
    faults.drift_clock(beamtime, 5.0)  # s/h
    corrected = correct(beamtime)
    values = [scan.clock_offset.value for scan in corrected.scans]
    assert values[-1] - values[0] > 0.3
    assert_within_errors(sound, corrected)


def test_without_readings_labels_place_or_refuse_what_contradicts_them(sound, beamtime):
    faults.remove_readings(beamtime, "tey", "tfy")
    faults.shift_scans(beamtime, 40.0)
    corrected = correct(beamtime)
    assert_within_errors(sound, corrected)
    assert corrected.refused
    names = {run.name for run in (*corrected.scans, *corrected.refused)}
    assert names == set(SCANS)
    number = corrected.refused[0].name[-1]
    line = f"`beamtime.clock_offset: {{{number}: SECONDS}}`"
    assert line in corrected.refused[0].reason


def test_an_offset_in_the_config_holds_for_all_runs(sound, beamtime):
    faults.shift_scans(beamtime, 1.0)
    corrected = correct(beamtime, 1.0)
    assert errors_of_times(sound, corrected) == pytest.approx(
        dict.fromkeys(SCANS, 0.0), abs=1e-5
    )
    kept = correct(beamtime, 0)
    wrong = errors_of_times(sound, kept)
    assert wrong == pytest.approx(dict.fromkeys(SCANS, 1.0), abs=1e-5)


def test_an_offset_of_one_scan_in_the_config_leaves_the_others_to_the_data(
    sound, beamtime
):
    faults.shift_scans(beamtime, 40.0, "scan0001")
    corrected = correct(beamtime, {1: 40.0})
    wrong = errors_of_times(sound, corrected)
    assert wrong == pytest.approx(dict.fromkeys(SCANS, 0.0), abs=1e-5)


def test_while_an_interval_is_open_later_scans_change_nothing(beamtime):
    """Of an open interval, each scan is decided on by itself and earlier ones."""
    faults.shift_scans(beamtime, 1.5)
    (beamtime / "logs" / "calibration0005.json").unlink()
    for path in beamtime.rglob("*_experiment_state.txt"):
        text = path.read_text().replace("CAL5", "IGNORE")
        path.write_text(text)
    whole = {scan.name: scan for scan in correct(beamtime).scans}
    (beamtime / "logs" / "scan0004.json").unlink()
    part = {scan.name: scan for scan in correct(beamtime).scans}
    assert set(part) == set(SCANS[:3])
    for name, scan in part.items():
        assert scan.clock_offset == whole[name].clock_offset
        assert scan.start_ns == whole[name].start_ns


def test_a_reduction_reports_and_stores_the_offset(beamtime, tmp_path):
    faults.shift_scans(beamtime, -1.5)
    config = Config.model_validate({"execution": {"scheduler": "serial"}})
    out, options = tmp_path / "out", Options(until="bin")
    summary = run(beamtime, config, out, options)
    assert summary.exit_code == 0
    scan = open_product(paths.scan_product(out, "scan0001"))
    value, error = scan.attrs["clock_offset"], scan.attrs["clock_offset_errors"]
    assert abs(value + 1.5) < 4 * error < DWELL
    (correction,) = [
        values
        for values in summary.items["scan0001"]["corrections"]
        if values["name"] == "clock offset"
    ]
    assert correction["value"] == value
    assert correction["config"] == "beamtime.clock_offset"
    assert not [line for line in summary.warnings if "damage" in line]
    assert run(beamtime, config, out, options).executed == []
    fixed = Config.model_validate(
        {"execution": {"scheduler": "serial"}, "beamtime": {"clock_offset": -1.5}}
    )
    again = run(beamtime, fixed, out, options)
    assert "scans/scan0001.nxs" in again.executed
    exact = open_product(paths.scan_product(out, "scan0001"))
    assert exact.attrs["clock_offset"] == -1.5
    moved = np.abs(exact["counts"].values - scan["counts"].values).sum()
    assert moved > 0


@pytest.mark.parametrize("offset", [-200.0, 400.0])
def test_reference_runs_are_moved_into_their_labels(sound, beamtime, offset):
    faults.shift_all_logs(beamtime, offset)
    corrected = correct(beamtime)
    assert [each.name for each in corrected.runs] == ["cal0000", *SCANS, "cal0005"]
    assert_within_errors(sound, corrected)
    truth = {cal.name: cal for cal in discover(sound).calibrations}
    for cal in corrected.calibrations:
        assert cal.clock_offset.value == pytest.approx(offset, abs=3)
        assert abs(cal.start - truth[cal.name].start) < 3


def lines_about(path: Path, words: str, clock_offset: object = "auto") -> list[str]:
    return [line for line in correct(path, clock_offset).problems if words in line]


@pytest.mark.parametrize("configured", [0.0, 1.5])
def test_a_configured_offset_that_the_data_contradict_is_reported(beamtime, configured):
    true = 1.5 - configured
    faults.shift_scans(beamtime, true)
    (line,) = lines_about(beamtime, "contradicts the data", configured)
    assert f"`beamtime.clock_offset` of {configured:g} s" in line
    estimate = float(line.partition("which give ")[2].partition(" +-")[0])
    assert estimate == pytest.approx(true, abs=0.5)
    assert lines_about(beamtime, "contradicts", true) == []


@pytest.mark.parametrize("points", [1, 2])
def test_readings_of_other_points_are_reported(sound, beamtime, points):
    faults.delay_readings(beamtime, points)
    (line,) = lines_about(beamtime, "readings are")
    assert f"(+{points}." in line or f"(+{points - 1}.9" in line
    assert not any(errors_of_times(sound, correct(beamtime)).values())


@pytest.mark.parametrize(
    ("pixels", "seconds"), [((1, 3), 2.4), ((5,), -2.0), ((3, 5, 7), 3600.0)]
)
def test_pixels_with_another_clock_are_reported(beamtime, pixels, seconds):
    faults.shift_pixels(beamtime, seconds, pixels)
    (line,) = lines_about(beamtime, "clocks differ")
    named = line.partition("pixels ")[2].partition(" are about ")
    lag = float(named[2].partition(" s off")[0])
    others = {1, 3, 5, 7, 9} - set(pixels)
    mentioned = {int(pixel) for pixel in named[0].split(", ")}
    assert (mentioned, lag > 0) in [(set(pixels), seconds > 0), (others, seconds < 0)]
    assert abs(lag) == pytest.approx(abs(seconds), abs=0.6)


def test_a_sound_beamtime_says_nothing_of_clocks(sound):
    for words in ("clocks differ", "readings are", "may be off"):
        assert lines_about(sound, words) == []
