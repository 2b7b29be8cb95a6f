import numpy as np
import pytest

from rixs_pipeline.core.calibration.identification.peak_evidence import (
    KnownLines,
    PeakEvidence,
    peak_reach,
    weigh_peaks,
)
from rixs_pipeline.core.calibration.identification.peaks import Peaks

SIX = np.array([277.0, 392.4, 524.9, 704.8, 851.5, 929.7])  # C N O Fe Ni Cu, eV


def evidence_of(*further: float, significance: float = 30.0) -> PeakEvidence:
    """What further peaks say against six lines, with an elastic line at 1000 eV.

    Pulse heights are ten times the energies.
    """
    energy = np.append(SIX, further)
    strengths = np.full(len(energy), 30.0)
    strengths[6:] = significance
    peaks = Peaks(10 * energy, strengths)
    reach = peak_reach(energy, SIX)
    return weigh_peaks(peaks, energy, np.arange(6), KnownLines(SIX, 1000.0), reach)


def test_peaks_of_lines_say_nothing_against_them() -> None:
    assert evidence_of().n_foreign == 0
    assert not len(evidence_of().unexplained)


@pytest.mark.parametrize("energy", [740.0, 199.0, 382.0, 820.0])
def test_a_peak_where_no_element_emits_is_unexplained(energy: float) -> None:
    evidence = evidence_of(energy)
    np.testing.assert_allclose(evidence.unexplained, 10 * energy)
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


def test_peaks_without_an_assignment_say_nothing() -> None:
    peaks = Peaks(np.array([7400.0]), np.array([30.0]))
    energy = np.array([740.0])
    nothing = np.array([-1, -1])
    reach = peak_reach(energy, SIX)
    evidence = weigh_peaks(peaks, energy, nothing, KnownLines(SIX, np.nan), reach)
    assert not len(evidence.unexplained)


def test_the_reach_grows_outside_the_lines() -> None:
    reach = peak_reach(np.array([500.0, 177.0, 1029.7]), SIX)
    np.testing.assert_allclose(reach, [5.0, 10.0, 10.0])


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


def test_a_bad_fit_counts_against_lines_that_the_config_does_not_name() -> None:
    """A factor of ten outweighs one line that confirms the others."""
    evidence = PeakEvidence(np.empty(0), 0)
    assert not evidence.contradicts(5, are_named=False, misfit_probability=0.011)
    assert evidence.contradicts(5, are_named=False, misfit_probability=0.009)
    assert not evidence.contradicts(5, are_named=True, misfit_probability=0.009)
