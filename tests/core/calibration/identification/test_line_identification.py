from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from rixs_pipeline.core.calibration.identification.line_assignment import (
    FreeLines,
    assign_lines,
)
from rixs_pipeline.core.calibration.identification.line_identification import (
    WINDOW_EV,
    FittedLines,
    ReferenceLine,
    identify_lines,
)
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from tests.core.photons import ENERGY, REFERENCE_LINES, SIX, height

ELASTIC_ENERGY = 1000.0
FOUR = SIX[:4]
# A pixel that misses the form by some eV: the lines C, N, O, Fe match other peaks as
# well, with a bend that no other pixel has.
AMBIGUOUS_ENERGY = ENERGY[:4] + np.array([3.0, 2.0, 7.0, -2.0])
AMBIGUOUS_PEAKS = Peaks(
    height(np.append(AMBIGUOUS_ENERGY, [1000.0, 868.0, 950.0]), 3e4, 2000.0, 50.0),
    np.array([50.0, 45.0, 40.0, 35.0, 30.0, 8.0, 8.0]),
)


def make_pixel(peaks: Peaks, lines: Sequence[str] = SIX) -> SimpleNamespace:
    energy = ENERGY[: len(lines)]
    assignment = assign_lines(
        peaks, FreeLines(energy, np.ones(len(energy)), ELASTIC_ENERGY)
    )
    return SimpleNamespace(
        peaks=peaks, assignment=assignment, pulses=SimpleNamespace(pixel=1)
    )


def make_array(
    pixels: int, energies: np.ndarray = ENERGY, strength: float = 40.0
) -> list[SimpleNamespace]:
    """Return pixels that bend alike, with gains that differ by a factor of two."""
    significance = np.full(len(energies), strength)
    return [
        make_pixel(Peaks(height(energies, a, 2000.0, 50.0), significance))
        for a in np.geomspace(2.2e4, 4.4e4, pixels)
    ]


def test_an_ambiguous_pixel_is_assigned_with_the_bend_of_the_array() -> None:
    pixels = [make_pixel(pixel.peaks, FOUR) for pixel in make_array(6)]
    ambiguous = make_pixel(AMBIGUOUS_PEAKS, FOUR)
    assert all(pixel.assignment.is_unambiguous for pixel in pixels)
    assert not ambiguous.assignment.is_unambiguous
    scores = [pixel.assignment.score for pixel in pixels]
    identify_lines([*pixels, ambiguous], REFERENCE_LINES, ELASTIC_ENERGY, FOUR)
    assert [pixel.assignment.score for pixel in pixels] == scores
    assert ambiguous.assignment.is_unambiguous
    energies = ambiguous.assignment.curve.energy(AMBIGUOUS_PEAKS.pulse_height[:4])
    assert np.abs(energies - ENERGY[:4]).max() < 8


def test_two_pixels_do_not_determine_the_bend() -> None:
    ambiguous = make_pixel(AMBIGUOUS_PEAKS, FOUR)
    pixels = [*make_array(2), ambiguous]
    identify_lines(pixels, REFERENCE_LINES, ELASTIC_ENERGY, FOUR)
    assert not ambiguous.assignment.is_unambiguous


def test_lines_that_most_pixels_show_are_identified() -> None:
    lines = identify_lines(make_array(6), REFERENCE_LINES, ELASTIC_ENERGY)
    assert lines.names == SIX
    assert lines.is_anchor.all()
    np.testing.assert_array_equal(lines.energy, ENERGY)


def test_noise_peaks_are_no_lines_of_the_sample() -> None:
    """A bump of 5 standard deviations at Ti La beside lines of 40."""
    pixels = make_array(3, np.append(ENERGY, 452.0))
    for pixel in pixels:
        pixel.peaks.significance[-1] = 5.0
    further = ReferenceLine("Ti_La", 452.0, 0.5, ((0.0, 3.0, 1.0),))
    lines = identify_lines(pixels, [*REFERENCE_LINES, further], ELASTIC_ENERGY)
    assert lines.names == SIX


def test_l_beta_is_no_main_line() -> None:
    shape = ((0.0, 3.0, 1.0),)
    assert ReferenceLine("Co_La", 776.2, 0.4, shape).is_main
    assert not ReferenceLine("Co_Lb", 791.4, 0.4, shape).is_main
    assert not ReferenceLine("Fe_L", 718.0, 0.4, shape, is_satellite=True).is_main


def test_the_elastic_line_is_fitted_where_the_pixels_show_it() -> None:
    pixels = make_array(6, np.append(ENERGY, 1003.0))
    lines = identify_lines(pixels, REFERENCE_LINES, ELASTIC_ENERGY)
    assert lines.names == (*SIX, "elastic")
    assert lines.is_anchor.tolist() == [True] * 6 + [False]
    assert lines.energy[-1] == pytest.approx(1003.0, abs=4)
    assert np.isnan(lines.energy_errors).tolist() == [False] * 6 + [True]


def test_no_lines_are_identified_without_peaks() -> None:
    empty = Peaks(np.empty(0), np.empty(0))
    pixel = SimpleNamespace(
        peaks=empty, assignment=None, pulses=SimpleNamespace(pixel=1)
    )
    lines = identify_lines([pixel], REFERENCE_LINES, ELASTIC_ENERGY)
    assert lines.names == ()
    assert pixel.assignment is None


def make_line(energy: float) -> ReferenceLine:
    return ReferenceLine("X_Ka", energy, 0.5, ((0.0, 1.0, 1.0),))


def test_windows_end_half_way_to_the_next_line() -> None:
    lines = FittedLines(
        lines=(make_line(500.0), make_line(520.0)),
        is_anchor=np.array([True, True]),
        neighbour_energy=np.array([540.0]),
    )
    low = 500.0 + WINDOW_EV[0]
    np.testing.assert_array_equal(lines.windows(), [[low, 510.0], [510.0, 530.0]])
