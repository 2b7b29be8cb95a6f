"""Noise of an I0 that counts photons."""

import numpy as np

from rixs_pipeline.core.maps.i0_noise import counter_noise


def test_the_noise_is_that_of_all_counts_relative_to_those_above_the_offset():
    noise = counter_noise(np.array([75.0, 100.0]), offset=25.0)
    np.testing.assert_allclose(noise, [10 / 75, np.sqrt(125) / 100])


def test_the_distribution_of_counts_has_that_width():
    counts = np.random.default_rng(1).poisson(400, 20_000) - 100.0
    width = counts.std() / counts.mean()
    np.testing.assert_allclose(
        counter_noise(np.array([300.0]), 100.0), width, rtol=0.03
    )


def test_points_without_beam_have_no_noise():
    noise = counter_noise(np.array([0.0, -3.0, np.nan]), offset=5.0)
    assert noise.tolist() == [0.0, 0.0, 0.0]
