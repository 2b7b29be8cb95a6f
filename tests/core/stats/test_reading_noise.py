"""Noise of readings between passes, with known noise."""

import numpy as np
import pytest

from rixs_pipeline.core.stats.reading_noise import estimate_noise

ENERGY = np.arange(770.0, 805.0, 0.5)
SIGNAL = 5 + 2 * np.exp(-0.5 * ((ENERGY - 780.5) / 1.5) ** 2)


def draw(seed: int, number: int, relative: float, constant: float) -> list:
    """Passes of different offset, slope and size with known noise."""
    rng = np.random.default_rng(seed)
    passes = []
    for _ in range(number):
        size, offset, slope = rng.uniform(0.8, 1.2), rng.normal(), rng.normal(0, 0.01)
        clean = size * SIGNAL + offset + slope * (ENERGY - 780)
        noise = np.hypot(relative * clean, constant)
        passes.append(clean + noise * rng.normal(size=len(ENERGY)))
    return passes


@pytest.mark.parametrize(("relative", "constant"), [(0.01, 0.0), (0.0, 0.05)])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_noise_is_found(number, relative, constant) -> None:
    ratios = []
    for seed in range(30):
        passes = draw(seed, number, relative, constant)
        noise = estimate_noise(ENERGY, passes)
        true = np.hypot(relative * passes[0], constant)
        ratios.append(np.mean(noise[0] ** 2) / np.mean(true**2))
    assert np.sqrt(np.mean(ratios)) == pytest.approx(1.0, abs=0.12)


def test_noise_that_grows_with_the_reading_is_told_from_a_constant_one() -> None:
    strong = 100 * np.exp(-0.5 * ((ENERGY - 780.5) / 5) ** 2) + 1
    rng = np.random.default_rng(1)
    passes = [strong * rng.normal(1, 0.02, len(ENERGY)) for _ in range(6)]
    noise = estimate_noise(ENERGY, passes)[0]
    assert noise.max() / noise.min() > 20


def test_missing_readings_have_no_noise() -> None:
    passes = draw(1, 2, 0.01, 0.0)
    passes[0][5] = np.nan
    noise = estimate_noise(ENERGY, passes)
    assert np.isnan(noise[0][5])
    assert np.isfinite(noise[1]).all()


def test_a_single_pass_of_few_points_is_not_enough() -> None:
    assert np.isnan(estimate_noise(ENERGY[:8], [SIGNAL[:8]])[0]).all()
