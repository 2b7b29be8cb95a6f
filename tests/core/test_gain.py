import numpy as np
import pytest
from photons import ENERGY, UNCERTAINTY, height

from rixs_pipeline.core import energy as ef
from rixs_pipeline.core import gain

ALONG = np.linspace(260.0, 1000.0, 149)  # eV: between the lines and slightly outside
STAT = 0.05  # eV


def random_gains(rng: np.random.Generator, n: int) -> np.ndarray:
    """Parameters a, b, d (3, pixel, 1) as in real arrays."""
    a, b, d = 3e4 * 2 ** rng.uniform(-0.5, 0.5, n), rng.uniform(1700, 2300, n), rng.uniform(-450, 450, n)
    return np.stack([a, b, d])[:, :, None]


def sines(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth remainders of 0.5 to 1 eV, one a pixel: values at the lines and along (pixel, ...), eV."""
    size, period, phase = (rng.uniform(*limits, (n, 1)) for limits in ((0.5, 1.0), (700, 1300), (0, 2 * np.pi)))
    at_lines, along = (size * np.sin(2 * np.pi * e / period + phase) for e in (ENERGY, ALONG))
    return at_lines, along


def curves_of(heights: np.ndarray, errors: float = STAT) -> tuple[gain.GainCurves, np.ndarray]:
    curves = gain.fit(heights, np.full(heights.shape, errors), ENERGY, UNCERTAINTY)
    params, rising = gain.spline_params(curves)
    assert rising.all()
    return curves, params


def miss(params: np.ndarray, heights: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Energy on the curve - true energy, (pixel, ...) eV."""
    return np.stack([ef.curve(h, p) for h, p in zip(heights, params, strict=True)]) - energies


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
    bare = ENERGY + own - ENERGY
    assert np.abs(bare).mean() > 0.3  # there is something to follow
    assert np.abs(miss(params, heights, ENERGY)).max() < 3 * STAT
    inside = (ALONG > 277) & (ALONG < 930)
    between = miss(params, height(ALONG + own_along, *abd), ALONG)[:, inside]
    assert np.sqrt((between**2).mean()) < 0.15
