import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rixs_pipeline.config import (
    Config,
    ExecutionConfig,
    MapConfig,
    MultiPanelFigure,
    Region,
)
from rixs_pipeline.types import Edge


def refused(model, values, *expected):
    with pytest.raises(ValidationError) as error:
        model.model_validate(values)
    for text in expected:
        assert text in str(error.value)


def test_the_defaults_stand_alone():
    config = Config()
    assert config.regions is None and config.calibration.reference == "srd128"
    assert Config.model_validate(config.model_dump()) == config
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_nothing_can_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Config().map.step = 1.0


@pytest.mark.parametrize(
    "values",
    [
        {"mapp": {}},
        {"map": {"stepp": 1}},
        {"beamtime": {"exclude": {"pixel": [1]}}},
        {"regions": {"A": {"kind": "pfy", "emision": [1, 2]}}},
        {"execution": {"cores": 3}},
    ],
)
def test_unknown_keys_are_refused(values):
    refused(Config, values, "Extra inputs are not permitted")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"map": {"emission": [1100, 200]}}, "must be [low, high] with low < high"),
        ({"map": {"emission": [200, 200]}}, "must be [low, high] with low < high"),
        (
            {"map": {"emission": [200, 1100.3]}},
            "is not a whole number of bins of 0.5 eV",
        ),
        ({"map": {"step": 0}}, "greater than 0"),
        ({"map": {"step": float("nan")}}, "finite"),
        ({"map": {"incident": [770, 800]}}, "must both be given"),
        ({"map": {"incident_step": 1}}, "must both be given"),
        ({"regions": {"A": {"kind": "pfy", "loss": [3, -3]}}}, "must be [low, high]"),
        (
            {"regions": {"A": {"kind": "pfy", "polygon": [[1, 2], [3, 4]]}}},
            "at least 3",
        ),
        ({"regions": {"a b": {"kind": "pfy"}}}, "String should match pattern"),
        ({"regions": {"../a": {"kind": "pfy"}}}, "String should match pattern"),
        ({"regions": {"A": {"kind": "pfy", "edge": "Co_K"}}}, "Co_L"),
        ({"compare": {"c": {"samples": ["one"]}}}, "at least 2"),
        ({"normalise": {"beam_off_below": 1.0}}, "less than 1"),
        ({"calibration": {"lines": ["C_Ka", "O_Ka"]}}, "at least 3"),
        ({"calibration": {"min_line_counts": 1}}, "greater than or equal to 5"),
    ],
)
def test_values_outside_their_range_are_refused(values, expected):
    refused(Config, values, expected)


@pytest.mark.parametrize(
    "scheduler", ["serial", "threads", "processes", "slurm", "tcp://10.0.0.1:8786"]
)
def test_schedulers(scheduler):
    assert ExecutionConfig(scheduler=scheduler).scheduler == scheduler


@pytest.mark.parametrize(
    "values",
    [{"scheduler": "dask"}, {"scheduler": "tcp://"}, {"workers": 0}, {"memory": "1"}],
)
def test_an_execution_that_cannot_be(values):
    refused(ExecutionConfig, values)


def test_how_it_is_executed_is_no_part_of_the_science():
    names = [name for name in Config.model_fields if name != "execution"]
    one, other = (
        Config(),
        Config(execution=ExecutionConfig(scheduler="serial", workers=7, memory="9GB")),
    )
    assert one.science(*names) == other.science(*names)
    assert one.science("map") != Config(map=MapConfig(step=1.0)).science("map")
    assert set(one.science("map", "regions")) == {"map", "regions"}


@given(
    low=st.integers(0, 500),
    number=st.integers(1, 2000),
    step=st.sampled_from([0.1, 0.2, 0.25, 0.5, 1.0]),
)
def test_whole_numbers_of_bins_are_taken_whatever_the_rounding(low, number, step):
    assert MapConfig(emission=(low, low + number * step), step=step).step == step


@pytest.mark.parametrize("edge", Edge)
def test_every_edge_is_a_region_s(edge):
    assert Region(kind="pfy", edge=edge).edge == edge


def test_one_thing_stands_for_a_list_of_one():
    one, several = (
        Region.model_validate({"kind": "pfy", "background": background})
        for background in (
            {"kind": "sideband", "emission": [500, 508]},
            [{"kind": "sideband", "emission": [[500, 508]]}],
        )
    )
    assert one == several
    sheets = [
        {"kind": "xas", "samples": ["a"], "edges": ["Co_L"], "channel": channel}
        for channel in ("tfy", ["tfy"])
    ]
    assert MultiPanelFigure.model_validate(
        sheets[0]
    ) == MultiPanelFigure.model_validate(sheets[1])
