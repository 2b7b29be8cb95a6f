import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.io.formats.log import (
    TimeWindows,
    clean_points,
    nanoseconds,
    number_or_nan,
    reference_window,
    time_windows,
)


@given(st.integers(10**15, 2 * 10**15))
def test_microseconds_of_a_log_survive(microseconds):
    """Sixteen digits fit in a float64: microseconds come back exactly."""
    assert nanoseconds(microseconds / 1e6) == microseconds * 1000


def test_windows_without_a_time_are_empty():
    windows = time_windows([(1.5, 2), (None, 3.0), (4.0, float("nan"))])
    assert windows.start_ns.tolist() == [1_500_000_000, 0, 0]
    assert windows.end_ns.tolist() == [2_000_000_000, 0, 0]
    assert windows.has_length.tolist() == [True, False, False]
    assert len(time_windows([])) == 0


@pytest.mark.parametrize("value", [None, "x", [1.0], float("nan")])
def test_invalid_numbers_are_nan(value):
    assert np.isnan(number_or_nan(value))


def test_points_are_ordered_by_time_and_each_kind_of_defect_is_reported():
    energy = np.array([3.0, 1.0, 2.0, np.nan, 9.0, 8.0])
    windows = TimeWindows(
        np.array([30, 10, 20, 40, 60, 0]), np.array([40, 22, 30, 50, 60, 0])
    )
    clean = clean_points(energy, windows, "a.json")
    points, problems = clean.points, clean.problems
    assert points.incident_energy.tolist() == [1.0, 2.0, 3.0]
    assert points.start_ns.tolist() == [10, 20, 30]
    assert points.end_ns.tolist() == [20, 30, 40]
    assert clean.position.tolist() == [1, 2, 0]
    assert len(problems) == 3
    assert "a.json: 1 of 6 points have no finite incident energy" in problems[0]
    assert "2 of 6 points have no time, or end before they start" in problems[1]
    assert "1 of 6 points overlap" in problems[2]


def test_clean_windows_stay_as_they_are():
    windows = TimeWindows(np.array([0, 5]), np.array([5, 9]))
    clean = clean_points(np.array([1.0, 2.0]), windows, "a")
    assert clean.points.end_ns.tolist() == [5, 9]
    assert clean.position.tolist() == [0, 1]
    assert clean.problems == ()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 50),
            st.integers(-3, 60),
            st.sampled_from([1.0, np.nan, np.inf]),
        ),
        max_size=15,
    )
)
def test_point_windows_never_overlap_nor_grow(windows):
    table = np.array(
        [(start, start + length) for start, length, _ in windows], np.int64
    ).reshape(-1, 2)
    energy = np.array([energy for *_, energy in windows])
    clean = clean_points(energy, TimeWindows(table[:, 0], table[:, 1]), "log")
    points, position = clean.points, clean.position
    assert np.all(points.end_ns > points.start_ns)
    assert np.all(points.start_ns[1:] >= points.end_ns[:-1])
    assert np.all(points.end_ns <= table[position, 1])
    np.testing.assert_array_equal(points.start_ns, table[position, 0])
    usable = np.isfinite(energy) & (table[:, 1] > table[:, 0])
    before = {t for start, end in table[usable] for t in range(start, end)}
    after = {
        t
        for start, end in zip(points.start_ns, points.end_ns, strict=True)
        for t in range(start, end)
    }
    assert after <= before


def test_reference_window_spans_the_windows_that_last():
    windows = TimeWindows(np.array([5, 0, 20]), np.array([9, 0, 30]))
    points = reference_window(1000.0, windows)
    assert (points.start_ns.tolist(), points.end_ns.tolist()) == ([5], [30])
    assert points.incident_energy.tolist() == [1000.0]
    empty = TimeWindows(np.array([5]), np.array([5]))
    assert len(reference_window(1000.0, empty)) == 0
