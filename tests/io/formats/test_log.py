import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.io.formats.log import (
    TimeWindows,
    clean_points,
    find_implausible,
    reference_points,
    time_windows,
)
from rixs_pipeline.io.formats.values import TimeForm


def test_windows_without_a_time_are_empty():
    windows = time_windows([(1.5, 2), (None, 3.0), (4.0, float("nan"))])
    assert windows.start_ns.tolist() == [1_500_000_000, 0, 0]
    assert windows.end_ns.tolist() == [2_000_000_000, 0, 0]
    assert windows.has_length.tolist() == [True, False, False]
    assert len(time_windows([])) == 0


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
    assert len(problems) == 4
    assert "1 of 6 points start before the point that precedes them" in problems[3]
    assert (
        "a.json: 1 of 6 points have no positive, finite incident energy" in problems[0]
    )
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
            st.sampled_from([1.0, np.nan, np.inf, 0.0, -2.0]),
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
    usable = np.isfinite(energy) & (energy > 0) & (table[:, 1] > table[:, 0])
    before = {t for start, end in table[usable] for t in range(start, end)}
    after = {
        t
        for start, end in zip(points.start_ns, points.end_ns, strict=True)
        for t in range(start, end)
    }
    assert after <= before


def test_points_down_in_time_are_sorted_without_a_word():
    windows = TimeWindows(np.array([20, 10, 0]), np.array([25, 15, 5]))
    clean = clean_points(np.array([3.0, 2.0, 1.0]), windows, "a")
    assert clean.points.incident_energy.tolist() == [1.0, 2.0, 3.0]
    assert clean.problems == ()


def test_parts_of_a_reference_run_do_not_include_the_gaps():
    windows = TimeWindows(np.array([20, 5, 0, 25, 7]), np.array([26, 9, 0, 30, 8]))
    points = reference_points(1000.0, windows)
    assert points.start_ns.tolist() == [5, 20]
    assert points.end_ns.tolist() == [9, 30]
    assert points.incident_energy.tolist() == [1000.0, 1000.0]
    empty = TimeWindows(np.array([5]), np.array([5]))
    assert len(reference_points(1000.0, empty)) == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=9))
def test_parts_of_a_reference_run_are_the_union_of_its_windows(windows):
    start = np.array([first for first, _ in windows], np.int64)
    end = start + np.array([length for _, length in windows], np.int64)
    points = reference_points(1.0, TimeWindows(start, end))
    assert np.all(points.start_ns[1:] > points.end_ns[:-1])
    before = {t for a, b in zip(start, end, strict=True) for t in range(a, b)}
    limits = zip(points.start_ns, points.end_ns, strict=True)
    assert {t for a, b in limits for t in range(a, b)} == before


def test_times_of_one_log_have_one_form():
    windows = time_windows([(1.7e12, 1.7e12 + 5), (None, 1.7e12)])
    assert windows.form is TimeForm.MILLISECONDS
    assert windows.end_ns[0] - windows.start_ns[0] == 5_000_000
    with pytest.raises(ValueError, match=r"seconds .*`a`.* and milliseconds .*`b`"):
        time_windows([(1.7e9, 1.7e12)], ("a", "b"))


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        ([780.0, 800.0], ""),
        ([285.0, 0.0, -1.0, np.nan], ""),
        ([8000.0, 30.0, 30000.0], ""),
        ([0.77, 0.8], "0.77 to 0.8 eV look like keV"),
        ([8.3, 780.0], "8.3 eV look like keV"),
        ([7.7e5], "770000 eV look like meV"),
        ([0.01], "outside 30 eV to 30 keV"),
        ([], ""),
    ],
)
def test_plausible_incident_energies(energy, words):
    problem = find_implausible(np.array(energy))
    assert words in problem if words else problem == ""
