from functools import cache

import numpy as np
import pytest
from scipy.interpolate import BSpline

from rixs_pipeline.config.models import CurveName
from rixs_pipeline.core.calibration import gain_curve as gain
from rixs_pipeline.core.energy import function as ef
from rixs_pipeline.core.energy import kernels
from rixs_pipeline.simulate.detector import draw_pixel
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.core.photons import ENERGY, UNCERTAINTY, height

ALONG = np.linspace(260.0, 1000.0, 149)  # eV: between the lines and slightly outside
STAT = 0.05  # eV
CURVES: tuple[CurveName, ...] = ("physical", "gain", "loglog")


def random_gains(rng: np.random.Generator, n: int) -> np.ndarray:
    """Parameters a, b, d (3, pixel, 1) as in real arrays."""
    a, b, d = (
        3e4 * 2 ** rng.uniform(-0.5, 0.5, n),
        rng.uniform(1700, 2300, n),
        rng.uniform(-450, 450, n),
    )
    return np.stack([a, b, d])[:, :, None]


def sines(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth remainders of 0.5 to 1 eV, one a pixel: values at the lines and along (pixel, ...), eV."""
    size, period, phase = (
        rng.uniform(0.5, 1.0, n),
        rng.uniform(700, 1300, n),
        rng.uniform(0, 2 * np.pi, n),
    )
    at_lines, along = (
        size * np.sin(2 * np.pi * e[:, None] / period + phase) for e in (ENERGY, ALONG)
    )
    return at_lines.T, along.T


def curves_of(
    heights: np.ndarray, errors: float = STAT, curve: CurveName = "physical"
) -> tuple[gain.GainCurves, np.ndarray]:
    curves = gain.fit(
        heights, np.full(heights.shape, errors), ENERGY, UNCERTAINTY, curve
    )
    params, rising = gain.spline_params(curves)
    assert rising.all()
    return curves, params


def miss(params: np.ndarray, heights: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Energy on the curve - true energy, (pixel, ...) eV."""
    return np.asarray(
        np.stack([ef.curve(h, p) for h, p in zip(heights, params, strict=True)])
        - energies
    )


@pytest.mark.parametrize("pixels", [1, 2, 30])
def test_physical_curves_are_recovered(pixels: int) -> None:
    abd = random_gains(np.random.default_rng(1), pixels)
    _, params = curves_of(height(ENERGY, *abd))
    assert np.abs(miss(params, height(ALONG, *abd), ALONG)).max() < 0.02


def test_a_pixels_own_remainder_is_followed() -> None:
    rng = np.random.default_rng(2)
    abd = random_gains(rng, 30)
    own, own_along = sines(rng, 30)
    heights = height(ENERGY + own, *abd)
    _, params = curves_of(heights)
    assert np.abs(own).mean() > 0.3  # there is something to follow
    assert np.abs(miss(params, heights, ENERGY)).max() < 3 * STAT
    inside = (ALONG > 277) & (ALONG < 930)
    between = miss(params, height(ALONG + own_along, *abd), ALONG)[:, inside]
    assert np.sqrt((between**2).mean()) < 0.15


def test_the_references_disagreement_is_not_followed() -> None:
    """Lines off by their uncertainties, in all pixels alike: the curve errs less than if it went through them."""
    shares, off, errors = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        abd, pattern = random_gains(rng, 10), rng.normal(0, UNCERTAINTY)
        heights = height(ENERGY + pattern + rng.normal(0, STAT, (10, 6)), *abd)
        curves, params = curves_of(heights)
        shares.append(curves.reference_share)
        off.append(pattern)
        errors.append(miss(params, height(ENERGY, *abd), ENERGY).mean(axis=0))
    assert (
        np.median(shares) > 0.6
    )  # 1 in truth, seen through what the physical form leaves of six lines
    assert min(shares) > 0
    assert (
        np.sqrt(np.mean(np.square(errors), axis=0))
        < np.sqrt(np.mean(np.square(off), axis=0))
    ).all()


@cache
def rough_array(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pulse heights (10, line) of the lines in simulated pixels, true and measured."""
    settings = SimulationSettings(seed=seed, pixels=10)
    array = [
        draw_pixel(settings, channel, (np.inf, np.inf)) for channel in settings.channels
    ]
    seen = ENERGY + np.random.default_rng(seed).normal(0, STAT, (10, 6))
    true, measured = (
        [one.pulse_height(e) for one, e in zip(array, at, strict=True)]
        for at in ([ENERGY] * 10, seen)
    )
    return np.stack(true), np.stack(measured)


@pytest.mark.parametrize("pixels", [2, 4, 10])
def test_independent_pixels_are_rarely_pulled_off_good_references(pixels: int) -> None:
    """True references, remainders of 0.5-1 eV of each pixel's own: the array as a whole stays on the lines.

    The simulator's remainders are slow sines, not the Gaussian process that the odds are computed with.
    """
    off = []
    for seed in range(100):
        heights, measured = (values[:pixels] for values in rough_array(seed))
        _, params = curves_of(measured)
        off.append(np.abs(np.median(miss(params, heights, ENERGY), axis=0)).max())
    assert np.mean(np.array(off) > 0.2) < 0.05


def spline_weights(heights: np.ndarray, params: np.ndarray) -> np.ndarray:
    """Derivatives (height, coefficient) of the curve by its coefficients."""
    lowest, step = params[ef.CURVE_GRID]
    knots = lowest + step * np.arange(-3, ef.N_COEFFICIENTS + 1)
    return np.asarray(BSpline.design_matrix(heights, knots, 3).toarray())


def test_covariance_covers_the_error_of_the_curve() -> None:
    """Remainders drawn as the model has them, positions with counting errors: pulls at the lines and between."""
    rng = np.random.default_rng(4)
    pixels, stat = 60, 0.1
    everywhere = np.concatenate([ENERGY, ALONG])
    draws = np.linalg.cholesky(
        gain.kernel(everywhere, everywhere) + 1e-8 * np.eye(len(everywhere))
    )
    remainder = (draws @ rng.normal(0, 1, (len(everywhere), pixels))).T
    abd = random_gains(rng, pixels)
    heights = height(everywhere - remainder, *abd)
    slope = height(ENERGY + 0.5, *abd) - height(ENERGY - 0.5, *abd)
    measured = heights[:, :6] + slope * rng.normal(0, stat, (pixels, 6))
    curves, params = curves_of(measured, stat)
    covariance = gain.spline_covariance(curves)
    pulls = []
    for row in range(pixels):
        weights = spline_weights(heights[row], params[row])
        sigma = np.sqrt(np.einsum("ij,jk,ik->i", weights, covariance[row], weights))
        pulls.append((ef.curve(heights[row], params[row]) - everywhere) / sigma)
    spread = np.std(pulls, axis=0)
    # 60 pixels: the spread of one place is known to 1 / sqrt(120) = 9 %
    assert 0.8 < spread[:6].mean() < 1.2
    assert 0.8 < spread[6:].mean() < 1.2


def test_pixels_without_enough_lines_have_no_curve() -> None:
    heights = height(ENERGY, *random_gains(np.random.default_rng(5), 12))
    heights[1, 2:] = np.nan
    heights[2] = np.nan
    heights[3, 3:] = np.nan  # three lines are enough
    curves = gain.fit(heights, np.full(heights.shape, STAT), ENERGY, UNCERTAINTY)
    params, rising = gain.spline_params(curves)
    has = np.isin(np.arange(12), [1, 2], invert=True)
    assert curves.used.tolist() == rising.tolist() == has.tolist()
    np.testing.assert_array_equal(np.isfinite(params[:, ef.CURVE]).all(axis=1), has)
    np.testing.assert_array_equal(
        np.isfinite(gain.spline_covariance(curves)).all(axis=(1, 2)), has
    )
    assert np.abs(miss(params[4:], heights[4:], ENERGY)).max() < 0.02


def test_a_missing_line_leaves_the_curve_where_it_was() -> None:
    abd = random_gains(np.random.default_rng(6), 10)
    heights = height(ENERGY, *abd)
    heights[np.arange(6), np.arange(6)] = np.nan  # a different one in six of the pixels
    _, params = curves_of(heights)
    assert np.abs(miss(params, height(ENERGY, *abd), ENERGY)).max() < 0.1


def test_a_misassigned_pixel_does_not_move_the_others() -> None:
    rng = np.random.default_rng(7)
    abd = random_gains(rng, 11)
    own, _ = sines(rng, 11)
    heights = height(ENERGY + own, *abd)
    _, before = curves_of(heights)
    heights[0, 3] = height(ENERGY[3:4] + 25.0, *abd[:, 0])[0]
    params, _ = gain.spline_params(
        gain.fit(heights, np.full(heights.shape, STAT), ENERGY, UNCERTAINTY)
    )
    moved = miss(params[1:], heights[1:], ENERGY) - miss(
        before[1:], heights[1:], ENERGY
    )
    assert np.abs(moved).max() < 3 * STAT


@pytest.mark.parametrize("curve", CURVES)
def test_curves_rise_over_the_whole_spline(curve: CurveName) -> None:
    rng = np.random.default_rng(8)
    own, _ = sines(rng, 30)
    abd = random_gains(rng, 30)
    _, params = curves_of(height(ENERGY + own, *abd), curve=curve)
    for row, one in zip(abd.transpose(1, 2, 0)[:, 0], params, strict=True):
        heights = np.linspace(row[2], height(np.array([1450.0]), *row)[0], 500)
        assert (kernels.slopes(heights, one) > 0).all()


@pytest.mark.parametrize("curve", CURVES)
def test_every_form_follows_the_pixels_between_the_lines(curve: CurveName) -> None:
    """The truth is of none of the forms: a saturating gain and a remainder of 0.5 to 1 eV."""
    rng = np.random.default_rng(11)
    abd = random_gains(rng, 30)
    own, own_along = sines(rng, 30)
    heights = height(ENERGY + own, *abd)
    _, params = curves_of(heights, curve=curve)
    along = miss(params, height(ALONG + own_along, *abd), ALONG)
    inside = (ALONG > 277) & (ALONG < 930)
    assert np.abs(miss(params, heights, ENERGY)).max() < 4 * STAT
    assert np.sqrt((along[:, inside] ** 2).mean()) < 0.2
    outside = miss(
        params, height(np.array([220.0, 1080.0]), *abd), np.array([220.0, 1080.0])
    )
    assert (
        np.abs(outside).max() < 15.0
    )  # the remainder alone makes up to 1 eV, and up to 8 eV as its tangent goes on


@pytest.mark.parametrize("curve", CURVES)
def test_a_line_left_out_stands_where_the_other_lines_put_it(curve: CurveName) -> None:
    """The closed form against a second fit without the line."""
    rng = np.random.default_rng(9)
    abd = random_gains(rng, 1)
    own, _ = sines(rng, 1)
    heights = height(ENERGY + own + rng.normal(0, STAT, (1, 6)), *abd)
    stated = gain.left_out(curves_of(heights, curve=curve)[0], UNCERTAINTY)[0]
    for line in range(6):
        without = heights.copy()
        without[0, line] = np.nan
        _, params = curves_of(without, curve=curve)
        again = float(
            ef.curve(heights[0, line : line + 1], params[0])[0] - ENERGY[line]
        )
        assert stated[line] == pytest.approx(again, abs=0.1 + 0.1 * abs(again))


def test_a_curve_that_does_not_rise_everywhere_is_named() -> None:
    parameters = np.array(
        [[10.0, 0.16, 0.03, 0.0], [10.0, 0.16, -0.9, 0.0], [10.0, 0.16, 0.03, -1.0]]
    )
    params, rising = gain.spline_params(gain.bare("gain", parameters))
    assert rising.tolist() == [True, False, False]
    assert np.isfinite(params[:, ef.CURVE]).all()


def test_a_line_that_is_off_shows_when_it_is_left_out() -> None:
    abd = random_gains(np.random.default_rng(10), 12)
    heights = height(ENERGY, *abd)
    heights[3, 2] = height(ENERGY[2:3] + 6.0, *abd[:, 3])[0]
    heights[5, 4] = np.nan
    curves = gain.fit(heights, np.full(heights.shape, STAT), ENERGY, UNCERTAINTY)
    off = gain.left_out(curves, UNCERTAINTY)
    assert off[3, 2] == pytest.approx(6.0, abs=0.6)
    assert np.isnan(off[5, 4]) and np.isfinite(off).sum() == 71
    assert np.nanmax(np.abs(np.delete(off, 3, axis=0))) < 0.2
