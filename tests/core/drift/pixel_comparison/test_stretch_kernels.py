import numpy as np
import pytest

from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.core.drift.pixel_comparison.stretch_kernels import (
    stretch,
    sum_stretched,
)

EDGES = np.linspace(200.0, 1100.0, 181)


@pytest.mark.parametrize("gain", [0.0, 1e-4, -3e-3, 0.02])
def test_spectra_are_those_of_interpolated_counts_below_each_edge(gain):
    counts = np.random.default_rng(1).poisson(3.0, (4, 180)).astype(float)
    below = np.zeros((4, 181))
    np.cumsum(counts, axis=1, out=below[:, 1:])
    expected = [np.diff(np.interp(EDGES / (1 - gain), EDGES, row)) for row in below]
    stretched = stretch(counts, EDGES, np.full(4, gain))
    np.testing.assert_allclose(stretched, expected, rtol=0, atol=1e-11)


def test_a_sum_is_that_of_the_stretched_spectra():
    counts = np.random.default_rng(2).poisson(0.3, (3, 4, 180))
    gain = np.array([1e-3, 0.0, -2e-3])
    of_pixels = [
        stretch(pixel.astype(float), EDGES, np.full(4, g))
        for pixel, g in zip(counts, gain, strict=True)
    ]
    total = sum_stretched(PieceCounts.from_array(counts), EDGES, gain)
    np.testing.assert_allclose(total, np.sum(of_pixels, axis=0), rtol=1e-12, atol=1e-9)
