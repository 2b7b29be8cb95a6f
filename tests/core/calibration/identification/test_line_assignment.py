from dataclasses import dataclass

import numpy as np
import pytest

from rixs_pipeline.core.calibration.identification.line_assignment import (
    FreeLines,
    LineAssignment,
    _is_same_assignment,
    assign_lines,
    match_peaks,
)
from rixs_pipeline.core.calibration.identification.peaks import Peaks, find_peaks
from tests.core.photons import ENERGY, SIX, emitted, energy, height, seen

Gain = tuple[float, float, float]  # a, b, d
WEIGHT = np.ones(6)
GAIN: Gain = (3e4, 2000.0, 100.0)
EQUAL_LINES = dict.fromkeys(SIX, 1.0)


@dataclass(frozen=True)
class Trial:
    """Whether the assignment of a simulated pixel is unambiguous, and correct."""

    is_unambiguous: bool
    is_correct: bool


def draw_gain(rng: np.random.Generator) -> Gain:
    """Return a gain as in real arrays, within a factor of two."""
    a = 3e4 * 2 ** rng.uniform(-0.5, 0.5)
    b = rng.uniform(1700, 2300)
    d = rng.uniform(-450, 450)
    return (a, b, d)


def draw_photons(
    rng: np.random.Generator, counts: int, lines: dict[str, float], elastic: float = 0.0
) -> np.ndarray:
    """Return the energies of a reference run, eV.

    Lines with their L beta, elastic light at 1000 eV, and 2 % of background. The
    numbers in `lines` and `elastic` are relative to `counts`.
    """
    parts = [
        emitted(rng, name, rng.poisson(counts * weight))
        for name, weight in lines.items()
    ]
    parts.append(np.full(rng.poisson(counts * elastic), 1000.0))
    number = sum(len(part) for part in parts)
    parts.append(rng.uniform(100, 1000, number // 50))
    return seen(rng, np.concatenate(parts), fwhm=float(rng.uniform(1.4, 4.0)))


def is_correct(assignment: LineAssignment, gain: Gain, is_present: np.ndarray) -> bool:
    """Return whether the curve puts every present line where it can be fitted."""
    misses = np.abs(assignment.curve.energy(height(ENERGY, *gain)) - ENERGY)
    return bool((misses < 8)[is_present].all())


def run_trials(
    counts: int,
    lines: dict[str, float],
    elastic: float,
    elastic_energy: float = 1000.0,
    gains: int = 100,
) -> list[Trial]:
    """Assign simulated pixels; `elastic_energy` is the monochromator's reading."""
    is_present = np.isin(SIX, list(lines))
    trials = []
    for seed in range(gains):
        rng = np.random.default_rng(seed)
        gain = draw_gain(rng)
        peaks = find_peaks(height(draw_photons(rng, counts, lines, elastic), *gain))
        assignment = assign_lines(peaks, FreeLines(ENERGY, WEIGHT, elastic_energy))
        if assignment is None:
            trials.append(Trial(False, False))
        else:
            correct = is_correct(assignment, gain, is_present)
            trials.append(Trial(assignment.is_unambiguous, correct))
    return trials


UNEQUAL_LINES = dict(zip(SIX, (3.0, 0.7, 1.0, 0.5, 1.0, 0.4), strict=True))
CASES = {
    "lines alone": (1000, EQUAL_LINES, 0.0, np.nan, 100),
    "elastic line and a contaminant": (
        1000,
        EQUAL_LINES | {"Mn_La": 0.3},
        1.5,
        1002.6,
        200,
    ),
    "200 counts a line": (200, EQUAL_LINES, 0.5, 1000.0, 100),
    "200 counts a line, elastic line as strong": (200, EQUAL_LINES, 1.0, 1000.0, 300),
    "unequal lines, reading unknown": (1000, UNEQUAL_LINES, 2.0, np.nan, 100),
}


@pytest.mark.parametrize("case", CASES)
def test_every_pixel_is_assigned(case: str) -> None:
    trials = run_trials(*CASES[case])
    assert all(trial.is_correct for trial in trials)
    assert np.mean([trial.is_unambiguous for trial in trials]) > 0.995


def test_most_pixels_are_assigned_correctly_when_a_line_is_missing() -> None:
    """A wrong assignment that counts as unambiguous is rare."""
    trials = []
    for missing in ("C_Ka", "N_Ka", "Fe_La", "Cu_La"):
        lines = {name: 1.0 for name in SIX if name != missing}
        trials += run_trials(1000, lines, 1.0, gains=50)
    unambiguous = [trial for trial in trials if trial.is_unambiguous]
    n_correct = sum(trial.is_correct for trial in unambiguous)
    assert n_correct / len(trials) > 0.8
    assert (len(unambiguous) - n_correct) / len(trials) < 0.02


def test_peaks_of_unlisted_lines_do_not_change_the_assignment() -> None:
    """The spectra have six lines, of which five are assigned."""
    is_named = np.array(SIX) != "O_Ka"
    for seed in range(30):
        rng = np.random.default_rng(seed)
        gain = draw_gain(rng)
        peaks = find_peaks(height(draw_photons(rng, 1500, EQUAL_LINES, 1.0), *gain))
        lines = ENERGY[is_named]
        assignment = assign_lines(peaks, FreeLines(lines, WEIGHT[is_named], 1000.0))
        assert assignment is not None
        assert assignment.is_unambiguous
        peak_energy = energy(peaks.pulse_height, *gain)[assignment.line_peaks]
        np.testing.assert_allclose(peak_energy, lines, atol=6)


def test_curve_inverts_itself() -> None:
    rng = np.random.default_rng(3)
    peaks = find_peaks(height(draw_photons(rng, 2000, EQUAL_LINES), *GAIN))
    assignment = assign_lines(peaks, FreeLines(ENERGY, WEIGHT))
    assert assignment is not None
    curve = assignment.curve
    inverted = curve.energy(curve.pulse_height(ENERGY))
    np.testing.assert_allclose(inverted, ENERGY, rtol=1e-9)
    energies = curve.energy(height(ENERGY, *GAIN))
    np.testing.assert_allclose(energies, ENERGY, atol=10)


def test_the_strongest_peaks_are_first() -> None:
    rng = np.random.default_rng(5)
    positions = {4000: 500, 9000: 5000, 12000: 1500}
    heights = [rng.normal(at, 15, number) for at, number in positions.items()]
    peaks = find_peaks(np.concatenate(heights))
    np.testing.assert_allclose(peaks.pulse_height[:3], [9000, 12000, 4000], atol=12)
    assert (np.diff(peaks.significance) <= 0).all()
    # the square root of N Poisson counts has a standard deviation of one half
    assert peaks.significance[2] == pytest.approx(2 * np.sqrt(500), rel=0.2)


def test_a_single_peak_is_not_assigned() -> None:
    photons = seen(np.random.default_rng(6), np.full(3000, 1000.0), 3.0)
    assignment = assign_lines(
        find_peaks(height(photons, *GAIN)), FreeLines(ENERGY, WEIGHT)
    )
    assert assignment is None or not assignment.is_unambiguous


@pytest.mark.parametrize("number", [0, 1, 30])
def test_too_few_pulses_have_no_peaks(number: int) -> None:
    peaks = find_peaks(np.random.default_rng(1).uniform(100, 12000, number))
    assert len(peaks.pulse_height) == 0
    assert assign_lines(peaks, FreeLines(ENERGY, WEIGHT)) is None


def test_equal_pulses_have_at_most_one_peak() -> None:
    assert len(find_peaks(np.full(1000, 5000.0)).pulse_height) <= 1


def test_two_lines_are_not_assigned() -> None:
    photons = draw_photons(np.random.default_rng(1), 2000, EQUAL_LINES)
    peaks = find_peaks(height(photons, *GAIN))
    assert assign_lines(peaks, FreeLines(ENERGY[:2], WEIGHT[:2])) is None


@pytest.mark.parametrize("distribution", ["flat", "exponential"])
def test_noise_is_ambiguous(distribution: str) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        if distribution == "flat":
            noise = rng.uniform(0.0, 12000.0, 10000)
        else:
            noise = rng.exponential(2000.0, 5000)
        assignment = assign_lines(find_peaks(noise), FreeLines(ENERGY, WEIGHT))
        assert assignment is None or not assignment.is_unambiguous


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ([0, 1, 2, 3, 4, 5], True),
        ([-1, 1, 2, 3, 4, -1], True),  # two lines without a peak
        ([-1, -1, -1, -1, 4, 5], False),  # too few in common
        ([6, 1, 2, 3, 4, 5], False),  # another peak for a line
        ([-1, 1, 2, 3, 5, -1], False),  # another line for a peak
    ],
)
def test_assignments_are_different_if_they_contradict_each_other(
    other: list[int], is_same: bool
) -> None:
    first = np.arange(6)
    assert _is_same_assignment(first, np.array(other)) == is_same
    assert _is_same_assignment(np.array(other), first) == is_same


def test_another_curve_through_the_same_peaks_is_no_rival() -> None:
    # a gain that deviates by some eV from the form: other parameters explain it as well
    energies = np.append(ENERGY, 1000.0)
    deviation = np.array([0.0, -6.0, -2.0, 2.0, 0.0, 0.0, -5.0])
    peaks = Peaks(height(energies + deviation, *GAIN), np.full(7, 40.0))
    assignment = assign_lines(peaks, FreeLines(ENERGY, WEIGHT, 1000.0))
    assert assignment is not None
    np.testing.assert_array_equal(assignment.line_peaks, np.arange(6))
    assert assignment.is_unambiguous


def test_an_assignment_that_strong_peaks_contradict_is_no_rival() -> None:
    """C, N, V, O, Ni, Cu of a set of ten: all but Ni fit an almost straight curve too.

    There, Ni La and its Lb stand at 808 and 822 eV, where no element emits.
    """
    energies = np.array(
        [277.0, 390.7, 422.8, 513.4, 528.4, 604.2, 851.1, 867.7, 929.7, 949.5, 1003.9]
    )
    significance = np.array(
        [60.0, 60.0, 4.5, 50.0, 40.0, 4.1, 90.0, 12.0, 110.0, 20.0, 100.0]
    )
    order = np.argsort(-significance)
    peaks = Peaks(height(energies, 3e4, 1955.0, -285.0)[order], significance[order])
    metals = [452.16, 511.27, 572.9, 637.44, 776.25, 1011.77]
    candidates = np.union1d(ENERGY, metals)
    lines = FreeLines(candidates, np.full(len(candidates), 0.05), 1000.0)
    assignment = assign_lines(peaks, lines)
    assert assignment is not None
    assert assignment.runner_up_score < 0.9 * assignment.score
    found = candidates[assignment.line_peaks >= 0]
    assert {277.0, 851.47, 929.68} <= set(found.round(2).tolist())


def test_a_peak_belongs_to_the_nearest_line_alone() -> None:
    lines = np.array([511.0, 519.0, 700.0])
    assert match_peaks(np.array([514.0, 930.0]), lines).tolist() == [0, -1, -1]
    assert match_peaks(np.array([518.0, 511.5]), lines).tolist() == [1, 0, -1]
    assert match_peaks(np.array([8080.0]), np.array([8047.8])).tolist() == [0]
