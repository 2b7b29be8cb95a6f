import pickle

import numpy as np

from rixs_pipeline.core.maps.scan_counts import PixelCounts, merge_blocks, stack_pixels


def pixel_counts(pixel):
    """Counts of a pixel in two points, all of them different."""
    return PixelCounts(
        pixel=pixel,
        triggers=np.array([10, 20]) * pixel,
        occupied=np.array([1, 3]) * pixel,
        countable=np.array([9, 19]) * pixel,
        accepted=np.array([8, 18]) * pixel,
        live_time=np.array([1.0, 2.0]) * pixel,
        away_time=np.array([0.5, 0.0]) * pixel,
        away_error=0.01 * pixel,
        after_trigger=0.1 * pixel,
        pixel_counts=26 * pixel,
        cut_counts=np.array([30, 26]) * pixel,
        cut_limits=np.full((4, 2), float(pixel)),
    )


def test_pixels_are_stacked_along_the_first_dimension():
    counts = stack_pixels(np.ones((2, 3), np.int64), [pixel_counts(5), pixel_counts(3)])
    assert counts.pixel.tolist() == [5, 3]
    assert counts.triggers.tolist() == [[50, 100], [30, 60]]
    assert counts.cut_limits.shape == (2, 4, 2)
    assert counts.after_trigger.tolist() == [0.5, 0.1 * 3]


def test_merged_blocks_add_their_maps_and_sort_their_pixels():
    first = stack_pixels(np.full((2, 3), 1), [pixel_counts(7), pixel_counts(1)])
    second = stack_pixels(np.full((2, 3), 2), [pixel_counts(4)])
    merged = merge_blocks(first, second)
    assert merged.map_counts.tolist() == [[3] * 3] * 2
    assert merged.pixel.tolist() == [1, 4, 7]
    assert merged.pixel_counts.tolist() == [26, 104, 182]


def test_a_block_is_pickled_with_as_few_bytes_as_its_counts_need():
    for largest, n_bytes in ((200, 1), (70_000, 4)):
        map_counts = np.zeros((100, 1000), np.int64)
        map_counts[3, 5] = largest
        pickled = pickle.dumps(stack_pixels(map_counts, [pixel_counts(5)]))
        assert len(pickled) < 100_000 * n_bytes + 2000
        counts = pickle.loads(pickled)
        assert counts.map_counts.dtype == np.int64
        np.testing.assert_array_equal(counts.map_counts, map_counts)
        assert counts.triggers.tolist() == [[50, 100]]
