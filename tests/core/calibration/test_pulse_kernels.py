import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.calibration import pulse_kernels

NUMBERS = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 2.0, 1e30])),
    min_size=1,
    max_size=300,
)


@given(values=NUMBERS, share=st.floats(0, 1))
def test_the_kth_smallest_and_the_median_are_those_of_numpy(
    values: list[float], share: float
) -> None:
    """Ties and outliers included."""
    array, k = np.array(values), int(share * (len(values) - 1))
    assert pulse_kernels.kth(array, k) == np.sort(array)[k]
    assert pulse_kernels.median(array) == np.median(array)


def test_the_median_of_many_values_with_a_few_far_away() -> None:
    rng = np.random.default_rng(1)
    for n in (4000, 4001):
        values = rng.normal(size=n) * np.where(rng.random(n) < 0.01, 1e20, 1.0)
        assert pulse_kernels.median(values) == np.median(values)


def test_values_belong_to_the_nearest_line_within_reach() -> None:
    lines = np.array([10.0, 20.0, 23.0])
    index, line, away = pulse_kernels.near_lines(
        np.array([7.0, 13.9, 17.0, 21.4, 21.6, 40.0]), lines, 4.0
    )
    assert index.tolist() == [0, 1, 2, 3, 4] and line.tolist() == [0, 0, 1, 1, 2]
    np.testing.assert_allclose(away, [-3.0, 3.9, -3.0, 1.4, -1.4])
    assert not len(pulse_kernels.near_lines(np.ones(3), np.empty(0), 4.0)[0])


def test_groups_and_blocks_are_centred_on_their_medians() -> None:
    values, group = np.array([1.0, 2.0, 9.0, 5.0, 7.0]), np.array([0, 0, 0, 2, 2])
    assert pulse_kernels.centred(values, group, 3).tolist() == [-1, 0, 7, -1, 1]
    # the last block takes the rest, about the median of a whole one
    assert pulse_kernels.detrended(
        np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 40.0]), 3
    ).tolist() == [-1, 0, 1, -10, 0, 10, 20]
    assert pulse_kernels.detrended(np.array([4.0, 6.0]), 3).tolist() == [-1, 1]
    assert not len(pulse_kernels.detrended(np.empty(0), 3))


def test_a_histogram_keeps_what_lies_beyond_its_ends_there() -> None:
    counts = pulse_kernels.histogram(
        np.array([-9.0, 0.0, 0.4, 0.5, 1.6, 99.0]), 0.0, 0.5, 4
    )
    assert counts.tolist() == [3, 1, 0, 2]


def test_pulses_in_the_windows_of_usable_lines() -> None:
    windows = np.array([[0.0, 2.0], [2.0, 4.0], [6.0, 8.0]])
    index, line = pulse_kernels.in_windows(
        np.array([1.0, 2.0, 5.0, 6.0, 8.0]), windows, np.array([True, False, True])
    )
    assert index.tolist() == [0, 3] and line.tolist() == [0, 2]


@pytest.mark.parametrize("most", [1, 7, 30, 1000])
def test_some_pulses_are_spread_evenly_over_the_points(most: int) -> None:
    n = 200
    base, residual = (np.arange(n, dtype=np.float32) + k for k in (0, 1000))
    coefs = np.stack([np.zeros(n), np.full(n, 2.0), np.full(n, 4.0)], axis=1).astype(
        np.float32
    )
    first, stop = np.array([10, 50, 100]), np.array([30, 50, 147])
    inside = np.r_[10:30, 100:147]
    every = -(-len(inside) // most)
    height, phase, found, misfit = pulse_kernels.some_pulses(
        base, residual, coefs, first, stop, most
    )
    assert found.tolist() == inside[::every].tolist() and len(found) <= most
    assert (
        (misfit - found == 1000).all() and (height == 4).all() and (phase == 0.5).all()
    )
