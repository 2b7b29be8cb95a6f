"""Repeated readings, blanks, samples and suggestions."""

import numpy as np
import pytest

from rixs_pipeline.core.flux.blank import response_of_blank
from rixs_pipeline.core.flux.repeated_readings import Repetition, find_repeated_readings
from rixs_pipeline.core.flux.sample_levels import range_factor
from rixs_pipeline.core.flux.suggestion import (
    factors_of_steps,
    format_scale,
    round_to_range,
    suggest_scale,
)


def noisy(n=50):
    return np.random.default_rng(2).normal(1e5, 1e3, n)


def test_repeated_readings_and_why():
    assert find_repeated_readings(noisy()) is None
    constant = find_repeated_readings(np.full(20, 7.0))
    assert constant.kind is Repetition.CONSTANT and constant.is_repeated.all()
    stuck = noisy()
    stuck[30:] = stuck[30] = 1e5
    found = find_repeated_readings(stuck)
    assert found.kind is Repetition.STUCK and found.is_repeated.sum() == 20
    saturated = np.minimum(noisy(), 1.01e5)
    found = find_repeated_readings(saturated)
    assert found.kind is Repetition.SATURATED and found.value == 1.01e5


def test_coarse_readings_repeat_by_chance():
    counts = np.random.default_rng(4).poisson(40, 60).astype(float)
    assert find_repeated_readings(counts) is None
    assert find_repeated_readings(np.full(5, 7.0)) is None


def test_the_response_of_a_blank_averages_repeated_energies():
    energy = np.array([3.0, 1, 2, 2])
    response = response_of_blank(energy, np.array([3.0, 1, 1, 3]), np.ones(4))
    np.testing.assert_allclose(response.values, [0.5, 1.0, 1.5])
    np.testing.assert_allclose(response.at(np.array([2.5])).values, 1.25)
    assert np.isnan(response.at(np.array([0.5, 3.1])).values).all()
    assert response_of_blank(energy[:2], np.ones(2), np.ones(2)) is None


SAMPLE = {"i0": 1e5, "photons": 500.0, "tey": 3e4}


@pytest.mark.parametrize(
    ("other", "factor"),
    [
        ({"i0": 1e8, "photons": 800.0, "tey": 2e4}, 1e-3),
        ({"i0": 1e6, "photons": 500.0, "tey": 3e5}, 1),  # beam for a dilute sample
        ({"i0": 1e6, "photons": 5000.0, "tey": 3e5}, 1),
        ({"i0": 1e6, "photons": 500.0}, 0.1),  # no reading: a power of ten
        ({"i0": 6e5, "photons": 500.0}, 1),
    ],
)
def test_the_range_of_another_sample(other, factor):
    assert range_factor([SAMPLE], [other]) == pytest.approx(factor)


def test_one_odd_pass_makes_no_odd_sample():
    odd = SAMPLE | {"i0": 1e8}
    assert range_factor([SAMPLE, odd], [SAMPLE, SAMPLE]) == 1
    assert range_factor([odd, odd], [SAMPLE, SAMPLE]) == pytest.approx(1000)


@pytest.mark.parametrize(
    ("factor", "rounded"),
    [(0.0993, 0.1), (9.1, 10), (1.96, 2), (0.00102, 0.001), (4.8, 5), (0.7, 0.7)],
)
def test_factors_are_rounded_to_ranges(factor, rounded):
    assert round_to_range(factor) == pytest.approx(rounded)


def test_the_scale_is_what_a_config_takes():
    assert format_scale(np.full(4, 0.1)) == "0.1"
    assert format_scale(np.array([1, 1, 0.1, 0.1])) == "{from_point: 2, factor: 0.1}"
    text = format_scale(np.array([0.1, 1, 0.1]))
    assert text.startswith(
        "[{from_point: 0, factor: 0.1}, {from_point: 1, factor: 1}, "
    )


def test_a_suggestion_keeps_the_present_factors_and_skips_unused_points():
    log_range = np.log([1, 1.02, 1, 9.8, 1, 10.1])
    is_used = np.array([True, True, True, True, False, True])
    log_range[:3] = 0
    log_range[[3, 5]] = np.log(10)
    present = factors_of_steps({0: 2.0}, 6)
    text = suggest_scale(log_range, is_used, present)
    assert text == "[{from_point: 0, factor: 2}, {from_point: 3, factor: 0.2}]"
