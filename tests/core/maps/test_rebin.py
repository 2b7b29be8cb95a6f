import numpy as np
import pytest

from rixs_pipeline.core.maps.rebin import find_blocks

GENERATOR = np.random.default_rng(3)


def numbered(blocks):
    """Return the number of the block of each bin, (point, bin)."""
    return blocks.fill(np.arange(len(blocks.starts)))


@pytest.mark.parametrize("rate", [0.01, 0.3, 20.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (60, 1), (37, 400)])
def test_blocks_cover_the_map_and_have_enough_counts(shape, rate):
    counts = GENERATOR.poisson(rate, shape)
    blocks = find_blocks(counts, 25)
    numbers, sizes = np.unique(numbered(blocks), return_counts=True)
    assert len(numbers) == len(blocks.starts)
    assert sizes.tolist() == np.prod(blocks.ends - blocks.starts, axis=1).tolist()
    sums = blocks.sums(counts)
    assert sums.sum() == counts.sum()
    assert (sums >= 25).all() or len(sums) == 1


def test_sums_are_those_of_the_bins():
    counts = GENERATOR.poisson(2.0, (13, 50))
    values = GENERATOR.normal(size=counts.shape)
    blocks = find_blocks(counts, 30)
    expected = np.bincount(numbered(blocks).astype(int).ravel(), values.ravel())
    assert blocks.sums(values) == pytest.approx(expected)


def test_many_counts_leave_single_bins():
    counts = np.full((8, 9), 30)
    assert len(find_blocks(counts, 25).starts) == counts.size


def test_an_empty_map_is_one_block():
    blocks = find_blocks(np.zeros((5, 7), int), 25)
    assert blocks.starts.tolist() == [[0, 0]] and blocks.ends.tolist() == [[5, 7]]


def test_a_line_stays_sharp_beside_an_empty_region():
    counts = np.zeros((20, 100), int)
    counts[:, 90] = 1000
    blocks = find_blocks(counts, 25)
    at_line = numbered(blocks)[:, 90]
    assert len(np.unique(at_line)) == 20
