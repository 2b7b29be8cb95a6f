"""The elastic line of reference runs."""

import numpy as np
import pytest

from rixs_pipeline.core.elastic.parked_line import average_over_pixels, move_between


def test_mean_and_error_of_the_pixels():
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(300):
        errors = rng.uniform(0.05, 0.3, 12)
        own = rng.normal(0, 0.4, 12)  # of the pixels' scales
        values = 997.4 + own + rng.normal(0, errors)
        values[3] = np.nan
        line = average_over_pixels(values, errors)
        pulls.append((line.value - 997.4) / line.error)
    assert 0.85 < np.std(pulls) < 1.2
    assert np.isnan(average_over_pixels(np.full(3, np.nan), np.ones(3)).value)


def test_what_the_scales_of_the_pixels_have_of_their_own_is_no_move():
    rng = np.random.default_rng(2)
    own = rng.normal(0, 1.0, 8)
    errors = np.full(8, 0.1)
    first = own + rng.normal(0, 0.1, 8), errors
    second = own - 2.6 + rng.normal(0, 0.1, 8), errors
    move = move_between(first, second)
    assert move.value == pytest.approx(-2.6, abs=4 * move.error)
    assert move.error < 0.1
    assert move.is_significant
    at_rest = move_between(first, (own + rng.normal(0, 0.1, 8), errors))
    assert not at_rest.is_significant
