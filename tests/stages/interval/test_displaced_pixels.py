import numpy as np
import pytest

from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.stages.interval.displaced_pixels import mark_displaced
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import PixelState
from tests.stages.builders import CUTS, OK, params

EDGES = np.arange(500.0, 900.5, 0.5)
GOOD = PixelEnergy(OK, (params(), params()), CUTS)


def spectra(shifts, pieces=4, photons=100):
    """Spectra (pixel, piece, bin) of pixels with a line at 600 eV and their shifts."""
    rng = np.random.default_rng(1)
    rows = []
    for shift in shifts:
        row = []
        for _ in range(pieces):
            energy = 600.0 + shift + rng.normal(0, 1.0, photons)
            row.append(np.histogram(energy, EDGES)[0])
        rows.append(row)
    return np.array(rows, np.int32)


def test_a_displaced_pixel_is_left_out_with_the_reason():
    counts = PieceCounts.from_array(spectra([0, 0, 12, 0]))
    marked = mark_displaced((GOOD,) * 4, counts, EDGES, exclude=True)
    states = [energy.status.state for energy in marked]
    assert states == [PixelState.OK] * 2 + [PixelState.DISPLACED, PixelState.OK]
    assert marked[2].params is None
    assert marked[2].displacement == pytest.approx(12.0, abs=1.0)
    assert marked[2].status.detail.endswith(" eV against the other pixels")


def test_the_share_of_the_scan_is_named():
    counts = spectra([0, 0, 0, 0])
    counts[2, 1:2] = spectra([-12.0], pieces=1)[0]
    pieces = PieceCounts.from_array(counts)
    marked = mark_displaced((GOOD,) * 4, pieces, EDGES, exclude=True)
    assert marked[2].status.detail.endswith(" in 25 % of the scan")


@pytest.mark.parametrize(("shifts", "exclude"), [([0, 12], True), ([0, 0, 12], False)])
def test_pixels_are_only_reported_if_undetermined_or_asked_for(shifts, exclude):
    energies = (GOOD,) * len(shifts)
    counts = PieceCounts.from_array(spectra(shifts))
    marked = mark_displaced(energies, counts, EDGES, exclude=exclude)
    assert all(energy.status.is_ok and energy.params for energy in marked)
    assert any(abs(energy.displacement) > 10 for energy in marked)


def test_pixels_that_agree_are_unchanged():
    energies = (GOOD,) * 3
    counts = PieceCounts.from_array(spectra([0.0, 0.5, -0.5]))
    assert mark_displaced(energies, counts, EDGES, exclude=True) == energies


@pytest.mark.parametrize("exclude", [True, False])
def test_a_pixel_with_another_spectrum_is_marked_too(exclude):
    counts = spectra([0, 0, 0, 0], photons=300)
    counts[1] += np.random.default_rng(2).poisson(0.5, counts[1].shape)
    pieces = PieceCounts.from_array(counts)
    marked = mark_displaced((GOOD,) * 4, pieces, EDGES, exclude=exclude)
    assert np.isinf(marked[1].displacement)
    expected = "unlike the other pixels: spectrum differs" if exclude else "ok"
    assert str(marked[1].status) == expected
