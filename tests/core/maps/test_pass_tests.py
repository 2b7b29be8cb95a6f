"""Sound passes pass; odd passes, odd points and shifts of the scale are test."""

import numpy as np
import pytest

from rixs_pipeline.core.maps import pass_tests
from rixs_pipeline.core.stats import homogeneity

GRID = np.sort(np.concatenate([np.arange(770, 805, 1.0), np.arange(778.25, 784, 0.25)]))
GRID = np.unique(GRID)
WHOLE_BINS = np.ones((len(GRID), 1))


def spectrum(energy):
    """White lines 1.5 and 2 eV wide on a step."""
    lines = np.exp(-0.5 * ((energy - 780.5) / 0.7) ** 2) + 0.5 * np.exp(
        -0.5 * ((energy - 795) / 1.0) ** 2
    )
    return 0.1 + lines + 0.2 / (1 + np.exp(781 - energy))


def cells(seed, number=5, rate=60.0, odd=None, point=None):
    rng = np.random.default_rng(seed)
    exposure = [rng.uniform(0.8, 1.2, len(GRID)) for _ in range(number)]
    truth = [spectrum(GRID - (0.4 if k == odd else 0.0)) for k in range(number)]
    counts = [rng.poisson(rate * x * y) for x, y in zip(exposure, truth, strict=True)]
    if point is not None:
        counts[point[0]][point[1]] *= 3
    return homogeneity.cells([n[:, None] for n in counts], exposure, WHOLE_BINS, False)


def test_sound_passes_are_sound():
    tests = [pass_tests.consistency(cells(seed), 0.05) for seed in range(6)]
    assert sum(bool(test.odd_passes or test.odd_points) for test in tests) <= 3
    assert min(test.p for test in tests) > 1e-3
    assert all(test.degrees_of_freedom == 4 * (len(GRID) - 1) for test in tests)


def test_an_odd_pass_is_named():
    test = pass_tests.consistency(cells(1, odd=3), 0.01)
    assert test.odd_passes == (3,)
    assert test.p < 1e-4
    assert test.consecutive.shape == (4,)
    assert test.consecutive[2] < 0.02 < test.consecutive[0]


def test_an_odd_point_is_named():
    test = pass_tests.consistency(cells(2, point=(1, 12)), 0.01)
    assert test.odd_points == {1: (12,)}


def test_of_two_passes_none_is_the_odd_one():
    test = pass_tests.consistency(cells(3, number=2, odd=1), 0.01)
    assert test.p < 0.01
    assert (test.odd_passes, test.odd_points) == ((), {})


def test_passes_that_were_stopped_early_are_tested_as_far_as_they_came():
    rng = np.random.default_rng(6)
    exposure = [
        np.where(np.arange(len(GRID)) < (20 if k < 2 else len(GRID)), 1.0, 0.0)
        for k in range(4)
    ]
    counts = [rng.poisson(60 * x * spectrum(GRID))[:, None] for x in exposure]
    test = pass_tests.consistency(
        homogeneity.cells(counts, exposure, WHOLE_BINS, False), 0.01
    )
    assert test.degrees_of_freedom == 3 * 20 + len(GRID) - 20 - 3
    assert np.all(test.consecutive > 1e-3)
    assert (test.odd_passes, test.odd_points) == ((), {})


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_shift_of_a_yield_is_fitted_with_its_error(shift):
    """To a fifth: a local line is a little less steep than the spectrum."""
    rng = np.random.default_rng(4)
    shifts = []
    for _ in range(150):
        truth = np.array([spectrum(GRID - shift * (k == 0)) for k in range(4)])
        counts = rng.poisson(100 * truth)
        errors = np.sqrt(np.maximum(counts, 1)) / 100
        first = pass_tests.shifts(GRID, list(counts / 100), list(errors))[0]
        shifts.append((first.value, first.error))
    value, error = np.array(shifts).T
    tolerance = 0.2 * shift + 4 * value.std() / np.sqrt(150)
    assert value.mean() == pytest.approx(shift, abs=tolerance)
    assert value.std() == pytest.approx(error.mean(), rel=0.25)


def test_shift_of_a_reading_without_errors_is_fitted():
    rng = np.random.default_rng(5)
    readings = [
        (2 + 3 * spectrum(GRID - 0.1 * (k == 2))) * rng.normal(1, 0.003, len(GRID))
        for k in range(3)
    ]
    shift = pass_tests.shifts(GRID, readings, None)[2]
    assert shift.value == pytest.approx(0.1, abs=0.02 + 4 * shift.error)


def test_a_pass_with_few_points_has_no_shift():
    values = [
        np.where(np.arange(len(GRID)) < 5, spectrum(GRID), np.nan),
        spectrum(GRID),
    ]
    shifts = pass_tests.shifts(GRID, values, [np.ones(len(GRID))] * 2)
    assert np.isnan([(shift.value, shift.error) for shift in shifts]).all()
