"""Sums over regions against sums by hand."""

import numpy as np
import pytest

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.core.spectra.region_sums import (
    SpectrumAxis,
    relative_slope,
    sum_region,
)
from tests.core.spectra.builders import make_region

EDGES = np.arange(500.0, 510.1, 0.5)
INCIDENT = np.array([508.0, 509.0, 511.5])
COUNTS = np.random.default_rng(1).poisson(5.0, (3, 20))
EXPOSURE = np.array([10.0, 0.0, 30.0])
DATA = MapData(COUNTS, EXPOSURE, EDGES, INCIDENT, exposure_errors=0.1 * EXPOSURE)


def test_along_incident_energy():
    region = make_region(emission=[502.1, 505])
    weights = region_weights(region, INCIDENT, EDGES)
    sums = sum_region(DATA, region)
    assert sums.axis is SpectrumAxis.INCIDENT
    np.testing.assert_allclose(sums.number, (weights * COUNTS).sum(axis=1))
    np.testing.assert_allclose(sums.variance, (weights**2 * COUNTS).sum(axis=1))
    np.testing.assert_array_equal(sums.exposure, [10, np.nan, 30])
    np.testing.assert_allclose(sums.relative_error, [0.1, 0, 0.1])
    assert sums.is_covered.all()


def test_along_emission_energy_only_exposed_points_count():
    sums = sum_region(DATA, make_region(kind="xes", emission=[502, 505]))
    assert sums.axis is SpectrumAxis.EMISSION
    inside = (DATA.centres > 502) & (DATA.centres < 505)
    np.testing.assert_array_equal(sums.is_covered, inside)
    expected = COUNTS[[0, 2]].sum(axis=0)
    np.testing.assert_allclose(sums.number[inside], expected[inside])
    np.testing.assert_allclose(sums.exposure[inside], 40)
    np.testing.assert_allclose(sums.divisor[inside], 40 * 0.5)
    np.testing.assert_allclose(sums.relative_error[inside], np.hypot(1, 3) / 40)


def test_along_energy_loss_no_photon_is_lost():
    sums = sum_region(DATA, make_region(kind="xes", axis="loss"))
    assert sums.axis is SpectrumAxis.LOSS
    assert sums.number.sum() == pytest.approx(COUNTS[[0, 2]].sum())
    mean = (sums.number * sums.energy).sum() / sums.number.sum()
    loss = INCIDENT[:, None] - DATA.centres
    weights = COUNTS * (EXPOSURE > 0)[:, None]
    assert mean == pytest.approx((weights * loss).sum() / weights.sum())


def test_counts_are_divided_by_the_efficiency():
    data = MapData(COUNTS, EXPOSURE, EDGES, INCIDENT, efficiency=np.full(20, 0.5))
    sums = sum_region(data, make_region())
    np.testing.assert_allclose(sums.number, 2 * COUNTS.sum(axis=1))
    np.testing.assert_allclose(sums.counts, COUNTS.sum(axis=1))
    np.testing.assert_allclose(sums.largest_weight, 2)


LINE_EDGES = np.arange(500.0, 545.1, 0.5)
LINE_INCIDENT = np.array([530.0, 540.0])


def line(centre, counts=1e6, sigma=1.5):
    """Counts (point, bin) of a Gaussian line at both points."""
    density = np.exp(
        -0.5 * (((LINE_EDGES[1:] + LINE_EDGES[:-1]) / 2 - centre) / sigma) ** 2
    )
    return np.round(counts * density / density.sum() * np.ones((2, 1))).astype(np.int64)


def test_a_window_on_a_flank_gains_what_the_line_brings():
    region = make_region(kind="spfy", emission=(522.0, 523.0))
    slope = relative_slope(
        line(525.0), region, LINE_INCIDENT, LINE_EDGES, along_emission=False
    )
    inside = [
        (
            line(525.0 + s)[0] * ((LINE_EDGES[:-1] >= 522) & (LINE_EDGES[1:] <= 523))
        ).sum()
        for s in (-0.5, 0.0, 0.5)
    ]
    assert inside[0] > inside[2]
    assert slope == pytest.approx((inside[2] - inside[0]) / inside[1], rel=0.02)


def test_along_the_emission_a_line_falls_before_it_and_rises_behind():
    region = make_region(kind="xes", emission=(515.0, 535.0))
    slope = relative_slope(
        line(525.0), region, LINE_INCIDENT, LINE_EDGES, along_emission=True
    )
    energy = (LINE_EDGES[1:] + LINE_EDGES[:-1]) / 2
    near = np.abs(energy - 525) < 2
    assert slope[near] == pytest.approx((energy[near] - 525) / 1.5**2, abs=0.05)
    assert not slope[(energy < 515) | (energy > 535)].any()


def test_few_counts_make_no_steep_slope():
    counts = np.zeros((2, len(LINE_EDGES) - 1), np.int64)
    counts[0, 50] = 1
    region = make_region(kind="xes", emission=(515.0, 535.0))
    slope = relative_slope(
        counts, region, LINE_INCIDENT, LINE_EDGES, along_emission=True
    )
    assert np.abs(slope).max() <= 1.0
