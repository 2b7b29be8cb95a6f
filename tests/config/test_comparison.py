import pytest

from rixs_pipeline.config import Comparison, PassesConfig
from tests.config.helpers import assert_invalid

FEATURE = {"region": "O_sPFY", "window": [530, 532]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": ["a"]}, "at least 2"),
        ({"samples": ["a", "b", "a"]}, "samples: 'a' is there more than once"),
        ({"scale": "fixed"}, "'free' or 'known'"),
        ({"scale": [540, 530]}, "must be [low, high] with low < high"),
        ({"feature": FEATURE | {"rest": "O_band"}}, "`rest` requires `baseline`"),
    ],
)
def test_invalid_comparisons_are_errors(
    values: dict[str, object], message: str
) -> None:
    assert_invalid(Comparison, {"samples": ["a", "b"]} | values, message)


def test_rest_is_scaled_in_the_baseline() -> None:
    feature = FEATURE | {"rest": "O_band", "baseline": [534, 550]}
    comparison = Comparison.model_validate({"samples": ["a", "b"], "feature": feature})
    assert comparison.feature is not None
    assert comparison.feature.baseline == (534, 550)


@pytest.mark.parametrize("level", [0, 0.5])
def test_the_probability_of_a_false_alarm_is_limited(level: float) -> None:
    assert_invalid(PassesConfig, {"level": level})
