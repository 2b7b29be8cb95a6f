"""The elastic line in a map as a whole: its direction, and large offsets."""

import numpy as np
import pytest

from rixs_pipeline.core.elastic.elastic_trace import find_elastic_trace

EMISSION = np.arange(700.0, 850.0, 0.5)
INCIDENT = np.linspace(770.0, 805.0, 50)


def line(centre, width=1.0):
    return np.exp(-0.5 * ((EMISSION - centre) / width) ** 2)


def counts_of(seed, elastic=2.0, offset=0.0):
    """Counts of a line that appears at the edge, a background, and elastic light."""
    rng = np.random.default_rng(seed)
    absorbed = 0.1 + 1 / (1 + np.exp(-(INCIDENT - 780))) + 2 * line(780)[:1]
    expected = [
        10 * height * line(776) + 0.05 + elastic * line(energy + offset)
        for energy, height in zip(INCIDENT, absorbed, strict=True)
    ]
    return rng.poisson(expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("elastic", [0.0, 0.3, 2.0])
def test_a_sound_map(seed, elastic):
    trace = find_elastic_trace(counts_of(seed, elastic), INCIDENT, EMISSION)
    assert not trace.is_reversed
    assert trace.offset == 0


@pytest.mark.parametrize("seed", range(5))
def test_energies_listed_backwards(seed):
    trace = find_elastic_trace(counts_of(seed), INCIDENT[::-1], EMISSION)
    assert trace.is_reversed


@pytest.mark.parametrize("offset", [-8.0, -5.0, 5.0, 9.0])
def test_a_large_offset(offset):
    trace = find_elastic_trace(counts_of(1, offset=offset), INCIDENT, EMISSION)
    assert not trace.is_reversed
    assert trace.offset == pytest.approx(offset, abs=1.5)


def test_few_points_or_a_short_range_say_nothing():
    counts = counts_of(1)
    for rows in (slice(0, 5), slice(0, 12)):
        trace = find_elastic_trace(counts[rows], INCIDENT[rows][::-1], EMISSION)
        assert not trace.is_reversed
