"""The incident axis that passes share."""

import numpy as np
import pytest

from rixs_pipeline.core.maps import incident_axis

POINTS = np.array([780.0, 781.0, 783.0])


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
    with pytest.raises(ValueError, match="two different points"):
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
