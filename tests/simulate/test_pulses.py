import json

import numpy as np
import pytest

from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.detector import Detector
from rixs_pipeline.simulate.drift import BaselineDrift, JumpTimes
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.pulses import record_pulses
from rixs_pipeline.simulate.schedule import START_NS
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.source import plan_measurements

SETTINGS = SimulationSettings(
    pixels=1,
    rate=200.0,
    points=20,
    passes=1,
    edges=["Co_L"],
    dwell=10.0,
    settle=100.0,
    dead_pixels=(),
    beam_dumps=(),
    timing={"beam_before": 40.0, "beam_after": 50.0, "moving": True},
)


@pytest.fixture(scope="module")
def scan():
    return plan_measurements(SETTINGS)[1]


@pytest.fixture(scope="module")
def times(scan):
    flat = BaselineDrift(np.array([0.0, 1e6]), np.zeros(2))
    pixel = draw_pixel(SETTINGS, 1, JumpTimes())
    records = record_pulses(Detector(SETTINGS, flat), pixel, scan).records
    return (records["unixnano"] - START_NS) / 1e9


def count_rate(times, start, end):
    """Rate without dead time, of the model of a non-paralysable detector."""
    number = np.searchsorted(times, end) - np.searchsorted(times, start)
    rate = number / (end - start)
    return rate / (1 - rate * 1024 * 4.8e-6), np.sqrt(number) / number


def test_pulses_go_on_around_a_scan_at_the_rate_of_its_ends(scan, times):
    start, end = scan.run.start, scan.run.end
    assert start[0] - 40 < times[0] < start[0] - 39.5
    assert end[-1] + 49.5 < times[-1] < end[-1] + 50
    inside, error = count_rate(times, start[0], end[0])
    before, _ = count_rate(times, start[0] - 40, start[0])
    assert before == pytest.approx(inside, rel=6 * error)


def test_rate_between_points_lies_between_theirs(scan, times):
    start, end = scan.run.start, scan.run.end
    rate, error = count_rate(times, start, end)
    between, between_error = count_rate(times, end[:-1], start[1:])
    expected = (rate[1:] + rate[:-1]) / 2
    # dead time differs a little along the way
    pull = (between / expected - 1) / np.hypot(between_error, error[1:])
    assert np.abs(pull).max() < 5
    middle = (end[:-1] + start[1:]) / 2
    first, _ = count_rate(times, end[:-1], middle)
    last, _ = count_rate(times, middle, start[1:])
    step = np.diff(SETTINGS.rate * scan.run.beam * scan.source.yields)
    slope = step @ (last - first) / (step @ step)
    error = np.sqrt(2 * rate.mean() / 50 / (step @ step))
    assert error < 0.1
    assert slope == pytest.approx(0.5, abs=3 * error)


def test_truth_has_the_clock_offset_of_each_point(tmp_path):
    settings = SETTINGS.model_copy(
        update={"timing": SETTINGS.timing.model_copy(update={"clock_offset": 1.5})}
    )
    simulate(tmp_path / "b", settings.model_copy(update={"points": 5, "rate": 1.0}))
    truth = json.loads((tmp_path / "b" / "truth.json").read_text())
    assert truth["runs"][1]["clock_offset"] == [1.5] * 5
