import numpy as np
import pytest

from rixs_pipeline.core.timing.common_offset import fit_clock
from rixs_pipeline.core.timing.shift_fits import ShiftCurve

SPACING = 2.0
OFFSET = np.arange(-160, 161) * SPACING / 32


def gaussian(centre, sigma):
    """Return a scan that measures an offset with a Gaussian error."""
    row = -(((OFFSET - centre) / sigma) ** 2) / 2
    return ShiftCurve(OFFSET, np.stack([row, row, row]) - row.max(), SPACING)


def test_error_of_a_common_offset_is_that_of_a_weighted_mean():
    curves = [gaussian(1.1, 0.4), gaussian(0.9, 0.4)]
    fit = fit_clock(curves, np.array([0.0, 100.0]))
    np.testing.assert_allclose(fit.value, 1.0, atol=0.01)
    np.testing.assert_allclose(fit.error, 0.4 / np.sqrt(2), rtol=0.02)
    assert fit.log_ratio == pytest.approx((1.1**2 + 0.9**2 - 0.02) / 0.32, rel=0.02)
    assert not fit.stands_out  # 3.5 standard deviations


def test_an_offset_stands_out_from_4_5_standard_deviations_on():
    assert fit_clock([gaussian(1.0, 0.2)], np.zeros(1)).stands_out
    assert not fit_clock([gaussian(1.0, 0.25)], np.zeros(1)).stands_out
    assert not fit_clock([gaussian(0.4, 0.02)], np.zeros(1)).stands_out  # too small


def test_a_drift_is_followed():
    time = np.linspace(0, 36000, 6)
    true = 1 + 3 * (time / time.max() - 0.5)
    fit = fit_clock([gaussian(value, 0.1) for value in true], time)
    np.testing.assert_allclose(fit.value, true, atol=0.15)
    assert fit.error.max() < 0.2


def test_scans_that_scatter_more_than_their_errors_increase_the_error():
    values = [1.0, 1.4, 0.6, 1.2, 0.8]
    agreeing = fit_clock([gaussian(1.0, 0.1)] * 5, np.zeros(5))
    fit = fit_clock([gaussian(value, 0.1) for value in values], np.zeros(5))
    assert fit.error.max() > 2.5 * agreeing.error.max()


def test_two_places_or_the_end_of_the_range_do_not_stand_out():
    two = np.logaddexp(
        gaussian(-3.0, 0.1).log_likelihood, gaussian(3.0, 0.1).log_likelihood
    )
    assert not fit_clock([ShiftCurve(OFFSET, two, SPACING)], np.zeros(1)).is_single
    assert not fit_clock([gaussian(11.0, 0.2)], np.zeros(1)).is_single


def test_the_noise_of_one_scan_among_others_does_not_stand_out():
    others = [gaussian(0.9, 2.0), gaussian(1.1, 2.0)]
    fit = fit_clock([gaussian(1.0, 0.2), *others], np.zeros(3))
    assert fit.log_ratio > 10.2
    assert not fit.stands_out
    assert fit_clock([gaussian(1.0, 0.33)] * 3, np.zeros(3)).stands_out
    assert fit_clock([gaussian(1.0, 0.15), *others], np.zeros(3)).stands_out
