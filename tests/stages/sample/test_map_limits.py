"""Points and photons that the limits of the config keep out of the maps."""

import numpy as np
import pytest

from rixs_pipeline.config import MapConfig, NormaliseConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import POINT_NO_BEAM
from rixs_pipeline.stages.sample.combine_scans import combine_scans
from rixs_pipeline.stages.sample.map_limits import photons_outside, points_outside
from tests.stages.builders import scan_map

E = np.array([780.0, 781.0, 782.0])
COUNTS = [[1, 2], [3, 4], [5, 6]]


def bins(low, high):
    return MapConfig(incident=(low, high), incident_step=1.0)


def test_points_within_the_bins():
    assert points_outside(E, MapConfig(), "A-Co_L") == []
    assert points_outside(E, bins(780, 783), "A-Co_L") == []


def test_points_outside_are_one_line_with_their_number():
    # bins are half-open: a point at their upper end is not in them
    assert points_outside(E, bins(781, 782), "A-Co_L") == [
        "A-Co_L: 2 of 3 points outside `map.incident` (781 to 782 eV), not in the map "
        "(scans cover 780.00 to 782.00 eV); extend it to include them"
    ]


def test_a_map_without_a_point_is_an_error():
    with pytest.raises(RunFailed) as error:
        points_outside(E, bins(525, 550), "A-Co_L")
    assert str(error.value) == (
        "A-Co_L: no point within `map.incident` (525 to 550 eV), scans cover 780.00 to "
        "782.00 eV; extend or unset it"
    )


def test_only_points_that_are_used_count():
    status = [POINT_NO_BEAM, 0, 0]
    scan = scan_map(COUNTS, E, [0, 1, 1], status=status)
    normalise = NormaliseConfig()
    assert combine_scans([scan], bins(781, 783), "m", normalise).warnings == []
    (line,) = combine_scans([scan], bins(780, 782), "m", normalise).warnings
    assert line.startswith("m: 1 of 2 points outside `map.incident`")
    with pytest.raises(RunFailed, match="m: no point within"):
        combine_scans([scan], bins(780, 781), "m", normalise)


def test_an_exposed_map_without_a_photon_is_reported():
    exposed = scan_map(np.zeros((3, 2), int), E)
    assert photons_outside(exposed, MapConfig(emission=(200, 400)), "m") == [
        "m: no photons within `map.emission` (200 to 400 eV)"
    ]
    assert photons_outside(scan_map(COUNTS, E), MapConfig(), "m") == []
    unexposed = scan_map(np.zeros((3, 2), int), E, [0, 0, 0])
    assert photons_outside(unexposed, MapConfig(), "m") == []
