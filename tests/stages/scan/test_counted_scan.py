import numpy as np

from rixs_pipeline.core.maps.scan_counts import ScanCounts
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.scan.counted_scan import (
    CHANGED,
    MANY_PULSES,
    SILENT,
    CountedScan,
    exclude_unusable_pixels,
)
from rixs_pipeline.stages.scan.point_records import MIN_PULSES_FOR_CUTS
from tests.stages.builders import NOISY, OK, scan

GOOD, BAD = PixelEnergy(OK), PixelEnergy(NOISY)


def counted(triggers, energies, has_cuts=()):
    """A scan of one point with so many triggers of each pixel."""
    triggers = np.array(triggers)[:, None]
    n = len(triggers)
    cut_limits = np.full((n, 4, 2), np.nan)
    cut_limits[list(has_cuts)] = 1.0
    counts = ScanCounts(
        map_counts=np.zeros((1, 1), np.int64),
        pixel=np.arange(n),
        triggers=triggers,
        occupied=np.zeros((n, 1), np.int64),
        countable=triggers,
        accepted=triggers,
        live_time=np.ones((n, 1)),
        away_time=np.zeros((n, 1)),
        away_error=np.zeros(n),
        after_trigger=np.zeros(n),
        pixel_counts=triggers[:, 0],
        cut_counts=np.zeros((n, 6), np.int64),
        cut_limits=cut_limits,
    )
    return CountedScan(scan(), counts, tuple(energies))


def exclude_silent(counted_scan):
    return exclude_unusable_pixels(counted_scan, has_cuts=False)


def statuses(counted_scan):
    return [energy.status for energy in counted_scan.energies]


def test_a_pixel_that_is_silent_while_others_are_not_is_excluded():
    pulses = [500, 0, 1, 0]
    found = exclude_silent(counted(pulses, [GOOD, GOOD, GOOD, BAD]))
    assert statuses(found) == [OK, SILENT, OK, NOISY]
    assert found.is_used.tolist() == [True, False, True, False]


def test_without_many_pulses_no_pixel_is_excluded():
    by_chance = counted([MANY_PULSES, 0], [GOOD, GOOD])
    assert exclude_silent(by_chance) is by_chance
    no_beam = counted([0, 0], [GOOD, GOOD])
    assert exclude_silent(no_beam) is no_beam


def test_pulses_of_a_bad_pixel_are_no_photons():
    assert statuses(exclude_silent(counted([9999, 0], [BAD, GOOD]))) == [NOISY, OK]


def test_a_pixel_whose_pulses_changed_is_excluded():
    """With enough pulses for its cuts, it has none: they differ from the reference."""
    enough = MIN_PULSES_FOR_CUTS
    triggers = [enough, enough, enough - 1, enough]
    changed = counted(triggers, [GOOD, GOOD, GOOD, BAD], has_cuts=[0])
    assert statuses(exclude_unusable_pixels(changed)) == [OK, CHANGED, OK, NOISY]
