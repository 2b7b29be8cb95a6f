import numpy as np
import pytest

from rixs_pipeline.core.drift.pixel_comparison.displaced_pixels import find_displaced
from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts

EDGES = np.arange(200.0, 1100.5, 0.5)
LINES = np.array([277.0, 525.0, 776.0, 791.0])  # C Ka, O Ka, Co La, Co Lb
SHARES = np.array([0.1, 0.3, 0.5, 0.1])


def draw(rng, photons, gain=0.0, lines=LINES, shares=SHARES, fwhm=2.0):
    """Photon energies of a pixel, eV, in order of time."""
    energy = rng.choice(lines, photons, p=shares)
    return (energy + rng.normal(0, fwhm / 2.355, photons)) * (1 + gain)


def spectra(array, pieces=16):
    """Spectra of the energies of each pixel."""
    counts = [
        [np.histogram(part, EDGES)[0] for part in np.array_split(energy, pieces)]
        for energy in array
    ]
    return PieceCounts.from_array(np.array(counts))


@pytest.mark.parametrize("shift", [-30.0, -15.0, -4.0, 4.0, 15.0, 30.0])
def test_a_displaced_pixel_is_found_with_its_shift(shift):
    """15 eV is the distance of La and Lb."""
    rng = np.random.default_rng(1)
    array = [draw(rng, 400) for _ in range(5)]
    array[3] = draw(rng, 400, gain=shift / 776)
    found = find_displaced(spectra(array), EDGES)
    assert np.flatnonzero(found.is_displaced).tolist() == [3]
    assert found.gain[3] == pytest.approx(shift / 776, abs=0.002)
    assert found.share[3] == 1
    assert not found.is_undetermined


@pytest.mark.parametrize("shift", [-20.0, 10.0])
def test_displacements_at_hard_lines_are_found_too(shift):
    """Fe Ka and Kb, at 6.4 and 7.1 keV, with a resolution of 5 eV."""
    rng = np.random.default_rng(9)
    edges = np.arange(1000.0, 8000.5, 0.5)
    lines, shares = np.array([6404.0, 7058.0]), np.array([0.85, 0.15])
    gains = np.zeros(5)
    gains[1] = shift / 6404
    array = [draw(rng, 400, gain, lines, shares, 5.0) for gain in gains]
    counts = np.stack([np.histogram(energy, edges)[0][None] for energy in array])
    found = find_displaced(PieceCounts.from_array(counts), edges)
    assert np.flatnonzero(found.is_displaced).tolist() == [1]
    assert found.shift[1] == pytest.approx(shift, abs=3.0)


def test_a_part_of_the_scan_is_enough():
    rng = np.random.default_rng(2)
    array = [draw(rng, 4000) for _ in range(6)]
    array[2][1000:1300] *= 1 + 8 / 776
    found = find_displaced(spectra(array, 64), EDGES)
    assert np.flatnonzero(found.is_displaced).tolist() == [2]
    assert found.share[2] == pytest.approx(300 / 4000, abs=0.03)


def test_two_pixels_of_a_larger_array_are_found():
    rng = np.random.default_rng(3)
    array = [draw(rng, 400) for _ in range(8)]
    array[0], array[5] = draw(rng, 400, 0.012), draw(rng, 400, -0.02)
    found = find_displaced(spectra(array), EDGES)
    assert np.flatnonzero(found.is_displaced).tolist() == [0, 5]


def test_the_odd_one_of_three_is_found_and_of_two_it_is_undetermined():
    rng = np.random.default_rng(4)
    three = [draw(rng, 400), draw(rng, 400, 0.02), draw(rng, 400)]
    found = find_displaced(spectra(three), EDGES)
    assert np.flatnonzero(found.is_displaced).tolist() == [1]
    assert not found.is_undetermined
    assert find_displaced(spectra(three[:2]), EDGES).is_undetermined


def test_sound_pixels_with_drift_and_other_responses_are_not_displaced():
    rng = np.random.default_rng(5)
    for lines, shares in ((LINES, SHARES), (np.array([525.0]), np.ones(1))):
        for photons in (40, 400, 4000):
            array = [
                draw(rng, photons, rng.normal(0, 5e-4), lines, shares, fwhm)
                for fwhm in (1.4, 2.0, 3.0, 6.0)
            ]
            tail = rng.random(photons) < 0.4
            array[0] = array[0] - tail * rng.exponential(30.0, photons)
            found = find_displaced(spectra(array), EDGES)
            assert not found.is_displaced.any() and not found.is_unlike.any()


@pytest.mark.parametrize("number", [4, 8])
def test_a_pixel_that_no_gain_explains_is_unlike_the_others(number):
    """Half of its photons are spread over the spectrum."""
    rng = np.random.default_rng(8)
    array = [draw(rng, 1200) for _ in range(number)]
    is_noise = rng.random(1200) < 0.5
    array[2] = np.where(is_noise, rng.uniform(210.0, 1090.0, 1200), array[2])
    found = find_displaced(spectra(array), EDGES)
    assert np.flatnonzero(found.is_unlike).tolist() == [2]
    assert not found.is_displaced.any() and not found.is_undetermined
    assert found.share[2] == 1


def test_lines_that_move_through_the_scan_are_no_displacement():
    """The elastic line follows the incident energy, for all pixels alike."""
    rng = np.random.default_rng(6)
    energy = np.linspace(765, 805, 1000)
    array = [energy + rng.normal(0, 0.8, 1000) for _ in range(4)]
    assert not find_displaced(spectra(array), EDGES).is_displaced.any()


def test_pixels_with_few_photons_are_not_compared():
    rng = np.random.default_rng(7)
    array = [draw(rng, 400), draw(rng, 400), draw(rng, 20, 0.02)]
    assert not find_displaced(spectra(array), EDGES).is_displaced.any()
    assert not find_displaced(spectra([draw(rng, 20)]), EDGES).is_displaced.any()
    assert not find_displaced(spectra([[], []]), EDGES).is_displaced.any()


@pytest.mark.parametrize("fwhm", [10.0, 15.0, 25.0])
def test_pixels_with_far_broader_lines_are_unlike_the_others(fwhm):
    rng = np.random.default_rng(4)
    lines, shares = np.array([277.0, 525.0]), np.array([0.2, 0.8])  # at O K
    array = [draw(rng, 1000, 0.0, lines, shares) for _ in range(6)]
    for pixel in (0, 3):
        array[pixel] = draw(rng, 1000, 0.0, lines, shares, fwhm)
    found = find_displaced(spectra(array), EDGES)
    assert np.flatnonzero(found.is_unlike).tolist() == [0, 3]
    assert not found.is_displaced.any()


@pytest.mark.parametrize("fwhm", [1.5, 3.0, 4.0])
def test_pixels_with_a_somewhat_different_resolution_are_sound(fwhm):
    rng = np.random.default_rng(4)
    array = [draw(rng, 3000) for _ in range(6)]
    array[3] = draw(rng, 3000, fwhm=fwhm)
    found = find_displaced(spectra(array), EDGES)
    assert not (found.is_unlike | found.is_displaced).any()
