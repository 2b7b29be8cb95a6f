"""Regions of the config: presets, cuts, and their conversion."""

import numpy as np
import pytest

from rixs_pipeline.config import Comparison, Region
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.stages.sample.configured_regions import (
    core_region,
    is_requested,
    resolve_regions,
    select_regions,
)

EDGES = np.arange(500.0, 540.1, 0.5)
INCIDENT = np.arange(525.0, 545.0, 0.25)


def test_preset_fills_in_missing_keys() -> None:
    found = resolve_regions(
        {
            "mine": Region.model_validate(
                {
                    "kind": "pfy",
                    "preset": "Co_L",
                    "emission": [770, 780],
                    "scale": "edge",
                }
            ),
            "all": Region.model_validate({"preset": "O_K", "scale": "max"}),
            "plain": Region(kind="pfy"),
        }
    )
    assert (
        found["mine"].emission,
        found["mine"].exclude_elastic,
        found["mine"].edge,
    ) == ((770, 780), None, "Co_L")
    assert {
        "all_PFY",
        "all_sPFY",
        "all_TFY",
        "all_XES_531",
        "all_ELASTIC",
    } <= found.keys()
    assert found["all_sPFY"].emission == (523, 524)
    assert all(r.scale == "max" for name, r in found.items() if name.startswith("all"))
    assert all(r.preset is None for r in found.values())


def test_cuts_are_spectra_of_their_own() -> None:
    found = resolve_regions(
        {"X": Region.model_validate({"kind": "xes", "cuts": [530.3, [531, 532]]})}
    )
    assert list(found) == ["X_530p3", "X_531_532"]
    assert INCIDENT[
        region_weights(core_region(found["X_530p3"]), INCIDENT, EDGES).any(axis=1)
    ].tolist() == [530.25]
    assert INCIDENT[
        region_weights(core_region(found["X_531_532"]), INCIDENT, EDGES).any(axis=1)
    ].tolist() == [531, 531.25, 531.5, 531.75]
    beyond = Region.model_validate({"kind": "xes", "cuts": [600.0]})
    assert not region_weights(
        core_region(resolve_regions({"B": beyond})["B_600"]), INCIDENT, EDGES
    ).any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"window": (778, 784), "regions": ("Co_PFY",)}, True),
        ({"window": (528, 534), "regions": ("Co_PFY",)}, False),
        ({"regions": ("O_sPFY",)}, False),
        # the axis of an emission spectrum is the emission energy, which ends at 800
        ({"window": (528, 534), "regions": ("Co_XES_L3",)}, True),
        ({"window": (850, 860)}, False),
    ],
)
def test_only_regions_and_windows_of_the_edge_are_requested(options, expected):
    comparison = Comparison(samples=("a", "b"), **options)
    presets = select_regions("Co_L", None)
    assert is_requested(comparison, presets, (770.0, 800.0)) is expected
