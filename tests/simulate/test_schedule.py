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
        assert (run.next_start >= run.end).all()


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
