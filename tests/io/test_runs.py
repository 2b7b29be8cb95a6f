from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.io.runs import Beamtime, Points, Run
from rixs_pipeline.types import Edge

T0 = 1_583_020_800_000_000_000  # ns since 1970
SECOND = 10**9


@pytest.fixture
def run():
    start_ns = T0 + np.array([0, 10, 30]) * SECOND
    end_ns = start_ns + np.array([8, 8, 9]) * SECOND
    points = Points(np.array([778.0, 779.0, 780.0]), start_ns, end_ns)
    return Run("scan", 1, "scan0001", "", "LMR", Edge.Co_L, points)


def test_a_run_lasts_from_the_start_of_its_first_point_to_the_end_of_its_last(run):
    assert (run.start_ns, run.end_ns) == (T0, T0 + 39 * SECOND)
    assert isinstance(run.start_ns, int)
    assert isinstance(run.end_ns, int)
    assert (run.start, run.end) == (T0 / 1e9, T0 / 1e9 + 39)
    assert run.middle == T0 / 1e9 + 19.5
    assert run.duration == 39


def test_the_middle_does_not_overflow():
    last = np.iinfo(np.int64).max
    points = Points(np.zeros(1), np.array([last - 10**9]), np.array([last]))
    run = Run("scan", 1, "scan0001", "", "LMR", None, points)
    assert run.middle == pytest.approx(last / 1e9)
    assert points.middle == pytest.approx(last / 1e9)


def test_points_have_durations_and_middles(run):
    np.testing.assert_array_equal(run.points.duration, [8, 8, 9])
    np.testing.assert_allclose(
        run.points.middle - T0 / 1e9, [4, 14, 34.5], rtol=0, atol=1e-6
    )


def test_a_beamtime_lists_its_scans_and_its_reference_runs_apart(run):
    calibration = Run("calibration", 0, "cal0000", "", "mix", None, run.points)
    beamtime = Beamtime(Path("bt"), (calibration, run))
    assert beamtime.scans == (run,)
    assert beamtime.calibrations == (calibration,)
