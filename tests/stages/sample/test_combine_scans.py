import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.config.models import MapConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import POINT_EXCLUDED, POINT_NO_BEAM, RIXS_MAP, check
from rixs_pipeline.stages.sample.combine_scans import combine_scans
from tests.stages.builders import scan_map

PLAIN = MapConfig()
E = np.array([780.0, 781.0, 782.0])
ONE, TWO = [[1, 2], [3, 4], [5, 6]], [[10, 20], [30, 40], [50, 60]]


def combined(*scans, config=PLAIN):
    found, warnings = combine_scans(scans, config, "LMR-Co_L")
    check(found, RIXS_MAP, "here")
    return found, warnings


def test_counts_and_exposures_add_then_divide():
    found, warnings = combined(
        scan_map(ONE, E, [1, 2, 3]), scan_map(TWO, E, [10, 10, 10], name="scan0002")
    )
    assert found["counts"].values.tolist() == [[11, 22], [33, 44], [55, 66]]
    assert found["exposure"].values.tolist() == [11, 12, 13] and found[
        "live_time"
    ].values.tolist() == [4, 4, 4]
    np.testing.assert_allclose(
        found["intensity"].values, found["counts"].values / np.array([[11], [12], [13]])
    )
    errors = np.sqrt(found["counts"].values) / np.array([[11], [12], [13]])
    np.testing.assert_allclose(found["intensity_errors"].values, errors)
    assert found.attrs["scans"] == ["scan0001", "scan0002"] and json.dumps(
        found.attrs["scans"]
    )
    assert (found.attrs["sample"], found.attrs["edge"], warnings) == ("LMR", "Co_L", [])


def test_points_that_are_not_used_stay_out():
    status = [0, POINT_NO_BEAM, POINT_EXCLUDED]
    found, _ = combined(scan_map(ONE, E), scan_map(TWO, E, [1, 0, 0], status=status))
    assert found["counts"].values.tolist() == [[11, 22], [3, 4], [5, 6]]
    assert found["live_time"].values.tolist() == [4, 2, 2]


def test_a_point_that_no_scan_has_used_is_empty():
    found, _ = combined(scan_map(ONE, E, [1, 0, 1], status=[0, POINT_NO_BEAM, 0]))
    assert (
        found["counts"].values[1].sum() == 0
        and np.isnan(found["intensity"].values[1]).all()
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 5))
def test_the_order_of_the_scans_does_not_matter(seed, n):
    rng = np.random.default_rng(seed)
    scans = [
        scan_map(
            rng.poisson(3, (3, 2)), E[:: rng.choice([-1, 1])], rng.uniform(0.5, 2, 3)
        )
        for _ in range(n)
    ]
    found, again = (
        combined(*scans)[0],
        combined(*(scans[k] for k in rng.permutation(n)))[0],
    )
    np.testing.assert_array_equal(found["counts"].values, again["counts"].values)
    np.testing.assert_allclose(
        found["exposure"].values, again["exposure"].values, rtol=1e-12
    )
    assert found["counts"].values.sum() == sum(int(s["counts"].sum()) for s in scans)
    assert found["incident_energy"].values.tolist() == E.tolist()


def test_an_aborted_pass_adds_the_points_it_has():
    found, warnings = combined(scan_map(ONE, E), scan_map(TWO[:2], E[:2]))
    assert (
        found["counts"].values.tolist() == [[11, 22], [33, 44], [5, 6]]
        and warnings == []
    )


def test_other_points_go_into_bins_around_those_of_the_longest_pass_and_that_is_said():
    found, warnings = combined(scan_map(TWO[:2], E[:2] + 0.2), scan_map(ONE, E))
    assert found["incident_energy_edges"].values.tolist() == [
        779.5,
        780.5,
        781.5,
        782.5,
    ]
    assert found["counts"].values.tolist() == [[11, 22], [33, 44], [5, 6]]
    assert found.attrs["incident_binning"] == "bins"
    assert (
        len(warnings) == 1
        and "LMR-Co_L: its passes have different incident points" in warnings[0]
    )


def test_bins_of_the_config():
    config = MapConfig(incident=(779.0, 783.0), incident_step=2.0)
    found, warnings = combined(scan_map(ONE, E), config=config)
    assert found["counts"].values.tolist() == [[1, 2], [8, 10]] and warnings == []
    assert found["incident_energy"].values.tolist() == [780.0, 782.0]
    assert found["exposure"].values.tolist() == [1.0, 2.0]
    narrow, _ = combined(
        scan_map(ONE, E), config=MapConfig(incident=(780.5, 781.5), incident_step=1.0)
    )
    assert narrow["counts"].values.tolist() == [[3, 4]]


def test_passes_from_which_no_bins_follow_fail_and_say_what_to_do():
    chain = [
        scan_map([[1, 2]], [780.0 + k * 0.8e-3], name=f"scan{k}") for k in range(4)
    ]
    with pytest.raises(
        RunFailed, match=r"LMR-Co_L: .*set map\.incident and map\.incident_step"
    ):
        combined(*chain)


def test_readings_are_means_by_live_time_where_every_pass_has_them():
    first = scan_map(
        ONE, E, i0=[1, 2, 3], reading_tey=[1, 1, np.nan], reading_x=[1, 1, 1]
    )
    second = scan_map(
        TWO,
        E,
        i0=[3, 4, 5],
        reading_tey=[3, np.nan, np.nan],
        status=[0, 0, POINT_NO_BEAM],
    )
    second["live_time"] = second["live_time"] * 3
    found, _ = combined(first, second)
    np.testing.assert_allclose(
        found["i0"].values, [(1 + 3 * 3) / 4, (2 + 3 * 4) / 4, 3]
    )
    np.testing.assert_array_equal(found["reading_tey"].values, [2.5, 1, np.nan])
    assert "reading_x" not in found
    assert found["reading_tey"].attrs == {"units": "", "long_name": "tey, from the log"}


def test_different_normalisations_are_both_told():
    other = scan_map(TWO, E).assign_attrs(normalisation="i0 and live time")
    assert (
        combined(scan_map(ONE, E), other)[0].attrs["normalisation"]
        == "i0 and live time / live time"
    )
