import numpy as np
import pytest

from rixs_pipeline.core.drift.common_drift.piece_shifts import (
    measure_shifts,
    shift_counts,
)

CENTRES = np.arange(200.25, 1100, 0.5)
EDGES = np.append(CENTRES - 0.25, CENTRES[-1] + 0.25)
WINDOW = (515.0, 535.0)


def spectra(shifts, photons, rng, background=lambda piece: 0.2):
    """Counts of a double line at 525 eV on a background that may change."""
    counts = []
    for piece, shift in enumerate(shifts):
        flat = rng.uniform(505, 545, rng.poisson(2 * photons * background(piece)))
        first = rng.normal(525 + shift, 1.4, rng.poisson(photons * 2 / 3))
        second = rng.normal(522 + shift, 2.0, rng.poisson(photons / 3))
        energies = np.concatenate([first, second, flat])
        counts.append(np.histogram(energies, EDGES)[0])
    return np.array(counts, float)


def test_shifts_are_found_within_their_errors():
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(60):
        true = rng.normal(0, 0.5, 6)
        measured = measure_shifts(spectra(true, 4000, rng), CENTRES, WINDOW)
        deviation = measured.shift - true
        deviation -= np.average(deviation, weights=measured.error**-2)
        pulls.append(deviation / measured.error)
    assert 0.8 < np.std(pulls) * np.sqrt(6 / 5) < 1.1


def test_large_shifts_are_found_in_full():
    rng = np.random.default_rng(2)
    true = np.array([-2.0, -1.0, 1.0, 2.0])
    measured = measure_shifts(spectra(true, 20_000, rng), CENTRES, WINDOW)
    shift = measured.shift - measured.shift.mean()
    np.testing.assert_allclose(shift, true, atol=0.1)


def test_a_background_that_changes_is_no_shift():
    rng = np.random.default_rng(3)
    counts = spectra(np.zeros(4), 20_000, rng, background=lambda piece: 0.1 + piece)
    measured = measure_shifts(counts, CENTRES, WINDOW)
    assert np.all(np.abs(measured.shift) < 4 * measured.error)


@pytest.mark.parametrize("photons", [0, 20])
def test_few_photons_have_no_position(photons):
    rng = np.random.default_rng(4)
    measured = measure_shifts(spectra(np.zeros(3), photons, rng), CENTRES, WINDOW)
    assert np.isinf(measured.error).all()
    assert not measured.shift.any()


def test_shifted_counts_keep_their_number_and_move():
    counts = np.zeros((1, len(CENTRES)))
    counts[0, 600] = 8.0
    moved = shift_counts(counts, CENTRES, np.array([0.75]))
    assert moved.sum() == pytest.approx(8.0)
    assert moved[0] @ CENTRES / 8 == pytest.approx(CENTRES[600] + 0.75)
