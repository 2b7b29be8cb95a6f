from dataclasses import dataclass, field

import numpy as np
import pytest

from rixs_pipeline.core.calibration.cuts import CUT_NAMES
from rixs_pipeline.core.calibration.identification.line_assignment import (
    LineAssignment,
    SaturatingCurve,
)
from rixs_pipeline.core.calibration.identification.peak_evidence import (
    NO_EVIDENCE,
    PeakEvidence,
)
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from rixs_pipeline.core.calibration.pixel_status import (
    LineQuality,
    determine_pixel_statuses,
)
from rixs_pipeline.types import PixelState, PixelStatus

PIXELS, LINES = 12, 7
NAMES = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La", "elastic")
ANCHORS = np.arange(LINES) < 6
BAD = 4  # row of the pixel that a test changes
OK = PixelStatus(PixelState.OK)
CURVE = SaturatingCurve(3e4, 2000.0, 0.0)
SEVEN_PEAKS = Peaks(np.linspace(4000, 12000, 7), np.full(7, 30.0))


def assignment(score: float = 20.0, runner_up: float = 5.0) -> LineAssignment:
    return LineAssignment(CURVE, score, runner_up, np.arange(LINES - 1))


def cut_counts(pulses: int, accepted: int) -> np.ndarray:
    return np.array([pulses] + [accepted] * (len(CUT_NAMES) - 1))


@dataclass
class Pixel:
    """What the status of a pixel depends on."""

    cut_counts: np.ndarray = field(default_factory=lambda: cut_counts(5000, 4950))
    peaks: Peaks = SEVEN_PEAKS
    assignment: LineAssignment | None = field(default_factory=assignment)
    has_curve: bool = True
    negative_share: float = 0.0


@dataclass
class Array:
    """A healthy array, of which a test changes one pixel."""

    pixels: list[Pixel]
    residual: np.ndarray
    errors: np.ndarray
    fwhm: np.ndarray
    is_widest: np.ndarray
    misfit_probability: np.ndarray
    evidence: list[PeakEvidence]
    are_named: bool = False

    def statuses(self, rows: slice = slice(None)) -> tuple[PixelStatus, ...]:
        """Return the statuses of some rows, taken for the whole array."""
        lines = LineQuality(
            names=NAMES,
            residual=self.residual[rows],
            errors=self.errors[rows],
            fwhm=self.fwhm[rows],
            is_widest=self.is_widest[rows],
            is_anchor=ANCHORS,
            misfit_probability=self.misfit_probability[rows],
            evidence=tuple(self.evidence[rows]),
            are_named=self.are_named,
        )
        return determine_pixel_statuses(self.pixels[rows], lines)

    def status(self) -> PixelStatus:
        """Return the status of the changed pixel; those of the others are ok."""
        statuses = self.statuses()
        assert set(statuses[:BAD] + statuses[BAD + 1 :]) <= {OK}
        return statuses[BAD]


@pytest.fixture
def array() -> Array:
    rng = np.random.default_rng(0)
    size = (PIXELS, LINES)
    errors = np.full(size, 0.1)
    return Array(
        [Pixel(cut_counts(5000, int(4950 + rng.normal(0, 10)))) for _ in range(PIXELS)],
        rng.normal(0, 0.5, size),
        errors,
        1.4 * (1 + rng.normal(0, 0.1, size)),
        np.zeros(size, dtype=bool),
        np.full(PIXELS, 0.5),
        [NO_EVIDENCE] * PIXELS,
    )


def test_a_good_pixel_is_ok(array: Array) -> None:
    assert array.status() == OK


def test_a_pixel_without_pulses_is_dead(array: Array) -> None:
    array.pixels[BAD] = Pixel(
        cut_counts(0, 0), Peaks(np.empty(0), np.empty(0)), None, has_curve=False
    )
    array.residual[BAD] = array.fwhm[BAD] = np.nan
    assert str(array.status()) == "dead: no pulses"


def test_a_pixel_with_negative_pulse_heights_is_named_so(array: Array) -> None:
    """Even if so many positive ones pass the cuts that it would be called noisy."""
    array.pixels[BAD] = Pixel(
        cut_counts(5000, 400), assignment=None, has_curve=False, negative_share=0.9
    )
    status = str(array.status())
    assert status.startswith("negative pulse heights: 90 % of the pulses; ")


def test_a_pixel_with_few_accepted_pulses_is_noisy(array: Array) -> None:
    array.pixels[BAD] = Pixel(cut_counts(900, 12), assignment=None, has_curve=False)
    assert str(array.status()) == "noisy: 12 of 900 pulses pass the cuts"


def test_a_pixel_with_two_peaks_is_uncalibrated(array: Array) -> None:
    two = Peaks(np.array([5000.0, 7000.0]), np.array([20.0, 10.0]))
    array.pixels[BAD] = Pixel(peaks=two, assignment=None, has_curve=False)
    assert str(array.status()) == "fewer than three peaks in the spectrum"


def test_a_pixel_without_an_assignment_is_uncalibrated(array: Array) -> None:
    """The status names the config key that helps."""
    array.pixels[BAD] = Pixel(assignment=None, has_curve=False)
    assert "calibration.lines" in str(array.status())


@pytest.mark.parametrize(("score", "runner_up"), [(20.0, 19.5), (-3.0, 0.0)])
def test_a_pixel_with_an_ambiguous_assignment_is_uncalibrated(
    array: Array, score: float, runner_up: float
) -> None:
    array.pixels[BAD] = Pixel(assignment=assignment(score, runner_up), has_curve=False)
    assert str(array.status()).startswith("ambiguous line identification")


def test_a_pixel_without_a_gain_curve_is_uncalibrated(array: Array) -> None:
    array.pixels[BAD] = Pixel(has_curve=False)
    assert str(array.status()).startswith("no rising gain curve")


def test_a_pixel_with_two_fitted_lines_is_uncalibrated(array: Array) -> None:
    array.residual[BAD, 2:6] = np.nan  # the elastic line does not count
    assert str(array.status()) == "fewer than three of 6 lines could be fitted"


def test_lines_that_contradict_each_other_are_named(array: Array) -> None:
    """Within the 5 eV that a single line may miss, also in a small array."""
    array.residual[BAD] = [0.3, -0.4, 0.2, 0.1, -2.5, 3.6, 0.0]
    array.misfit_probability[BAD] = 1e-6
    assert str(array.status()) == (
        "misassigned: lines contradict each other (Cu_La +3.6, Ni_La -2.5, N_Ka -0.4 "
        "eV); check `calibration.lines` and `calibration.reference`"
    )


def test_a_resolution_at_the_limit_of_the_fit_is_reported(array: Array) -> None:
    """In most lines: a line of few counts may reach it by chance."""
    array.is_widest[BAD, :3] = True
    assert array.status() == OK
    array.is_widest[BAD, :4] = True
    assert str(array.status()).startswith(
        "misassigned: resolution at the upper limit of the fit, "
    )


def test_strong_peaks_without_a_line_are_named(array: Array) -> None:
    """Two of them outweigh the three lines beyond those that determine a curve."""
    array.evidence[BAD] = PeakEvidence(np.array([4100.0, 9020.4]), 0)
    assert str(array.status()) == (
        "misassigned: 6 lines fit, but strong peaks are no emission line (pulse "
        "heights 4100, 9020); check `calibration.reference`; name lines in "
        "`calibration.lines`, or peaks in `calibration.hints`"
    )


def test_one_peak_without_a_line_is_accepted_beside_six_lines(array: Array) -> None:
    array.evidence[BAD] = PeakEvidence(np.array([4100.0]), 0)
    assert array.status() == OK
    array.residual[BAD, 3] = np.nan
    assert str(array.status()).startswith("misassigned: 5 lines fit, but strong peaks")


def test_three_lines_are_enough_only_if_the_config_names_them(array: Array) -> None:
    array.residual[BAD, 1:4] = np.nan
    assert str(array.status()).startswith(
        "too few lines, or too bad a fit, to be sure of them (3 lines, p = 0.5); "
    )
    array.are_named = True
    assert array.status() == OK


def test_a_pixel_with_a_large_residual_is_misassigned(array: Array) -> None:
    array.residual[BAD, 1] = -7.3
    assert str(array.status()) == "misassigned: a line misses its reference by 7.3 eV"


def test_a_large_residual_within_its_error_is_accepted(array: Array) -> None:
    array.residual[BAD, 1], array.errors[BAD, 1] = -7.3, 2.0
    assert array.status() == OK


def test_residuals_of_the_elastic_line_are_ignored(array: Array) -> None:
    array.residual[:, 6] = -8.0  # the monochromator is off, not the pixels
    assert array.status() == OK


def test_a_pixel_with_many_rejected_pulses_is_noisy(array: Array) -> None:
    array.pixels[BAD].cut_counts = cut_counts(5000, 3900)
    assert str(array.status()) == "noisy: only 78 % of the pulses pass the cuts"


def test_a_pixel_with_a_very_wide_resolution_is_noisy(array: Array) -> None:
    array.fwhm[BAD] = 9.0
    assert str(array.status()).startswith(
        "noisy: 9.0 eV FWHM, the array's median is 1.4"
    )


def test_a_pixel_with_a_wide_resolution_is_badly_resolved(array: Array) -> None:
    array.fwhm[BAD] = 3.5
    assert str(array.status()).startswith(
        "badly resolved: 3.5 eV FWHM, the array's median is 1.4"
    )


def test_a_single_wide_line_is_accepted(array: Array) -> None:
    array.fwhm[BAD, 3] = 20.0
    assert array.status() == OK


def test_a_better_pixel_is_ok(array: Array) -> None:
    array.fwhm[BAD] = 0.5
    array.pixels[BAD].cut_counts = cut_counts(5000, 5000)
    assert array.status() == OK


def test_noisy_pixels_do_not_change_the_limits_of_the_array(array: Array) -> None:
    """A third of the array is noisy and is still recognised."""
    array.fwhm[:4] = 11.0
    statuses = array.statuses()
    assert all(status.state is PixelState.NOISY for status in statuses[:4])
    assert set(statuses[4:]) == {OK}


def test_two_pixels_are_not_compared_with_each_other(array: Array) -> None:
    array.fwhm[1] = 9.0
    assert array.statuses(slice(0, 2)) == (OK, OK)


def test_an_empty_array_has_no_statuses(array: Array) -> None:
    assert array.statuses(slice(0, 0)) == ()


def test_an_array_without_fits_is_uncalibrated(array: Array) -> None:
    missing = np.full((PIXELS, LINES), np.nan)
    array.residual = array.errors = array.fwhm = missing
    assert set(map(str, array.statuses())) == {
        "fewer than three of 6 lines could be fitted"
    }


def test_an_ambiguous_pixel_with_rejected_pulses_is_noisy(array: Array) -> None:
    array.pixels[BAD] = Pixel(
        cut_counts(5000, 3000), assignment=assignment(runner_up=19.5), has_curve=False
    )
    array.residual[BAD] = np.nan
    assert str(array.status()).startswith("noisy: only 60 %")
    array.pixels[BAD].cut_counts = cut_counts(5000, 4950)
    assert (
        str(array.status())
        == "ambiguous line identification; name lines in `calibration.lines`, or "
        "peaks in `calibration.hints`"
    )
