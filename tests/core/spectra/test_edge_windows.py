"""Pre-edge and post-edge windows: configured or default, limited to the scan."""

import numpy as np
import pytest

from rixs_pipeline.core.spectra.edge_windows import EdgeWindows, find_edge_windows
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.core.spectra.regions import Limits
from rixs_pipeline.types import Edge

COBALT = PRESETS[Edge.Co_L].edge


@pytest.mark.parametrize(
    ("scan", "pre_edge", "post_edge", "unreached"),
    [
        # the default, whole or in part, where it holds three points
        ((752, 850), (750.5, 776.5), (798.5, 840.5), ()),
        ((776.2, 799.2), (776.2, 778.5), (796.9, 799.2), ("pre_edge", "post_edge")),
        ((770, 790), (750.5, 776.5), (788, 790), ("post_edge",)),
    ],
)
def test_default_windows_go_as_far_as_the_scan(scan, pre_edge, post_edge, unreached):
    incident = np.arange(scan[0], scan[1] + 0.01, 0.5)
    windows = find_edge_windows(COBALT, incident)
    assert windows.pre_edge == pytest.approx(pre_edge)
    assert windows.post_edge == pytest.approx(post_edge)
    assert windows.unreached == unreached
    assert windows.position == COBALT.position


def test_without_a_scan_the_defaults_are_as_they_are():
    assert find_edge_windows(COBALT) == COBALT


def test_windows_of_the_config_come_first_and_are_never_unreached():
    incident = np.arange(776.2, 799.3, 0.5)
    given = Limits(777, 778)
    windows = find_edge_windows(COBALT, incident, pre_edge=given)
    assert windows.pre_edge == given
    assert windows.unreached == ("post_edge",)


def test_the_position_is_in_the_middle_where_the_windows_do_not_enclose_the_edge():
    windows = find_edge_windows(
        COBALT, pre_edge=Limits(785, 787), post_edge=Limits(791, 799)
    )
    assert windows.position == 789


def test_without_defaults_both_windows_are_needed():
    before, after = Limits(770, 776), Limits(790, 800)
    assert find_edge_windows(None, pre_edge=before) is None
    windows = find_edge_windows(None, pre_edge=before, post_edge=after)
    assert windows == EdgeWindows(before, after, position=783)
