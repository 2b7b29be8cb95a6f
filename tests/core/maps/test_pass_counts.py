"""Yields of passes in a region."""

import numpy as np

from rixs_pipeline.core.maps.pass_counts import PassCounts

COUNTS = [np.array([[4, 9], [0, 0], [1, 1]]), np.array([[16, 0], [2, 2], [5, 5]])]
EXPOSURE = [np.array([2.0, 1.0, 0.0]), np.array([4.0, 2.0, 1.0])]
WEIGHTS = np.array([[1.0, 0.5]] * 3)


def test_a_yield_is_the_weighted_sum_of_counts_over_the_exposure():
    yields = PassCounts(COUNTS, EXPOSURE, WEIGHTS).yields()
    np.testing.assert_allclose(yields.values[0], [8.5 / 2, 0.0, np.nan])
    np.testing.assert_allclose(yields.values[1], [4.0, 1.5, 7.5])


def test_its_error_is_at_least_that_of_one_count():
    yields = PassCounts(COUNTS, EXPOSURE, WEIGHTS).yields()
    np.testing.assert_allclose(
        yields.errors[0], [np.sqrt(6.25) / 2, 1.0, np.sqrt(1.25)]
    )


def test_cells_run_along_the_incident_energy():
    cells = PassCounts(COUNTS, EXPOSURE, WEIGHTS).cells()
    assert set(cells.place.tolist()) == {0, 1}, "one pass alone at the last point"
    assert cells.counts.sum(axis=0).tolist() == [13, 20]
