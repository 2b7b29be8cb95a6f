import numpy as np
import pytest

from rixs_pipeline.core.calibration.identification.line_assignment import (
    LineAssignment,
    SaturatingCurve,
)
from rixs_pipeline.core.calibration.identification.peak_evidence import (
    NO_EVIDENCE,
    PeakEvidence,
    weigh_peaks,
)
from rixs_pipeline.core.calibration.identification.peaks import Peaks
from rixs_pipeline.core.calibration.pixel import Pixel, ReferencePulses
from rixs_pipeline.core.energy import layout
from rixs_pipeline.core.gain import CurveForm, GainCurves, fit_splines

SIX = np.array([277.0, 392.4, 524.9, 704.8, 851.5, 929.7])  # C N O Fe Ni Cu, eV
CURVE = SaturatingCurve(3e4, 2000.0, 50.0)


def pixel_with_peaks(energies: np.ndarray, significance: np.ndarray) -> Pixel:
    """A calibrated pixel whose peaks, the first six of them lines, are at energies."""
    heights = CURVE.pulse_height(energies)
    empty = np.empty(0)
    pulses = ReferencePulses(1, heights, heights, heights, heights, heights, heights)
    pixel = Pixel(pulses, empty.astype(bool), np.zeros(1, dtype=int), None)
    pixel.peaks = Peaks(heights, significance)
    pixel.assignment = LineAssignment(CURVE, 20.0, 5.0, np.arange(6))
    parameters = np.array([[np.log(CURVE.a), np.log(CURVE.b), CURVE.d / CURVE.a]])
    curves = GainCurves.without_remainder(CurveForm.PHYSICAL, parameters)
    pixel.params = fit_splines(curves).params[0]
    pixel.params[layout.DRIFT] = pixel.params[layout.PHASE] = 0.0
    return pixel


def evidence_of(*further: float, significance: float = 30.0) -> PeakEvidence:
    """What further peaks say against six lines, with an elastic line at 1000 eV."""
    energies = np.append(SIX, further)
    strengths = np.full(len(energies), 30.0)
    strengths[6:] = significance
    return weigh_peaks(pixel_with_peaks(energies, strengths), SIX, SIX, 1000.0)


def test_peaks_of_lines_say_nothing_against_them() -> None:
    assert evidence_of().n_foreign == 0
    assert not len(evidence_of().unexplained)


@pytest.mark.parametrize("energy", [740.0, 199.0, 382.0, 820.0])
def test_a_peak_where_no_element_emits_is_unexplained(energy: float) -> None:
    evidence = evidence_of(energy)
    np.testing.assert_allclose(evidence.unexplained, CURVE.pulse_height(energy))
    assert evidence.n_foreign == 0


@pytest.mark.parametrize("energy", [676.8, 452.2, 883.0, 183.3])
def test_a_peak_of_an_element_that_the_set_lacks_is_foreign(energy: float) -> None:
    """F Ka, Ti La, Ce Ma, B Ka."""
    evidence = evidence_of(energy)
    assert evidence.n_foreign == 1
    assert not len(evidence.unexplained)


@pytest.mark.parametrize(("energy", "significance"), [(740.0, 10.0), (1003.0, 30.0)])
def test_weak_peaks_and_elastic_light_do_not_count(energy, significance) -> None:
    evidence = evidence_of(energy, significance=significance)
    assert evidence.n_foreign == 0
    assert not len(evidence.unexplained)


def test_noise_below_all_lines_does_not_count() -> None:
    assert not len(evidence_of(30.0, 100.0).unexplained)


def test_l_beta_is_explained_beside_l_alpha_alone() -> None:
    assert not len(evidence_of(868.8).unexplained)  # Ni
    assert len(evidence_of(791.4).unexplained) == 1  # Co, without Co La


def test_a_pixel_without_a_scale_says_nothing() -> None:
    pixel = pixel_with_peaks(SIX, np.full(6, 30.0))
    pixel.params[:] = np.nan
    assert weigh_peaks(pixel, SIX, SIX, 1000.0) is NO_EVIDENCE


@pytest.mark.parametrize(
    ("n_lines", "n_unexplained", "n_foreign", "are_named", "expected"),
    [
        (6, 0, 0, False, False),
        (6, 1, 0, False, False),
        (5, 1, 0, False, True),
        (6, 2, 0, False, True),
        (8, 2, 0, False, False),
        (5, 0, 2, False, False),
        (4, 0, 2, False, True),
        (3, 0, 0, False, True),
        (3, 0, 3, True, False),
        (5, 1, 0, True, True),
        (6, 1, 0, True, False),
    ],
)
def test_lines_must_outweigh_the_peaks_that_are_none(
    n_lines, n_unexplained, n_foreign, are_named, expected
) -> None:
    evidence = PeakEvidence(np.full(n_unexplained, 5000.0), n_foreign)
    assert evidence.contradicts(n_lines, are_named=are_named) is expected
