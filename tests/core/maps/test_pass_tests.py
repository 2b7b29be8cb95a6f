"""Passes: sound ones pass, an odd one and an odd point are named, shifts of the incident scale are found."""

import numpy as np
import pytest

from rixs_pipeline.core.maps import pass_tests as passes
from rixs_pipeline.core.stats import homogeneity as comparison

GRID = np.sort(np.concatenate([np.arange(770, 805, 1.0), np.arange(778.25, 784, 0.25)]))
GRID = np.unique(GRID)
EVERY = np.ones((len(GRID), 1))


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
    return comparison.cells([n[:, None] for n in counts], exposure, EVERY, False)


def test_sound_passes_are_sound():
    found = [passes.consistency(cells(seed), 0.05) for seed in range(6)]
    assert sum(bool(one.odd_passes) or bool(one.odd_points) for one in found) <= 3
    assert min(one.p for one in found) > 1e-3
    assert all(one.degrees_of_freedom == 4 * (len(GRID) - 1) for one in found)


def test_an_odd_pass_is_named():
    found = passes.consistency(cells(1, odd=3), 0.01)
    assert found.odd_passes == (3,)
    assert found.p < 1e-4
    assert found.consecutive.shape == (4,)
    assert found.consecutive[2] < 0.02 < found.consecutive[0]


def test_an_odd_point_is_named():
    found = passes.consistency(cells(2, point=(1, 12)), 0.01)
    assert found.odd_points == {1: (12,)}


def test_of_two_passes_none_is_the_odd_one():
    found = passes.consistency(cells(3, number=2, odd=1), 0.01)
    assert found.p < 0.01
    assert (found.odd_passes, found.odd_points) == ((), {})


def test_passes_that_were_stopped_early_are_tested_as_far_as_they_came():
    rng = np.random.default_rng(6)
    exposure = [
        np.where(np.arange(len(GRID)) < (20 if k < 2 else len(GRID)), 1.0, 0.0)
        for k in range(4)
    ]
    counts = [rng.poisson(60 * x * spectrum(GRID))[:, None] for x in exposure]
    found = passes.consistency(comparison.cells(counts, exposure, EVERY, False), 0.01)
    assert found.degrees_of_freedom == 3 * 20 + len(GRID) - 20 - 3
    assert np.all(found.consecutive > 1e-3)
    assert (found.odd_passes, found.odd_points) == ((), {})


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_the_shift_of_a_yield_is_found_with_its_error(shift):
    """To a fifth: the slope of a local line is a little less than that of the spectrum."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(150):
        counts = rng.poisson(
            100 * np.array([spectrum(GRID - shift * (k == 0)) for k in range(4)])
        )
        found.append(
            passes.shifts(
                GRID, list(counts / 100), list(np.sqrt(np.maximum(counts, 1)) / 100)
            )[0]
        )
    value, error = np.array(found).T
    assert value.mean() == pytest.approx(
        shift, abs=0.2 * shift + 4 * value.std() / np.sqrt(150)
    )
    assert value.std() == pytest.approx(error.mean(), rel=0.25)


def test_the_shift_of_a_reading_of_unknown_error_is_found():
    rng = np.random.default_rng(5)
    readings = [
        (2 + 3 * spectrum(GRID - 0.1 * (k == 2))) * rng.normal(1, 0.003, len(GRID))
        for k in range(3)
    ]
    value, error = passes.shifts(GRID, readings, None)[2]
    assert value == pytest.approx(0.1, abs=0.02 + 4 * error)


def test_a_pass_with_few_points_has_no_shift():
    values = [
        np.where(np.arange(len(GRID)) < 5, spectrum(GRID), np.nan),
        spectrum(GRID),
    ]
    assert np.isnan(passes.shifts(GRID, values, [np.ones(len(GRID))] * 2)).all()
