import numpy as np
import pytest

from rixs_pipeline.core.drift.pixel_comparison import piece_kernels
from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.core.maps.binning import uniform_bins
from rixs_pipeline.types import PulseColumns


@pytest.fixture
def array():
    """Counts (pixel, piece, bin), of which most are 0."""
    return np.random.default_rng(1).poisson(0.1, (5, 7, 40))


@pytest.fixture
def counts(array):
    return PieceCounts.from_array(array)


def test_counts_are_those_of_the_array(array, counts):
    assert (counts.n_pixels, counts.n_pieces, counts.n_bins) == array.shape
    assert np.array_equal(counts.to_array(), array)
    assert np.array_equal(counts.sum_pieces(), array.sum(axis=1))
    assert np.array_equal(counts.count_photons(), array.sum(axis=2))


def test_sums_are_those_of_the_pixels_that_take_part(array, counts):
    total = counts.sum_pixels(np.array([1, -1, 0, 1, -1]), 2)
    assert np.array_equal(total, [array[2], array[0] + array[3]])


def test_pixels_are_selected_and_pieces_joined(array, counts):
    selected = counts.select(np.array([3, 1])).join(np.array([0, 2, 3]))
    expected = np.add.reduceat(array[[3, 1]], [0, 2, 3], axis=1)
    assert np.array_equal(selected.to_array(), expected)


@pytest.mark.parametrize(("number", "first"), [(1, [0]), (3, [0, 3, 5]), (7, range(7))])
def test_joined_pieces_are_about_equally_long(array, counts, number, first):
    expected = np.add.reduceat(array, list(first), axis=1)
    assert np.array_equal(counts.join_evenly(number).to_array(), expected)


def test_photons_are_counted_in_the_pieces_to_which_they_belong():
    rng = np.random.default_rng(2)
    edges = np.linspace(200.0, 220.0, 41)
    bins = uniform_bins(edges)
    energy = rng.uniform(198.0, 222.0, 600).astype(np.float32)
    energy[::7] = np.nan
    energy[1:4] = edges[[0, 5, 40]]
    ends = np.array([100, 100, 350, 600])
    counts = piece_kernels.count_in_pieces(energy, ends, bins, 40)
    parts = np.split(energy, ends[:-1])
    # the last bin of numpy's histogram has its upper edge
    expected = [np.histogram(part[part < edges[-1]], edges)[0] for part in parts]
    assert np.array_equal(counts.to_array()[0], expected)
    both = PieceCounts.stack([counts, counts])
    assert np.array_equal(both.to_array(), [expected, expected])


def test_baselines_are_means_of_the_accepted_records():
    values = np.array([1, 2, 3, 90, 5, 6, 7, np.nan, 80], np.float32)
    nothing = np.zeros(len(values), np.float32)
    records = PulseColumns(np.arange(len(values)), values, nothing, nothing[:, None])
    first, stop = np.array([0, 2, 8, 9]), np.array([4, 8, 9, 9])
    means = piece_kernels.mean_baselines(records, first, stop, 2.0, 10.0, 2)
    # of every second, third and first record
    np.testing.assert_array_equal(means, [3.0, 4.5, np.nan, np.nan])
