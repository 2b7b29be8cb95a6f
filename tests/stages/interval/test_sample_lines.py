"""Lines of samples: found where a sample emits them, not where elastic light stands."""

from types import SimpleNamespace

import numpy as np
import pytest

from rixs_pipeline.stages.interval.array_spectra import ArraySpectra
from rixs_pipeline.stages.interval.sample_lines import line_positions

EDGES = 480.0 + 0.5 * np.arange(201)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
PIECES = [np.arange(low, low + 3.0, 0.25) for low in (526.0, 529.0, 532.0, 535.0)]
OXYGEN = {"O_Ka": 524.9}


def peak(energy, photons):
    shape = np.exp(-(((CENTRES - energy) / 1.0) ** 2) / 2)
    return photons * shape / shape.sum()


def scan(sample, photons_of_line, line_energy=525.2):
    """Elastic light at each incident energy, and a line, in four pieces of a scan."""
    counts = np.stack(
        [
            sum(peak(energy, 100.0) for energy in incident)
            + peak(line_energy, photons_of_line)
            for incident in PIECES
        ]
    )
    return ArraySpectra(
        scan=SimpleNamespace(name=f"{sample}1", sample=sample, edge="O_K"),
        counts=counts,
        time=np.arange(4.0),
        incident=tuple(PIECES),
        lever=np.zeros((4, 1, 2)),
        pixel_lever=np.zeros((1, 1, 2)),
        in_use=np.zeros((4, 2)),
        later_share=0.0,
        own_variance=0.0,
        piece_gain=np.zeros((1, 4)),
        piece_gain_error=np.full((1, 4), np.inf),
    )


def lines_of(*scans):
    return line_positions(scans, OXYGEN, EDGES, np.array([525.0]), {})


def test_the_line_of_a_sample_is_found_beside_elastic_light():
    measured = lines_of(scan("oxide", 20_000.0))
    assert measured.names == ("O_Ka",) * 4
    energy = measured.positions.energy + measured.positions.shift
    np.testing.assert_allclose(energy, 525.2, atol=0.3)


def test_elastic_light_of_a_sample_without_the_element_is_no_line():
    assert lines_of(scan("metal", 0.0)).names == ()


def test_samples_are_told_apart():
    measured = lines_of(scan("metal", 0.0), scan("oxide", 20_000.0))
    assert set(measured.positions.scan.tolist()) == {1}


@pytest.mark.parametrize("line_energy", [523.6, 526.4])
def test_a_line_that_chemistry_moves_stays_one(line_energy):
    assert len(lines_of(scan("oxide", 20_000.0, line_energy)).names) == 4
