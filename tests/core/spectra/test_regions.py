from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.config.models import Edge, Region
from rixs_pipeline.core.spectra.regions import preset_regions, resolved, weights

EDGES = np.arange(500.0, 540.1, 0.5)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
INCIDENT = np.arange(525.0, 545.0, 0.25)


def region(**limits: object) -> Region:
    return Region.model_validate({"kind": "pfy", **limits})


def test_without_limits_everything_counts_once() -> None:
    np.testing.assert_array_equal(weights(region(), INCIDENT, EDGES), 1.0)


def test_cut_bins_count_by_their_share_and_the_others_exactly() -> None:
    share = weights(region(emission=[520.2, 522.9]), INCIDENT, EDGES)
    assert share.shape == (len(INCIDENT), len(CENTRES))
    np.testing.assert_allclose(share[0][40:46], [0.6, 1, 1, 1, 1, 0.8])
    assert (share[0][41:45] == 1.0).all()
    assert (share[:, :40] == 0).all()
    assert (share[:, 46:] == 0).all()


def test_a_region_within_one_bin() -> None:
    share = weights(region(emission=[520.1, 520.2]), INCIDENT[:1], EDGES)
    assert share.sum() == pytest.approx(0.2)


def test_incident_points_are_taken_or_left() -> None:
    share = weights(region(incident=[530.5, 531.5]), INCIDENT, EDGES)
    np.testing.assert_array_equal(
        share.any(axis=1), (INCIDENT >= 530.5) & (INCIDENT < 531.5)
    )
    np.testing.assert_array_equal(np.unique(share), [0, 1])


def test_loss_follows_the_elastic_line() -> None:
    share = weights(region(loss=[5, 8.25]), INCIDENT, EDGES)
    for j, energy in enumerate(INCIDENT):
        below = weights(
            region(emission=[energy - 8.25, energy - 5]), INCIDENT[:1], EDGES
        )
        np.testing.assert_allclose(share[j], below[0], atol=1e-12)


def test_elastic_takes_three_ev_on_both_sides_unless_told() -> None:
    every = weights(region(kind="elastic"), INCIDENT[:40], EDGES)
    np.testing.assert_allclose(
        every, weights(region(loss=[-3, 3]), INCIDENT[:40], EDGES)
    )
    assert every[0].sum() * 0.5 == pytest.approx(6.0)
    np.testing.assert_allclose(
        weights(region(kind="elastic", loss=[-1, 1]), INCIDENT[:1], EDGES).sum() * 0.5,
        2.0,
    )


def test_excluded_elastic_is_the_complement_of_the_elastic() -> None:
    kept = weights(region(exclude_elastic=3), INCIDENT, EDGES)
    np.testing.assert_allclose(
        kept + weights(region(kind="elastic"), INCIDENT, EDGES), 1.0, atol=1e-12
    )


def test_a_rectangular_polygon_is_a_rectangle() -> None:
    corners = [[528, 515.2], [533, 515.2], [533, 527.7], [528, 527.7]]
    rectangle = weights(
        region(incident=[528, 533], emission=[515.2, 527.7]), INCIDENT, EDGES
    )
    for start in range(4):
        turned = corners[start:] + corners[:start]
        np.testing.assert_array_equal(
            weights(region(polygon=turned), INCIDENT, EDGES), rectangle
        )
        np.testing.assert_array_equal(
            weights(region(polygon=turned[::-1]), INCIDENT, EDGES), rectangle
        )


def test_a_polygon_with_a_notch_gives_several_intervals() -> None:
    notched = [
        [526, 505],
        [540, 505],
        [540, 510],
        [530, 510],
        [530, 520],
        [540, 520],
        [540, 530],
        [526, 530],
    ]
    share = weights(region(polygon=notched), np.array([528.0, 535.0]), EDGES)
    assert share.sum(axis=1) * 0.5 == pytest.approx([25.0, 15.0])
    assert share[1][(CENTRES > 510) & (CENTRES < 520)].sum() == 0


corner = st.tuples(st.integers(520, 550), st.integers(505, 535))


@given(st.lists(corner, min_size=3, max_size=7, unique=True))
def test_polygon_weights_are_the_even_odd_area(corners: list[tuple[int, int]]) -> None:
    """Against even-odd membership of many points a bin: what the shares mean."""
    fine = 40
    sub = (EDGES[:-1, None] + 0.5 * (np.arange(fine) + 0.5) / fine).ravel()
    incident = np.array([527.13, 533.0, 541.77])
    share = weights(region(polygon=corners), incident, EDGES)
    inside = np.zeros((3, len(sub)), bool)
    for (x, y), (x_2, y_2) in zip(corners, corners[1:] + corners[:1], strict=True):
        for j, energy in enumerate(incident):
            if (x <= energy) != (x_2 <= energy):
                inside[j] ^= sub < y + (energy - x) * (y_2 - y) / (x_2 - x)
    expected = inside.reshape(3, -1, fine).mean(axis=2)
    np.testing.assert_allclose(share, expected, atol=len(corners) / 2 / fine)


@given(
    st.lists(st.floats(500, 540), min_size=2, max_size=2, unique=True).map(sorted),
    st.lists(st.floats(-10, 30), min_size=2, max_size=2, unique=True).map(sorted),
    st.floats(0.1, 5),
)
def test_all_limits_hold_at_once(
    emission: list[float], loss: list[float], half: float
) -> None:
    """Total width of the intersection, computed point by point."""
    polygon = [[525, 510], [545, 530], [545, 535], [525, 515]]
    share = weights(
        region(emission=emission, loss=loss, polygon=polygon, exclude_elastic=half),
        INCIDENT,
        EDGES,
    )
    assert share.min() >= 0
    assert share.max() <= 1 + 1e-12
    for j, energy in enumerate(INCIDENT):
        low = max(emission[0], energy - loss[1], energy - 15, EDGES[0])
        high = min(emission[1], energy - loss[0], energy - 10, EDGES[-1])
        kept = max(min(high, energy - half) - low, 0) + max(
            high - max(low, energy + half), 0
        )
        assert share[j].sum() * 0.5 == pytest.approx(kept, abs=1e-9)


def test_a_region_that_selects_nothing() -> None:
    assert weights(region(emission=[520, 521]), INCIDENT, EDGES).any()
    assert not weights(region(emission=[700, 710]), INCIDENT, EDGES).any()
    assert not weights(region(incident=[700, 710]), INCIDENT, EDGES).any()
    assert not weights(region(kind="elastic", exclude_elastic=4), INCIDENT, EDGES).any()


def test_presets_are_unique_and_begin_with_their_element() -> None:
    names: list[str] = []
    for edge in get_args(Edge):
        regions = preset_regions(edge)
        element = edge.split("_")[0]
        assert all(
            name.startswith(f"{element}_") and r.edge == edge
            for name, r in regions.items()
        )
        assert {f"{element}_PFY", f"{element}_TFY", f"{element}_ELASTIC"} <= set(
            regions
        )
        names += regions
    assert len(names) == len(set(names))


def test_presets_of_the_paper() -> None:
    assert preset_regions("O_K")["O_sPFY"].emission == (523, 524)
    assert preset_regions("O_K")["O_XES_531"].incident == (530.5, 531.5)
    cobalt = preset_regions("Co_L")
    assert (cobalt["Co_PFY"].emission, cobalt["Co_PFY"].exclude_elastic) == (
        (762, 800),
        3,
    )
    assert (cobalt["Co_iPFY"].emission, cobalt["Co_XES_L3"].incident) == (
        (510, 540),
        (780, 781),
    )


def test_pieces_are_taken_together_and_overlaps_once() -> None:
    pieces = [
        {"emission": [505, 515]},
        {"emission": [510.2, 520], "incident": [530, 535]},
        {"loss": [3, 5]},
    ]
    share = weights(region(pieces=pieces), INCIDENT, EDGES)
    assert share.max() <= 1 + 1e-12
    for j, energy in enumerate(INCIDENT):
        low, high = 505.0, 520.0 if 530 <= energy < 535 else 515.0
        expected = (high - low) + max(
            0, min(energy - 3, EDGES[-1]) - max(energy - 5, high)
        )
        assert share[j].sum() * 0.5 == pytest.approx(expected)


def test_limits_of_the_region_hold_for_all_its_pieces() -> None:
    pieces = [{"emission": [505, 515]}, {"emission": [520, 530]}]
    whole = weights(
        region(pieces=pieces, emission=[510, 522.5], exclude_elastic=3), INCIDENT, EDGES
    )
    parts = [
        weights(region(emission=e, exclude_elastic=3), INCIDENT, EDGES)
        for e in ([510, 515], [520, 522.5])
    ]
    np.testing.assert_allclose(whole, sum(parts), atol=1e-12)


@given(
    st.lists(
        st.lists(st.floats(495, 545), min_size=2, max_size=2, unique=True).map(sorted),
        min_size=1,
        max_size=5,
    )
)
def test_union_of_windows(windows: list[list[float]]) -> None:
    share = weights(
        region(pieces=[{"emission": w} for w in windows]), INCIDENT[:1], EDGES
    )[0]
    fine = np.linspace(500, 540, 80_001)[:-1] + 0.00025
    inside = np.any([(fine >= low) & (fine < high) for low, high in windows], axis=0)
    np.testing.assert_allclose(
        share, inside.reshape(80, -1).mean(axis=1), atol=0.002 * len(windows) + 1e-9
    )


def test_a_preset_fills_in_what_is_not_said() -> None:
    found = resolved(
        {
            "mine": Region.model_validate(
                {
                    "kind": "pfy",
                    "preset": "Co_L",
                    "emission": [770, 780],
                    "scale": "edge",
                }
            ),
            "all": Region.model_validate({"preset": "O_K", "scale": "max"}),
            "plain": region(),
        }
    )
    assert (
        found["mine"].emission,
        found["mine"].exclude_elastic,
        found["mine"].edge,
    ) == ((770, 780), 3, "Co_L")
    assert {
        "all_PFY",
        "all_sPFY",
        "all_TFY",
        "all_XES_531",
        "all_ELASTIC",
    } <= found.keys()
    assert found["all_sPFY"].emission == (523, 524)
    assert all(r.scale == "max" for name, r in found.items() if name.startswith("all"))
    assert all(r.preset is None for r in found.values())


def test_cuts_are_spectra_of_their_own() -> None:
    found = resolved(
        {"X": Region.model_validate({"kind": "xes", "cuts": [530.3, [531, 532]]})}
    )
    assert list(found) == ["X_530p3", "X_531_532"]
    assert INCIDENT[
        weights(found["X_530p3"], INCIDENT, EDGES).any(axis=1)
    ].tolist() == [530.25]
    assert INCIDENT[
        weights(found["X_531_532"], INCIDENT, EDGES).any(axis=1)
    ].tolist() == [531, 531.25, 531.5, 531.75]
    beyond = Region.model_validate({"kind": "xes", "cuts": [600.0]})
    assert not weights(resolved({"B": beyond})["B_600"], INCIDENT, EDGES).any()
