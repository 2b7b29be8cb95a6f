"""The incident axis of passes."""

import numpy as np
import pytest

from rixs_pipeline.config import MapConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import POINT_NO_BEAM
from rixs_pipeline.stages.sample.pass_axis import (
    axis_of_passes,
    measured_energy,
    passes_on_map_axis,
    point_index,
    reading_over_i0,
)
from tests.stages.builders import scan_map

E = np.array([780.0, 781.0, 783.0])
COUNTS = np.ones((3, 2))


def shifted(scan, shift):
    """Return a scan whose incident energies were shifted after the measurement."""
    measured = ("incident_energy", scan["incident_energy"].values)
    return scan.assign_coords(
        incident_energy=scan["incident_energy"] + shift, measured_energy=measured
    )


def test_points_without_beam_have_no_place():
    scan = scan_map(COUNTS, E, status=[0, POINT_NO_BEAM, 0])
    axis = axis_of_passes([scan], "m")
    assert point_index(scan, axis).tolist() == [0, -1, 2]


def test_shifted_passes_share_the_measured_points():
    scans = [shifted(scan_map(COUNTS, E), shift) for shift in (0.1, -0.1)]
    assert measured_energy(scans[0]).tolist() == E.tolist()
    axis = axis_of_passes(scans, "m")
    assert axis.energy.tolist() == E.tolist()
    assert point_index(scans[0], axis).tolist() == [0, 1, 2]


def test_the_map_keeps_the_points_of_the_longest_pass():
    scans = [scan_map(COUNTS[:2], E[:2] + 0.2), scan_map(COUNTS, E)]
    passes = passes_on_map_axis(scans, MapConfig(), "m")
    assert passes.axis.energy.tolist() == E.tolist()
    assert not passes.axis.is_common
    assert [index.tolist() for index in passes.indices] == [[0, 1], [0, 1, 2]]


def test_the_bins_of_the_config_are_the_axis_of_the_map():
    config = MapConfig(incident=(779.0, 783.0), incident_step=2.0)
    passes = passes_on_map_axis([scan_map(COUNTS, E)], config, "m")
    assert passes.axis.energy.tolist() == [780.0, 782.0]
    assert passes.indices[0].tolist() == [0, 1, -1]


def test_points_that_are_too_close_fail_with_advice():
    near = [780.0 + 0.8e-3 * k for k in range(4)]
    scans = [scan_map(COUNTS[:1], [energy]) for energy in near]
    with pytest.raises(RunFailed, match=r"m: .*; set `map\.incident"):
        axis_of_passes(scans, "m")


def test_a_reading_over_an_i0_that_is_not_positive_is_unknown():
    scan = scan_map(COUNTS, E, reading_tey=[6, 5, 8])
    assert reading_over_i0(scan, "tey").tolist() == [6, 5, 8]
    scan = scan_map(COUNTS, E, i0=[2, 0, -4], reading_tey=[6, 5, 8])
    ratio = reading_over_i0(scan, "tey")
    np.testing.assert_array_equal(ratio, [3, np.nan, np.nan])
