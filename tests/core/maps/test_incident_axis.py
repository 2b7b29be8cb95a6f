"""The incident axis that passes share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.maps import incident_axis
from rixs_pipeline.core.maps.binning import bin_index
from rixs_pipeline.core.maps.incident_axis import (
    common_grid,
    grid_index,
    midpoint_edges,
)

POINTS = np.array([780.0, 781.0, 783.0])
SCAN = np.arange(768.0, 805.0, 0.4)


def test_equal_passes_share_their_points():
    axis = incident_axis.shared_axis([POINTS, POINTS[::-1]])
    assert axis.energy.tolist() == POINTS.tolist()
    assert axis.edges is None
    assert axis.is_common
    assert axis.index(np.array([783.0, 780.0004, 782.0])).tolist() == [2, 0, -1]


def test_different_passes_go_into_bins_around_the_points_of_the_longest():
    axis = incident_axis.shared_axis([POINTS[:2] + 0.2, POINTS])
    assert axis.edges.tolist() == [779.5, 780.5, 782.0, 784.0]
    assert axis.energy.tolist() == [780.0, 781.25, 783.0]
    assert not axis.is_common
    assert axis.index(np.array([780.2, 781.2, 784.0])).tolist() == [0, 1, -1]


def test_shifted_passes_go_into_bins_around_their_measured_points():
    axis = incident_axis.shared_axis([POINTS, POINTS], has_moved=True)
    assert axis.energy.tolist() == POINTS.tolist()
    assert axis.edges.tolist() == [779.5, 780.5, 782.0, 784.0]
    assert axis.is_common


def test_points_without_a_width_have_no_bins():
    with pytest.raises(ValueError, match="two different incident energies"):
        incident_axis.shared_axis([POINTS[:1], POINTS[:1]], has_moved=True)


def test_bins_of_a_given_width():
    axis = incident_axis.axis_of_bins((779.0, 783.0), 2.0)
    assert axis.energy.tolist() == [780.0, 782.0]
    assert axis.index(POINTS).tolist() == [0, 1, -1]


def test_rows_of_the_points_that_all_passes_have():
    first = np.array([780.0, 781.0, 782.0, 783.0])
    second = np.array([784.0, 783.0, 781.0])
    rows = incident_axis.shared_rows([first, second])
    assert [row.tolist() for row in rows] == [[1, 3], [2, 1]]


def test_passes_without_a_shared_point_have_no_rows():
    rows = incident_axis.shared_rows([POINTS, POINTS + 0.5])
    assert [row.tolist() for row in rows] == [[], []]


def test_same_points_in_any_direction_aborted_and_jittered() -> None:
    jitter = 4e-4 * (-1) ** np.arange(len(SCAN))
    grid = common_grid([SCAN, SCAN[::-1], SCAN[:10], SCAN[30:50] + jitter[30:50]])
    assert grid is not None
    np.testing.assert_allclose(grid, SCAN, atol=5e-4)
    np.testing.assert_array_equal(
        grid[:30], SCAN[:30]
    )  # where all agree, exactly as measured


def test_passes_over_neighbouring_ranges() -> None:
    np.testing.assert_array_equal(common_grid([SCAN[50:], SCAN[:60]]), SCAN)
    np.testing.assert_array_equal(
        common_grid([SCAN[60:], SCAN[:50]]), np.r_[SCAN[:50], SCAN[60:]]
    )


def test_repeated_energies_are_one_point() -> None:
    np.testing.assert_array_equal(
        common_grid([np.array([2.0, 1.0, 1.0, 2.0, 3.0])]), [1.0, 2.0, 3.0]
    )


@pytest.mark.parametrize(
    "other",
    [
        np.array([770.1]),  # between points of the first
        SCAN + 0.2,
        SCAN[:5] + 2e-3,
        np.array([768.0, 768.0009, 768.0018]),  # a chain wider than the tolerance
    ],
)
def test_differing_grids(other: np.ndarray) -> None:
    assert common_grid([SCAN, other]) is None
    assert common_grid([other, SCAN]) is None


@pytest.mark.parametrize("other", [np.delete(SCAN, 40), SCAN[::2], SCAN[[3, 90]]])
def test_a_pass_that_has_all_points_is_the_grid(other: np.ndarray) -> None:
    """The other pass adds nothing to the points that it lacks."""
    np.testing.assert_array_equal(common_grid([SCAN, other]), np.unique(SCAN))
    np.testing.assert_array_equal(common_grid([other, SCAN]), np.unique(SCAN))


def test_unknown_energies_are_outside() -> None:
    grid = common_grid([np.array([1.0, np.nan, 2.0])])
    np.testing.assert_array_equal(grid, [1.0, 2.0])
    np.testing.assert_array_equal(
        grid_index(np.array([np.nan, 2.0009, 1.5, 0.9]), grid), [-1, 1, -1, -1]
    )
    np.testing.assert_array_equal(grid_index(np.array([1.0]), np.array([])), [-1])


def test_midpoint_edges_hold_the_points_of_their_pass() -> None:
    points = np.array([3.0, 1.0, 2.0, 2.0, 5.0])
    edges = midpoint_edges(points)
    np.testing.assert_allclose(edges, [0.5, 1.5, 2.5, 4.0, 6.0])
    np.testing.assert_array_equal(bin_index(points, edges), [2, 0, 1, 1, 3])
    with pytest.raises(ValueError, match="two different incident energies"):
        midpoint_edges(np.array([1.0, 1.0]))


@given(
    st.lists(
        st.lists(st.floats(0, 1e-2), min_size=1, max_size=8), min_size=1, max_size=4
    )
)
def test_a_common_grid_takes_every_point(scans: list[list[float]]) -> None:
    """Points as close as the tolerance: if there is a grid, it has them all."""
    arrays = [np.array(scan) for scan in scans]
    grid = common_grid(arrays)
    assert grid is None or all((grid_index(scan, grid) >= 0).all() for scan in arrays)
