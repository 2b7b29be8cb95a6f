import pytest
from pydantic import ValidationError

from rixs_pipeline.errors import UsageError
from rixs_pipeline.simulate import from_options
from rixs_pipeline.simulate.settings import (
    PRESETS,
    BeamDump,
    Sample,
    SimulationSettings,
    preset,
)
from rixs_pipeline.simulate.truth import read_settings


def test_settings_are_frozen_and_refuse_unknown_keys():
    settings = SimulationSettings()
    with pytest.raises(ValidationError):
        settings.seed = 2
    with pytest.raises(ValidationError, match="sead"):
        SimulationSettings(sead=2)


@pytest.mark.parametrize(
    "wrong", [{"rate": 0}, {"pixels": 0}, {"edges": ["N_K"]}, {"samples": []}]
)
def test_values_outside_their_range_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        SimulationSettings(**wrong)


def test_names_must_differ():
    with pytest.raises(ValidationError, match="samples"):
        SimulationSettings(samples=(Sample(name="a"), Sample(name="a", redox=2)))


def test_a_preset_takes_changes_and_checks_them():
    changed = preset(
        "sample",
        pixels=3,
        edges=["O_K"],
        beam_dumps=[BeamDump(scan=1, first=2, points=1)],
    )
    assert (changed.pixels, changed.edges, changed.seed) == (
        3,
        ("O_K",),
        PRESETS["sample"].seed,
    )
    assert changed.channels == range(1, 6, 2)
    with pytest.raises(UsageError, match="rate"):
        preset("sample", rate=-1)
    with pytest.raises(UsageError, match="benchmark_64"):
        preset("simple")


@pytest.mark.parametrize(
    ("name", "pulses"), [("benchmark_64", 5.9e6), ("benchmark_240", 22e6)]
)
def test_benchmarks_have_the_pulses_they_promise(name, pulses):
    """Expected records from the rates alone: throughputs average 1.02, a record costs 4.9 ms of dead time."""
    s = PRESETS[name]
    dead = 4.9152e-3
    scans = len(s.edges) * len(s.samples) * s.passes
    time = scans * s.points * (s.dwell + s.settle)
    rates = [
        (s.rate, time),
        (s.calibration_rate, s.calibrations * s.calibration_duration),
    ]
    expected = s.pixels * sum(1.02 * r / (1 + r * dead) * t for r, t in rates)
    assert scans == 12
    assert expected == pytest.approx(pulses, rel=0.03)


def test_the_command_line_changes_only_what_it_names(tmp_path):
    from_options(tmp_path / "b", "sample", pixels=1, passes=1, edges="O_K, Co_L")
    expected = preset("sample", pixels=1, passes=1, edges=["O_K", "Co_L"])
    assert read_settings(tmp_path / "b") == expected
    with pytest.raises(UsageError, match="edges"):
        from_options(tmp_path / "c", "sample", edges="O_K,Xx_L")
    assert not (tmp_path / "c").exists()


def test_a_sample_may_be_scanned_at_some_edges_alone():
    from rixs_pipeline.simulate.schedule import plan

    samples = [{"name": "a"}, {"name": "b", "edges": ["O_K"]}]
    runs = plan(preset("sample", samples=samples, edges=["Co_L", "O_K"], passes=1))
    scans = [(run.sample.name, run.edge) for run in runs if run.sample]
    assert scans == [("a", "Co_L"), ("a", "O_K"), ("b", "O_K")]
