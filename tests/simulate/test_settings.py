import pytest
from pydantic import ValidationError

from rixs_pipeline.errors import UsageError
from rixs_pipeline.simulate import simulate_preset
from rixs_pipeline.simulate.settings import (
    PRESETS,
    BeamDump,
    Sample,
    SimulationSettings,
    preset_settings,
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


def test_names_must_be_unique():
    with pytest.raises(
        ValidationError, match="samples: names must be unique, not a, a"
    ):
        SimulationSettings(samples=(Sample(name="a"), Sample(name="a", redox=2)))


def test_preset_takes_changes_and_checks_them():
    dump = BeamDump(scan=1, first=2, points=1)
    changed = preset_settings("sample", pixels=3, edges=["O_K"], beam_dumps=[dump])
    assert changed.pixels == 3
    assert changed.edges == ("O_K",)
    assert changed.seed == PRESETS["sample"].seed
    assert changed.channels == range(1, 6, 2)
    with pytest.raises(UsageError, match="rate"):
        preset_settings("sample", rate=-1)
    with pytest.raises(UsageError, match="benchmark_64"):
        preset_settings("simple")


@pytest.mark.parametrize(
    ("name", "pulses"), [("benchmark_64", 5.9e6), ("benchmark_240", 22e6)]
)
def test_benchmarks_have_the_number_of_pulses_of_the_real_data(name, pulses):
    """Records expected from the rates, at a mean throughput of 1.02."""
    settings = PRESETS[name]
    dead_time = 4.9152e-3  # s
    scans = len(settings.edges) * len(settings.samples) * settings.passes
    assert scans == 12
    scan_time = scans * settings.points * (settings.dwell + settings.settle)
    reference_time = settings.calibrations * settings.calibration_duration

    def records(rate, time):
        arrived = 1.02 * rate
        return arrived / (1 + rate * dead_time) * time

    scan_records = records(settings.rate, scan_time)
    reference_records = records(settings.calibration_rate, reference_time)
    expected = settings.pixels * (scan_records + reference_records)
    assert expected == pytest.approx(pulses, rel=0.03)


def test_command_line_changes_only_the_given_options(tmp_path):
    simulate_preset(tmp_path / "b", "sample", pixels=1, passes=1, edges="O_K, Co_L")
    expected = preset_settings("sample", pixels=1, passes=1, edges=["O_K", "Co_L"])
    assert read_settings(tmp_path / "b") == expected
    with pytest.raises(UsageError, match="edges"):
        simulate_preset(tmp_path / "c", "sample", edges="O_K,Xx_L")
    assert not (tmp_path / "c").exists()


def test_later_settings_are_written_only_where_they_differ_from_their_default():
    assert "timing" not in SimulationSettings().as_json()
    settings = SimulationSettings(timing={"beam_before": 4.0})
    assert settings.as_json()["timing"]["beam_before"] == 4.0
    assert SimulationSettings.model_validate(settings.as_json()) == settings
