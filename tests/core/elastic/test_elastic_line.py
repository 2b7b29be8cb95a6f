import numpy as np
import pytest

from rixs_pipeline.core.elastic.elastic_line import elastic_offset

EDGES = np.arange(700.0, 900.25, 0.5)
LINES = {"Co_La": 776.25, "Co_Lb": 791.41}


def scan(seed: int, offset: float, per_point: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts and incident energies: an elastic line and two emission lines."""
    rng = np.random.default_rng(seed)
    incident = np.sort(rng.uniform(735.0, 815.0, 160))
    counts = np.zeros((160, len(EDGES) - 1), np.int64)
    for row, energy in enumerate(incident):
        photons = rng.poisson(per_point)
        tail = rng.exponential(20.0, photons) * (rng.random(photons) < 0.15)
        elastic = energy + offset + rng.normal(0, 0.7, photons) - tail
        excited = [line for line in LINES.values() if energy > line]
        number = rng.poisson(20) if excited else 0
        fluorescence = rng.choice(excited or [0.0], number) + rng.normal(0, 1.5, number)
        background = rng.uniform(700, 900, rng.poisson(2))
        counts[row] = np.histogram(
            np.concatenate([elastic, fluorescence, background]), EDGES
        )[0]
    return counts, incident


def test_offset_has_no_bias_and_its_error_holds():
    pulls = []
    for seed in range(120):
        counts, incident = scan(seed, offset=-1.3, per_point=5)
        found = elastic_offset(counts, incident, EDGES, LINES)
        assert found is not None
        pulls.append((found.offset + 1.3) / found.error)
    assert abs(np.mean(pulls)) < 3 / np.sqrt(120)
    assert 0.7 < np.std(pulls) < 1.1


def test_too_few_counts_are_no_offset():
    counts, incident = scan(0, 0.0, 0.05)
    assert elastic_offset(counts, incident, EDGES, LINES) is None


def test_no_point_clear_of_lines():
    counts, incident = scan(0, 0.0, 5)
    assert (
        elastic_offset(
            counts, incident, EDGES, {f"X{k}_La": 730.0 + 10 * k for k in range(10)}
        )
        is None
    )


def test_light_that_lost_energy_is_covered_by_the_error():
    """Losses 2 eV below the line, near an edge: the upper side tells the offset."""
    pulls = []
    for seed in range(40):
        counts, incident = scan(seed, offset=0.5, per_point=4)
        rng = np.random.default_rng([seed, 1])
        for row, energy in enumerate(incident):
            lost = energy + 0.5 - 2.0 + rng.normal(0, 1.0, rng.poisson(1.5))
            counts[row] += np.histogram(lost, EDGES)[0]
        found = elastic_offset(counts, incident, EDGES, LINES)
        if found is not None:
            pulls.append((found.offset - 0.5) / found.error)
    assert len(pulls) > 10
    assert np.sqrt(np.mean(np.square(pulls))) < 1.3


def test_points_that_the_offset_brings_near_a_line_are_left_out():
    """The monochromator reads 4 eV too low: points below the line are above it."""
    counts, incident = scan(7, offset=4.0, per_point=10)
    is_above = incident > 768.0
    rng = np.random.default_rng(8)
    for row in np.flatnonzero(is_above & (incident < 776.0)):
        counts[row] += np.histogram(776.25 + rng.normal(0, 1.5, 12), EDGES)[0]
    found = elastic_offset(counts, incident, EDGES, LINES)
    assert found is not None
    assert abs(found.offset - 4.0) < 4 * found.error


@pytest.mark.parametrize("offset", [-3.0, 0.0, 4.0])
def test_offsets_of_a_real_monochromator(offset: float):
    counts, incident = scan(3, offset, 10)
    found = elastic_offset(counts, incident, EDGES, LINES)
    assert found is not None
    assert abs(found.offset - offset) < 5 * found.error


def test_a_shape_that_is_no_line_gives_no_offset():
    """Fluorescence that nobody knows of, beside the elastic line."""
    counts, incident = scan(5, 0.0, 40)
    rng = np.random.default_rng(5)
    for row, energy in enumerate(incident):
        beside = energy - 2.5 + rng.choice([-1.2, 1.2], 120) + rng.normal(0, 0.3, 120)
        counts[row] += np.histogram(beside, EDGES)[0]
    assert elastic_offset(counts, incident, EDGES, LINES) is None
