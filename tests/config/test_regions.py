from typing import Any

import pytest

from rixs_pipeline.config import Region
from rixs_pipeline.types import Edge
from tests.config.helpers import assert_invalid


@pytest.mark.parametrize("edge", Edge)
def test_a_region_may_be_of_every_edge(edge: Edge) -> None:
    assert Region(kind="pfy", edge=edge).edge == edge


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss": [3, -3]}, "must be [low, high] with low < high"),
        ({"scale": [3, 2]}, "must be [low, high] with low < high"),
        ({"features": {"dd": [4, 1]}}, "must be [low, high] with low < high"),
        ({"pieces": [{"incident": [2, 2]}]}, "must be [low, high] with low < high"),
        ({"polygon": [[1, 2], [3, 4]]}, "at least 3"),
        ({"edge": "Co_K"}, "Co_L"),
        ({"kind": None}, "kind: is missing"),
        ({"cuts": [780]}, "require `kind: xes`"),
        ({"axis": "loss"}, "require `kind: xes`"),
        ({"step": 1.0}, "`step` requires `kind: xes`"),
        ({"kind": "xes", "step": 0}, "greater than 0"),
        ({"kind": "xes", "cuts": [[2, 1]]}, "must be [low, high] with low < high"),
        ({"kind": "xes", "scale": "edge"}, "does not apply to emission spectra"),
        (
            {"kind": "xes", "background": {"kind": "leak"}},
            "`kind: leak` does not apply to emission spectra",
        ),
        (
            {"kind": "xes", "background": [{"kind": "linear"}]},
            "`kind: linear` does not apply to emission spectra",
        ),
        (
            {"kind": "ipfy", "self_absorption": {"background": 1, "fluorescence": 1}},
            "`self_absorption` requires `kind: pfy`, `kind: spfy` or `kind: tfy`",
        ),
        ({"background": {"kind": "sideband", "emission": [2, 1]}}, "low < high"),
        ({"background": {"kind": "sideband", "emission": []}}, "at least 1"),
        ({"background": {"kind": "leak", "tail_fraction": 0.5}}, "less than 0.5"),
    ],
)
def test_keys_that_do_not_fit_are_errors(values: dict[str, Any], message: str) -> None:
    assert_invalid(Region, {"kind": "pfy"} | values, message)


def test_a_single_background_needs_no_list() -> None:
    window = {"kind": "sideband", "emission": [500, 508]}
    windows = {"kind": "sideband", "emission": [[500, 508]]}
    single = Region.model_validate({"kind": "pfy", "background": window})
    listed = Region.model_validate({"kind": "pfy", "background": [windows]})
    assert single == listed
    assert single.model_dump() == listed.model_dump()


def test_a_preset_needs_no_kind() -> None:
    region = Region(preset=Edge.Co_L)
    assert region.kind is None
    assert region.model_fields_set == {"preset"}
