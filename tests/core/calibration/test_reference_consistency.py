import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration.gain_curve import kernel
from rixs_pipeline.core.calibration.gain_forms import FORMS
from rixs_pipeline.core.calibration.reference_consistency import (
    left_out_deviation,
    report,
)

ENERGY = np.array([277.0, 392.4, 524.9, 704.8, 851.5, 929.7])
UNCERTAINTY = np.array([2.0, 0.7, 0.7, 1.2, 0.3, 0.3])


def tables(
    left_out: np.ndarray, runs: int = 2, pixels: int = 6, spread: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals and left-out residuals (run, pixel, line) that scatter around given means."""
    scatter = np.random.default_rng(1).normal(0, spread, (runs, pixels, len(left_out)))
    return 0.3 * left_out + scatter, left_out + 2 * scatter


def test_the_deviation_allowed_is_that_of_the_line_foretold_by_the_others() -> None:
    form = FORMS["physical"]
    typical = form.start(np.ones(1))
    jacobian = form.energy(form.height(ENERGY, typical), typical)[1][0]
    # the parameters as what they are: a Gaussian prior, of which the scale's is as wide as it can be computed with
    prior = np.diag(1 / np.maximum(form.prior[1], 1e-4))
    total = (
        kernel(ENERGY, ENERGY) + np.diag(UNCERTAINTY**2) + jacobian @ prior @ jacobian.T
    )
    for line, told in enumerate(left_out_deviation(ENERGY, UNCERTAINTY)):
        rest = np.arange(len(ENERGY)) != line
        weights = np.linalg.solve(total[np.ix_(rest, rest)], total[rest, line])
        assert told == pytest.approx(
            np.sqrt(total[line, line] - weights @ total[rest, line]), rel=1e-3
        )


@pytest.mark.parametrize("curve", list(FORMS))
def test_a_deviation_is_never_below_the_lines_own_uncertainty(curve: str) -> None:
    assert np.all(left_out_deviation(ENERGY, UNCERTAINTY, curve) > UNCERTAINTY)  # type: ignore[arg-type]


def test_means_spreads_and_standard_errors_are_those_of_pixels_not_of_runs() -> None:
    residual, left_out = tables(np.array([1.0, -0.5, 0.2, 0.0, 0.1, 0.0]))
    once, twice = (
        report(ENERGY, UNCERTAINTY, np.tile(residual, n), np.tile(left_out, n))
        for n in ((1, 1, 1), (2, 1, 1))
    )
    pixel_means = residual.mean(axis=0)
    np.testing.assert_allclose(once.residual, pixel_means.mean(axis=0))
    np.testing.assert_allclose(once.spread, pixel_means.std(axis=0, ddof=1))
    np.testing.assert_allclose(once.residual_errors, once.spread / np.sqrt(6))
    np.testing.assert_allclose(once.ratio, left_out.mean(axis=(0, 1)) / UNCERTAINTY)
    for name in (
        "residual",
        "residual_errors",
        "left_out",
        "left_out_errors",
        "deviations",
    ):
        np.testing.assert_allclose(
            getattr(once, name), getattr(twice, name)
        )  # the same run again tells nothing new


def test_verdicts() -> None:
    residual, left_out = tables(np.array([1.0, 6.0, 0.0, -9.0, 0.0, 0.0]))
    left_out[:, 1:, 4] = np.nan
    left_out[..., 5] = np.nan
    result = report(ENERGY, UNCERTAINTY, residual, left_out)
    assert result.verdicts[0].startswith("agrees with the other lines: +1.")
    assert result.verdicts[1].startswith(
        "the other lines put it 5.9 eV above its reference: 4.8 times"
    )
    assert " below its reference: " in result.verdicts[3]
    assert result.verdicts[4:] == [
        "cannot tell: only 1 pixel",
        "cannot tell: only 0 pixels",
    ]
    np.testing.assert_array_equal(result.pixels, [6, 6, 6, 6, 1, 0])


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(6)), st.lists(st.booleans(), min_size=72, max_size=72))
def test_the_order_of_pixels_and_runs_tells_nothing(
    order: list[int], missing: list[bool]
) -> None:
    residual, left_out = tables(np.array([1.0, -0.5, 0.2, 0.0, 0.1, 0.0]))
    hole = np.array(missing).reshape(left_out.shape)
    residual, left_out = (
        np.where(hole, np.nan, residual),
        np.where(hole, np.nan, left_out),
    )
    one = report(ENERGY, UNCERTAINTY, residual, left_out)
    other = report(ENERGY, UNCERTAINTY, residual[::-1, order], left_out[::-1, order])
    assert one.verdicts == other.verdicts
    np.testing.assert_allclose(one.left_out, other.left_out, atol=1e-12)
    np.testing.assert_allclose(one.spread, other.spread, atol=1e-12)


def test_lines_that_scatter_as_stated_are_told_apart_as_often_as_a_normal_law_has_it() -> (
    None
):
    rng = np.random.default_rng(7)
    form = FORMS["physical"]
    typical = form.start(np.ones(1))
    jacobian = form.energy(form.height(ENERGY, typical), typical)[1][0]
    covariance = kernel(ENERGY, ENERGY) + np.diag(UNCERTAINTY**2)
    inverse = np.linalg.inv(covariance)
    through = inverse @ jacobian
    precision = (
        inverse
        - through
        @ np.linalg.inv(jacobian.T @ through + np.diag(form.prior[1]))
        @ through.T
    )
    data = (
        rng.multivariate_normal(np.zeros(6), covariance, 4000)
        + rng.normal(0, 0.5, (4000, 1)) * jacobian[:, 0] / 600
    )
    left_out = -(data @ precision) / np.diag(precision)
    deviations = left_out / left_out_deviation(ENERGY, UNCERTAINTY)
    # the prior of the curve's shape is not sampled, and takes a little off
    assert np.all((deviations.std(axis=0) > 0.93) & (deviations.std(axis=0) < 1.03))
