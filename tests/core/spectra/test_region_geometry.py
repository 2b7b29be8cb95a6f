import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.spectra.region_geometry import region_outlines, region_weights
from rixs_pipeline.core.spectra.regions import Region
from tests.core.spectra.builders import make_region

EDGES = np.arange(500.0, 540.1, 0.5)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
INCIDENT = np.arange(525.0, 545.0, 0.25)


def test_without_limits_everything_counts_once() -> None:
    np.testing.assert_array_equal(region_weights(make_region(), INCIDENT, EDGES), 1.0)


def test_cut_bins_count_by_their_share_and_the_others_exactly() -> None:
    share = region_weights(make_region(emission=[520.2, 522.9]), INCIDENT, EDGES)
    assert share.shape == (len(INCIDENT), len(CENTRES))
    np.testing.assert_allclose(share[0][40:46], [0.6, 1, 1, 1, 1, 0.8])
    assert (share[0][41:45] == 1.0).all()
    assert (share[:, :40] == 0).all()
    assert (share[:, 46:] == 0).all()


def test_a_region_within_one_bin() -> None:
    share = region_weights(make_region(emission=[520.1, 520.2]), INCIDENT[:1], EDGES)
    assert share.sum() == pytest.approx(0.2)


def test_incident_points_are_taken_or_left() -> None:
    share = region_weights(make_region(incident=[530.5, 531.5]), INCIDENT, EDGES)
    np.testing.assert_array_equal(
        share.any(axis=1), (INCIDENT >= 530.5) & (INCIDENT < 531.5)
    )
    np.testing.assert_array_equal(np.unique(share), [0, 1])


def test_loss_follows_the_elastic_line() -> None:
    share = region_weights(make_region(loss=[5, 8.25]), INCIDENT, EDGES)
    for j, energy in enumerate(INCIDENT):
        below = region_weights(
            make_region(emission=[energy - 8.25, energy - 5]), INCIDENT[:1], EDGES
        )
        np.testing.assert_allclose(share[j], below[0], atol=1e-12)


def test_elastic_line_has_three_ev_on_both_sides_by_default() -> None:
    every = region_weights(make_region(kind="elastic"), INCIDENT[:40], EDGES)
    np.testing.assert_allclose(
        every, region_weights(make_region(loss=[-3, 3]), INCIDENT[:40], EDGES)
    )
    assert every[0].sum() * 0.5 == pytest.approx(6.0)
    np.testing.assert_allclose(
        region_weights(
            make_region(kind="elastic", loss=[-1, 1]), INCIDENT[:1], EDGES
        ).sum()
        * 0.5,
        2.0,
    )


def test_excluded_elastic_is_the_complement_of_the_elastic() -> None:
    kept = region_weights(make_region(exclude_elastic=3), INCIDENT, EDGES)
    np.testing.assert_allclose(
        kept + region_weights(make_region(kind="elastic"), INCIDENT, EDGES),
        1.0,
        atol=1e-12,
    )


def test_a_rectangular_polygon_is_a_rectangle() -> None:
    corners = [[528, 515.2], [533, 515.2], [533, 527.7], [528, 527.7]]
    rectangle = region_weights(
        make_region(incident=[528, 533], emission=[515.2, 527.7]), INCIDENT, EDGES
    )
    for start in range(4):
        turned = corners[start:] + corners[:start]
        np.testing.assert_array_equal(
            region_weights(make_region(polygon=turned), INCIDENT, EDGES), rectangle
        )
        np.testing.assert_array_equal(
            region_weights(make_region(polygon=turned[::-1]), INCIDENT, EDGES),
            rectangle,
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
    share = region_weights(
        make_region(polygon=notched), np.array([528.0, 535.0]), EDGES
    )
    assert share.sum(axis=1) * 0.5 == pytest.approx([25.0, 15.0])
    assert share[1][(CENTRES > 510) & (CENTRES < 520)].sum() == 0


corner = st.tuples(st.integers(520, 550), st.integers(505, 535))


@given(st.lists(corner, min_size=3, max_size=7, unique=True))
def test_polygon_weights_are_the_even_odd_area(corners: list[tuple[int, int]]) -> None:
    """Against even-odd membership of many points a bin: what the shares mean."""
    fine = 40
    sub = (EDGES[:-1, None] + 0.5 * (np.arange(fine) + 0.5) / fine).ravel()
    incident = np.array([527.13, 533.0, 541.77])
    share = region_weights(make_region(polygon=corners), incident, EDGES)
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
    share = region_weights(
        make_region(
            emission=emission, loss=loss, polygon=polygon, exclude_elastic=half
        ),
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
    assert region_weights(make_region(emission=[520, 521]), INCIDENT, EDGES).any()
    assert not region_weights(make_region(emission=[700, 710]), INCIDENT, EDGES).any()
    assert not region_weights(make_region(incident=[700, 710]), INCIDENT, EDGES).any()
    assert not region_weights(
        make_region(kind="elastic", exclude_elastic=4), INCIDENT, EDGES
    ).any()


def test_pieces_are_taken_together_and_overlaps_once() -> None:
    pieces = [
        {"emission": [505, 515]},
        {"emission": [510.2, 520], "incident": [530, 535]},
        {"loss": [3, 5]},
    ]
    share = region_weights(make_region(pieces=pieces), INCIDENT, EDGES)
    assert share.max() <= 1 + 1e-12
    for j, energy in enumerate(INCIDENT):
        low, high = 505.0, 520.0 if 530 <= energy < 535 else 515.0
        expected = (high - low) + max(
            0, min(energy - 3, EDGES[-1]) - max(energy - 5, high)
        )
        assert share[j].sum() * 0.5 == pytest.approx(expected)


def test_limits_of_the_region_hold_for_all_its_pieces() -> None:
    pieces = [{"emission": [505, 515]}, {"emission": [520, 530]}]
    whole = region_weights(
        make_region(pieces=pieces, emission=[510, 522.5], exclude_elastic=3),
        INCIDENT,
        EDGES,
    )
    parts = [
        region_weights(make_region(emission=e, exclude_elastic=3), INCIDENT, EDGES)
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
    share = region_weights(
        make_region(pieces=[{"emission": w} for w in windows]), INCIDENT[:1], EDGES
    )[0]
    fine = np.linspace(500, 540, 80_001)[:-1] + 0.00025
    inside = np.any([(fine >= low) & (fine < high) for low, high in windows], axis=0)
    np.testing.assert_allclose(
        share, inside.reshape(80, -1).mean(axis=1), atol=0.002 * len(windows) + 1e-9
    )


def weights_of_outlines(region: Region, incident, edges) -> np.ndarray:
    """Return the weights of the polygons that outline a region, summed."""
    outlines = region_outlines(region, incident, edges)
    return sum(
        (
            region_weights(make_region(polygon=outline.tolist()), incident, edges)
            for outline in outlines
        ),
        np.zeros((len(incident), len(edges) - 1)),
    )


def test_an_elastic_region_with_incident_limits_is_outlined_along_the_elastic_line():
    incident, edges = np.arange(770.0, 790.0, 0.5), np.arange(700.0, 820.0, 0.5)
    region = make_region(kind="elastic", incident=[778, 782])
    (outline,) = region_outlines(region, incident, edges)
    corners = {(778, 775), (782, 779), (782, 785), (778, 781)}
    assert {tuple(corner) for corner in outline.tolist()} == corners
    weights = region_weights(region, incident, edges)
    assert np.count_nonzero(weights) == 96
    np.testing.assert_allclose(weights_of_outlines(region, incident, edges), weights)


def test_an_elastic_region_without_limits_is_outlined():
    region = make_region(kind="elastic")
    assert region.is_limited
    (outline,) = region_outlines(region, INCIDENT, EDGES)
    loss = outline[:, 0] - outline[:, 1]
    assert set(np.round(loss[outline[:, 1] < EDGES[-1]], 6)) == {-3.0, 3.0}


def test_the_whole_map_is_not_limited_and_its_outline_encloses_all():
    for limits in ({}, {"exclude_elastic": 3}, {"scale": "max"}):
        region = make_region(kind="tfy", **limits)
        assert not region.is_limited
        np.testing.assert_allclose(
            weights_of_outlines(region, INCIDENT, EDGES),
            region_weights(region, INCIDENT, EDGES),
            atol=1e-9,
        )


def test_a_single_incident_energy_is_outlined_by_a_thin_rectangle_at_its_point():
    region = make_region(kind="xes", cuts=[530.3])
    (outline,) = region_outlines(region, INCIDENT, EDGES)
    assert outline[:, 0].mean() == pytest.approx(530.25)
    assert np.ptp(outline[:, 0]) < 0.01
    assert np.ptp(outline[:, 1]) == EDGES[-1] - EDGES[0]
    assert region_outlines(make_region(kind="xes", cuts=[600.0]), INCIDENT, EDGES) == []


def test_convex_and_stepped_regions_have_one_outline():
    pieces = [
        {"emission": [505, 515], "incident": [530, 535]},
        {"emission": [510, 520], "incident": [535, 540]},
    ]
    (stepped,) = region_outlines(make_region(pieces=pieces), INCIDENT, EDGES)
    assert {tuple(corner) for corner in stepped.tolist()} == {
        (530, 505),
        (535, 505),
        (535, 510),
        (540, 510),
        (540, 520),
        (535, 520),
        (535, 515),
        (530, 515),
    }
    hexagon = [(526, 515), (530, 510), (540, 512), (544, 520), (538, 530), (528, 525)]
    (outline,) = region_outlines(make_region(polygon=hexagon), INCIDENT, EDGES)
    assert {tuple(corner) for corner in outline.tolist()} == set(hexagon)


def test_the_part_below_and_the_part_above_an_excluded_elastic_line_are_outlined():
    region = make_region(emission=[505, 538], incident=[526, 544], exclude_elastic=3)
    below, above = region_outlines(region, INCIDENT, EDGES)
    assert {tuple(corner) for corner in below.tolist()} == {
        (526, 505),
        (544, 505),
        (544, 538),
        (541, 538),
        (526, 523),
    }
    assert {tuple(corner) for corner in above.tolist()} == {
        (526, 529),
        (535, 538),
        (526, 538),
    }


def test_a_region_beside_the_map_has_no_outline():
    assert region_outlines(make_region(emission=[700, 710]), INCIDENT, EDGES) == []


tenths = st.integers(0, 300).map(lambda number: number / 10)


def limits_from(low: float) -> st.SearchStrategy:
    """Return limits [low, high] on a grid of 0.1 eV, at most 30 eV above `low`."""
    pairs = st.lists(tenths, min_size=2, max_size=2, unique=True).map(sorted)
    return pairs.map(lambda pair: [low + value for value in pair])


pieces = st.fixed_dictionaries(
    {},
    optional={
        "emission": limits_from(505),
        "incident": limits_from(522),
        "loss": limits_from(-8),
        "polygon": st.lists(corner, min_size=3, max_size=5, unique=True),
    },
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["pfy", "spfy", "ipfy", "tfy", "xes", "elastic"]),
    pieces,
    st.lists(pieces, max_size=3),
    st.none() | st.integers(1, 60).map(lambda number: number / 10),
    st.none() | st.floats(520, 550) | limits_from(522).map(tuple),
)
def test_outlines_of_every_kind_enclose_exactly_the_bins_that_have_weight(
    kind, limits, parts, half_width, cut
):
    cuts = {"cuts": [cut]} if kind == "xes" and cut is not None else {}
    region = make_region(
        kind=kind, **limits, pieces=parts, exclude_elastic=half_width, **cuts
    )
    incident = INCIDENT + 0.0137  # on no border
    np.testing.assert_allclose(
        weights_of_outlines(region, incident, EDGES),
        region_weights(region, incident, EDGES),
        atol=1e-6,
    )
