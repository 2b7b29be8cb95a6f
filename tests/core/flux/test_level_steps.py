import numpy as np
import pytest

from rixs_pipeline.core.flux.evidence import FluxPoints
from rixs_pipeline.core.flux.level_steps import find_level_steps

N = 40


def steps_of(i0, counts):
    log_i0 = np.where(i0 > 0, np.log(np.where(i0 > 0, i0, 1.0)), np.nan)
    points = FluxPoints(log_i0, counts, np.ones(N), np.full(N, np.inf))
    return find_level_steps(points, 3.0, has_spectrum=False)


def beam():
    return np.random.default_rng(1).normal(1000, 10, N)


@pytest.mark.parametrize(("factor", "first"), [(10, 15), (0.1, 25), (1000, 4)])
def test_a_step_of_i0_alone_is_found(factor, first):
    i0 = beam()
    i0[first:] *= factor
    steps = steps_of(i0, np.full(N, 100))
    assert np.flatnonzero(np.diff(steps.log_factor)).tolist() == [first - 1]
    size = steps.log_factor[-1] - steps.log_factor[0]
    assert size == pytest.approx(np.log(factor), abs=0.05)
    assert steps.is_off.sum() == min(first, N - first)
    assert not steps.is_outage


def test_a_step_of_the_beam_is_none():
    i0, counts = beam(), np.full(N, 100)
    i0[20:] *= 10
    counts[20:] *= 10
    assert not steps_of(i0, counts).is_off.any()


def test_points_without_beam_are_passed_over():
    """The beam is away just before the range changes."""
    i0, counts = beam(), np.full(N, 100)
    i0[15:18], counts[15:18] = 1.0, 0
    assert not steps_of(i0, counts).is_off.any()
    i0[18:] *= 10
    steps = steps_of(i0, counts)
    assert steps.log_factor[0] == pytest.approx(-np.log(10), abs=0.05)
    assert not steps.is_off[18:].any()


def test_a_few_points_are_an_outage():
    i0 = beam()
    i0[7:9] *= 10
    i0[3] = np.nan
    steps = steps_of(i0, np.full(N, 100))
    assert np.flatnonzero(steps.is_off).tolist() == [7, 8]
    assert steps.is_outage


def test_a_white_line_beside_a_step_does_not_hide_it():
    counts = np.full(N, 100)
    counts[20:] = 180
    i0 = beam()
    i0[20:] *= 10
    assert steps_of(i0, counts).is_off.sum() == 20


def test_noise_is_no_step():
    rng = np.random.default_rng(3)
    assert not steps_of(rng.poisson(4, N).astype(float), np.full(N, 100)).is_off.any()
