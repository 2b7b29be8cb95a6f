"""Weighted mean of measurements."""

import numpy as np
import pytest

from rixs_pipeline.core.stats.weighted_mean import weighted_mean


def test_equal_errors_give_the_plain_mean():
    mean = weighted_mean(np.array([1.0, 2.0, 6.0]), np.array([0.3, 0.3, 0.3]))
    assert mean.value == pytest.approx(3.0)
    assert mean.error == pytest.approx(0.3 / np.sqrt(3))


def test_a_precise_measurement_has_more_weight():
    mean = weighted_mean(np.array([0.0, 1.0]), np.array([1.0, 0.5]))
    assert mean.value == pytest.approx(0.8)
    assert mean.error == pytest.approx(1 / np.sqrt(5))
