import numpy as np

from rixs_pipeline.core.maps.effective_live_time import effective_live_time
from rixs_pipeline.core.maps.scan_counts import PixelCounts, stack_pixels

POINTS = 6


def scan_counts(triggers, after_trigger=0.0):
    """Counts of pixels with 2 s of live time in each point; all pulses are accepted."""
    pixels = [
        PixelCounts(
            pixel=number,
            triggers=np.array(row),
            countable=np.array(row),
            accepted=np.array(row),
            live_time=np.full(POINTS, 2.0),
            after_trigger=after_trigger,
            pixel_counts=sum(row),
            cut_counts=np.zeros(6, np.int64),
            cut_limits=np.zeros((4, 2)),
        )
        for number, row in enumerate(triggers)
    ]
    return stack_pixels(np.zeros((POINTS, 1), np.int64), pixels)


def test_without_pile_up_it_is_the_live_time_of_the_used_pixels():
    counts = scan_counts([[50] * POINTS, [80] * POINTS])
    live = effective_live_time(counts, np.array([True, False]))
    np.testing.assert_allclose(live.seconds, [[2.0] * POINTS, [0.0] * POINTS])
    assert live.spoiling_time.seconds == 0


def test_stretches_in_which_a_pixel_is_silent_are_no_live_time():
    counts = scan_counts([[50] * POINTS, [50, 50, 50, 0, 0, 0]])
    live = effective_live_time(counts, np.array([True, True]))
    np.testing.assert_allclose(live.seconds[1], [2.0, 2.0, 2.0, 0.0, 0.0, 0.0])
