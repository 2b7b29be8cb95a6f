import numpy as np
import pytest

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.scan.incident_flux import (
    find_blanks,
    find_i0_reference,
    read_flux,
    read_i0,
    require_positive_flux,
)
from tests.stages.builders import points, scan
from tests.stages.scan.counts import I0, flux


def test_i0_is_the_reading_less_its_dark_offset():
    run = scan(at=points(3), readings=flux(1100, np.inf, 900))
    i0 = read_i0(run, NormaliseConfig(i0_offset=100.0))
    np.testing.assert_array_equal(i0, [1000.0, np.nan, 800.0])
    assert read_i0(run, NormaliseConfig(i0=None)) is None
    assert read_i0(run, NormaliseConfig(i0="other")) is None
    assert read_i0(scan(at=points(2), readings=flux(np.nan, np.nan)), I0) is None


def test_the_dark_offset_may_grow_with_the_dwell():
    """Dwell of 2 s: 30 counts without beam and 10 more per second."""
    run = scan(at=points(2, 2.0), readings=flux(1050, 550))
    config = NormaliseConfig(i0_offset=30.0, i0_offset_per_second=10.0)
    np.testing.assert_array_equal(read_i0(run, config), [1000.0, 500.0])
    config = NormaliseConfig(i0_kind="counts", i0_offset_per_second=25.0)
    np.testing.assert_array_equal(read_i0(run, config), [500.0, 250.0])


def test_a_drain_current_has_its_sign_turned():
    run = scan(at=points(2), readings=flux(-1010, -510))
    config = NormaliseConfig(i0_sign=-1, i0_offset=-10.0)
    np.testing.assert_array_equal(read_i0(run, config), [1000.0, 500.0])


@pytest.mark.parametrize("key", [1, "1", "scan0001"])
def test_the_scale_of_i0_may_change_within_a_scan(key):
    run = scan(at=points(5), readings=flux(1, 1, 10, 10, 1))
    steps = [{"from_point": 2, "factor": 0.1}, {"from_point": 4, "factor": 1}]
    config = NormaliseConfig.model_validate({"i0_scale": {key: steps}})
    np.testing.assert_allclose(read_i0(run, config), 1.0)
    config = NormaliseConfig.model_validate({"i0_scale": {key: 3, "scan0002": 7}})
    np.testing.assert_allclose(read_i0(run, config), [3, 3, 30, 30, 3])


def test_a_second_monitor_takes_the_place_of_i0():
    readings = flux(1000, 2000) | {"mesh": np.array([55.0, 65.0])}
    run = scan(at=points(2), readings=readings)
    config = NormaliseConfig(second_monitor="mesh", second_monitor_offset=5.0)
    np.testing.assert_array_equal(read_i0(run, config), [50.0, 60.0])
    assert read_i0(run, NormaliseConfig(second_monitor="diode")) is None


def test_a_blank_frees_i0_from_its_own_structure():
    """A dip of I0 alone, not of the beam, is in the scan of a clean diode too."""
    at = points(41)
    response = 1 / (1 - 0.4 * np.exp(-0.5 * ((np.arange(41) - 20) / 4) ** 2))
    beam = np.linspace(1.0, 0.8, 41)
    readings = {"i0": 1e5 * beam / response, "diode": 300 * beam}
    blank = scan(at=at, readings=readings, number=7, name="scan0007", sample="Au")
    config = NormaliseConfig(blank=7, blank_channel="diode")
    blanks = find_blanks([scan(at=at), blank], config)
    run = scan(at=at, readings={"i0": 2e4 / response})
    corrected = read_flux(run, config, blanks)
    np.testing.assert_allclose(
        corrected.values / corrected.values.mean(), 1.0, rtol=1e-12
    )
    np.testing.assert_allclose(corrected.values, 2e4 / response.mean())
    assert not corrected.is_beyond_blank.any()


def test_the_noise_of_a_blank_is_carried():
    rng = np.random.default_rng(2)
    at = points(400)
    diode = 300 * rng.normal(1, 0.02, 400)
    readings = {"i0": np.full(400, 1e5), "diode": diode}
    config = NormaliseConfig(blank="scan0001", blank_channel="diode")
    blanks = find_blanks([scan(at=at, readings=readings)], config)
    corrected = read_flux(scan(at=at, readings=flux(*[1.0] * 400)), config, blanks)
    assert corrected.blank_errors.mean() == pytest.approx(0.02, rel=0.15)
    between = blanks[0].at(np.array([780.5, 781.0]))
    assert between.errors[0] == pytest.approx(between.errors[1] / np.sqrt(2))


def test_points_beyond_the_blank_are_marked_and_other_edges_are_left_alone():
    readings = {"i0": np.full(10, 1e5), "tey": np.linspace(1, 2, 10)}
    config = NormaliseConfig(blank=1)
    blanks = find_blanks([scan(at=points(10), readings=readings)], config)
    run = scan(at=points(10, first=783.0), readings=flux(*[1.0] * 10))
    partial = read_flux(run, config, blanks)
    assert partial.is_beyond_blank.tolist() == [False] * 7 + [True] * 3
    assert not partial.is_missing.any()
    other_edge = scan(at=points(10, first=530.0), readings=flux(*[1.0] * 10))
    assert read_flux(other_edge, config, blanks).blank_errors is None


def test_a_blank_that_is_not_there_is_refused():
    run = scan(at=points(10), readings=flux(*[1.0] * 10))
    with pytest.raises(RunFailed, match="no scan 9 in this beamtime"):
        find_blanks([run], NormaliseConfig(blank=9))
    with pytest.raises(RunFailed, match="scan0001 has no 'tey' and I0 at three"):
        find_blanks([run], NormaliseConfig(blank=1))


def test_a_negative_flux_is_refused_with_the_key_that_turns_its_sign():
    run = scan(at=points(4), readings=flux(-5, -6, -5, 0.1))
    with pytest.raises(RunFailed, match=r"at 3 of 4 points; .*normalise.i0_sign: -1"):
        require_positive_flux(run, read_flux(run, I0), I0)
    run = scan(at=points(4), readings=flux(0, 0, 0, 0))
    with pytest.raises(RunFailed, match="above 0 at any point"):
        require_positive_flux(run, read_flux(run, I0), I0)
    run = scan(at=points(4), readings=flux(-5, 1e5, -3, -4))  # dark, but for a point
    require_positive_flux(run, read_flux(run, I0), I0)


def test_the_reference_of_i0_is_the_mean_where_there_is_beam():
    run = scan(at=points(4), readings=flux(1000, 1200, 0, np.nan))
    assert find_i0_reference([run], I0) == 1100
    without_i0, later = scan(at=points(2)), scan(at=points(2), readings=flux(7, 7))
    assert find_i0_reference([without_i0, run, later], I0) == 1100
    assert find_i0_reference([scan(at=points(2), readings=flux(0, 0))], I0) is None
    assert find_i0_reference([scan(at=points(2))], I0) is None


def test_a_first_scan_of_another_range_does_not_set_the_reference():
    """Companions decide, the scans of a closed interval; without them it does."""
    first = scan(at=points(2), readings=flux(10_000, 10_000))
    passes = [scan(at=points(2), readings=flux(n, n)) for n in (1000, 1100)]
    scans = [first, *passes]
    assert find_i0_reference(scans, I0) == 10_000
    assert find_i0_reference(scans, I0, companions=scans) == 1000
    assert find_i0_reference(scans, I0, companions=scans[:2]) == 10_000
    other = [
        scan(at=points(2), readings=flux(900, 900), sample="other") for _ in range(2)
    ]
    companions = [first, passes[0], *other]
    assert find_i0_reference(companions, I0, companions=companions) == 1000
