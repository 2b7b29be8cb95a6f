import numpy as np

from rixs_pipeline.core.timing.channels import _smoothed, make_channels, usable_points
from tests.core.timing.examples import ABSORPTION, ENERGY, POINTS

FLUX = 1e5 * (1 + 0.02 * np.cos(np.arange(POINTS)))


def test_channels_are_flux_slope_and_clear_readings():
    channels = make_channels(FLUX, [ABSORPTION * FLUX], ENERGY)
    assert channels.shape == (3, POINTS)
    np.testing.assert_allclose(channels[0], FLUX / np.median(FLUX))
    assert np.abs(np.corrcoef(channels[2] / channels[0], ABSORPTION)[0, 1]) > 0.99


def test_a_noisy_reading_is_left_out_beside_a_clear_one():
    noise = np.random.default_rng(2).normal(0, 0.05, POINTS)
    readings = [ABSORPTION * FLUX, (ABSORPTION + noise) * FLUX]
    assert len(make_channels(FLUX, readings, ENERGY)) == 3
    assert len(make_channels(FLUX, readings[1:], ENERGY)) == 3


def test_readings_without_structure_are_no_channels():
    noise = np.random.default_rng(3).normal(1, 0.05, POINTS)
    assert make_channels(FLUX, [noise * FLUX], ENERGY) is None
    assert make_channels(FLUX, [], ENERGY) is None
    assert make_channels(FLUX, [np.full(POINTS, np.nan)], ENERGY) is None


def test_missing_readings_make_points_unusable():
    reading = ABSORPTION.copy()
    reading[5] = np.nan
    assert np.flatnonzero(~usable_points(FLUX, [reading])).tolist() == [5]
    channels = make_channels(FLUX, [reading * FLUX], ENERGY)
    assert np.isfinite(channels).all()


def test_smoothing_keeps_a_quadratic_and_shrinks_noise():
    """Sum of the squared coefficients of Savitzky and Golay: 17 / 35."""
    index = np.arange(20_000.0)
    quadratic = 1e-4 * index**2 - index
    inner = slice(2, -2)
    np.testing.assert_allclose(_smoothed(quadratic)[inner], quadratic[inner], atol=1e-6)
    noise = np.random.default_rng(4).normal(size=len(index))
    assert abs(_smoothed(noise).var() - 17 / 35) < 0.02
