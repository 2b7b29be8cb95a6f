import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.core.maps.combine import add, weighted_mean
from rixs_pipeline.core.maps.incident_axis import common_grid, grid_index

POINTS = np.arange(768.0, 805.0, 0.4)


@st.composite
def passes(draw: st.DrawFn) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Points, counts and exposures of passes: aborted, reversed, repeated."""
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
        index = [grid_index(points, grid) for points, _, _ in scans]
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


def test_rows_of_passes_are_added_at_their_places():
    indices = [np.array([0, 1]), np.array([1, -1])]
    counts = [np.array([[1, 2], [3, 4]]), np.array([[10, 20], [30, 40]])]
    assert add(counts, indices, 3).tolist() == [[1, 2], [13, 24], [0, 0]]
    values = [np.array([1.0, 2.0]), np.array([5.0, 9.0])]
    weights = [np.array([1.0, 1.0]), np.array([3.0, 1.0])]
    mean = weighted_mean(values, weights, indices, 3)
    np.testing.assert_allclose(mean, [1.0, 17 / 4, np.nan])
