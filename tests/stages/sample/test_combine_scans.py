"""Scans co-added to a map."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.config import MapConfig, NormaliseConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import POINT_EXCLUDED, POINT_NO_BEAM, RIXS_MAP, check
from rixs_pipeline.stages.sample.combine_scans import combine_scans
from tests.stages.builders import scan_map

PLAIN = MapConfig()
E = np.array([780.0, 781.0, 782.0])
FIRST = [[1, 2], [3, 4], [5, 6]]
SECOND = [[10, 20], [30, 40], [50, 60]]


def combine(*scans, config=PLAIN):
    """Return the co-added map and its warnings, checked against the schema."""
    combined = combine_scans(scans, config, "LMR-Co_L")
    check(combined.dataset, RIXS_MAP, "here")
    return combined


def test_counts_and_exposures_add_then_divide():
    first = scan_map(FIRST, E, [1, 2, 3])
    second = scan_map(SECOND, E, [10, 10, 10], name="scan0002")
    combined = combine(first, second)
    rixs_map = combined.dataset
    assert rixs_map["counts"].values.tolist() == [[11, 22], [33, 44], [55, 66]]
    assert rixs_map["exposure"].values.tolist() == [11, 12, 13]
    assert rixs_map["live_time"].values.tolist() == [4, 4, 4]
    counts, exposure = rixs_map["counts"].values, np.array([[11], [12], [13]])
    np.testing.assert_allclose(rixs_map["intensity"].values, counts / exposure)
    errors = np.sqrt(counts) / exposure
    np.testing.assert_allclose(rixs_map["intensity_errors"].values, errors)
    assert rixs_map.attrs["scans"] == ["scan0001", "scan0002"]
    json.dumps(rixs_map.attrs["scans"])
    assert (rixs_map.attrs["sample"], rixs_map.attrs["edge"]) == ("LMR", "Co_L")
    assert combined.warnings == []


def test_points_that_are_not_used_are_left_out():
    status = [0, POINT_NO_BEAM, POINT_EXCLUDED]
    second = scan_map(SECOND, E, [1, 0, 0], status=status)
    rixs_map = combine(scan_map(FIRST, E), second).dataset
    assert rixs_map["counts"].values.tolist() == [[11, 22], [3, 4], [5, 6]]
    assert rixs_map["live_time"].values.tolist() == [4, 2, 2]


def test_a_point_that_no_scan_has_used_is_empty():
    scan = scan_map(FIRST, E, [1, 0, 1], status=[0, POINT_NO_BEAM, 0])
    rixs_map = combine(scan).dataset
    assert rixs_map["counts"].values[1].sum() == 0
    assert np.isnan(rixs_map["intensity"].values[1]).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), n_scans=st.integers(1, 5))
def test_the_order_of_the_scans_does_not_matter(seed, n_scans):
    rng = np.random.default_rng(seed)
    scans = []
    for _ in range(n_scans):
        counts, direction = rng.poisson(3, (3, 2)), rng.choice([-1, 1])
        scans.append(scan_map(counts, E[::direction], rng.uniform(0.5, 2, 3)))
    forward = combine(*scans).dataset
    shuffled = combine(*(scans[k] for k in rng.permutation(n_scans))).dataset
    np.testing.assert_array_equal(forward["counts"], shuffled["counts"])
    np.testing.assert_allclose(forward["exposure"], shuffled["exposure"], rtol=1e-12)
    total = sum(int(scan["counts"].sum()) for scan in scans)
    assert forward["counts"].values.sum() == total
    assert forward["incident_energy"].values.tolist() == E.tolist()


def test_an_aborted_pass_adds_the_points_it_has():
    combined = combine(scan_map(FIRST, E), scan_map(SECOND[:2], E[:2]))
    counts = combined.dataset["counts"].values.tolist()
    assert counts == [[11, 22], [33, 44], [5, 6]]
    assert combined.warnings == []


def test_different_points_go_into_bins_around_those_of_the_longest_pass():
    combined = combine(scan_map(SECOND[:2], E[:2] + 0.2), scan_map(FIRST, E))
    rixs_map, edges = combined.dataset, [779.5, 780.5, 781.5, 782.5]
    assert rixs_map["incident_energy_edges"].values.tolist() == edges
    assert rixs_map["counts"].values.tolist() == [[11, 22], [33, 44], [5, 6]]
    assert rixs_map.attrs["incident_binning"] == "bins"
    assert len(combined.warnings) == 1
    expected = "LMR-Co_L: passes have different incident points"
    assert combined.warnings[0].startswith(expected)


def test_the_map_shows_the_points_of_the_longest_pass_and_not_the_middles_of_bins():
    uneven = np.array([780.0, 781.0, 783.0])
    rixs_map = combine(scan_map(FIRST, uneven), scan_map(SECOND[:2], E[:2] + 0.2))
    assert rixs_map.dataset["incident_energy"].values.tolist() == uneven.tolist()


def test_bins_of_the_config():
    config = MapConfig(incident=(779.0, 783.0), incident_step=2.0)
    combined = combine(scan_map(FIRST, E), config=config)
    assert combined.dataset["counts"].values.tolist() == [[1, 2], [8, 10]]
    assert combined.dataset["incident_energy"].values.tolist() == [780.0, 782.0]
    assert combined.dataset["exposure"].values.tolist() == [1.0, 2.0]
    assert combined.warnings == []
    narrow = MapConfig(incident=(780.5, 781.5), incident_step=1.0)
    rixs_map = combine(scan_map(FIRST, E), config=narrow).dataset
    assert rixs_map["counts"].values.tolist() == [[3, 4]]


def test_passes_that_give_no_bins_fail_with_advice():
    points = [780.0 + k * 0.8e-3 for k in range(4)]
    chain = [scan_map([[1, 2]], [point]) for point in points]
    advice = r"LMR-Co_L: .*set `map\.incident` and `map\.incident_step`"
    with pytest.raises(RunFailed, match=advice):
        combine(*chain)


def test_readings_are_means_by_live_time_where_every_pass_has_them():
    readings = {"reading_tey": [1, 1, np.nan], "reading_x": [1, 1, 1]}
    first = scan_map(FIRST, E, i0=[1, 2, 3], **readings)
    status, tey = [0, 0, POINT_NO_BEAM], [3, np.nan, np.nan]
    second = scan_map(SECOND, E, i0=[3, 4, 5], reading_tey=tey, status=status)
    second["live_time"] = second["live_time"] * 3
    rixs_map = combine(first, second).dataset
    i0 = [(1 + 3 * 3) / 4, (2 + 3 * 4) / 4, 3]
    np.testing.assert_allclose(rixs_map["i0"].values, i0)
    np.testing.assert_array_equal(rixs_map["reading_tey"].values, [2.5, 1, np.nan])
    assert "reading_x" not in rixs_map
    expected = {"units": "", "long_name": "tey, from the log"}
    assert rixs_map["reading_tey"].attrs == expected


def test_different_normalisations_are_both_named():
    second = scan_map(SECOND, E).assign_attrs(normalisation="i0 and live time")
    rixs_map = combine(scan_map(FIRST, E), second).dataset
    assert rixs_map.attrs["normalisation"] == "i0 and live time / live time"


def with_elastic_offset(scan, offset, error):
    return scan.assign_attrs(elastic_offset=offset, elastic_offset_errors=error)


def test_the_elastic_offset_of_the_passes_shifts_the_incident_axis():
    first = with_elastic_offset(scan_map(FIRST, E), 0.2, 0.1)
    second = with_elastic_offset(scan_map(SECOND, E), 0.4, 0.1)
    unknown = with_elastic_offset(scan_map(SECOND, E), np.nan, np.nan)
    config = MapConfig(elastic_offset="apply")
    combined = combine(first, second, unknown, config=config)
    energy = combined.dataset["incident_energy"].values
    np.testing.assert_allclose(energy, E + 0.3)
    attributes = combined.dataset.attrs
    assert attributes["elastic_offset_applied"] == pytest.approx(0.3)
    assert attributes["elastic_offset_errors"] == pytest.approx(0.1 / np.sqrt(2))
    assert combined.warnings == []


def test_without_an_elastic_line_the_offset_is_not_applied_and_a_warning_says_why():
    scan = with_elastic_offset(scan_map(FIRST, E), np.nan, np.nan)
    combined = combine(scan, config=MapConfig(elastic_offset="apply"))
    assert combined.dataset["incident_energy"].values.tolist() == E.tolist()
    assert combined.warnings == [
        "LMR-Co_L: `elastic_offset` not applied: "
        "no pass has an elastic line separated from the emission lines"
    ]


def test_the_misalignment_of_the_pixels_is_a_mean_by_photons():
    def with_pixel(scan, gain, photons):
        pixel = ("pixel",)
        variables = {"pixel": (pixel, np.array([3]))}
        variables["misalignment"] = (pixel, np.array([gain]))
        variables["pixel_counts"] = (pixel, np.array([photons]))
        return scan.assign(variables)

    first = with_pixel(scan_map(FIRST, E), 1e-3, 100)
    second = with_pixel(scan_map(SECOND, E), 2e-3, 300)
    rixs_map = combine(first, second, scan_map(FIRST, E)).dataset
    np.testing.assert_allclose(rixs_map["misalignment"].values, [1.75e-3])
    assert rixs_map["pixel_counts"].values.tolist() == [400]


@pytest.mark.parametrize(
    ("noise", "errors"),
    [
        (0.1, np.hypot(0.1 * np.array([1, 2, 4]), 0.2 * np.array([1, 2, 4]))),
        ("poisson", np.hypot(np.array([1, 2, 4]) / 2, np.array([2, 4, 8]) / 10)),
    ],
)
def test_i0_noise_of_passes_adds_in_squares(noise, errors):
    exposure = np.array([1.0, 2.0, 4.0])
    first = scan_map(FIRST, E, exposure, i0=[4, 4, 4])
    second = scan_map(SECOND, E, 2 * exposure, i0=[100, 100, 100])
    config = NormaliseConfig(i0_noise=noise)
    combined = combine_scans([first, second], PLAIN, "m", config)
    np.testing.assert_allclose(combined.dataset["exposure_errors"].values, errors)
    assert "exposure_errors" not in combine(first, second).dataset


def test_i0_noise_without_i0_is_ignored_with_a_warning():
    config = NormaliseConfig(i0_noise=0.1)
    combined = combine_scans([scan_map(FIRST, E)], PLAIN, "m", config)
    assert "exposure_errors" not in combined.dataset
    assert combined.warnings == ["m: `i0_noise` ignored: a pass has no I0"]
