import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.calibration import pulse_kernels
from rixs_pipeline.core.stats.robust import SIGMA_PER_MAD
from rixs_pipeline.types import PulseColumns

NUMBERS = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 2.0, 1e30])),
    min_size=1,
    max_size=300,
)


@given(values=NUMBERS, share=st.floats(0, 1))
def test_value_of_a_rank_and_median_equal_those_of_numpy(
    values: list[float], share: float
) -> None:
    """Ties and outliers included."""
    array = np.array(values)
    rank = int(share * (len(values) - 1))
    assert pulse_kernels.select_by_rank(array, rank) == np.sort(array)[rank]
    assert pulse_kernels.median(array) == np.median(array)


@given(values=NUMBERS, share=st.one_of(st.floats(0, 1), st.sampled_from([0, 1])))
def test_quantile_equals_that_of_numpy(values: list[float], share: float) -> None:
    array = np.array(values)
    expected = pytest.approx(np.quantile(array, share), rel=1e-9, abs=1e-9)
    assert pulse_kernels.quantile(array, share) == expected


def test_median_of_many_values_with_outliers() -> None:
    rng = np.random.default_rng(1)
    for n in (4000, 4001):
        values = rng.normal(size=n) * np.where(rng.random(n) < 0.01, 1e20, 1.0)
        assert pulse_kernels.median(values) == np.median(values)


def test_values_belong_to_the_nearest_line_within_reach() -> None:
    lines = np.array([10.0, 20.0, 23.0])
    values = np.array([7.0, 13.9, 17.0, 21.4, 21.6, 40.0])
    near = pulse_kernels.find_near_lines(values, lines, 4.0)
    assert near.pulse.tolist() == [0, 1, 2, 3, 4]
    assert near.line.tolist() == [0, 0, 1, 1, 2]
    np.testing.assert_allclose(near.offset, [-3.0, 3.9, -3.0, 1.4, -1.4])
    without_lines = pulse_kernels.find_near_lines(np.ones(3), np.empty(0), 4.0)
    assert not len(without_lines.pulse)


@pytest.mark.parametrize("n_different", [1, 2, 10, 300])
@pytest.mark.parametrize("rank", [0, 3, 500, 999])
def test_rank_among_many_equal_values(n_different: int, rank: int) -> None:
    values = np.random.default_rng(4).integers(n_different, size=1000) * 1.0
    assert pulse_kernels.select_by_rank(values, rank) == np.sort(values)[rank]


def test_groups_and_blocks_are_centred_on_their_medians() -> None:
    values, group = np.array([1.0, 2.0, 9.0, 5.0, 7.0]), np.array([0, 0, 0, 2, 2])
    assert pulse_kernels.subtract_group_medians(values, group, 3).tolist() == [
        -1,
        0,
        7,
        -1,
        1,
    ]
    # the last block takes the rest, about the median of a whole one
    assert pulse_kernels.subtract_block_medians(
        np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 40.0]), 3
    ).tolist() == [-1, 0, 1, -10, 0, 10, 20]
    assert pulse_kernels.subtract_block_medians(np.array([4.0, 6.0]), 3).tolist() == [
        -1,
        1,
    ]
    assert not len(pulse_kernels.subtract_block_medians(np.empty(0), 3))


def test_values_beyond_the_histogram_are_counted_in_its_end_bins() -> None:
    counts = pulse_kernels.histogram(
        np.array([-9.0, 0.0, 0.4, 0.5, 1.6, 99.0]), 0.0, 0.5, 4
    )
    assert counts.tolist() == [3, 1, 0, 2]


def test_only_pulses_in_the_windows_of_usable_lines_are_selected() -> None:
    windows = np.array([[0.0, 2.0], [2.0, 4.0], [6.0, 8.0]])
    energies = np.array([1.0, 2.0, 5.0, 6.0, 8.0])
    is_usable = np.array([True, False, True])
    pulses = pulse_kernels.find_in_windows(energies, windows, is_usable)
    assert pulses.pulse.tolist() == [0, 3]
    assert pulses.line.tolist() == [0, 2]


@pytest.mark.parametrize("max_pulses", [1, 7, 30, 1000])
def test_sampled_pulses_are_spread_evenly_over_the_points(max_pulses: int) -> None:
    n = 200
    pretrigger_mean = np.arange(n, dtype=np.float32)
    residual = pretrigger_mean + 1000
    coefs = np.stack([np.zeros(n), np.full(n, 2.0), np.full(n, 4.0)], axis=1).astype(
        np.float32
    )
    first, stop = np.array([10, 50, 100]), np.array([30, 50, 147])
    inside = np.r_[10:30, 100:147]
    step = -(-len(inside) // max_pulses)
    pulses = PulseColumns(np.arange(n), pretrigger_mean, residual, coefs)
    sample = pulse_kernels.sample_pulses(pulses, first, stop, max_pulses)
    assert sample.pretrigger_mean.tolist() == inside[::step].tolist()
    assert len(sample.pretrigger_mean) <= max_pulses
    assert (sample.residual - sample.pretrigger_mean == 1000).all()
    assert (sample.pulse_height == 4).all()
    assert (sample.phase == 0.5).all()


def test_the_range_is_in_standard_deviations() -> None:
    values = np.random.default_rng(2).normal(7, 3, 100_000)
    low, high = pulse_kernels.robust_range(values, 2.0)
    # a median absolute deviation of 1e5 values has an uncertainty of 0.4 %
    assert low == pytest.approx(1, abs=0.1)
    assert high == pytest.approx(13, abs=0.1)


def test_standardised_values_are_clipped() -> None:
    values = np.array([-9.0, -1.0, 0.0, 1.0, 9.0])
    standardised = pulse_kernels.standardise(values, 4.0)
    np.testing.assert_allclose(
        standardised * SIGMA_PER_MAD, [-5.9304, -1, 0, 1, 5.9304]
    )
    assert not pulse_kernels.standardise(np.zeros(3), 4.0).any()


def test_offsets_are_counted_by_line_and_bin() -> None:
    counts = np.zeros((2, 2, 4))  # steps of 1 from -2 to 2
    line, bins = np.array([0, 1, 1]), np.array([1, 0, 0])
    offset = np.array([-1.5, 0.5, 7.0])
    pulse_kernels.add_to_offset_histograms(counts, line, bins, offset, 2.0)
    assert counts[0].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
    assert counts[1].tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize("block", [15, 4])
def test_medians_of_blocks_are_those_of_numpy(block):
    values = np.random.default_rng(2).normal(size=10 * block + 3)
    values[[3, 2 * block]] = [np.nan, np.inf]
    blocks = values[: 10 * block].reshape(10, block)
    expected = np.median(blocks, axis=1)
    assert np.isnan(expected[0]) and np.isfinite(expected[2])
    np.testing.assert_array_equal(pulse_kernels.block_medians(values, block), expected)
