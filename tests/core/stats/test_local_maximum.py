"""The maximum of a spectrum, and its error, from a fit around it."""

import numpy as np
import pytest

from rixs_pipeline.core.stats.local_maximum import find_local_maximum

ENERGY = np.arange(770.0, 800.0, 0.3)
VALID = np.ones(len(ENERGY), dtype=bool)
PEAK = 1 / (1 + ((ENERGY - 780.4) / 1.5) ** 2)


def test_the_maximum_of_a_parabola_is_exact() -> None:
    maximum = find_local_maximum(ENERGY, 5 - 0.01 * (ENERGY - 783.1) ** 2, VALID)
    assert maximum.position == pytest.approx(783.1)
    assert maximum.weights @ (5 - 0.01 * (ENERGY - 783.1) ** 2) == pytest.approx(5.0)
    assert maximum.weights.sum() == pytest.approx(1.0)


def test_the_order_of_the_points_does_not_matter() -> None:
    order = np.random.default_rng(1).permutation(len(ENERGY))
    one = find_local_maximum(ENERGY, PEAK, VALID)
    other = find_local_maximum(ENERGY[order], PEAK[order], VALID)
    assert other.position == pytest.approx(one.position)
    np.testing.assert_allclose(other.weights, one.weights[order], atol=1e-12)


def test_one_noisy_point_hardly_moves_it() -> None:
    spike = PEAK.copy()
    spike[int(np.argmax(PEAK)) + 1] += 0.2
    clean = find_local_maximum(ENERGY, PEAK, VALID)
    noisy = find_local_maximum(ENERGY, spike, VALID)
    assert noisy.weights @ spike - clean.weights @ PEAK < 0.07


def test_the_error_is_that_of_the_points() -> None:
    """The largest of the points is too high by 0.05; the fit by a tenth of that."""
    rng, noise = np.random.default_rng(2), 0.05
    clean = find_local_maximum(ENERGY, PEAK, VALID)
    true, heights, errors = clean.weights @ PEAK, [], []
    for _ in range(120):
        values = PEAK + rng.normal(0, noise, len(ENERGY))
        maximum = find_local_maximum(ENERGY, values, VALID)
        heights.append(maximum.weights @ values)
        errors.append(noise * np.sqrt(maximum.weights @ maximum.weights))
    pulls = (np.array(heights) - true) / np.array(errors)
    assert 0.9 < np.sqrt(np.mean(pulls**2)) < 1.2
    assert np.mean(heights) - true < 0.4 * noise


# shoulders of metal L3 edges: (position, half width, height)
MULTIPLETS = {
    "nickel": [(853.1, 0.45, 0.75), (855.1, 0.75, 1.0)],
    "manganese": [(640.4, 0.5, 0.3), (642.0, 0.6, 0.6), (643.4, 0.8, 1.0)],
    "heated": [(640.4, 0.5, 0.45), (642.0, 0.6, 0.7), (643.4, 0.8, 1.0)],
}


def multiplet(name, energy):
    return sum(h / (1 + ((energy - at) / w) ** 2) for at, w, h in MULTIPLETS[name])


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("name", MULTIPLETS)
def test_the_top_of_a_multiplet_is_not_cut_off(name, noise) -> None:
    """At three quarters of the height, shoulders would widen the fit."""
    first = MULTIPLETS[name][0][0] - 4
    energy = np.arange(first, first + 12, 0.07)
    clean, rng = multiplet(name, energy), np.random.default_rng(4)
    is_valid = np.ones(len(energy), dtype=bool)
    heights, errors = [], []
    for _ in range(100 if noise else 1):
        values = clean + rng.normal(0, noise, len(energy)) * clean.max()
        maximum = find_local_maximum(energy, values, is_valid)
        heights.append(maximum.weights @ values / clean.max())
        errors.append(noise * np.linalg.norm(maximum.weights))
    assert np.mean(heights) == pytest.approx(1, abs=0.008)
    assert np.std(heights) <= 1.35 * np.mean(errors)


def test_a_spectrum_that_rises_to_its_end_has_its_maximum_there() -> None:
    maximum = find_local_maximum(ENERGY, ENERGY - 770.0, VALID)
    assert maximum.position == pytest.approx(ENERGY[-1])
    assert maximum.weights @ (ENERGY - 770.0) == pytest.approx(ENERGY[-1] - 770.0)


def test_missing_points_have_no_weight() -> None:
    values = np.where(np.arange(len(ENERGY)) % 3 == 0, np.nan, PEAK)
    maximum = find_local_maximum(ENERGY, values, np.isfinite(values))
    assert (maximum.weights[~np.isfinite(values)] == 0).all()


def test_of_two_points_the_larger_one_counts() -> None:
    maximum = find_local_maximum(ENERGY[:2], np.array([1.0, 2.0]), VALID[:2])
    assert maximum.weights.tolist() == [0.0, 1.0]
