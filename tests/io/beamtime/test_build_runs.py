from itertools import pairwise

import numpy as np
import pytest

from rixs_pipeline.io.beamtime.build_runs import EDGE_WINDOWS, find_edge
from rixs_pipeline.types import Edge


def test_every_edge_of_the_config_has_a_window():
    assert set(EDGE_WINDOWS) == set(Edge)


def test_windows_do_not_overlap():
    windows = sorted(EDGE_WINDOWS.values())
    assert all(left[1] < right[0] for left, right in pairwise(windows))


@pytest.mark.parametrize(
    ("low", "high", "edge"),
    [
        (768.0, 804.8, "Co_L"),
        (520.0, 560.0, "O_K"),
        (531.0, 531.0, "O_K"),
        (840.0, 890.0, "Ni_L"),
        (680.0, 710.0, "F_K"),
        (684.0, 720.0, "F_K"),
        (660.0, 705.0, "F_K"),
        (690.0, 692.0, "F_K"),
        (700.0, 730.0, "Fe_L"),
        (695.0, 735.0, "Fe_L"),
        (708.0, 708.0, "Fe_L"),
        (680.0, 735.0, None),
        (660.0, 760.0, None),
        (635.0, 720.0, "Mn_L"),
        (600.0, 630.0, None),
        (1200.0, 1300.0, None),
    ],
)
def test_edge_by_the_incident_range(low, high, edge):
    assert find_edge(np.array([high, low])) == edge
