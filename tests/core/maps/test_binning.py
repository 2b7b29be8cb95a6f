import boost_histogram as bh
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.maps import binning
from rixs_pipeline.core.maps.binning import (
    bin_index,
    emission_edges,
    find_point_slices,
    histogram_points,
    is_in_points,
)
from rixs_pipeline.core.maps.kernel_arguments import PointSlices
from rixs_pipeline.errors import ConfigError

any_float = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def uniform_edges(draw: st.DrawFn) -> np.ndarray:
    low = draw(st.floats(-1000, 1000))
    step = draw(st.sampled_from([0.1, 0.25, 0.3, 0.5, 1 / 3, 0.7]))
    return emission_edges((low, low + step * draw(st.integers(1, 300))), step)


def around(edges: np.ndarray, others: list[float]) -> np.ndarray:
    """Values where rounding hurts: the edges and their neighbours."""
    return np.concatenate(
        [edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf), others]
    )


def searched(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    index = np.searchsorted(edges, values, "right") - 1
    index[np.isnan(values) | (values >= edges[-1])] = -1
    return index


def recount(energy: np.ndarray, points: PointSlices, edges: np.ndarray) -> np.ndarray:
    """Count event by event."""
    counts = np.zeros((len(points.first), len(edges) - 1), np.int64)
    for point, (begin, end) in enumerate(zip(*points, strict=True)):
        for value in energy[begin:end]:
            counts[point] += (edges[:-1] <= value) & (value < edges[1:])
    return counts


def test_edges_end_exactly() -> None:
    edges = emission_edges((200, 1100), 0.1)
    assert len(edges) == 9001
    assert (edges[0], edges[-1], edges.dtype) == (200.0, 1100.0, np.float64)
    np.testing.assert_array_equal(edges[:-1], 200 + 0.1 * np.arange(9000))


@pytest.mark.parametrize("limits", [(0.0, 1.05), (1.0, 1.0)])
def test_edges_refuse_a_part_of_a_bin(limits: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"whole number of bins of 0\.1 eV"):
        emission_edges(limits, 0.1)


@given(uniform_edges(), st.lists(any_float, max_size=20))
def test_index_is_exact_on_uniform_edges(
    edges: np.ndarray, others: list[float]
) -> None:
    values = around(edges, others)
    np.testing.assert_array_equal(bin_index(values, edges), searched(values, edges))


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30, unique=True),
    st.lists(any_float, max_size=20),
)
def test_index_is_exact_on_any_edges(edges: list[float], others: list[float]) -> None:
    ascending = np.sort(np.array(edges))
    values = around(ascending, others)
    np.testing.assert_array_equal(
        bin_index(values, ascending), searched(values, ascending)
    )


def test_index_of_single_precision() -> None:
    edges = emission_edges((200, 1100), 0.1)
    values = edges.astype(np.float32)
    np.testing.assert_array_equal(
        bin_index(values, edges), searched(values.astype(np.float64), edges)
    )


@given(
    st.lists(st.integers(0, 40)), st.lists(st.integers(0, 40), min_size=2, max_size=6)
)
def test_slices_are_half_open_to_the_nanosecond(
    times: list[int], marks: list[int]
) -> None:
    epoch = 1_582_152_304_889_971_201  # float64 would round these to 256 ns
    time = np.sort(np.array(times, np.int64)) + epoch
    mark = np.sort(np.array(marks, np.int64)) + epoch
    points = find_point_slices(time, mark[:-1], mark[1:])
    for j, (begin, end) in enumerate(zip(*points, strict=True)):
        expected = np.flatnonzero((time >= mark[j]) & (time < mark[j + 1]))
        np.testing.assert_array_equal(np.arange(begin, end), expected)


def test_slice_of_a_reversed_window_is_empty() -> None:
    points = find_point_slices(np.arange(10), np.array([5]), np.array([2]))
    assert points.stop[0] == points.first[0]


def test_events_in_points() -> None:
    points = PointSlices(np.array([1, 4, 4]), np.array([3, 4, 6]))
    expected = [False, True, True, False, True, True, False]
    assert is_in_points(points, 7).tolist() == expected


@st.composite
def scans(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times, energies and pixels of events, and the edges of adjacent windows."""
    number = draw(st.integers(0, 200))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    energy = np.round(rng.uniform(-1, 11, number), 1)  # many on edges
    energy[rng.random(number) < 0.1] = np.nan
    marks = np.unique(rng.integers(0, 100, draw(st.integers(2, 12))))
    return (
        np.sort(rng.integers(0, 100, number)),
        energy,
        rng.integers(0, 4, number),
        marks,
    )


@given(scans(), st.integers(1, 50), st.permutations(range(4)))
def test_counts_do_not_depend_on_blocks_chunks_or_pixel_order(
    scan: tuple, block: int, order: list[int]
) -> None:
    time, energy, pixel, marks = scan
    edges = emission_edges((0, 10), 0.1)
    points = find_point_slices(time, marks[:-1], marks[1:])
    expected = recount(energy, points, edges)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binning, "EVENTS_AT_ONCE", block)
        counts = histogram_points(energy, points, edges)
    np.testing.assert_array_equal(counts, expected)
    total = np.zeros_like(expected)
    for number in order:
        for chunk in np.array_split(np.flatnonzero(pixel == number), 3):
            points = find_point_slices(time[chunk], marks[:-1], marks[1:])
            counts = histogram_points(energy[chunk], points, edges, out=total)
            assert counts is total
    np.testing.assert_array_equal(total, expected)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_counts_equal_boost_histogram_away_from_the_edges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = emission_edges((200, 1100), 0.5)
    energy = rng.uniform(150, 1150, 100_000)  # several blocks
    energy = energy[np.abs(energy / 0.5 - np.round(energy / 0.5)) > 1e-6]
    time, marks = np.sort(rng.integers(0, 1000, len(energy))), np.arange(0, 1001, 50)
    oracle = bh.Histogram(bh.axis.Variable(marks), bh.axis.Regular(1800, 200, 1100))
    oracle.fill(time, energy)
    points = find_point_slices(time, marks[:-1], marks[1:])
    counts = histogram_points(energy, points, edges)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, oracle.values())


def no_events(points: int) -> PointSlices:
    return PointSlices(np.zeros(points, int), np.zeros(points, int))


def test_no_points_and_no_events() -> None:
    edges = np.arange(4.0)
    assert histogram_points(np.zeros(5), no_events(0), edges).shape == (0, 3)
    assert histogram_points(np.zeros(0), no_events(2), edges).sum() == 0


@pytest.mark.parametrize(
    "out", [np.zeros((2, 4), np.int64), np.zeros((3, 2), np.int64).T]
)
def test_out_that_cannot_be_added_to(out: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"not \(2, 3\) in C order"):
        histogram_points(np.zeros(0), no_events(2), np.arange(4.0), out=out)
