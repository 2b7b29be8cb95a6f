import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.maps.binning import bin_index
from rixs_pipeline.core.maps.combine import (
    add,
    common_grid,
    group_points,
    midpoint_bins,
    weighted_mean,
)

POINTS = np.arange(768.0, 805.0, 0.4)


def test_same_points_in_any_direction_aborted_and_jittered() -> None:
    jitter = 4e-4 * (-1) ** np.arange(len(POINTS))
    grid = common_grid(
        [POINTS, POINTS[::-1], POINTS[:10], POINTS[30:50] + jitter[30:50]]
    )
    assert grid is not None
    np.testing.assert_allclose(grid, POINTS, atol=5e-4)
    np.testing.assert_array_equal(
        grid[:30], POINTS[:30]
    )  # where all agree, exactly as measured


def test_passes_over_neighbouring_ranges() -> None:
    np.testing.assert_array_equal(common_grid([POINTS[50:], POINTS[:60]]), POINTS)
    np.testing.assert_array_equal(
        common_grid([POINTS[60:], POINTS[:50]]), np.r_[POINTS[:50], POINTS[60:]]
    )


def test_repeated_energies_are_one_point() -> None:
    np.testing.assert_array_equal(
        common_grid([np.array([2.0, 1.0, 1.0, 2.0, 3.0])]), [1.0, 2.0, 3.0]
    )


@pytest.mark.parametrize(
    "other",
    [
        np.array([770.1]),  # between points of the first
        POINTS + 0.2,
        POINTS[:5] + 2e-3,
        np.array([768.0, 768.0009, 768.0018]),  # a chain wider than the tolerance
    ],
)
def test_differing_grids(other: np.ndarray) -> None:
    assert common_grid([POINTS, other]) is None
    assert common_grid([other, POINTS]) is None


@pytest.mark.parametrize("other", [np.delete(POINTS, 40), POINTS[::2], POINTS[[3, 90]]])
def test_a_pass_that_has_all_points_is_the_grid(other: np.ndarray) -> None:
    """What another pass lacks it does not add to: counts and exposure of a point stay together."""
    np.testing.assert_array_equal(common_grid([POINTS, other]), np.unique(POINTS))
    np.testing.assert_array_equal(common_grid([other, POINTS]), np.unique(POINTS))


def test_unknown_energies_are_outside() -> None:
    grid = common_grid([np.array([1.0, np.nan, 2.0])])
    np.testing.assert_array_equal(grid, [1.0, 2.0])
    np.testing.assert_array_equal(
        group_points(np.array([np.nan, 2.0009, 1.5, 0.9]), grid), [-1, 1, -1, -1]
    )
    np.testing.assert_array_equal(group_points(np.array([1.0]), np.array([])), [-1])


def test_midpoint_bins_hold_the_points_of_their_pass() -> None:
    points = np.array([3.0, 1.0, 2.0, 2.0, 5.0])
    edges = midpoint_bins(points)
    np.testing.assert_allclose(edges, [0.5, 1.5, 2.5, 4.0, 6.0])
    np.testing.assert_array_equal(bin_index(points, edges), [2, 0, 1, 1, 3])
    with pytest.raises(ValueError, match="two different points"):
        midpoint_bins(np.array([1.0, 1.0]))


@given(
    st.lists(
        st.lists(st.floats(0, 1e-2), min_size=1, max_size=8), min_size=1, max_size=4
    )
)
def test_a_common_grid_takes_every_point(scans: list[list[float]]) -> None:
    """Points crowded at the scale of the tolerance: if there is a grid, no point is off it."""
    arrays = [np.array(scan) for scan in scans]
    grid = common_grid(arrays)
    assert grid is None or all((group_points(scan, grid) >= 0).all() for scan in arrays)


@st.composite
def passes(draw: st.DrawFn) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Points, counts and exposure of passes: whole, aborted, reversed, with repeated energies."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scans = []
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, len(POINTS)))
        points = np.sort(np.append(POINTS[:length], rng.choice(POINTS[:length], 3)))[
            :: draw(st.sampled_from([1, -1]))
        ]
        scans.append(
            (
                points,
                rng.poisson(3.0, (len(points), 5)),
                rng.uniform(0.5, 2.0, len(points)),
            )
        )
    return scans


@given(passes(), st.randoms())
def test_sums_are_conserved_in_any_order(scans: list, random: object) -> None:
    def combined(scans: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        grid = common_grid([points for points, _, _ in scans])
        assert grid is not None
        index = [group_points(points, grid) for points, _, _ in scans]
        return (
            grid,
            add([c for _, c, _ in scans], index, len(grid)),
            add([x for _, _, x in scans], index, len(grid)),
        )

    shuffled = list(scans)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    (grid, counts, exposure), (grid_2, counts_2, exposure_2) = (
        combined(scans),
        combined(shuffled),
    )
    np.testing.assert_array_equal(grid, grid_2)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, counts_2)
    np.testing.assert_allclose(exposure, exposure_2, rtol=1e-12)
    np.testing.assert_array_equal(
        counts.sum(axis=0), sum(c.sum(axis=0) for _, c, _ in scans)
    )
    assert exposure.sum() == pytest.approx(sum(x.sum() for _, _, x in scans))


def test_points_off_the_grid_are_left_out() -> None:
    total = add(
        [np.array([1, 2, 4], np.int32), np.array([8])],
        [np.array([0, -1, 0]), np.array([2])],
        3,
    )
    np.testing.assert_array_equal(total, [5, 0, 8])
    assert total.dtype == np.int64


def test_weighted_mean() -> None:
    i0 = [np.array([1.0, np.nan, 5.0]), np.array([4.0, 2.0])]
    live = [np.array([1.0, 9.0, 0.0]), np.array([2.0, 1.0])]
    index = [np.array([0, 1, 2]), np.array([0, 1])]
    np.testing.assert_allclose(
        weighted_mean(i0, live, index, 4), [3.0, 2.0, np.nan, np.nan]
    )
