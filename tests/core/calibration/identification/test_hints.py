import numpy as np
import pytest

from rixs_pipeline.core.calibration.identification.hints import (
    Hint,
    Hints,
    assign_with_hints,
    match_hints,
    summarise_problems,
)
from rixs_pipeline.core.calibration.identification.line_assignment import FreeLines
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from tests.core.photons import ENERGY, SIX, height

LINE_ENERGY = dict(zip(SIX, ENERGY.tolist(), strict=True))
GAIN = (3e4, 2000.0, 50.0)
PEAKS = Peaks(height(ENERGY, *GAIN), np.full(6, 40.0))
LINES = FreeLines(ENERGY, np.ones(6))
O_KA = float(PEAKS.pulse_height[2])


def test_the_nearest_peak_is_the_hinted_line() -> None:
    hints = Hints((Hint(1.01 * O_KA, "O_Ka"),))
    matched = match_hints(hints, 5, PEAKS, LINE_ENERGY)
    assert [(hint.peak, hint.energy) for hint in matched.peaks] == [(2, 524.9)]
    assert not matched.problem


def test_a_hint_far_from_all_peaks_is_reported() -> None:
    hints = Hints((Hint(1.05 * O_KA, "O_Ka"),))
    matched = match_hints(hints, 5, PEAKS, LINE_ENERGY)
    assert not matched.peaks
    assert matched.problem == (
        f"no peak within 3 % of pulse height {1.05 * O_KA:g} (O_Ka)"
    )


def test_hints_for_a_pixel_replace_those_for_all() -> None:
    hints = Hints((Hint(1.0, "O_Ka"),), {5: (Hint(O_KA, "O_Ka"),)})
    assert match_hints(hints, 5, PEAKS, LINE_ENERGY).is_binding
    assert not match_hints(hints, 7, PEAKS, LINE_ENERGY).peaks


@pytest.mark.parametrize("is_binding", [False, True])
def test_hints_choose_among_assignments(is_binding: bool) -> None:
    """Five metals with even distances are explained by their neighbours, too."""
    energies = np.array([452.0, 511.0, 573.0, 637.0, 705.0, 776.0, 851.5, 930.0])
    peaks = Peaks(height(energies[2:7], *GAIN), np.full(5, 40.0))
    lines = FreeLines(energies, np.full(8, 0.05))
    hint = (Hint(float(peaks.pulse_height[0]), "Cr_La"),)
    hints = Hints(by_pixel={5: hint}) if is_binding else Hints(hint)
    matched = match_hints(hints, 5, peaks, {"Cr_La": 573.0})
    result = assign_with_hints(peaks, lines, matched)
    assert result.assignment is not None
    assert result.assignment.line_peaks.tolist() == [-1, -1, 0, 1, 2, 3, 4, -1]


def test_a_hint_for_all_that_is_wrong_for_a_pixel_is_not_used() -> None:
    matched = match_hints(Hints((Hint(O_KA, "Fe_La"),)), 5, PEAKS, LINE_ENERGY)
    result = assign_with_hints(PEAKS, LINES, matched)
    assert result.assignment is not None
    assert result.assignment.line_peaks.tolist() == [0, 1, 2, 3, 4, 5]
    assert result.hints.problem in (
        "other lines explain the peaks better than the hints",
        "no gain curve passes through the hinted peaks",
    )


def test_problems_of_one_kind_are_one_line() -> None:
    problems = [(1, "no peak"), (3, ""), (5, "no peak"), (7, "other")]
    assert summarise_problems(problems) == [
        "hints not used in pixels 1, 5: no peak",
        "hints not used in pixel 7: other",
    ]
