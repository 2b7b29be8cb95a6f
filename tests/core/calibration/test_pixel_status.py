from dataclasses import dataclass, field

import numpy as np
import pytest

from rixs_pipeline.core.calibration import pixel_status as verdicts
from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.calibration.line_assignment import LineAssignment, Peaks

PIXELS, LINES = 12, 7
ANCHORS = np.arange(LINES) < 6
BAD = 4  # the pixel that is spoilt
SOME_PEAKS = Peaks(np.linspace(4000, 12000, 7), np.full(7, 30.0))


def assignment(score: float = 20.0, runner_up: float = 5.0) -> LineAssignment:
    return LineAssignment(3e4, 2000.0, 0.0, score, runner_up, np.arange(LINES - 1))


def flow(pulses: int, accepted: int) -> np.ndarray:
    return np.array([pulses] + [accepted] * (len(CUT_NAMES) - 1))


@dataclass
class State:
    """A pixel as the verdict sees it."""

    cut_counts: np.ndarray = field(default_factory=lambda: flow(5000, 4950))
    peaks: Peaks = SOME_PEAKS
    assignment: LineAssignment | None = field(default_factory=assignment)
    has_curve: bool = True


@dataclass
class Array:
    """A healthy array; a test spoils one of its pixels."""

    states: list[State]
    residual: np.ndarray
    errors: np.ndarray
    fwhm: np.ndarray

    def verdict(self) -> str:
        """The verdict on the spoilt pixel; the others are well."""
        status = verdicts.judge(
            self.states, self.residual, self.errors, self.fwhm, ANCHORS
        )
        assert set(status[:BAD] + status[BAD + 1 :]) <= {verdicts.OK}
        return status[BAD]


@pytest.fixture
def array() -> Array:
    rng = np.random.default_rng(0)
    size = (PIXELS, LINES)
    errors = np.full(size, 0.1)
    return Array(
        [State(flow(5000, int(4950 + rng.normal(0, 10)))) for _ in range(PIXELS)],
        rng.normal(0, 0.5, size),
        errors,
        1.4 * (1 + rng.normal(0, 0.1, size)),
    )


def test_a_healthy_pixel(array: Array) -> None:
    assert array.verdict() == verdicts.OK


def test_dead(array: Array) -> None:
    array.states[BAD] = State(
        flow(0, 0), Peaks(np.empty(0), np.empty(0)), None, has_curve=False
    )
    array.residual[BAD] = array.fwhm[BAD] = np.nan
    assert array.verdict() == "dead: no pulses"


def test_next_to_nothing_passes_the_cuts(array: Array) -> None:
    array.states[BAD] = State(flow(900, 12), assignment=None, has_curve=False)
    assert array.verdict() == "noisy: 12 of 900 pulses pass the cuts"


def test_too_few_peaks(array: Array) -> None:
    two = Peaks(np.array([5000.0, 7000.0]), np.array([20.0, 10.0]))
    array.states[BAD] = State(peaks=two, assignment=None, has_curve=False)
    assert array.verdict() == "fewer than three peaks in the spectrum"


def test_no_lines_to_assign_peaks_to(array: Array) -> None:
    """The word tells what to do about it."""
    array.states[BAD] = State(assignment=None, has_curve=False)
    assert "calibration.lines" in array.verdict()


@pytest.mark.parametrize(("score", "runner_up"), [(20.0, 19.5), (-3.0, 0.0)])
def test_assignment_that_is_not_clear(
    array: Array, score: float, runner_up: float
) -> None:
    array.states[BAD] = State(assignment=assignment(score, runner_up), has_curve=False)
    assert array.verdict().startswith("no assignment of the peaks to lines")


def test_no_curve(array: Array) -> None:
    array.states[BAD] = State(has_curve=False)
    assert array.verdict().startswith("no rising gain curve")


def test_lines_that_could_not_be_fitted(array: Array) -> None:
    array.residual[BAD, 2:6] = np.nan  # the elastic line does not count
    assert array.verdict() == "fewer than three of 6 lines could be fitted"


def test_misassigned(array: Array) -> None:
    array.residual[BAD, 1] = -7.3
    assert array.verdict() == "misassigned: a line misses its reference by 7.3 eV"


def test_a_miss_within_its_error_is_forgiven(array: Array) -> None:
    array.residual[BAD, 1], array.errors[BAD, 1] = -7.3, 2.0
    assert array.verdict() == verdicts.OK


def test_the_elastic_line_carries_no_scale(array: Array) -> None:
    array.residual[:, 6] = -8.0  # the monochromator is off, not the pixels
    assert array.verdict() == verdicts.OK


def test_pulses_that_do_not_pass(array: Array) -> None:
    array.states[BAD].cut_counts = flow(5000, 3900)
    assert array.verdict() == "noisy: only 78 % of the pulses pass the cuts"


def test_noisy_resolution(array: Array) -> None:
    array.fwhm[BAD] = 9.0
    assert array.verdict().startswith("noisy: 9.0 eV FWHM, the array's median is 1.4")


def test_badly_resolved(array: Array) -> None:
    array.fwhm[BAD] = 3.5
    assert array.verdict().startswith(
        "badly resolved: 3.5 eV FWHM, the array's median is 1.4"
    )


def test_one_wide_line_alone_is_forgiven(array: Array) -> None:
    array.fwhm[BAD, 3] = 20.0
    assert array.verdict() == verdicts.OK


def test_a_better_pixel_is_no_outlier(array: Array) -> None:
    array.fwhm[BAD] = 0.5
    array.states[BAD].cut_counts = flow(5000, 5000)
    assert array.verdict() == verdicts.OK


def test_the_bad_do_not_decide_what_is_normal(array: Array) -> None:
    """A third of the array is noisy, and is still told from the rest."""
    array.fwhm[:4] = 11.0
    status = verdicts.judge(
        array.states, array.residual, array.errors, array.fwhm, ANCHORS
    )
    assert all(word.startswith("noisy") for word in status[:4])
    assert set(status[4:]) == {verdicts.OK}


def test_two_pixels_cannot_outvote_each_other(array: Array) -> None:
    array.fwhm[1] = 9.0
    pair = slice(0, 2)
    status = verdicts.judge(
        array.states[pair],
        array.residual[pair],
        array.errors[pair],
        array.fwhm[pair],
        ANCHORS,
    )
    assert status == (verdicts.OK, verdicts.OK)


def test_no_pixels() -> None:
    empty = np.empty((0, LINES))
    assert verdicts.judge([], empty, empty, empty, ANCHORS) == ()


def test_nothing_fitted_anywhere(array: Array) -> None:
    nothing = np.full((PIXELS, LINES), np.nan)
    status = verdicts.judge(array.states, nothing, nothing, nothing, ANCHORS)
    assert set(status) == {"fewer than three of 6 lines could be fitted"}


def test_noise_is_the_reason_why_peaks_fit_nothing(array: Array) -> None:
    array.states[BAD] = State(
        flow(5000, 3000), assignment=assignment(runner_up=19.5), has_curve=False
    )
    array.residual[BAD] = np.nan
    assert array.verdict().startswith("noisy: only 60 %")
    array.states[BAD].cut_counts = flow(5000, 4950)
    assert (
        array.verdict()
        == "no assignment of the peaks to lines stands out from the next one"
    )
