"""A scan over a white line whose pulses are known, with a clock that is off."""

import numpy as np

from rixs_pipeline.core.timing.channels import make_channels, usable_points
from rixs_pipeline.core.timing.shift_fits import (
    BINS_PER_SPACING,
    BandCounts,
    LoggedScan,
)

DWELL, GAP, POINTS = 2.0, 0.1, 40
SPACING = DWELL + GAP
ENERGY = np.linspace(770.0, 800.0, POINTS)
ABSORPTION = 0.2 + 1 / (1 + ((ENERGY - 780) / 1.5) ** 2) + (ENERGY > 785) * 0.3


def logged_scan(i0=None, reading=None):
    """Return the scan by the clock of its log, which starts at 0."""
    start = SPACING * np.arange(POINTS)
    i0 = np.ones(POINTS) if i0 is None else i0
    reading = ABSORPTION * i0 if reading is None else reading
    channels = make_channels(i0, [reading], ENERGY)
    return LoggedScan(start, start + DWELL, channels, usable_points(i0, [reading]))


def pulses(offset, rate=60.0, seed=1, margin=60.0, beam=None):
    """Return pulses of two bands, one of which follows the absorption.

    The log of the scan is late by `offset` (s). Outside the scan there are none.
    """
    rng = np.random.default_rng(seed)
    beam = np.ones(POINTS) if beam is None else beam
    fine = np.arange(0, POINTS * SPACING, 0.01)
    point = np.minimum((fine / SPACING).astype(int), POINTS - 1)
    width = SPACING / BINS_PER_SPACING
    n_bins = int((POINTS * SPACING + 2 * margin) / width)
    counts = []
    for level in (ABSORPTION, np.ones(POINTS)):
        number = rng.poisson(rate * beam[point] * level[point] * 0.01)
        time = np.repeat(fine - offset, number)
        index = ((time + margin) / width).astype(int)
        counts.append(np.bincount(index, minlength=n_bins)[:n_bins])
    return BandCounts(-margin, width, np.array(counts, float))
