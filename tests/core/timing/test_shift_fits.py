import numpy as np
import pytest

from rixs_pipeline.core.timing.shift_fits import BandCounts, fit_shifts
from tests.core.timing.examples import DWELL, POINTS, SPACING, logged_scan, pulses


def best(curve):
    total = np.logaddexp.reduce(curve.log_likelihood, axis=0)
    return curve.offset[np.argmax(total)]


@pytest.mark.parametrize("offset", [0.0, 1.0, -3.3])
def test_the_likelihood_is_highest_at_the_true_offset(offset):
    curve = fit_shifts(pulses(offset), logged_scan(), 0.0, 4 * SPACING)
    assert best(curve) == pytest.approx(offset, abs=DWELL / 8)
    assert curve.log_likelihood.max() == 0
    assert curve.spacing == pytest.approx(SPACING)


def test_the_range_may_be_elsewhere():
    curve = fit_shifts(pulses(-40.0), logged_scan(), -39.0, 3 * SPACING)
    assert best(curve) == pytest.approx(-40, abs=DWELL / 8)
    assert curve.offset.min() == pytest.approx(-39 - 3 * SPACING, abs=SPACING / 8)


def test_steps_of_the_beam_within_a_point_do_not_tell_the_offset():
    """The beam is lost in the middle of a point, whose I0 is half."""
    beam = np.ones(POINTS)
    beam[20], beam[21:23] = 0.5, 0.0
    scan = logged_scan(i0=np.maximum(beam, 1e-3))
    assert not scan.is_usable[19:24].any()
    assert scan.is_usable[:19].all()
    early = np.where(np.arange(POINTS) == 20, 0.0, beam)  # lost at its start
    curve = fit_shifts(pulses(0.0, beam=early), scan, 0.0, 2 * SPACING)
    assert best(curve) == pytest.approx(0, abs=DWELL / 4)


def test_nothing_is_known_without_pulses_or_with_few_points():
    scan = logged_scan()
    silent = BandCounts(-60.0, SPACING / 8, np.zeros((2, 800)))
    assert fit_shifts(silent, scan, 0.0, 4 * SPACING) is None
    assert fit_shifts(pulses(0.0), scan, 0.0, 18 * SPACING) is None


def test_outside_a_curve_its_lowest_value_holds():
    curve = fit_shifts(pulses(0.0), logged_scan(), 0.0, 4 * SPACING)
    outside = curve.at(np.array([-100.0, 100.0]))
    lowest = curve.log_likelihood.min(axis=1)
    np.testing.assert_array_equal(outside, np.stack([lowest, lowest], axis=1))
