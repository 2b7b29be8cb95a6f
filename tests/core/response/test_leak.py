"""Leak of a line's tail into a region below it, with its error."""

import numpy as np
import pytest

from rixs_pipeline.core.maps.map_data import MapData, ResponseTail
from rixs_pipeline.core.response.leak import estimate_leak, find_tail, tail_weights
from rixs_pipeline.core.response.tail_fit import LENGTH_FACTORS, LENGTH_WEIGHTS
from rixs_pipeline.core.spectra.regions import LeakBackground

EDGES = np.arange(400.0, 600.5, 0.5)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
LINE_EV = 550.25
TAIL = ResponseTail(0.16, 0.01, 20.0, 2.0, -0.5)


def one_line(photons: float) -> MapData:
    """Return the counts that a line and its tail have on average, rounded."""
    counts = np.zeros((1, len(CENTRES)))
    line = int(np.argmin(np.abs(CENTRES - LINE_EV)))
    for below in range(line):
        low, high = EDGES[below : below + 2]
        counts[0, below] = photons * expected_share(low, high, TAIL)
    in_first_bin = expected_share(EDGES[line], LINE_EV, TAIL)
    counts[0, line] = photons * (1 - TAIL.fraction + in_first_bin)
    rounded = np.round(counts).astype(int)
    return MapData(rounded, np.ones(1), EDGES, np.array([780.0]), tail=TAIL)


def region(low: float, high: float) -> np.ndarray:
    inside = (low < CENTRES) & (high > CENTRES)
    return inside[None, :] * 1.0


def expected_share(low: float, high: float, tail: ResponseTail) -> float:
    """Share of a line at `LINE_EV` in its tail from low to high, eV."""
    lengths = tail.length * LENGTH_FACTORS
    near = np.exp(-(LINE_EV - high) / lengths)
    far = np.exp(-(LINE_EV - low) / lengths)
    return float(tail.fraction * LENGTH_WEIGHTS @ (near - far))


@pytest.mark.parametrize(("low", "high"), [(510.0, 530.0), (450.0, 500.0)])
def test_the_leak_is_the_part_of_the_tail_that_falls_into_the_region(low, high):
    leak = estimate_leak(one_line(1e7), TAIL, region(low, high))
    expected = 1e7 * expected_share(low, high, TAIL)
    assert leak.value[0] == pytest.approx(expected, rel=0.01)


def test_the_error_has_that_of_fraction_length_and_counts() -> None:
    data = one_line(1e7)  # so many that counting hardly matters
    weights = region(510.0, 530.0)
    leak = estimate_leak(data, TAIL, weights)
    leaks = {
        (f, t): estimate_leak(data, ResponseTail(f, 0.0, t), weights).value[0]
        for f in (0.16, 0.17)
        for t in (20.0, 22.0)
    }
    of_fraction = leaks[0.17, 20.0] - leaks[0.16, 20.0]
    of_length = leaks[0.16, 22.0] - leaks[0.16, 20.0]
    expected = of_fraction**2 + of_length**2 - of_fraction * of_length
    exact = estimate_leak(data, ResponseTail(0.16, 0.0, 20.0), weights)
    assert leak.variance[0] - exact.variance[0] == pytest.approx(expected, rel=1e-6)


def test_the_config_replaces_what_the_reference_runs_say() -> None:
    data = one_line(1000.0)
    assert find_tail(data, LeakBackground()) == TAIL
    fixed = find_tail(data, LeakBackground(tail_fraction=0.2, tail_length=15.0))
    assert fixed == ResponseTail(0.2, 0.0, 15.0, 0.0, 0.0)


def test_weights_are_those_of_whole_matrices() -> None:
    rng = np.random.default_rng(5)
    data = one_line(1e4)
    weights = rng.random((3, len(CENTRES))) * region(450.0, 500.0)
    n = len(CENTRES)
    distance = np.arange(n) - np.arange(n)[:, None]
    lengths = TAIL.length * LENGTH_FACTORS[:, None, None] / 0.5
    decay = np.exp(-1 / lengths)
    above = lengths * (1 - decay) ** 2 * decay ** np.maximum(distance - 1.0, 0.0)
    parts = np.where(distance > 0, above, 1 - (1 - decay) * lengths)
    spread = TAIL.fraction * np.tensordot(LENGTH_WEIGHTS, parts, 1) * (distance >= 0)
    response = spread + (1 - TAIL.fraction) * np.eye(n)
    expected = np.linalg.solve(response.T, (weights @ spread * (1 - weights)).T).T
    found = tail_weights(data, TAIL, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
