import numpy as np

from rixs_pipeline.core.timing.band_kernels import add_to_bands, select_pulses
from rixs_pipeline.types import PulseColumns

TIMES = np.array([5, 10, 15, 20, 29, 30], np.int64)


def _pulses(heights):
    height = np.array(heights, np.float32)
    coefs = np.stack([np.zeros(len(height), np.float32)] * 2 + [height], axis=1)
    return select_pulses(PulseColumns(TIMES, height, height, coefs))


def test_pulses_have_a_finite_height_above_0():
    pulses = _pulses([1.0, 2.0, np.nan, -1.0, 3.0, np.inf])
    assert pulses.time_ns.tolist() == [5, 10, 29]
    assert pulses.height.tolist() == [1.0, 2.0, 3.0]
    assert not len(_pulses([np.inf] * 6).time_ns)


def test_the_last_band_and_bin_take_what_is_beyond():
    counts = np.zeros((2, 3))
    pulses = _pulses([1, 4, 9, 5, 6, 8])
    add_to_bands(pulses, 5, 8.0, 8.0, counts)
    assert counts.tolist() == [[1, 0, 0], [1, 2, 2]]
