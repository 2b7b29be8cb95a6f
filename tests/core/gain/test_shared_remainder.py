import numpy as np
import pytest

from rixs_pipeline.core.gain import FORMS, CurveForm, remainder_covariance
from rixs_pipeline.core.gain.shared_remainder import (
    UNUSED_EV,
    average_remainder,
    estimate_reference_share,
)
from tests.core.photons import ENERGY, UNCERTAINTY

SMOOTH = remainder_covariance(ENERGY, ENERGY)
FORM = FORMS[CurveForm.PHYSICAL]
JACOBIAN = FORM.jacobian(ENERGY, FORM.start(np.array([10.0])))[0]
STAT = 0.05  # eV


def reference_share(remainder: np.ndarray, lines: slice = slice(None)) -> float:
    stat_errors = np.full(remainder.shape, STAT)
    return estimate_reference_share(
        remainder,
        stat_errors,
        JACOBIAN[lines],
        SMOOTH[lines, lines],
        UNCERTAINTY[lines],
    )


def draw_remainders(rng: np.random.Generator, pixels: int) -> np.ndarray:
    """Return remainders (pixel, line) eV that follow the model."""
    covariance = SMOOTH + STAT**2 * np.eye(6)
    return rng.multivariate_normal(np.zeros(6), covariance, pixels)


def test_the_stated_uncertainties_hold_where_the_share_cannot_be_estimated() -> None:
    rng = np.random.default_rng(0)
    assert reference_share(draw_remainders(rng, 1)) == 1
    assert reference_share(np.full((5, 6), np.nan)) == 1
    three_lines = draw_remainders(rng, 30)[:, :3]  # as many as parameters
    assert reference_share(three_lines, slice(0, 3)) == 1


@pytest.mark.parametrize("pixels", [2, 3, 4, 8, 24])
def test_chance_is_rarely_mistaken_for_reference_errors(pixels: int) -> None:
    generators = map(np.random.default_rng, range(300))
    shares = np.array([reference_share(draw_remainders(r, pixels)) for r in generators])
    assert np.mean(shares) < 0.02
    assert np.mean(shares > 0.3) < 0.02


@pytest.mark.parametrize("pixels", [2, 4, 24])
def test_similar_arrays_have_similar_shares(pixels: int) -> None:
    """No threshold separates two similar runs, so their scales are similar too."""
    rng = np.random.default_rng(8)
    chance = 0.5 * draw_remainders(rng, pixels)
    pattern = rng.normal(0, UNCERTAINTY)
    sizes = np.linspace(0, 1.5, 151)
    shares = np.array([reference_share(chance + size * pattern) for size in sizes])
    assert shares[-1] - shares[0] > 0.4
    assert np.abs(np.diff(shares)).max() < 0.1


def test_patterns_that_the_form_describes_do_not_change_the_share() -> None:
    remainder = draw_remainders(np.random.default_rng(1), 20)
    pattern = JACOBIAN @ (5.0 / np.abs(JACOBIAN).max(axis=0))
    share = reference_share(remainder)
    assert reference_share(remainder + pattern) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("pixels", [4, 10, 60])
def test_errors_of_the_references_raise_the_share(pixels: int) -> None:
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        remainder = 0.3 * draw_remainders(rng, pixels)
        shares.append(reference_share(remainder + rng.normal(0, UNCERTAINTY)))
    assert np.mean(np.array(shares) > 0.3) > 0.8
    assert 0.6 < np.median(shares) <= 1  # truth: 1, from three combinations of lines


def test_an_outlying_pixel_is_excluded_from_the_mean() -> None:
    remainder = 0.3 * draw_remainders(np.random.default_rng(2), 12)
    stat_errors = np.full(remainder.shape, STAT)
    without = average_remainder(remainder[1:], stat_errors[1:])
    remainder[0, 3] = 12.0
    shared = average_remainder(remainder, stat_errors)
    np.testing.assert_allclose(shared.values[3], without.values[3])
    share = reference_share(remainder)
    assert share == pytest.approx(reference_share(remainder[1:]))


def test_a_line_without_pixels_has_no_mean() -> None:
    remainder = draw_remainders(np.random.default_rng(3), 5)
    remainder[:, 2] = np.nan
    shared = average_remainder(remainder, np.full(remainder.shape, STAT))
    assert shared.values[2] == 0
    assert shared.errors[2] == UNUSED_EV
    np.testing.assert_allclose(np.delete(shared.errors, 2), STAT / np.sqrt(5))
