from types import SimpleNamespace

import numpy as np

from rixs_pipeline.core.calibration import line_assignment as peaks
from rixs_pipeline.core.calibration import line_identification as reference_lines
from tests.core.photons import ENERGY, height

# peaks of a simulated pixel whose gain misses the best curve by 5 eV at N Ka, so that other lines fit nearly as well
HARD = peaks.Peaks(
    np.array(
        [7158.0, 11454.0, 5512.0, 4133.0, 9179.0, 10691.0, 12083.0, 11635.0, 10861.0]
    ),
    np.array([54.8, 46.6, 44.5, 42.6, 40.9, 40.3, 30.6, 7.8, 5.5]),
)


def state(found: peaks.Peaks) -> SimpleNamespace:
    assignment = peaks.assign(found, ENERGY, np.ones(6), 1000.0)
    return SimpleNamespace(peaks=found, assignment=assignment)


def array(pixels: int) -> list[SimpleNamespace]:
    """Pixels that bend alike, with gains that differ twofold."""
    gains = np.geomspace(2.2e4, 4.4e4, pixels)
    return [
        state(peaks.Peaks(height(ENERGY, a, 2000.0, 50.0), np.full(6, 40.0)))
        for a in gains
    ]


def test_a_pixel_that_stands_out_no_assignment_alone_takes_the_array_s_bend() -> None:
    states = [*array(6), state(HARD)]
    assert (
        all(one.assignment.is_unambiguous for one in states[:-1])
        and not states[-1].assignment.is_unambiguous
    )
    before = [one.assignment for one in states[:-1]]
    reference_lines._assign_as_the_array(states, ENERGY, 1000.0)
    assert [one.assignment for one in states[:-1]] == before
    assert states[-1].assignment.is_unambiguous
    assert (
        np.abs(
            states[-1].assignment.energies(HARD.pulse_height[[3, 2, 0, 4, 5, 1]])
            - ENERGY
        ).max()
        < 8
    )


def test_few_pixels_tell_no_bend() -> None:
    states = [*array(2), state(HARD)]
    reference_lines._assign_as_the_array(states, ENERGY, 1000.0)
    assert not states[-1].assignment.is_unambiguous
