import numpy as np
import pytest

from rixs_pipeline.core.drift.stretch_kernels import stretch

EDGES = np.linspace(200.0, 1100.0, 181)


@pytest.mark.parametrize("gain", [0.0, 1e-4, -3e-3, 0.02])
def test_spectra_are_those_of_interpolated_counts_below_each_edge(gain):
    counts = np.random.default_rng(1).poisson(3.0, (4, 180)).astype(float)
    below = np.zeros((4, 181))
    np.cumsum(counts, axis=1, out=below[:, 1:])
    expected = [np.diff(np.interp(EDGES / (1 - gain), EDGES, row)) for row in below]
    assert np.array_equal(stretch(counts, EDGES, gain), expected)
