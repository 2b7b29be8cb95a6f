import numpy as np
import pytest

from rixs_pipeline.core.elastic.fit_windows import (
    NO_ELASTIC_LINE,
    find_windows,
    smooth_rate,
)
from rixs_pipeline.core.elastic.fluorescence import MapBand


def band(exposure: list[float]) -> MapBand:
    """Return a band of 20 bins of 1 eV from 500 eV without counts."""
    incident = np.array([510.25, 511.25])
    edges = 500.0 + np.arange(21)
    return MapBand(np.zeros((2, 20)), np.array(exposure), edges, incident)


def test_windows_follow_the_elastic_line():
    windows = find_windows(band([1.0, 1.0]), offset=0.5, below=3.0, above=2.0)
    assert windows.columns.tolist() == [[7, 8, 9, 10, 11, 12], [8, 9, 10, 11, 12, 13]]
    assert windows.is_inside.all()
    np.testing.assert_allclose(windows.edges[0], np.arange(507.0, 514.0))


def test_bins_outside_the_band_and_unexposed_points_are_not_inside():
    windows = find_windows(band([1.0, 0.0]), offset=7.0, below=3.0, above=5.0)
    assert windows.columns[0].tolist() == [14, 15, 16, 17, 18, 19, 19, 19, 19]
    assert windows.is_inside[0].tolist() == [True] * 6 + [False] * 3
    assert not windows.is_inside[1].any()


def test_map_without_the_line_is_refused():
    with pytest.raises(ValueError, match=NO_ELASTIC_LINE):
        find_windows(band([1.0, 1.0]), offset=50.0, below=3.0, above=2.0)


def test_smooth_rate_leaves_out_the_bin_itself():
    counts = np.zeros((5, 5))
    counts[2, 2] = 70.0
    rate = smooth_rate(counts, np.full((5, 5), 2.0), (3, 3))
    # 8 bins of 2 s around each, one count added
    np.testing.assert_allclose(rate[2, 2], 1 / 16)
    np.testing.assert_allclose(rate[2, 1], 71 / 16)
