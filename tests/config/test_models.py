import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rixs_pipeline.config import Config, ExecutionConfig, GeometryConfig, MapConfig
from tests.config.helpers import assert_invalid


def test_the_config_has_defaults_for_everything() -> None:
    config = Config()
    assert config.regions is None
    assert config.calibration.reference == "srd128"
    assert Config.model_validate(config.model_dump()) == config
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().map.step = 1.0  # type: ignore[misc]  # what the test is about


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
def test_unknown_keys_are_errors(values: dict[str, object]) -> None:
    assert_invalid(Config, values, "Extra inputs are not permitted")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"map": {"emission": [1100, 200]}}, "must be [low, high] with low < high"),
        ({"map": {"emission": [200, 200]}}, "must be [low, high] with low < high"),
        (
            {"map": {"emission": [200, 1100.3]}},
            "is not a whole number of bins of 0.5 eV",
        ),
        (
            {"map": {"incident": [525.9, 550.1], "incident_step": 0.4}},
            "incident: [525.9, 550.1] is not a whole number of bins of 0.4 eV; change "
            "`incident` or `incident_step`",
        ),
        ({"map": {"step": 0}}, "greater than 0"),
        ({"map": {"step": 1e-6}}, "9e+08 emission bins, 30,000,000 at most"),
        ({"map": {"step": float("nan")}}, "finite"),
        ({"map": {"incident": [770, 800]}}, "set both or neither"),
        ({"map": {"incident_step": 1}}, "set both or neither"),
        ({"xas": {"pre_edge": [2, 1]}}, "must be [low, high]"),
        ({"regions": {"a b": {"kind": "pfy"}}}, "String should match pattern"),
        ({"regions": {"../a": {"kind": "pfy"}}}, "String should match pattern"),
        (
            {"compare": {name: {"samples": ["a", "b"]} for name in ("x/y", "x_y")}},
            "compare: 'x/y' and 'x_y' have the same file name (x_y); rename one",
        ),
        (
            {
                "figures": {
                    name: {"kind": "maps", "samples": ["a"], "edges": ["Co_L"]}
                    for name in ("a/b", "a_b")
                }
            },
            "figures: 'a/b' and 'a_b' have the same file name (a_b); rename one",
        ),
        (
            {"regions": {"log_tfy": {"kind": "pfy"}}},
            "regions.log_tfy: log_tey and log_tfy are the names of the spectra from",
        ),
        (
            {"regions": {"A": {"kind": "xes", "emission": [770, 780], "step": 10.5}}},
            "regions.A.step: 10.5 eV is wider than the emission range of the region, "
            "10 eV",
        ),
        ({"regions": {"A": {"kind": "xes", "step": 1000}}}, "region, 900 eV"),
        (
            {
                "regions": {
                    "A": {"kind": "xes", "axis": "loss", "loss": [-2, 3], "step": 6}
                }
            },
            "wider than the loss range of the region, 5 eV",
        ),
        (
            {
                "regions": {
                    "A": {
                        "kind": "xes",
                        "pieces": [{"emission": [770, 775]}, {"emission": [778, 780]}],
                        "step": 11,
                    }
                }
            },
            "region, 10 eV",
        ),
        ({"normalise": {"beam_off_below": 1.0}}, "less than 1"),
        ({"normalise": {"efficiency": [[300, 1], [200, 1]]}}, "energies must increase"),
        (
            {"normalise": {"efficiency": [[200, 0]]}},
            "every efficiency must be greater than 0",
        ),
    ],
)
def test_values_out_of_range_are_errors(
    values: dict[str, object], message: str
) -> None:
    assert_invalid(Config, values, message)


def test_the_geometry_factor() -> None:
    assert GeometryConfig().factor == 1.0
    assert GeometryConfig(incidence=30, takeoff=90).factor == pytest.approx(0.5)


def test_execution_is_not_part_of_the_hash() -> None:
    sections = [name for name in Config.model_fields if name != "execution"]
    default = Config()
    execution = ExecutionConfig(scheduler="serial", workers=7, memory="9GB")
    assert default.science(*sections) == Config(execution=execution).science(*sections)
    wide_bins = Config(map=MapConfig(step=1.0))
    assert default.science("map") != wide_bins.science("map")
    assert set(default.science("map", "regions")) == {"map", "regions"}


@given(
    low=st.integers(30, 500),
    n_bins=st.integers(1, 2000),
    step=st.sampled_from([0.1, 0.2, 0.25, 0.5, 1.0]),
)
def test_rounding_does_not_matter_for_whole_numbers_of_bins(
    low: int, n_bins: int, step: float
) -> None:
    assert MapConfig(emission=(low, low + n_bins * step), step=step).step == step


@pytest.mark.parametrize(
    "bins", [{"emission": [0.2, 1.1], "step": 0.0005}, {"emission": [2e5, 1.1e6]}]
)
def test_emission_energies_in_other_units_are_refused(bins):
    with pytest.raises(
        ValidationError, match=r"emission\n.*looks like [km]eV; give eV"
    ):
        Config.model_validate({"map": bins})


def test_incident_bins_in_kev_are_refused():
    with pytest.raises(ValidationError, match=r"incident\n.*looks like keV"):
        Config.model_validate({"map": {"incident": [0.76, 0.8], "incident_step": 1}})
