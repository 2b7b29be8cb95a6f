import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.energy import function as ef
from rixs_pipeline.core.maps import bin_kernel as map_kernel
from rixs_pipeline.core.maps import binning
from tests.core.energy.test_function import PRETRIGGER_REF, toy_params

some = settings(max_examples=30, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
RECORD = np.dtype(
    [
        ("time", "<i8"),
        ("base", "<f4"),
        ("odd", "u1"),
        ("residual", "<f4"),
        ("coefs", "<f4", (3,)),
    ]
)
LIMITS = np.array([[20.0, 40.0], [4900.0, 5100.0], [-0.9, 0.4], [0.004, np.inf]])


def records(seed: int, n: int = 700) -> np.ndarray:
    """Packed records in order of time, some of them not numbers or beyond a cut."""
    rng = np.random.default_rng(seed)
    one = np.zeros(n, RECORD)
    one["time"] = np.sort(rng.integers(0, 10**10, n))
    one["base"], one["residual"] = (
        rng.normal(PRETRIGGER_REF, 40, n),
        rng.normal(30, 4, n),
    )
    height = rng.uniform(100, 12500, n)
    one["coefs"][:, 2], one["coefs"][:, 1] = height, height * rng.normal(-0.2, 0.3, n)
    for name in ("base", "residual"):
        one[name][rng.random(n) < 0.02] = rng.choice([np.nan, np.inf, -np.inf])
    one["coefs"][rng.random(n) < 0.02, 2] = rng.choice([0.0, -1.0, np.nan])
    return one


def columns(one: np.ndarray) -> tuple[np.ndarray, ...]:
    return one["time"], one["base"], one["residual"], one["coefs"]


def toy_pair(seed: int) -> np.ndarray:
    pair = np.stack(
        [
            toy_params(seed, drift=5e-5, phase=3e-3),
            toy_params(seed + 1, drift=5e-5, phase=3e-3),
        ]
    )
    pair[:, ef.VALIDITY] = 0.0, 1e9
    return pair


def windows(seed: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint half-open windows with gaps, i8 (point,)."""
    limits = np.sort(
        np.random.default_rng(seed).choice(10**10, 2 * points, replace=False)
    ).reshape(-1, 2)
    return limits[:, 0], limits[:, 1]


@some
@given(SEEDS, st.integers(1, 30), st.sampled_from([0.1, 0.3, 0.5, 7.0]))
def test_counts_are_those_of_the_steps_one_by_one(
    seed: int, points: int, step: float
) -> None:
    """Cuts, energies and bins of the array functions, record by record the same."""
    one, pair, (start, end) = records(seed), toy_pair(seed), windows(seed, points)
    share = np.random.default_rng(seed).uniform(0, 1, points)
    edges = binning.emission_edges((200.0, 200.0 + 600 * step), step)
    first, stop = map_kernel.slices(one["time"], start, end)
    counts, kept = (
        np.zeros((points, 601), np.int64),
        np.empty((stop - first).sum(), np.float32),
    )
    accepted, countable, flow = map_kernel.bin_records(
        *columns(one),
        first,
        stop,
        LIMITS,
        pair,
        share,
        binning.uniform(edges),
        np.arange(points),
        counts,
        kept,
    )

    np.testing.assert_array_equal(
        first, binning.point_slices(one["time"], start, end)[0]
    )
    expected, left, late = (
        np.zeros((points, 600), np.int64),
        np.zeros(len(cuts.CUT_NAMES), np.int64),
        0,
    )
    with np.errstate(all="ignore"):
        height, base, residual = (
            column.astype(float)
            for column in (one["coefs"][:, 2], one["base"], one["residual"])
        )
        phase = one["coefs"][:, 1].astype(float) / height
    since = np.diff(one["time"], prepend=-(10**18)) / 1e9
    for j, here in enumerate(slice(*ends) for ends in zip(first, stop, strict=True)):
        good, flow_here = cuts.apply(
            height[here],
            phase[here],
            base[here],
            residual[here],
            since[here],
            cuts.from_table(LIMITS),
        )
        params = pair[0] + share[j] * (pair[1] - pair[0])
        values = ef.energies(height[here], base[here], phase[here], params)[
            good
        ].astype(np.float32)
        index = binning.bin_index(values, edges)
        np.add.at(expected[j], index[index >= 0], 1)
        mine, kept = np.split(kept, [here.stop - here.start])
        np.testing.assert_array_equal(mine[good], values)
        assert np.isnan(mine[~good]).all()
        left += flow_here
        late += int((since[here] >= LIMITS[3, 0]).sum())
        assert accepted[j] == good.sum()
    np.testing.assert_array_equal(counts[:, :-1], expected)
    np.testing.assert_array_equal(flow, left)
    assert countable.sum() == late
    assert counts.sum() == (stop - first).sum()


@some
@given(st.floats(-500, 500), st.floats(0.01, 20), st.integers(1, 4000), SEEDS)
def test_bins_are_exact_at_their_edges(
    low: float, step: float, number: int, seed: int
) -> None:
    edges = binning.emission_edges((low, low + step * number), step)
    nearest = edges.astype(np.float32)
    below, above = (
        np.nextafter(nearest, np.float32(-np.inf)),
        np.nextafter(nearest, np.float32(np.inf)),
    )
    energy = np.random.default_rng(seed).permutation(
        np.concatenate([nearest, below, above])
    )
    place = np.empty(len(energy), np.int64)
    map_kernel.places(
        energy, np.ones(len(energy), bool), binning.uniform(edges), number, place
    )
    index = binning.bin_index(energy, edges)
    np.testing.assert_array_equal(np.where(place < number, place, -1), index)


@some
@given(SEEDS, st.integers(1, 30), st.sampled_from([0.1, 0.3, 0.5, 7.0]))
def test_a_list_of_the_photons_gives_the_same_counts(
    seed: int, points: int, step: float
) -> None:
    """Whatever the bins, also those that the list was not kept with."""
    one, pair, (start, end) = records(seed), toy_pair(seed), windows(seed, points)
    share, (first, stop) = (
        np.linspace(0, 1, points),
        map_kernel.slices(one["time"], start, end),
    )
    kept = np.empty((stop - first).sum(), np.float32)
    counts, other, again = (np.zeros((points, 601), np.int64) for _ in range(3))
    args = *columns(one), first, stop, LIMITS, pair, share
    map_kernel.bin_records(*args, (300.0, 0.5, 600.0), np.arange(points), other, kept)
    grid = binning.uniform(binning.emission_edges((200.0, 200.0 + 600 * step), step))
    map_kernel.bin_records(
        *args, grid, np.arange(points), counts, np.empty(0, np.float32)
    )
    good, in_map = np.isfinite(kept), np.zeros(2, np.int64)
    point = np.repeat(np.arange(points, dtype=np.int32), stop - first)
    row = np.random.default_rng(seed).integers(0, 2, good.sum())
    map_kernel.count_photons(kept[good], point[good], row, grid, again, in_map)
    np.testing.assert_array_equal(again[:, :-1], counts[:, :-1])
    assert again.sum() == good.sum()
    assert in_map.sum() == counts[:, :-1].sum()


@some
@given(SEEDS, st.integers(1, 12), st.integers(1, 12))
def test_any_cut_of_the_points_gives_the_same(seed: int, points: int, at: int) -> None:
    one, pair, (start, end) = records(seed), toy_pair(seed), windows(seed, points)
    share, grid = np.linspace(0, 1, points), (200.0, 0.5, 500.0)
    first, stop = map_kernel.slices(one["time"], start, end)
    whole, parts, row = (
        np.zeros((points, 601), np.int64),
        np.zeros((points, 601), np.int64),
        np.arange(points),
    )
    nothing = np.empty(0, np.float32)
    map_kernel.bin_records(
        *columns(one), first, stop, LIMITS, pair, share, grid, row, whole, nothing
    )
    for part in (slice(0, min(at, points)), slice(min(at, points), points)):
        args = (
            first[part],
            stop[part],
            LIMITS,
            pair,
            share[part],
            grid,
            row[part],
            parts,
            nothing,
        )
        map_kernel.bin_records(*columns(one), *args)
    np.testing.assert_array_equal(whole, parts)
    together = np.zeros((1, 601), np.int64)
    map_kernel.bin_records(
        *columns(one),
        first,
        stop,
        LIMITS,
        pair,
        share,
        grid,
        0 * row,
        together,
        nothing,
    )
    np.testing.assert_array_equal(together[0], whole.sum(axis=0))


def test_nothing_passes_cuts_that_are_not_numbers() -> None:
    one, pair = records(1), toy_pair(1)
    counts, limits = np.zeros((1, 601), np.int64), np.full((4, 2), np.nan)
    args = (
        np.zeros(1, np.int64),
        np.array([len(one)]),
        limits,
        pair,
        np.zeros(1),
        (200.0, 0.5, 500.0),
        np.zeros(1, int),
        counts,
    )
    accepted, _, _ = map_kernel.bin_records(
        *columns(one), *args, np.empty(0, np.float32)
    )
    assert accepted.sum() == 0
    assert counts[0, -1] == len(one)


@pytest.mark.parametrize(
    ("times", "slices", "ordered"),
    [
        ([1, 2, 2, 5], [(0, 4)], True),
        ([1, 3, 2, 5], [(0, 4)], False),
        ([1, 3, 2, 5], [(0, 2), (2, 4)], False),
        ([1, 3, 9, 5, 6], [(0, 2), (3, 5)], True),  # the one that is not is in no slice
        ([5, 1, 2], [(0, 0), (1, 3)], True),
        ([], [], True),
    ],
)
def test_order(times: list[int], slices: list[tuple[int, int]], ordered: bool) -> None:
    first, stop = np.array(slices, np.int64).reshape(-1, 2).T
    assert (
        map_kernel.in_order(np.array(times, np.int64), first.copy(), stop.copy())
        == ordered
    )
