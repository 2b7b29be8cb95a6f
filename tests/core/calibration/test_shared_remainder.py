import numpy as np
import pytest

from rixs_pipeline.core.calibration import gain_curve as gain
from rixs_pipeline.core.calibration.gain_forms import FORMS
from rixs_pipeline.core.calibration.shared_remainder import (
    common_remainder,
    reference_share,
)
from tests.core.photons import ENERGY, UNCERTAINTY

SMOOTH = gain.kernel(ENERGY, ENERGY)
FORM = FORMS["physical"]
JACOBIAN = FORM.jacobian(ENERGY, FORM.start(np.array([10.0])))[0]
STAT = 0.05


def share(remainder: np.ndarray, lines: slice = slice(None)) -> float:
    stat = np.full(remainder.shape, STAT)
    return reference_share(
        remainder, stat, JACOBIAN[lines], SMOOTH[lines, lines], UNCERTAINTY[lines]
    )


def scatter(rng: np.random.Generator, pixels: int) -> np.ndarray:
    """Remainders (pixel, line) as the model has them, eV."""
    return rng.multivariate_normal(np.zeros(6), SMOOTH + STAT**2 * np.eye(6), pixels)


def test_what_cannot_tell_trusts_the_stated_uncertainties() -> None:
    rng = np.random.default_rng(0)
    assert share(scatter(rng, 1)) == 1
    assert share(np.full((5, 6), np.nan)) == 1
    assert (
        share(scatter(rng, 30)[:, :3], slice(0, 3)) == 1
    )  # three lines, three parameters


@pytest.mark.parametrize("pixels", [2, 3, 4, 8, 24])
def test_chance_is_hardly_taken_for_the_references(pixels: int) -> None:
    found = [share(scatter(np.random.default_rng(seed), pixels)) for seed in range(300)]
    assert np.mean(found) < 0.02
    assert np.mean(np.array(found) > 0.3) < 0.02


@pytest.mark.parametrize("pixels", [2, 4, 24])
def test_the_share_moves_as_little_as_the_array(pixels: int) -> None:
    """Two runs that tell nearly the same get nearly the same scale: no threshold lies between them."""
    rng = np.random.default_rng(8)
    chance, pattern = scatter(rng, pixels), rng.normal(0, UNCERTAINTY)
    shares = np.array(
        [share(0.5 * chance + size * pattern) for size in np.linspace(0, 1.5, 151)]
    )
    assert shares[-1] - shares[0] > 0.4
    assert np.abs(np.diff(shares)).max() < 0.1


def test_what_parameters_could_make_says_nothing() -> None:
    """A pattern in all pixels that a change of the form's parameters describes is not the references'."""
    rng = np.random.default_rng(1)
    one = scatter(rng, 20)
    pattern = JACOBIAN @ (5.0 / np.abs(JACOBIAN).max(axis=0))
    assert share(one + pattern) == pytest.approx(share(one), abs=1e-6)


@pytest.mark.parametrize("pixels", [4, 10, 60])
def test_disagreement_of_the_references_is_found(pixels: int) -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found.append(share(0.3 * scatter(rng, pixels) + rng.normal(0, UNCERTAINTY)))
    assert np.mean(np.array(found) > 0.3) > 0.8
    assert 0.6 < np.median(found) <= 1  # 1 in truth, from three combinations of lines


def test_a_pixel_that_stands_aside_is_not_counted() -> None:
    remainder = 0.3 * scatter(np.random.default_rng(2), 12)
    stat = np.full(remainder.shape, STAT)
    before = common_remainder(remainder[1:], stat[1:])[0]
    remainder[0, 3] = 12.0
    np.testing.assert_allclose(common_remainder(remainder, stat)[0][3], before[3])
    assert share(remainder) == pytest.approx(share(remainder[1:]))


def test_a_line_that_no_pixel_has_is_known_to_nothing() -> None:
    remainder = scatter(np.random.default_rng(3), 5)
    remainder[:, 2] = np.nan
    raw, error = common_remainder(remainder, np.full(remainder.shape, STAT))
    assert raw[2] == 0 and error[2] > 1e3
    np.testing.assert_allclose(np.delete(error, 2), STAT / np.sqrt(5))
