"""Resolution of pixels and widths of lines, from fits with known widths."""

import numpy as np
import pytest

from rixs_pipeline.core.calibration.line_fits import WEAK_PRIOR, LineFits
from rixs_pipeline.core.calibration.line_shapes import (
    FWHM_PER_SIGMA,
    LOG_SIGMA,
    N_FIT,
    LineGrid,
)
from rixs_pipeline.core.response.resolution import (
    Resolution,
    estimate_resolution,
    line_widths,
    without_overfit,
)

GRID = LineGrid(0.5)


def make_fits(widths, errors) -> LineFits:
    """Fits of Gaussian widths (pixel, line) eV FWHM with relative errors."""
    widths, errors = np.array(widths, float), np.array(errors, float)
    theta = np.zeros((*widths.shape, N_FIT))
    theta[..., LOG_SIGMA] = np.log(widths / FWHM_PER_SIGMA)
    deviations = np.full_like(theta, 0.1)
    deviations[..., LOG_SIGMA] = errors
    return LineFits(theta, deviations, np.ones(widths.shape, dtype=bool))


def estimate(fits: LineFits, usable, is_elastic) -> Resolution:
    is_ok = np.ones(len(usable), dtype=bool)
    return estimate_resolution(fits, usable, is_elastic, is_ok, GRID)


def test_the_elastic_line_gives_the_resolution() -> None:
    """Lines that are narrower than their table look better resolved than they are."""
    fits = make_fits([[1.8, 2.2, 3.0]], [[0.05, 0.05, 0.04]])
    usable = np.ones((1, 3), dtype=bool)
    resolution = estimate(fits, usable, np.array([False, False, True]))
    assert resolution.is_elastic.tolist() == [True]
    assert resolution.pixel.values == pytest.approx([3.0], rel=0.01)
    assert resolution.pixel.errors == pytest.approx([3.0 * 0.04], rel=0.05)


@pytest.mark.parametrize(("scatter", "expected"), [(0.01, 1.0), (0.15, 3.0)])
def test_errors_grow_with_the_scatter_of_the_elastic_line(scatter, expected) -> None:
    """Pixels of any resolution, whose lines are narrower by the same factor."""
    rng = np.random.default_rng(1)
    resolution = rng.uniform(1.5, 4.0, 200)
    factors = np.array([0.8, 0.7, 1.0])
    widths = resolution[:, None] * factors
    widths[:, 2] *= np.exp(rng.normal(0, scatter, 200))
    errors = np.tile([0.04, 0.04, 0.04], (200, 1))
    usable = np.ones((200, 3), dtype=bool)
    usable[::7, 0] = False
    is_elastic = np.array([False, False, True])
    pixel = estimate(make_fits(widths, errors), usable, is_elastic).pixel
    relative = pixel.errors / pixel.values
    assert relative / 0.04 == pytest.approx(np.full(200, expected), rel=0.12)


def test_without_it_the_lines_are_averaged_and_their_scatter_counts() -> None:
    usable = np.ones((2, 3), dtype=bool)
    fits = make_fits([[2.0, 2.0, 2.0], [1.6, 2.0, 2.5]], np.full((2, 3), 0.06))
    resolution = estimate(fits, usable, np.zeros(3, dtype=bool))
    assert not resolution.is_elastic.any()
    assert resolution.pixel.values == pytest.approx([2.0, 2.0], rel=0.01)
    alike, apart = resolution.pixel.errors
    assert alike == pytest.approx(2.0 * 0.06 / np.sqrt(3), rel=0.02)
    assert apart > 1.5 * alike


def test_the_weak_prior_counts_once() -> None:
    """Fits that know nothing but the prior give the prior, not a sharper one."""
    centre, width = np.exp(WEAK_PRIOR.centre[0]), WEAK_PRIOR.width[0]
    fits = make_fits(np.full((1, 4), centre * FWHM_PER_SIGMA), np.full((1, 4), width))
    usable = np.ones((1, 4), dtype=bool)
    resolution = estimate(fits, usable, np.zeros(4, dtype=bool))
    relative = resolution.pixel.errors / resolution.pixel.values
    assert relative == pytest.approx([width])


def test_a_pixel_without_usable_lines_has_no_resolution() -> None:
    fits = make_fits([[2.0, 2.0]], [[0.1, 0.1]])
    usable = np.zeros((1, 2), dtype=bool)
    resolution = estimate(fits, usable, np.array([False, True]))
    assert np.isnan(resolution.pixel.values).all()


def test_the_width_of_a_gaussian_line_is_its_resolution() -> None:
    emitted = np.stack([GRID.emitted_transform(((0.0, 1e-6, 1.0),), 0.0)] * 2)
    widths = line_widths(make_fits([[2.0, 3.0]], [[0.1, 0.05]]), emitted, GRID)
    assert widths.values[0] == pytest.approx([2.0, 3.0], abs=0.01)
    assert widths.errors[0] == pytest.approx([0.2, 0.15], rel=0.03)


def test_emission_and_resolution_add_up() -> None:
    """A Voigt profile: 0.5346 L + sqrt(0.2166 L^2 + G^2), to 0.02 % (Olivero, 1977)."""
    emitted = GRID.emitted_transform(((0.0, 2.4, 1.0),), 0.0)[None]
    widths = line_widths(make_fits([[2.0]], [[0.1]]), emitted, GRID)
    expected = 0.5346 * 2.4 + np.sqrt(0.2166 * 2.4**2 + 2.0**2)
    assert widths.values[0, 0] == pytest.approx(expected, rel=0.01)
    assert widths.errors[0, 0] < 0.2


def test_pulses_without_a_correction_fitted_to_them_are_wider() -> None:
    overfit = np.array([[0.05, 0.0]])
    fits = without_overfit(make_fits([[2.0, 3.0]], [[0.1, 0.1]]), overfit)
    expected = [np.hypot(2.0, FWHM_PER_SIGMA * np.sqrt(0.1)), 3.0]
    assert fits.fwhm[0] == pytest.approx(expected)
