"""What users should know about a region."""

import numpy as np
import pytest

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.inverse_yield_line import check_line
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.regions import Limits, Region, RegionKind, Scale
from rixs_pipeline.core.spectra.yields import ExtractionInputs
from rixs_pipeline.stages.sample.spectrum_checks import (
    check_region,
    choose_emission_line,
)
from rixs_pipeline.types import Edge

INPUTS = ExtractionInputs(Edge.Co_L)
INCIDENT = np.arange(770.0, 800.0)
EDGES = np.arange(500.0, 561.0)


def rixs_map(counts):
    table = np.broadcast_to(counts, (len(INCIDENT), len(EDGES) - 1)).astype(np.int64)
    return MapData(table, np.ones(len(INCIDENT)), EDGES, INCIDENT)


def test_an_inverse_yield_without_limits_gets_the_brightest_line():
    oxygen = np.where((EDGES[:-1] >= 510) & (EDGES[:-1] < 540), 30, 0)
    region = Region(kind=RegionKind.IPFY)
    line = choose_emission_line(region, rixs_map(oxygen), Edge.Co_L)
    assert (line.name, line.window) == ("O_Ka", (510, 540))


@pytest.mark.parametrize(
    "region",
    [
        Region(kind=RegionKind.IPFY, emission=Limits(510, 540)),
        Region(kind=RegionKind.IPFY, loss=Limits(200, 280)),
    ],
)
def test_inverse_yields_with_limits_get_no_line(region):
    assert choose_emission_line(region, rixs_map(30), Edge.Co_L) is None


def test_a_line_that_changes_its_shape_is_reported():
    counts = np.full((len(INCIDENT), len(EDGES) - 1), 20)
    counts[15:, 20:] = 60
    counts[15:, :20] = 5
    region = Region(kind=RegionKind.IPFY, emission=Limits(500, 560))
    data = rixs_map(counts)
    test = check_line(data, region_weights(region, INCIDENT, EDGES))
    assert not test.passed
    warnings = check_region(region, data, INPUTS, {}, test)
    expected = "is based on a line whose shape changes over the scan (p = "
    assert warnings[-1].startswith(expected)


def test_a_region_that_includes_the_elastic_line_is_reported():
    edges = np.arange(760.0, 811.0)
    counts = np.ones((len(INCIDENT), len(edges) - 1), np.int64)
    data = MapData(counts, np.ones(len(INCIDENT)), edges, INCIDENT)
    region = Region(kind=RegionKind.PFY, emission=Limits(760, 810))
    warnings = check_region(region, data, INPUTS, {})
    assert any("elastic line" in warning for warning in warnings)
    accepted = Region(
        kind=RegionKind.PFY, emission=Limits(760, 810), accepts_elastic=True
    )
    assert check_region(accepted, data, INPUTS, {}) == []


def test_a_default_window_without_points_is_reported():
    region = Region(kind=RegionKind.TFY, scale=Scale.EDGE, post_edge=Limits(790, 800))
    data = rixs_map(30)
    late = MapData(data.counts[7:], data.exposure[7:], EDGES, INCIDENT[7:])
    (warning,) = check_region(region, late, INPUTS, {})
    assert warning.startswith("has too few points in the default pre_edge window; ")
    assert warning.endswith("(set `pre_edge`)")
