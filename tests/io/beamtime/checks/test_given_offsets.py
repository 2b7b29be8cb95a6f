from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.io.beamtime.checks.given_offsets import (
    given_offset,
    remove_given_offsets,
)
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.runs import ClockOffset, Points


def log_of(kind, number):
    start = np.array([10, 12]) * 10**9
    points = Points(np.array([770.0, 771.0]), start, start + 10**9)
    return LogRun(kind, number, "LMR", points, np.arange(2), 2, log=Path("a.json"))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("auto", None),
        (1.5, 1.5),
        (0, 0.0),
        ({1: 2.0}, 2.0),
        ({"scan0001": 2.0, 1: 3.0}, 2.0),
        ({2: 1.0}, None),
        ({"cal0001": 1.0}, None),
    ],
)
def test_offset_of_a_scan(setting, expected):
    found = given_offset(setting, kind="scan", number=1, name="scan0001")
    assert found == expected


def test_a_number_means_a_scan_and_not_a_reference_run():
    setting = {1: 2.0, "cal0001": 3.0}
    found = given_offset(setting, kind="calibration", number=1, name="cal0001")
    assert found == 3.0


def test_given_offsets_are_removed_and_recorded():
    logs = [log_of("scan", 1), log_of("scan", 2), log_of("calibration", 1)]
    moved = remove_given_offsets(logs, {1: 1.5, 2: 0.0})
    assert moved[0].points.start_ns.tolist() == [8_500_000_000, 10_500_000_000]
    assert moved[0].points.end_ns.tolist() == [9_500_000_000, 11_500_000_000]
    assert moved[0].clock_offset == ClockOffset(1.5, 0.0)
    assert moved[1].points is logs[1].points
    assert moved[1].clock_offset == ClockOffset(0.0, 0.0)
    assert moved[2] is logs[2]
    assert remove_given_offsets(logs, "auto") == logs
