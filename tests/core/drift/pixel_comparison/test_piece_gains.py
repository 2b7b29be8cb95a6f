"""Gains of pixels in pieces of a scan, and groups of pixels that step."""

import numpy as np
import pytest

from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.core.drift.pixel_comparison.piece_gains import (
    PieceGains,
    find_group_steps,
    measure_gains,
)
from tests.core.drift.pixel_comparison.test_pixel_alignment import CENTRES, EV, spectrum

AFTER = np.array([False, False, True, True])
STEP = -2.0 / EV


def measured(step, photons=500):
    """Return the gains of pixels that step by `step` (pixel,) after two pieces."""
    rng = np.random.default_rng(7)
    counts = np.stack(
        [
            [spectrum(rng, photons, gain * is_after) for is_after in AFTER]
            for gain in step
        ]
    )
    spectra = PieceCounts.from_array(counts)
    return measure_gains(spectra, counts.sum(axis=0).astype(float), CENTRES)


def test_gains_are_relative_to_the_array_in_the_piece():
    gains = measured(np.repeat([STEP, 0.0], 4))
    expected = np.where(AFTER, np.repeat([STEP, -STEP], 4)[:, None] / 2, 0.0)
    pulls = (gains.gain - expected) / gains.error
    assert np.sqrt((pulls**2).mean()) == pytest.approx(1, abs=0.4)
    assert gains.error.max() < -STEP / 2


def test_half_of_the_pixels_step():
    groups = find_group_steps(measured(np.repeat([STEP, 0.0], 4)), AFTER)
    assert groups is not None
    assert np.flatnonzero(groups.is_below).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(groups.is_above).tolist() == [4, 5, 6, 7]
    assert groups.below == pytest.approx(STEP / 2, rel=0.25)
    assert groups.above == pytest.approx(-STEP / 2, rel=0.25)


@pytest.mark.parametrize("step", [0.0, STEP])
def test_pixels_that_step_alike_are_no_groups(step):
    assert find_group_steps(measured(np.full(8, step)), AFTER) is None


def test_pixels_without_photons_belong_to_no_group():
    gains = measured(np.repeat([STEP, 0.0], 4))
    error = gains.error.copy()
    error[0, AFTER] = np.inf
    groups = find_group_steps(PieceGains(gains.gain, error), AFTER)
    assert groups is not None
    assert not groups.is_above[0] and not groups.is_below[0]
    assert find_group_steps(PieceGains(gains.gain[:3], error[:3]), AFTER) is None
    few = measured(np.zeros(4), photons=20)
    assert np.all(np.isinf(few.error)) and not few.gain.any()
