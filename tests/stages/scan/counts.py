"""Counts of a few pixels in a few points, all in one emission bin."""

import numpy as np

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.maps.scan_counts import ScanCounts
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import PixelState, PixelStatus
from tests.stages.builders import NOISY

EDGES = np.arange(500.0, 504.0)
GOOD = PixelEnergy(PixelStatus(PixelState.OK, "cal1 alone"))
BAD = PixelEnergy(NOISY)
I0 = NormaliseConfig()
N, DWELL, DEAD = 6, 2.0, 0.005


def scan_counts(
    triggers, pixel_counts=None, accepted=None, after_trigger=0.0, occupied=None
):
    """Counts of pixels, all in one emission bin; without `after_trigger` no pile-up."""
    triggers = np.array(triggers)
    n = len(triggers)
    photons = np.array(triggers.sum(axis=1) if pixel_counts is None else pixel_counts)
    counts = np.zeros((triggers.shape[1], len(EDGES) - 1), np.int64)
    counts[:, 1] = triggers.sum(axis=0)
    live = np.maximum(DWELL - triggers * DEAD, 0.0)
    accepted = triggers if accepted is None else accepted
    after = np.full(n, after_trigger)
    return ScanCounts(
        map_counts=counts,
        pixel=np.arange(1, 2 * n, 2),
        triggers=triggers,
        occupied=np.zeros(triggers.shape, np.int64) if occupied is None else occupied,
        countable=triggers,
        accepted=accepted,
        live_time=live,
        away_time=np.zeros(triggers.shape),
        away_error=np.zeros(n),
        after_trigger=after,
        pixel_counts=photons,
        cut_counts=np.zeros((n, 6), np.int64),
        cut_limits=np.full((n, 4, 2), np.nan),
    )


def flux(*values):
    """The readings of a scan with so much I0 in its points."""
    return {"i0": np.array(values, dtype=float)}
