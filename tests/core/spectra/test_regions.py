"""Regions: limits, and what counts as limited."""

import numpy as np
import pytest

from rixs_pipeline.core.spectra.regions import Limits
from tests.core.spectra.builders import make_region


def test_limits_include_their_lower_end_only():
    inside = Limits(1.0, 2.0).contains(np.array([0.9, 1.0, 1.5, 2.0]))
    assert inside.tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    "mapping",
    [
        {"emission": [500, 510]},
        {"incident": [500, 510]},
        {"loss": [0, 5]},
        {"polygon": [[0, 0], [1, 0], [1, 1]]},
        {"pieces": [{"emission": [500, 510]}]},
        {"kind": "xes", "cuts": [530.0]},
        {"kind": "elastic"},
    ],
)
def test_regions_with_limits_are_limited(mapping):
    assert make_region(**mapping).is_limited


def test_the_whole_map_is_not_limited():
    assert not make_region(kind="tfy", exclude_elastic=3).is_limited


def test_only_an_elastic_region_has_a_default_loss():
    assert make_region(kind="elastic").loss == (-3, 3)
    assert make_region(kind="elastic", loss=[-1, 1]).loss == (-1, 1)
    assert make_region(kind="pfy").loss is None


def test_the_user_decides_on_the_elastic_line_by_loss_or_exclude_elastic():
    assert make_region(loss=[1, 5]).accepts_elastic
    assert make_region(exclude_elastic=None).accepts_elastic
    assert not make_region(emission=[500, 510]).accepts_elastic
