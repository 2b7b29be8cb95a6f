"""Division of spectra by maximum, area, mean or edge jump."""

import numpy as np
import pytest

from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.normalisation import (
    line_weights,
    pre_edge_weights,
    scale_values,
)
from rixs_pipeline.core.spectra.regions import Limits, Scale

ENERGY = np.arange(770.0, 805.0, 0.5)
INTENSITY = 1.0 + 0.01 * (ENERGY - 770) + 2.0 * (ENERGY > 780)
ERRORS = np.full(len(ENERGY), 0.05)
WINDOWS = EdgeWindows(Limits(770, 778), Limits(785, 805), position=780.0)


def test_the_maximum_of_a_local_parabola_becomes_one():
    peak = 1 + 3 * np.exp(-0.5 * ((ENERGY - 785.1) / 3) ** 2)
    scaled = scale_values(ENERGY, peak, ERRORS, Scale.MAX)
    assert scaled.factor == pytest.approx(4.0, rel=0.01)
    assert scaled.factor_error < 0.05, "several points share their noise"
    spike = peak.copy()
    spike[32] += 1.0
    moved = scale_values(ENERGY, spike, ERRORS, Scale.MAX)
    assert moved.factor - scaled.factor < 0.5


def test_the_maximum_is_that_above_the_pre_edge_line():
    line = 2 + 0.02 * ENERGY
    peak = 3 * np.exp(-0.5 * ((ENERGY - 787) / 3) ** 2)
    is_valid = np.ones(len(ENERGY), dtype=bool)
    windows = EdgeWindows(Limits(770, 776), Limits(800, 805), position=785.0)
    baseline = pre_edge_weights(ENERGY, is_valid, windows, is_linear=True)
    scaled = scale_values(ENERGY, line + peak, ERRORS, Scale.MAX, baseline=baseline)
    alone = scale_values(ENERGY, peak, ERRORS, Scale.MAX, baseline=baseline)
    np.testing.assert_allclose(scaled.intensity, alone.intensity, atol=1e-9)
    assert scaled.factor == pytest.approx(3.0, rel=0.02)


def test_pre_edge_weights_need_two_energies():
    is_valid = ENERGY > 778
    assert pre_edge_weights(ENERGY, is_valid, WINDOWS, is_linear=False) is None


def test_the_area_becomes_one():
    scaled = scale_values(ENERGY, INTENSITY, ERRORS, Scale.AREA)
    assert np.trapezoid(scaled.intensity, ENERGY) == pytest.approx(1)


def test_the_mean_over_a_window_becomes_one():
    window = Limits(790, 800)
    scaled = scale_values(ENERGY, INTENSITY, ERRORS, window)
    assert scaled.intensity[window.contains(ENERGY)].mean() == pytest.approx(1)
    assert scaled.factor_error == pytest.approx(0.05 / np.sqrt(20))


def test_the_edge_jump_becomes_one_on_a_baseline_of_zero():
    scaled = scale_values(ENERGY, INTENSITY, ERRORS, Scale.EDGE, WINDOWS)
    assert scaled.factor == pytest.approx(2)
    np.testing.assert_allclose(scaled.intensity, 1.0 * (ENERGY > 780), atol=1e-9)


@pytest.mark.parametrize("scale", [Scale.AREA, Scale.EDGE, Limits(790, 800)])
def test_errors_are_those_of_small_changes(scale):
    """Compared with numerical derivatives, the correlation with the factor included."""
    scaled = scale_values(ENERGY, INTENSITY, ERRORS, scale, WINDOWS)
    variance = np.zeros(len(ENERGY))
    for point in range(len(ENERGY)):
        change = np.zeros(len(ENERGY))
        change[point] = 1e-6
        moved = scale_values(ENERGY, INTENSITY + change, ERRORS, scale, WINDOWS)
        derivative = (moved.intensity - scaled.intensity) / 1e-6
        np.testing.assert_allclose(
            scaled.propagate(change) / 1e-6, derivative, atol=1e-5
        )
        variance += (derivative * ERRORS[point]) ** 2
    np.testing.assert_allclose(scaled.errors, np.sqrt(variance), rtol=1e-4)


@pytest.mark.parametrize("scale", [Scale.MAX, Scale.AREA, Scale.EDGE, Limits(1, 2)])
def test_without_a_positive_factor_there_are_no_values(scale):
    scaled = scale_values(ENERGY, -INTENSITY, ERRORS, scale, None)
    assert np.isnan(scaled.intensity).all()
    assert np.isnan(scaled.factor)


def test_missing_points_stay_missing():
    broken = np.where(ENERGY == 790, np.nan, INTENSITY)
    for scale in (Scale.MAX, Scale.AREA, Scale.EDGE):
        scaled = scale_values(ENERGY, broken, ERRORS, scale, WINDOWS)
        np.testing.assert_array_equal(np.isnan(scaled.intensity), ENERGY == 790)


def test_weights_of_a_line_reproduce_it():
    line = 3.0 + 0.2 * ENERGY
    weights = line_weights(ENERGY, ENERGY < 778, np.array([800.0, 810.0]))
    np.testing.assert_allclose(weights @ line, [163.0, 165.0])
