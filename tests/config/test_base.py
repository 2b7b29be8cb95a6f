import pytest
from pydantic import ValidationError

from rixs_pipeline.config.base import Limits, Model


class Window(Model):
    limits: Limits | None = None


def test_limits_ascend() -> None:
    assert Window.model_validate({"limits": [1, 2]}).limits == (1, 2)
    assert Window().limits is None
    with pytest.raises(ValidationError, match=r"\[2.0, 1.0\] must be \[low, high\]"):
        Window.model_validate({"limits": [2, 1]})


@pytest.mark.parametrize("limits", [[1, float("nan")], [1, float("inf")], [1], 1])
def test_limits_are_two_finite_numbers(limits: object) -> None:
    with pytest.raises(ValidationError):
        Window.model_validate({"limits": limits})
