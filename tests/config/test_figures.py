import pytest

from rixs_pipeline.config import MultiPanelFigure
from tests.config.helpers import assert_invalid

FIGURE = {"kind": "cuts", "samples": ["a"], "edges": ["O_K"], "incident": [530, 531]}


def test_a_single_channel_needs_no_list() -> None:
    figure = {"kind": "xas", "samples": ["a"], "edges": ["Co_L"]}
    single = MultiPanelFigure.model_validate(figure | {"channel": "tfy"})
    listed = MultiPanelFigure.model_validate(figure | {"channel": ["tfy"]})
    assert single == listed
    assert single.channel == ("tfy",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"incident": []}, "requires `incident`; set it to a list of energies"),
        (
            {"compared": 532},
            "compared: must be one of the energies in `incident`, not 532",
        ),
        ({"samples": []}, "at least 1"),
        ({"emission": [535, 515]}, "must be [low, high] with low < high"),
    ],
)
def test_invalid_figures_are_errors(changes: dict[str, object], message: str) -> None:
    assert_invalid(MultiPanelFigure, FIGURE | changes, message)


def test_cuts_may_name_the_compared_energy() -> None:
    figure = MultiPanelFigure.model_validate(FIGURE | {"compared": 531})
    assert figure.compared == 531
