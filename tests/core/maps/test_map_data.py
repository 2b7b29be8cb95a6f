"""A map as plain arrays."""

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData

EDGES = np.array([500.0, 500.5, 501.0])


def make_map(**options: object) -> MapData:
    counts = np.array([[4, 6], [8, 2]])
    return MapData(
        counts, np.array([10.0, 0.0]), EDGES, np.array([1.0, 2.0]), **options
    )


def test_bins_have_centres_and_a_width():
    assert make_map().centres.tolist() == [500.25, 500.75]
    assert make_map().bin_width == 0.5


def test_relative_errors_are_zero_without_exposure_or_without_errors():
    assert make_map().relative_exposure_errors.tolist() == [0, 0]
    data = make_map(exposure_errors=np.array([0.5, 0.1]))
    assert data.relative_exposure_errors.tolist() == [0.05, 0]


def test_a_shift_moves_the_emission_scale_alone():
    shifted = make_map().shift_emission(1.0)
    assert shifted.emission_edges.tolist() == [501.0, 501.5, 502.0]
    assert shifted.incident.tolist() == [1.0, 2.0]
