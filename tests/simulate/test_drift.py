import numpy as np
import pytest

from rixs_pipeline.simulate.drift import (
    draw_baseline_drift,
    draw_common_drift,
    find_jump_times,
)
from rixs_pipeline.simulate.schedule import plan_runs
from rixs_pipeline.simulate.settings import SimulationSettings

SIX_HOURS = 6 * 3600.0


def test_baseline_drift_starts_at_zero_and_has_the_size_of_real_data():
    changes = []
    for seed in range(20):
        drift = draw_baseline_drift(SimulationSettings(seed=seed), SIX_HOURS)
        assert drift.value[0] == 0
        changes.append(drift.at(np.array([SIX_HOURS]))[0])
    assert 13 < np.mean(changes) < 60


def test_baseline_drift_scales_with_the_setting():
    drift = draw_baseline_drift(SimulationSettings(drift=1.0), SIX_HOURS)
    double = draw_baseline_drift(SimulationSettings(drift=2.0), SIX_HOURS)
    np.testing.assert_allclose(double.value, 2 * drift.value)


def test_jump_times_are_in_the_last_gap_and_in_the_middle_scan():
    runs = plan_runs(SimulationSettings(points=10))
    jump_times = find_jump_times(runs)
    assert runs[-2].end[-1] < jump_times.before_last_reference < runs[-1].start[0]
    scan = runs[len(runs) // 2]
    assert scan.start[0] < jump_times.in_scan < scan.end[-1]


def test_without_last_reference_run_the_jump_is_at_the_end():
    runs = plan_runs(SimulationSettings(points=10, calibrations=1))
    end = runs[-1].end[-1]
    assert find_jump_times(runs).before_last_reference == pytest.approx(end)


def test_a_shared_drift_has_the_stated_size_and_period():
    settings = SimulationSettings(common_drift=(0.3, 3600.0), seed=4)
    time = np.linspace(0, 36000, 10000)
    drift = draw_common_drift(settings)
    values = drift.at(time)
    np.testing.assert_allclose(np.std(values), 0.3, rtol=0.01)
    np.testing.assert_allclose(drift.at(time + 3600.0), values, atol=1e-9)


def test_its_phase_differs_from_beamtime_to_beamtime():
    drifts = [
        draw_common_drift(SimulationSettings(common_drift=(0.3, 3600.0), seed=seed))
        for seed in range(3)
    ]
    assert len({drift.phase for drift in drifts}) == 3


def test_there_is_none_by_default_and_the_truth_does_not_list_it():
    settings = SimulationSettings()
    assert not draw_common_drift(settings).at(np.arange(10.0)).any()
    assert "common_drift" not in settings.as_json()
    changed = SimulationSettings(pretrigger_scatter=6.0)
    assert changed.as_json()["pretrigger_scatter"] == 6.0
