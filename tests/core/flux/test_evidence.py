import numpy as np
import pytest

from rixs_pipeline.core.flux.evidence import Change, FluxPoints

TEN = np.log(10)


def test_photons_that_do_not_follow_show_a_change_of_range():
    assert Change(TEN, 0.0, 0.05).is_range_change
    assert Change(-TEN, 0.3, 0.05).is_range_change
    assert Change(np.log(2), 0.05, 0.01).is_range_change


def test_photons_that_follow_show_a_change_of_the_beam():
    assert not Change(TEN, TEN, 0.05).is_range_change
    assert not Change(TEN, 0.6 * TEN, 0.05).is_range_change  # a spectrum as well
    assert not Change(np.log(2), 0.25, 0.01).is_range_change
    assert not Change(np.log(1e-3), -1.2, 0.02).is_range_change, (
        "triggers without light"
    )
    assert not Change(np.log(1.4), 0.0, 1e-3).is_range_change


@pytest.mark.parametrize(
    ("readings", "is_changed"),
    [((), False), ((0.02, -0.1), True), ((0.02, 2.2), False), ((2.3, 2.3), False)],
)
def test_readings_decide_where_photons_are_too_few(readings, is_changed):
    assert Change(TEN, 0.2, 0.5, readings).is_range_change == is_changed


def test_the_excess_is_what_the_beam_does_not_explain():
    assert Change(TEN, 0.1, 0.2).excess == pytest.approx(TEN - 0.1)
    # readings are more precise, but for one that contradicts the photons
    assert Change(TEN, 0.1, 0.2, (0.02, 5.0)).excess == pytest.approx(TEN - 0.02)


def test_a_change_between_points_has_the_errors_of_their_photons():
    counts = np.array([100, 100, 150, 150])
    points = FluxPoints(
        np.log([1.0, 1.0, 10.0, 10.0]), counts, np.ones(4), np.full(4, np.inf)
    )
    change = points.change(np.array([0, 1]), np.array([2, 3]))
    assert change.i0 == pytest.approx(TEN)
    assert change.photons == pytest.approx(np.log(1.5), abs=0.01)
    assert change.photon_error == pytest.approx(np.sqrt(1 / 200 + 1 / 300), rel=0.01)
