import numpy as np
import pytest

from rixs_pipeline.core.timing.band_kernels import add_to_bands, quantile, select_pulses

TIMES = np.array([5, 10, 15, 20, 29, 30], np.int64)


def test_pulses_have_a_finite_height_above_0_and_lie_in_the_window():
    height = np.array([1.0, 2.0, np.nan, -1.0, 3.0, 4.0], np.float32)
    pulses = select_pulses(TIMES, height, 10, 30)
    assert pulses.time_ns.tolist() == [10, 29]
    assert pulses.height.tolist() == [2.0, 3.0]
    assert not len(select_pulses(TIMES, np.full(6, np.inf, np.float32), 0, 99).time_ns)


@pytest.mark.parametrize("n", [1, 2, 50, 997])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.995, 1.0])
def test_quantiles_are_those_of_numpy(n, share):
    values = np.random.default_rng(n).gamma(3.0, size=n)
    assert quantile(values, share) == np.quantile(values, share)


def test_the_last_band_and_bin_take_what_is_beyond():
    counts = np.zeros((2, 3))
    pulses = select_pulses(TIMES, np.array([1, 4, 9, 5, 6, 8], np.float32), 5, 31)
    add_to_bands(pulses, 5, 8.0, 8.0, counts)
    assert counts.tolist() == [[1, 0, 0], [1, 2, 2]]
