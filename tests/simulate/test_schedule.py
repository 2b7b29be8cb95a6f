from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.simulate.schedule import (
    NO_BEAM,
    SCAN_RANGES,
    START_NS,
    RunKind,
    add_readings,
    draw_beam,
    epoch_ns,
    plan_runs,
    scan_energies,
)
from rixs_pipeline.simulate.settings import (
    BeamDump,
    SimulationSettings,
    preset_settings,
)


@given(edge=st.sampled_from(sorted(SCAN_RANGES)), points=st.integers(5, 300))
def test_scan_points_ascend_over_the_whole_range(edge, points):
    energy = scan_energies(edge, points)
    assert len(energy) == points
    assert energy[0] == SCAN_RANGES[edge].low
    assert energy[-1] == SCAN_RANGES[edge].high
    assert (np.diff(energy) > 0).all()


def test_runs_follow_each_other_between_two_reference_runs():
    runs = plan_runs(SimulationSettings(passes=2, points=10))
    assert [run.number for run in runs] == list(range(len(runs)))
    kinds = [run.kind for run in runs]
    assert kinds == [RunKind.REFERENCE, *[RunKind.SCAN] * 8, RunKind.REFERENCE]
    for previous, run in pairwise(runs):
        assert run.start[0] > previous.end[-1]
        assert run.pulses == run.label == (run.start[0], run.end[-1])
        assert not run.clock_offset.any()


def test_sample_may_be_scanned_at_a_part_of_the_edges():
    samples = [{"name": "a"}, {"name": "b", "edges": ["O_K"]}]
    edges = ["Co_L", "O_K"]
    settings = preset_settings("sample", samples=samples, edges=edges, passes=1)
    runs = plan_runs(settings)
    scans = [(run.sample.name, run.edge) for run in runs if run.sample]
    assert scans == [("a", "Co_L"), ("a", "O_K"), ("b", "O_K")]


def test_beam_is_one_on_average_and_dumped_where_the_settings_say():
    beam = draw_beam(np.arange(0.0, 3000.0, 1.0), np.random.default_rng(2))
    assert beam.mean() == pytest.approx(1, abs=1e-3)
    dump = BeamDump(scan=1, first=4, points=2)
    runs = plan_runs(SimulationSettings(points=10, beam_dumps=(dump,)))
    assert (runs[1].beam[4:6] == NO_BEAM).all()
    assert np.delete(runs[1].beam, [4, 5]).min() > 0.9


def test_readings_follow_beam_and_yield():
    run = plan_runs(SimulationSettings(points=50))[1]
    yields = np.linspace(1, 2, len(run.energy))
    readings = add_readings(run, yields, seed=0).readings
    np.testing.assert_allclose(readings["i0"], 1e5 * run.beam, rtol=0.01)
    np.testing.assert_allclose(readings["tfy"], 1e4 * run.beam * yields, rtol=0.06)


def test_reference_run_has_no_readings():
    run = plan_runs(SimulationSettings(points=10))[0]
    assert add_readings(run, np.ones(1), seed=0) is run


def test_times_are_whole_microseconds():
    assert epoch_ns(1.0000004) == START_NS + 10**9


def test_exposures_of_a_scan_cover_its_points_and_what_is_around_them():
    timing = {"beam_before": 4.0, "beam_after": 5.0, "moving": True}
    settings = SimulationSettings(points=5, settle=0.5, timing=timing)
    run = plan_runs(settings)[1]
    exposures = run.exposures(moving=True)
    assert exposures.start[0] == run.start[0] - 4
    assert exposures.end[-1] == run.end[-1] + 5
    np.testing.assert_array_equal(exposures.start[1:], exposures.end[:-1])
    np.testing.assert_array_equal(exposures.start[1::2], run.start)
    assert exposures.before.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert exposures.after.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]
    still = run.exposures(moving=False)
    assert still.before.tolist() == still.after.tolist() == [0, 0, 1, 2, 3, 4, 4]


def test_beam_stays_on_between_scans_alone():
    timing = {"beam_before": 4.0, "beam_between": True}
    runs = plan_runs(SimulationSettings(points=5, passes=1, timing=timing))
    for previous, run in pairwise(runs[1:-1]):
        assert previous.pulses.end == run.pulses.start == run.start[0] - 4
    assert runs[0].pulses.end == runs[0].end[-1]
    assert runs[-2].pulses.end == runs[-2].end[-1]


def test_labels_precede_the_points_and_do_not_overlap():
    timing = {"label_lead": (1.0, 3.0), "label_lag": (20.0, 20.0)}
    runs = plan_runs(SimulationSettings(points=5, timing=timing))
    lead = [run.start[0] - run.label.start for run in runs]
    assert min(lead) >= 1
    assert 2 < max(lead) <= 3
    for previous, run in pairwise(runs):
        assert previous.label.end <= run.label.start


def test_clock_of_the_logs_has_an_offset_a_drift_and_that_of_a_scan():
    timing = {"clock_offset": 1, "clock_drift": -2, "scan_clock_offsets": {2: 60}}
    runs = plan_runs(SimulationSettings(points=5, timing=timing))
    for run in runs:
        expected = 1 - 2 * run.start / 3600 + 60 * (run.number == 2)
        np.testing.assert_allclose(run.clock_offset, expected)
