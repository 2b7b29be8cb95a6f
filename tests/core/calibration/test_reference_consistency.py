from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration.reference_consistency import (
    LineConsistency,
    compare_lines,
    left_out_deviation,
)
from rixs_pipeline.core.gain import FORMS, CurveForm, remainder_covariance

ENERGY = np.array([277.0, 392.4, 524.9, 704.8, 851.5, 929.7])
UNCERTAINTY = np.array([2.0, 0.7, 0.7, 1.2, 0.3, 0.3])
COVARIANCE = remainder_covariance(ENERGY, ENERGY) + np.diag(UNCERTAINTY**2)
FORM = FORMS[CurveForm.PHYSICAL]
JACOBIAN = FORM.jacobian(ENERGY, FORM.start(np.ones(1)))[0]


@dataclass(frozen=True)
class Residuals:
    """Residuals (run, pixel, line), eV."""

    fitted: np.ndarray
    left_out: np.ndarray

    def compare(self, order: list[int] | None = None) -> LineConsistency:
        """Compare the lines; `order` of the pixels, with the runs reversed."""
        if order is None:
            return compare_lines(ENERGY, UNCERTAINTY, self.fitted, self.left_out)
        reordered = self.fitted[::-1, order], self.left_out[::-1, order]
        return compare_lines(ENERGY, UNCERTAINTY, *reordered)


def draw_residuals(left_out: list[float]) -> Residuals:
    """Return residuals of two runs of six pixels that scatter about given means."""
    mean = np.array(left_out)
    scatter = np.random.default_rng(1).normal(0, 0.1, (2, 6, len(mean)))
    return Residuals(0.3 * mean + scatter, mean + 2 * scatter)


def test_deviation_equals_that_of_a_prediction_from_the_other_lines() -> None:
    # The parameters have a Gaussian prior; that of the scale is as wide as numerics
    # allow.
    prior = np.diag(1 / np.maximum(FORM.prior.precision, 1e-4))
    total = COVARIANCE + JACOBIAN @ prior @ JACOBIAN.T
    deviations = left_out_deviation(ENERGY, UNCERTAINTY)
    for line, deviation in enumerate(deviations):
        rest = np.arange(len(ENERGY)) != line
        weights = np.linalg.solve(total[np.ix_(rest, rest)], total[rest, line])
        variance = total[line, line] - weights @ total[rest, line]
        assert deviation == pytest.approx(np.sqrt(variance), rel=1e-3)


@pytest.mark.parametrize("curve_form", CurveForm)
def test_deviation_exceeds_the_uncertainty_of_the_line(curve_form: CurveForm) -> None:
    deviation = left_out_deviation(ENERGY, UNCERTAINTY, curve_form)
    assert np.all(deviation > UNCERTAINTY)


def test_spreads_and_standard_errors_are_between_pixels_not_runs() -> None:
    residuals = draw_residuals([1.0, -0.5, 0.2, 0.0, 0.1, 0.0])
    once = residuals.compare()
    pixel_means = residuals.fitted.mean(axis=0)
    np.testing.assert_allclose(once.residual, pixel_means.mean(axis=0))
    np.testing.assert_allclose(once.spread, pixel_means.std(axis=0, ddof=1))
    np.testing.assert_allclose(once.residual_errors, once.spread / np.sqrt(6))
    mean_left_out = residuals.left_out.mean(axis=(0, 1))
    np.testing.assert_allclose(once.ratio, mean_left_out / UNCERTAINTY)
    # repeating the same runs adds no information
    twice = Residuals(
        np.tile(residuals.fitted, (2, 1, 1)), np.tile(residuals.left_out, (2, 1, 1))
    ).compare()
    names = "residual", "residual_errors", "left_out", "left_out_errors", "deviations"
    for name in names:
        np.testing.assert_allclose(getattr(once, name), getattr(twice, name))


def test_conclusions() -> None:
    residuals = draw_residuals([1.0, 6.0, 0.0, -9.0, 0.0, 0.0])
    residuals.left_out[:, 1:, 4] = np.nan
    residuals.left_out[..., 5] = np.nan
    result = residuals.compare()
    conclusions = result.conclusions
    assert conclusions[0].startswith("agrees with the other lines: +1.")
    assert conclusions[1] == (
        "calibration from the other lines places this line 5.9 eV above its "
        "tabulated energy (4.8 times the combined uncertainty)"
    )
    assert " below its tabulated energy " in conclusions[3]
    # a single pixel is judged by the freedom of its curve
    assert conclusions[4].startswith("agrees with the other lines: ")
    assert conclusions[5] == "not tested: no pixel has this line"
    np.testing.assert_array_equal(result.pixels, [6, 6, 6, 6, 1, 0])


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(6)), st.lists(st.booleans(), min_size=72, max_size=72))
def test_the_order_of_pixels_and_runs_does_not_matter(
    order: list[int], missing: list[bool]
) -> None:
    complete = draw_residuals([1.0, -0.5, 0.2, 0.0, 0.1, 0.0])
    is_missing = np.array(missing).reshape(complete.left_out.shape)
    residuals = Residuals(
        np.where(is_missing, np.nan, complete.fitted),
        np.where(is_missing, np.nan, complete.left_out),
    )
    result = residuals.compare()
    reordered = residuals.compare(order)
    assert result.conclusions == reordered.conclusions
    np.testing.assert_allclose(result.left_out, reordered.left_out, atol=1e-12)
    np.testing.assert_allclose(result.spread, reordered.spread, atol=1e-12)


def test_deviations_of_lines_that_scatter_as_stated_are_normal() -> None:
    rng = np.random.default_rng(7)
    inverse = np.linalg.inv(COVARIANCE)
    weighted = inverse @ JACOBIAN
    information = JACOBIAN.T @ weighted + np.diag(FORM.prior.precision)
    precision = inverse - weighted @ np.linalg.inv(information) @ weighted.T
    noise = rng.multivariate_normal(np.zeros(6), COVARIANCE, 4000)
    scales = rng.normal(0, 0.5, (4000, 1)) * JACOBIAN[:, 0] / 600
    left_out = -((noise + scales) @ precision) / np.diag(precision)
    deviations = left_out / left_out_deviation(ENERGY, UNCERTAINTY)
    spread = deviations.std(axis=0)
    # the draws do not follow the prior of the shape, which reduces the spread slightly
    assert np.all((spread > 0.93) & (spread < 1.03))
