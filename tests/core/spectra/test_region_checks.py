"""What a region includes without intention."""

from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.region_checks import (
    count_elastic_points,
    excluded_share,
    find_unintended,
    select_lines_inside,
)
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.types import Edge
from tests.core.spectra.builders import make_region
from tests.core.spectra.thick_sample import EDGES, INCIDENT, thick_sample

LINES = {"O_Ka": 524.9, "Co_La": 776.0, "Co_Lb": 791.0, "V_La": 511.0}


def find(data: MapData, **region: object) -> list[str]:
    checked = make_region(**region)
    return find_unintended(
        checked, data, region_weights(checked, INCIDENT, EDGES), Edge.Co_L, LINES
    )


def test_unintended_contents_of_a_region_are_reported() -> None:
    data = thick_sample(np.random.default_rng(6))
    assert find(data, kind="pfy", emission=[762, 769]) == []
    whole = {"kind": "pfy", "emission": [762, 800]}
    assert find(data, **whole, exclude_elastic=None) == []
    assert find(data, **whole, background={"kind": "elastic"}) == []
    assert "elastic line at" in find(data, kind="pfy", emission=[762, 800])[0]
    assert find(data, kind="pfy", emission=[500, 700]) == [
        "includes emission of O_Ka (524.9 eV)"
    ]
    assert find(data, kind="ipfy", emission=[510, 540]) == []
    assert (
        find(data, kind="ipfy", emission=[762, 800])[-1]
        == "includes emission of Co_La (776.0 eV)"
    )
    assert find(data, kind="tfy") == []


def test_fluorine_is_known_though_no_reference_sample_shows_it() -> None:
    data = thick_sample(np.random.default_rng(6))
    line = np.zeros_like(data.counts)
    line[:, np.abs(data.centres - 676.8) < 1] = 40
    region: dict[str, object] = {
        "kind": "pfy",
        "emission": [660, 800],
        "exclude_elastic": None,
    }
    assert find(data, **region) == []
    assert find(replace(data, counts=data.counts + line), **region) == [
        "includes emission of F_Ka (676.8 eV)"
    ]


def test_the_elastic_line_is_counted_where_more_than_half_of_it_is_inside() -> None:
    data = thick_sample()
    weights = region_weights(make_region(emission=[780, 790]), INCIDENT, EDGES)
    inside = (INCIDENT > 780) & (INCIDENT < 790)
    assert abs(count_elastic_points(data, weights) - inside.sum()) <= 2
    weights = region_weights(make_region(exclude_elastic=3), INCIDENT, EDGES)
    assert count_elastic_points(data, weights) == 0


def test_lines_count_only_where_the_light_excites_them() -> None:
    data = thick_sample()
    lines = {"O_Ka": 524.9, "Co_Lb": 791.0, "Ni_La": 851.5}
    weights = region_weights(make_region(), INCIDENT, EDGES)
    assert set(select_lines_inside(data, weights, lines)) == {"O_Ka", "Co_Lb"}
    below = region_weights(make_region(incident=[770, 790]), INCIDENT, EDGES)
    assert set(select_lines_inside(data, below, lines)) == {"O_Ka"}


def test_a_band_cut_out_of_the_fluorescence_is_reported_with_its_share() -> None:
    """Of emission at one energy, what a band takes is known."""
    data = thick_sample()
    fluorescence = np.abs(data.centres - 776.25) < 2
    counts = np.zeros_like(data.counts)
    counts[np.ix_(INCIDENT > 778, fluorescence)] = 100
    data = replace(data, counts=counts)
    region = make_region(kind="pfy", emission=[762, 800], exclude_elastic=3)
    weights = region_weights(region, INCIDENT, EDGES)
    share = excluded_share(region, data, weights)
    kept = region_weights(make_region(exclude_elastic=3), INCIDENT, EDGES)
    bright = INCIDENT > 778
    lost = (100 * fluorescence * (1 - kept))[bright].sum()
    total = 100 * fluorescence.sum() * bright.sum()
    assert share == pytest.approx(lost / total, abs=0.01)
    finding = find(data, kind="pfy", emission=[762, 800], exclude_elastic=3)[0]
    assert finding.startswith(f"excludes {100 * share:.0f} % of its emission")
    away = make_region(kind="pfy", emission=[762, 800], exclude_elastic=3)
    no_light = replace(data, counts=data.counts * 0)
    assert excluded_share(away, no_light, weights) == 0
