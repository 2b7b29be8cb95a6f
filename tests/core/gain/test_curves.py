from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy.interpolate import BSpline

from rixs_pipeline.core.energy import curve_energy, kernels, layout
from rixs_pipeline.core.gain import (
    CurveForm,
    GainCurves,
    LinePositions,
    fit_gain_curves,
    fit_splines,
    left_out_residuals,
    remainder_covariance,
    spline_covariance,
)
from rixs_pipeline.simulate.drift import JumpTimes
from rixs_pipeline.simulate.pixel import draw_pixel
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.core.photons import ENERGY, UNCERTAINTY, height

ALONG = np.linspace(260.0, 1000.0, 149)  # eV: between the lines and slightly outside
IS_INSIDE = (ALONG > 277) & (ALONG < 930)  # between the lines
STAT = 0.05  # eV


@dataclass(frozen=True)
class Sines:
    """Smooth remainders of 0.5 to 1 eV, different for each pixel, in eV."""

    at_lines: np.ndarray  # (pixel, line)
    along: np.ndarray  # (pixel, ALONG)


def draw_gains(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return parameters a, b, d (3, pixel, 1) as in real arrays."""
    a = 3e4 * 2 ** rng.uniform(-0.5, 0.5, n)
    b = rng.uniform(1700, 2300, n)
    d = rng.uniform(-450, 450, n)
    return np.stack([a, b, d])[:, :, None]


def draw_sines(rng: np.random.Generator, n: int) -> Sines:
    size = rng.uniform(0.5, 1.0, n)
    period = rng.uniform(700, 1300, n)
    phase = rng.uniform(0, 2 * np.pi, n)

    def remainder(energy: np.ndarray) -> np.ndarray:
        values = size * np.sin(2 * np.pi * energy[:, None] / period + phase)
        return np.asarray(values.T)

    return Sines(remainder(ENERGY), remainder(ALONG))


def fit(
    heights: np.ndarray, error: float = STAT, curve_form: CurveForm = CurveForm.PHYSICAL
) -> GainCurves:
    errors = np.full(heights.shape, error)
    positions = LinePositions(heights, errors, ENERGY, UNCERTAINTY)
    return fit_gain_curves(positions, curve_form)


def rising_params(curves: GainCurves) -> np.ndarray:
    """Return the spline parameters (pixel, N_PARAMS) of curves that all rise."""
    splines = fit_splines(curves)
    assert splines.is_rising.all()
    return splines.params


def miss(params: np.ndarray, heights: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Return energy on the curve - true energy, (pixel, ...) eV."""
    on_curve = [curve_energy(h, p) for h, p in zip(heights, params, strict=True)]
    return np.asarray(np.stack(on_curve) - energies)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("pixels", [1, 2, 30])
def test_physical_curves_are_recovered(pixels: int) -> None:
    gains = draw_gains(np.random.default_rng(1), pixels)
    params = rising_params(fit(height(ENERGY, *gains)))
    assert np.abs(miss(params, height(ALONG, *gains), ALONG)).max() < 0.02


def test_curves_follow_the_remainder_of_each_pixel() -> None:
    rng = np.random.default_rng(2)
    gains = draw_gains(rng, 30)
    sines = draw_sines(rng, 30)
    heights = height(ENERGY + sines.at_lines, *gains)
    params = rising_params(fit(heights))
    assert np.abs(sines.at_lines).mean() > 0.3  # there is a remainder to follow
    assert np.abs(miss(params, heights, ENERGY)).max() < 3 * STAT
    between = miss(params, height(ALONG + sines.along, *gains), ALONG)[:, IS_INSIDE]
    assert rms(between) < 0.15


def test_curves_do_not_follow_errors_of_the_references() -> None:
    """All pixels have the same line errors: the curves err less than the lines."""
    shares, patterns, errors = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        gains = draw_gains(rng, 10)
        pattern = rng.normal(0, UNCERTAINTY)
        heights = height(ENERGY + pattern + rng.normal(0, STAT, (10, 6)), *gains)
        curves = fit(heights)
        shares.append(curves.reference_share)
        patterns.append(pattern)
        misses = miss(rising_params(curves), height(ENERGY, *gains), ENERGY)
        errors.append(misses.mean(axis=0))
    # truth: 1, but the physical form leaves few combinations of six lines
    assert np.median(shares) > 0.6
    assert min(shares) > 0
    rms_error = np.sqrt(np.mean(np.square(errors), axis=0))
    rms_pattern = np.sqrt(np.mean(np.square(patterns), axis=0))
    assert (rms_error < rms_pattern).all()


@dataclass(frozen=True)
class RoughArray:
    """Pulse heights (pixel, line) of the lines in simulated pixels."""

    true: np.ndarray
    measured: np.ndarray


@cache
def simulate_rough_array(seed: int) -> RoughArray:
    settings = SimulationSettings(seed=seed, pixels=10)
    channels = settings.channels
    pixels = [draw_pixel(settings, channel, JumpTimes()) for channel in channels]
    noise = np.random.default_rng(seed).normal(0, STAT, (10, 6))
    measured = [
        pixel.pulse_height(energy)
        for pixel, energy in zip(pixels, ENERGY + noise, strict=True)
    ]
    true = [pixel.pulse_height(ENERGY) for pixel in pixels]
    return RoughArray(np.stack(true), np.stack(measured))


@pytest.mark.parametrize("pixels", [2, 4, 10])
def test_independent_remainders_rarely_pull_the_array_off_good_references(
    pixels: int,
) -> None:
    """With true references, the array as a whole stays on the lines.

    The simulated remainders are slow sines of 0.5-1 eV, not the Gaussian process of the
    model.
    """
    offsets = []
    for seed in range(100):
        array = simulate_rough_array(seed)
        params = rising_params(fit(array.measured[:pixels]))
        misses = miss(params, array.true[:pixels], ENERGY)
        offsets.append(np.abs(np.median(misses, axis=0)).max())
    assert np.mean(np.array(offsets) > 0.2) < 0.05


def spline_weights(heights: np.ndarray, params: np.ndarray) -> np.ndarray:
    """Return the derivatives (height, coefficient) of the curve by its coefficients."""
    lowest, step = params[layout.CURVE_GRID]
    knots = lowest + step * np.arange(-3, layout.N_COEFFICIENTS + 1)
    return np.asarray(BSpline.design_matrix(heights, knots, 3).toarray())


def test_covariance_covers_the_error_of_the_curve() -> None:
    """Remainders follow the model, positions have counting errors."""
    rng = np.random.default_rng(4)
    pixels = 60
    stat = 0.1
    energies = np.concatenate([ENERGY, ALONG])
    jitter = 1e-8 * np.eye(len(energies))
    root = np.linalg.cholesky(remainder_covariance(energies, energies) + jitter)
    remainder = (root @ rng.normal(0, 1, (len(energies), pixels))).T
    gains = draw_gains(rng, pixels)
    heights = height(energies - remainder, *gains)
    slope = height(ENERGY + 0.5, *gains) - height(ENERGY - 0.5, *gains)
    measured = heights[:, :6] + slope * rng.normal(0, stat, (pixels, 6))
    curves = fit(measured, stat)
    params = rising_params(curves)
    covariance = spline_covariance(curves)
    pulls = []
    for row in range(pixels):
        weights = spline_weights(heights[row], params[row])
        sigma = np.sqrt(np.einsum("ij,jk,ik->i", weights, covariance[row], weights))
        pulls.append((curve_energy(heights[row], params[row]) - energies) / sigma)
    spread = np.std(pulls, axis=0)
    # the spread of 60 pixels has an uncertainty of 1 / sqrt(120) = 9 %
    assert 0.8 < spread[:6].mean() < 1.2
    assert 0.8 < spread[6:].mean() < 1.2


def test_pixels_with_fewer_than_three_lines_have_no_curve() -> None:
    heights = height(ENERGY, *draw_gains(np.random.default_rng(5), 12))
    heights[1, 2:] = np.nan
    heights[2] = np.nan
    heights[3, 3:] = np.nan  # three lines are enough
    curves = fit(heights)
    splines = fit_splines(curves)
    has_curve = np.isin(np.arange(12), [1, 2], invert=True)
    assert curves.is_used.tolist() == has_curve.tolist()
    assert splines.is_rising.tolist() == has_curve.tolist()
    has_params = np.isfinite(splines.params[:, layout.CURVE]).all(axis=1)
    np.testing.assert_array_equal(has_params, has_curve)
    has_covariance = np.isfinite(spline_covariance(curves)).all(axis=(1, 2))
    np.testing.assert_array_equal(has_covariance, has_curve)
    assert np.abs(miss(splines.params[4:], heights[4:], ENERGY)).max() < 0.02


def test_a_missing_line_leaves_the_curve_unchanged() -> None:
    gains = draw_gains(np.random.default_rng(6), 10)
    heights = height(ENERGY, *gains)
    heights[np.arange(6), np.arange(6)] = np.nan  # another line in each of six pixels
    params = rising_params(fit(heights))
    assert np.abs(miss(params, height(ENERGY, *gains), ENERGY)).max() < 0.1


def test_a_misassigned_pixel_does_not_change_the_others() -> None:
    rng = np.random.default_rng(7)
    gains = draw_gains(rng, 11)
    heights = height(ENERGY + draw_sines(rng, 11).at_lines, *gains)
    before = rising_params(fit(heights))
    heights[0, 3] = height(ENERGY[3:4] + 25.0, *gains[:, 0])[0]
    after = fit_splines(fit(heights)).params
    miss_before = miss(before[1:], heights[1:], ENERGY)
    miss_after = miss(after[1:], heights[1:], ENERGY)
    assert np.abs(miss_after - miss_before).max() < 3 * STAT


@pytest.mark.parametrize("curve_form", CurveForm)
def test_curves_rise_over_the_whole_spline(curve_form: CurveForm) -> None:
    rng = np.random.default_rng(8)
    sines = draw_sines(rng, 30)
    gains = draw_gains(rng, 30)
    heights = height(ENERGY + sines.at_lines, *gains)
    params = rising_params(fit(heights, curve_form=curve_form))
    for pixel_gain, pixel_params in zip(gains[:, :, 0].T, params, strict=True):
        highest = height(np.array([1450.0]), *pixel_gain)[0]
        along = np.linspace(pixel_gain[2], highest, 500)
        assert (kernels.curve_slopes(along, pixel_params) > 0).all()


@pytest.mark.parametrize("curve_form", CurveForm)
def test_every_form_follows_the_pixels_between_the_lines(curve_form: CurveForm) -> None:
    """The truth has none of the forms: saturation and a remainder of 0.5 to 1 eV."""
    rng = np.random.default_rng(11)
    gains = draw_gains(rng, 30)
    sines = draw_sines(rng, 30)
    heights = height(ENERGY + sines.at_lines, *gains)
    params = rising_params(fit(heights, curve_form=curve_form))
    assert np.abs(miss(params, heights, ENERGY)).max() < 4 * STAT
    along = miss(params, height(ALONG + sines.along, *gains), ALONG)
    assert rms(along[:, IS_INSIDE]) < 0.2
    outside = np.array([220.0, 1080.0])
    miss_outside = miss(params, height(outside, *gains), outside)
    # the remainder alone is up to 1 eV, and its tangent up to 8 eV
    assert np.abs(miss_outside).max() < 15.0


@pytest.mark.parametrize("curve_form", CurveForm)
def test_left_out_residual_equals_a_second_fit_without_the_line(
    curve_form: CurveForm,
) -> None:
    rng = np.random.default_rng(9)
    gains = draw_gains(rng, 1)
    sines = draw_sines(rng, 1)
    heights = height(ENERGY + sines.at_lines + rng.normal(0, STAT, (1, 6)), *gains)
    curves = fit(heights, curve_form=curve_form)
    left_out = left_out_residuals(curves, UNCERTAINTY)[0]
    for line in range(6):
        without = heights.copy()
        without[0, line] = np.nan
        params = rising_params(fit(without, curve_form=curve_form))
        energy = curve_energy(heights[0, line : line + 1], params[0])[0]
        residual = float(energy - ENERGY[line])
        tolerance = 0.1 + 0.1 * abs(residual)
        assert left_out[line] == pytest.approx(residual, abs=tolerance)


def test_curves_that_do_not_rise_everywhere_are_marked() -> None:
    parameters = np.array(
        [[10.0, 0.16, 0.03, 0.0], [10.0, 0.16, -0.9, 0.0], [10.0, 0.16, 0.03, -1.0]]
    )
    splines = fit_splines(GainCurves.without_remainder(CurveForm.GAIN, parameters))
    assert splines.is_rising.tolist() == [True, False, False]
    assert np.isfinite(splines.params[:, layout.CURVE]).all()


def test_left_out_residual_shows_a_shifted_line() -> None:
    gains = draw_gains(np.random.default_rng(10), 12)
    heights = height(ENERGY, *gains)
    heights[3, 2] = height(ENERGY[2:3] + 6.0, *gains[:, 3])[0]
    heights[5, 4] = np.nan
    left_out = left_out_residuals(fit(heights), UNCERTAINTY)
    assert left_out[3, 2] == pytest.approx(6.0, abs=0.6)
    assert np.isnan(left_out[5, 4])
    assert np.isfinite(left_out).sum() == 71
    assert np.nanmax(np.abs(np.delete(left_out, 3, axis=0))) < 0.2
