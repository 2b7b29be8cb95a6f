from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.calibration import cuts
from rixs_pipeline.core.energy import energy_at_any_time, layout
from rixs_pipeline.core.maps import bin_kernel, binning
from rixs_pipeline.core.maps.kernel_arguments import (
    NO_PHOTON_LIST,
    BinOptions,
    PointBatch,
    UniformBins,
)
from rixs_pipeline.types import PulseColumns
from tests.core.energy.test_function import PRETRIGGER_REF, toy_params

thirty_examples = settings(max_examples=30, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
WIDTHS = st.sampled_from([0.1, 0.3, 0.5, 7.0])
N_BINS = 600
RECORD = np.dtype(
    [
        ("time_ns", "<i8"),
        ("pretrigger_mean", "<f4"),
        ("odd_byte", "u1"),
        ("residual", "<f4"),
        ("coefs", "<f4", (3,)),
    ]
)
LIMITS = np.array([[20.0, 40.0], [4900.0, 5100.0], [-0.9, 0.4], [0.004, np.inf]])
BINS = UniformBins(200.0, 0.5, 500.0)


def pulse_columns(seed: int, n: int = 700) -> PulseColumns:
    """Packed records in order of time, some with values that are no numbers or cut."""
    rng = np.random.default_rng(seed)
    records = np.zeros(n, RECORD)
    records["time_ns"] = np.sort(rng.integers(0, 10**10, n))
    records["pretrigger_mean"] = rng.normal(PRETRIGGER_REF, 40, n)
    records["residual"] = rng.normal(30, 4, n)
    height = rng.uniform(100, 12500, n)
    records["coefs"][:, 2] = height
    records["coefs"][:, 1] = height * rng.normal(-0.2, 0.3, n)
    for name in ("pretrigger_mean", "residual"):
        is_bad = rng.random(n) < 0.02
        records[name][is_bad] = rng.choice([np.nan, np.inf, -np.inf])
    records["coefs"][rng.random(n) < 0.02, 2] = rng.choice([0.0, -1.0, np.nan])
    return PulseColumns(*(records[name] for name in PulseColumns._fields))


def toy_pair(seed: int) -> np.ndarray:
    """Parameters of two calibrations, f8 (2, N_PARAMS)."""
    before = toy_params(seed, drift=5e-5, phase=3e-3)
    after = toy_params(seed + 1, drift=5e-5, phase=3e-3)
    pair = np.stack([before, after])
    pair[:, layout.VALIDITY] = 0.0, 1e9
    return pair


def random_points(seed: int, number: int, pulses: PulseColumns) -> PointBatch:
    """Points with disjoint windows and gaps between them, and their records."""
    rng = np.random.default_rng(seed)
    limits = np.sort(rng.choice(10**10, 2 * number, replace=False)).reshape(-1, 2)
    start, end = limits.T.copy()
    slices = bin_kernel.find_point_slices(pulses, start, end)
    by_search = binning.find_point_slices(pulses.time_ns, start, end)
    np.testing.assert_array_equal(slices.first, by_search.first)
    np.testing.assert_array_equal(slices.stop, by_search.stop)
    return PointBatch(*slices, np.arange(number), rng.uniform(0, 1, number))


def edges_of_width(width: float) -> np.ndarray:
    return binning.emission_edges((200.0, 200.0 + N_BINS * width), width)


def no_counts(points: int) -> np.ndarray:
    return np.zeros((points, N_BINS + 1), np.int64)


def no_energies(points: PointBatch) -> np.ndarray:
    return np.empty((points.stop - points.first).sum(), np.float32)


@thirty_examples
@given(SEEDS, st.integers(1, 30), WIDTHS)
def test_counts_are_those_of_the_steps_one_by_one(
    seed: int, number: int, width: float
) -> None:
    """Cuts, energies and bins of the array functions give the same for each record."""
    pulses, pair = pulse_columns(seed), toy_pair(seed)
    points = random_points(seed, number, pulses)
    edges = edges_of_width(width)
    lowest = float(np.random.default_rng(seed).uniform(0, 8000))
    options = BinOptions(LIMITS, pair, binning.uniform_bins(edges), lowest)
    counts, energies = no_counts(number), no_energies(points)
    tally = bin_kernel.bin_records(pulses, points, options, counts, energies)

    expected = np.zeros((number, N_BINS), np.int64)
    cut_counts = np.zeros(len(cuts.CUT_NAMES), np.int64)
    n_countable = 0
    height = pulses.coefs[:, 2].astype(float)
    base = pulses.pretrigger_mean.astype(float)
    residual = pulses.residual.astype(float)
    with np.errstate(all="ignore"):
        phase = pulses.coefs[:, 1].astype(float) / height
    time_since_last = np.diff(pulses.time_ns, prepend=-(10**18)) / 1e9
    limits = cuts.CutLimits.from_table(LIMITS)
    assert limits is not None
    for j in range(number):
        part = slice(points.first[j], points.stop[j])
        pulses_in_point = SimpleNamespace(
            pulse_height=height[part],
            phase=phase[part],
            pretrigger_mean=base[part],
            residual=residual[part],
            since_last=time_since_last[part],
        )
        passed = cuts.apply_cuts(pulses_in_point, limits)
        good, point_cut_counts = passed.is_accepted, passed.counts
        params = pair[0] + points.later_share[j] * (pair[1] - pair[0])
        values = energy_at_any_time(height[part], base[part], phase[part], params)
        values = values[good].astype(np.float32)
        index = binning.bin_index(values, edges)
        np.add.at(expected[j], index[index >= 0], 1)
        point_energies, energies = np.split(energies, [part.stop - part.start])
        np.testing.assert_array_equal(point_energies[good], values)
        assert np.isnan(point_energies[~good]).all()
        cut_counts += point_cut_counts
        is_photon = good | ~(height[part] < lowest)
        is_held_off = time_since_last[part] >= LIMITS[3, 0]
        n_countable += int((is_photon & is_held_off).sum())
        assert tally.accepted[j] == good.sum()
    np.testing.assert_array_equal(counts[:, :-1], expected)
    np.testing.assert_array_equal(tally.cut_counts, cut_counts)
    assert tally.countable.sum() == n_countable
    assert counts.sum() == (points.stop - points.first).sum()


@thirty_examples
@given(st.floats(-500, 500), st.floats(0.01, 20), st.integers(1, 4000), SEEDS)
def test_bins_are_exact_at_their_edges(
    low: float, width: float, number: int, seed: int
) -> None:
    edges = binning.emission_edges((low, low + width * number), width)
    nearest = edges.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    above = np.nextafter(nearest, np.float32(np.inf))
    rng = np.random.default_rng(seed)
    energy = rng.permutation(np.concatenate([nearest, below, above]))
    is_photon = np.ones(len(energy), bool)
    index = np.empty(len(energy), np.int64)
    bin_kernel.find_bins(energy, is_photon, binning.uniform_bins(edges), number, index)
    expected = binning.bin_index(energy, edges)
    np.testing.assert_array_equal(np.where(index < number, index, -1), expected)


@thirty_examples
@given(SEEDS, st.integers(1, 30), WIDTHS)
def test_a_photon_list_gives_the_same_counts(
    seed: int, number: int, width: float
) -> None:
    """In whatever bins, also in those that the list was not made with."""
    pulses, pair = pulse_columns(seed), toy_pair(seed)
    points = random_points(seed, number, pulses)
    energies = no_energies(points)
    listing = BinOptions(LIMITS, pair, BINS)
    bin_kernel.bin_records(pulses, points, listing, no_counts(number), energies)
    bins = binning.uniform_bins(edges_of_width(width))
    direct = no_counts(number)
    options = BinOptions(LIMITS, pair, bins)
    bin_kernel.bin_records(pulses, points, options, direct, NO_PHOTON_LIST)

    is_photon = np.isfinite(energies)
    photons = energies[is_photon]
    n_records = points.stop - points.first
    point = np.repeat(np.arange(number, dtype=np.int32), n_records)[is_photon]
    pixel_row = np.random.default_rng(seed).integers(0, 2, len(photons))
    counts, pixel_counts = no_counts(number), np.zeros(2, np.int64)
    bin_kernel.count_photons(photons, point, pixel_row, bins, counts, pixel_counts)
    np.testing.assert_array_equal(counts[:, :-1], direct[:, :-1])
    assert counts.sum() == len(photons)
    assert pixel_counts.sum() == direct[:, :-1].sum()


@thirty_examples
@given(SEEDS, st.integers(1, 12), st.integers(1, 12))
def test_batches_of_points_add_up(seed: int, number: int, split: int) -> None:
    pulses = pulse_columns(seed)
    points = random_points(seed, number, pulses)
    options = BinOptions(LIMITS, toy_pair(seed), BINS)
    whole, parts, together = no_counts(number), no_counts(number), no_counts(1)
    bin_kernel.bin_records(pulses, points, options, whole, NO_PHOTON_LIST)
    for part in (slice(0, split), slice(split, None)):
        batch = points.select(part)
        bin_kernel.bin_records(pulses, batch, options, parts, NO_PHOTON_LIST)
    np.testing.assert_array_equal(whole, parts)
    into_first_row = points._replace(row=0 * points.row)
    bin_kernel.bin_records(pulses, into_first_row, options, together, NO_PHOTON_LIST)
    np.testing.assert_array_equal(together[0], whole.sum(axis=0))


def test_nothing_passes_cut_limits_that_are_no_numbers() -> None:
    pulses = pulse_columns(1)
    n_records = len(pulses.time_ns)
    zero = np.zeros(1, np.int64)
    points = PointBatch(zero, np.array([n_records]), zero, np.zeros(1))
    options = BinOptions(np.full((4, 2), np.nan), toy_pair(1), BINS)
    counts = no_counts(1)
    tally = bin_kernel.bin_records(pulses, points, options, counts, NO_PHOTON_LIST)
    assert tally.accepted.sum() == 0
    assert counts[0, -1] == n_records


def test_blind_time_counts_overlaps_once_and_ends_with_the_point() -> None:
    records = np.zeros(5, RECORD)
    records["time_ns"] = [5, 90, 100, 115, 190]
    pulses = PulseColumns(*(records[name] for name in PulseColumns._fields))
    start, end = np.array([10, 100, 180], np.int64), np.array([100, 180, 200], np.int64)
    points = bin_kernel.find_point_slices(pulses, start, end)
    blind = bin_kernel.blind_time_ns(pulses, points, start, end, 20)
    # 5-25 reaches into the first point, 90-100; 90-135 and 190-200 in the others
    assert blind.tolist() == [15 + 10, 35, 10]


@pytest.mark.parametrize("near", [0, 1, 50, 99, 100])
def test_first_record_at_a_time_is_found_from_any_other(near):
    times = np.sort(np.random.default_rng(3).integers(0, 60, 100))
    for limit in range(-1, 62):
        found = bin_kernel.find_time(times, limit, near)
        assert found == np.searchsorted(times, limit)


def test_occupied_parts_of_points_are_bits():
    """Points of 32 and 320 ns: parts of 1 and 10 ns."""
    time = np.array([100, 101, 131, 1000, 1009, 1010, 1319])
    start, end = np.array([100, 500, 1000]), np.array([132, 600, 1320])
    points = binning.find_point_slices(time, start, end)
    occupied = bin_kernel.find_occupied_parts(time, points, start, end)
    assert occupied.tolist() == [0b11 | 1 << 31, 0, 0b11 | 1 << 31]
