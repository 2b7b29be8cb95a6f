"""Count pulse records in one compiled pass: cuts, corrections, energy, bins.

Records are taken in blocks that stay in the first-level cache; no array is as long as
the scan. Each step is a loop over a block, so that the processor's vector units are
used. The energy is that of `core.energy`, with its code.
"""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.energy import kernels
from rixs_pipeline.core.energy.compile import compiled, exact, prefetch
from rixs_pipeline.core.energy.kernels import HEIGHT_REF, LOWEST, STEP, Index, clip
from rixs_pipeline.core.maps.kernel_arguments import (
    TIME_PARTS,
    BinOptions,
    KernelHeights,
    PointBatch,
    PointSlices,
    RecordTally,
    UniformBins,
)
from rixs_pipeline.types import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    PulseColumns,
)

BLOCK = 192  # records: all arrays of a block fit into the first-level cache
CACHE_LINE = 64  # bytes, at least
SLOPE_COEFFICIENT, HEIGHT_COEFFICIENT = 1, 2  # derivativeLike, filtValue in `coefs`
HEIGHT, PHASE, PRETRIGGER, RESIDUAL = range(4)  # rows of a block
RESIDUAL_CUT, PRETRIGGER_CUT, PHASE_CUT, TIME_CUT = range(4)  # rows of the cut limits
N_CUTS = 6  # as `cuts.CUT_NAMES`


@compiled
def find_time(time_ns: IntArray, limit: int, near: int) -> int:
    """Return the first record at a time or later.

    Steps from a record nearby, each twice as long, find bounds for a bisection.

    Parameters
    ----------
    time_ns
        Of the records, ascending, i8 (n,).
    limit
        The time, ns since 1970.
    near
        Where the search begins, 0 to n.

    Returns
    -------
    int
        0 to n.
    """
    n = len(time_ns)
    step = 8
    if near < n and time_ns[near] < limit:
        low, high = near + 1, near + step
        while high < n and time_ns[high] < limit:
            low = high + 1
            step *= 2
            high += step
        high = min(high, n)
    else:
        low, high = near - step, near
        while low >= 0 and not time_ns[low] < limit:
            high = low
            step *= 2
            low -= step
        low = max(low + 1, 0)
    while low < high:
        middle = (low + high) // 2
        if time_ns[middle] < limit:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def find_point_slices(
    records: PulseColumns, start_ns: IntArray, end_ns: IntArray
) -> PointSlices:
    """Return the records of each point; few records are read.

    Parameters
    ----------
    records
        Columns of the records in order of time.
    start_ns, end_ns
        Half-open windows of the points, i8 (point,): start <= time < end.

    Returns
    -------
    PointSlices
        First record of each point and the one after its last.
    """
    time_ns = records.time_ns
    first = np.empty(len(start_ns), np.int64)
    stop = np.empty(len(start_ns), np.int64)
    place = int(np.int64(0))  # numba would compile `find_time` again for a literal
    for j in range(len(start_ns)):
        place = first[j] = find_time(time_ns, start_ns[j], place)
        place = stop[j] = max(first[j], find_time(time_ns, end_ns[j], place))
    return PointSlices(first, stop)


@compiled
def find_occupied_parts(
    time_ns: IntArray, points: PointSlices, start_ns: IntArray, end_ns: IntArray
) -> IntArray:
    """Return in which equal parts of each point there are records.

    Parameters
    ----------
    time_ns
        Of the records, in order of time within the points, i8 (n,).
    points
        Records of each point.
    start_ns, end_ns
        Windows of the points, i8 (point,).

    Returns
    -------
    IntArray
        i8 (point,): the bit k is set if a record lies in part k of `TIME_PARTS`.
    """
    occupied = np.zeros(len(start_ns), np.int64)
    for j in range(len(start_ns)):
        per_part = TIME_PARTS / max(end_ns[j] - start_ns[j], 1)
        for i in range(points.first[j], points.stop[j]):
            part = int((time_ns[Index(i)] - start_ns[j]) * per_part)
            occupied[j] |= 1 << min(part, TIME_PARTS - 1)
    return occupied


@compiled
def blind_time_ns(
    records: PulseColumns,
    points: PointSlices,
    start_ns: IntArray,
    end_ns: IntArray,
    hold_off_ns: int,
) -> IntArray:
    """Return the time of each point within a hold-off after a record.

    Parameters
    ----------
    records
        Columns of the records in order of time.
    points
        Records of each point.
    start_ns, end_ns
        Windows of the points, i8 (point,).
    hold_off_ns
        Length of the hold-off.

    Returns
    -------
    IntArray
        Blind time of each point, i8 (point,), ns; overlaps count once.
    """
    blind = np.zeros(len(start_ns), np.int64)
    for j in range(len(start_ns)):
        blind_until = start_ns[j]
        for i in range(max(points.first[j] - 1, 0), points.stop[j]):
            time = records.time_ns[Index(i)]
            begin = max(time, blind_until)
            blind_until = max(blind_until, min(time + hold_off_ns, end_ns[j]))
            blind[j] += max(blind_until - begin, 0)
    return blind


@compiled
def prefetch_bytes(address: int, size: int) -> None:
    """Bring the `size` bytes at an address into the cache."""
    for line in range(address, address + size, CACHE_LINE):
        prefetch(line)


@compiled
def load_block(records: PulseColumns, begin: int, block: FloatArray) -> None:
    """Copy the records from `begin` on into the rows of a block (4, n).

    The row of the phase takes derivativeLike; `apply_cuts` divides it by the height.
    """
    for i in range(block.shape[1]):
        row = Index(begin + i)
        block[HEIGHT, i] = records.coefs[row, Index(HEIGHT_COEFFICIENT)]
        block[PHASE, i] = records.coefs[row, Index(SLOPE_COEFFICIENT)]
        block[PRETRIGGER, i] = records.pretrigger_mean[row]
        block[RESIDUAL, i] = records.residual[row]


@compiled
def fill_time_since_last(begin: int, time_ns: IntArray, out: FloatArray) -> None:
    """Write the seconds since the previous record (n,); inf for the file's first."""
    previous = time_ns[Index(begin - 1)] if begin > 0 else np.int64(0)
    for i in range(len(out)):
        time = time_ns[Index(begin + i)]
        out[i] = np.float64(time - previous) * 1e-9
        previous = time
    if begin == 0:
        out[0] = np.inf


@compiled
def apply_cuts(
    block: FloatArray,
    time_since_last: FloatArray,
    limits: FloatArray,
    heights: KernelHeights,
    accepted: BoolArray,
    cut_counts: IntArray,
) -> int:
    """Mark the records of a block that are photons and count those left by each cut.

    Parameters
    ----------
    block
        Rows of `load_block`, f8 (4, n). Derivative becomes phase; a rejected record
        gets the safe pulse height, so that no later step meets a NaN.
    time_since_last
        Time since the previous record, f8 (n,), s.
    limits
        See `BinOptions.cut_limits`.
    heights
        A safe one, and the lowest of a photon.
    accepted
        Written: which records pass all cuts, bool (n,).
    cut_counts
        Added to: records left after each cut, i8 (N_CUTS,).

    Returns
    -------
    int
        Rejected records, after the hold-off, that are lower than any photon.
    """
    residual_low, residual_high = limits[RESIDUAL_CUT, 0], limits[RESIDUAL_CUT, 1]
    base_low, base_high = limits[PRETRIGGER_CUT, 0], limits[PRETRIGGER_CUT, 1]
    phase_low, phase_high = limits[PHASE_CUT, 0], limits[PHASE_CUT, 1]
    time_low, time_high = limits[TIME_CUT, 0], limits[TIME_CUT, 1]
    n_finite, n_residual, n_baseline, n_phase, n_accepted, n_noise = 0, 0, 0, 0, 0, 0
    for i in range(block.shape[1]):
        height = block[HEIGHT, i]
        base = block[PRETRIGGER, i]
        residual = block[RESIDUAL, i]
        phase = block[PHASE, i] / height
        # Sums of f4 and their quotients stay far below the largest f8, so that the sum
        # is infinite or NaN only where one of them is.
        total = height + abs(phase) + abs(base) + abs(residual)
        ok = (height > 0.0) & (total < np.inf)
        n_finite += ok
        ok &= (residual >= residual_low) & (residual <= residual_high)
        n_residual += ok
        ok &= (base >= base_low) & (base <= base_high)
        n_baseline += ok
        ok &= (phase >= phase_low) & (phase <= phase_high)
        n_phase += ok
        is_held_off = time_since_last[i] >= time_low
        ok &= is_held_off & (time_since_last[i] <= time_high)
        n_accepted += ok
        n_noise += (not ok) & is_held_off & (height < heights.lowest)
        accepted[i] = ok
        block[HEIGHT, i] = height if ok else heights.safe
        block[PHASE, i] = phase if ok else 0.0
        block[PRETRIGGER, i] = base if ok else 0.0
    cut_counts[0] += block.shape[1]
    cut_counts[1] += n_finite
    cut_counts[2] += n_residual
    cut_counts[3] += n_baseline
    cut_counts[4] += n_phase
    cut_counts[5] += n_accepted
    return n_noise


@compiled
def count_at_least(values: FloatArray, low: float) -> int:
    """Return how many values are `low` or more."""
    number = 0
    for i in range(len(values)):
        number += values[i] >= low
    return number


@exact
def find_bins(
    energy: Float32Array,
    accepted: BoolArray,
    bins: UniformBins,
    n_bins: int,
    out: IntArray,
) -> None:
    """Write the bins of a block's energies.

    Bins are lowest + k width <= E < lowest + (k + 1) width, exactly: the bin guessed by
    a division is compared with its edges, computed as the edges are.

    Parameters
    ----------
    energy
        f4 (n,), eV.
    accepted
        Which of them are photons, bool (n,) or longer.
    bins, n_bins
        The emission bins and their number.
    out
        Written: the bin, i8 (n,) or longer; `n_bins` for a photon outside all bins and
        for what is not accepted.
    """
    per_width = 1.0 / bins.width
    last = n_bins - 1.0
    for i in range(len(energy)):
        e = np.float64(energy[i])
        guess = np.float64(np.int64(clip((e - bins.lowest) * per_width, 0.0, last)))
        guess += 1.0 if e >= bins.lowest + bins.width * (guess + 1.0) else 0.0
        guess -= 1.0 if e < bins.lowest + bins.width * guess else 0.0
        is_inside = accepted[i] & (e >= bins.lowest) & (e < bins.highest)
        out[i] = np.int64(min(guess, last)) if is_inside else n_bins


@compiled
def count_photons(
    energy: Float32Array,
    point: NDArray[np.int32],
    pixel_row: IntArray,
    bins: UniformBins,
    counts: IntArray,
    pixel_counts: IntArray,
) -> None:
    """Add calibrated photons to the counts of a scan.

    Parameters
    ----------
    energy
        f4 (photon,), eV.
    point, pixel_row
        Row of each photon in `counts` and in `pixel_counts`, (photon,).
    bins
        The emission bins.
    counts
        Added to: i8 (point, bin + 1); the last column takes photons outside all bins.
    pixel_counts
        Added to: photons within the bins, i8 (pixel,).
    """
    n_bins = counts.shape[1] - 1
    accepted = np.ones(BLOCK, np.bool_)
    bin_index = np.empty(BLOCK, np.int64)
    for begin in range(0, len(energy), BLOCK):
        n = min(BLOCK, len(energy) - begin)
        find_bins(energy[begin : begin + n], accepted, bins, n_bins, bin_index)
        for i in range(n):
            counts[Index(point[begin + i]), Index(bin_index[i])] += 1
            pixel_counts[Index(pixel_row[begin + i])] += bin_index[i] < n_bins


@compiled
def bin_records(
    records: PulseColumns,
    points: PointBatch,
    options: BinOptions,
    counts: IntArray,
    photon_energies: Float32Array,
) -> RecordTally:
    """Add the records of one pixel to the counts of a scan.

    Energies are rounded to f4 before they are counted (an error of 3e-5 eV at most), so
    that the counts are those of a list of the energies.

    Parameters
    ----------
    records
        Columns of the records in order of time.
    points
        Records of each point, their row in `counts`, and the weight of the later
        calibration.
    options
        Cut limits, energy functions and emission bins.
    counts
        Added to: i8 (row, bin + 1); the last column takes photons outside all bins and
        rejected records.
    photon_energies
        Written: energies of the records of all points in turn, f4 (record in a point,),
        NaN for rejected records; `NO_PHOTON_LIST` where they are not needed.

    Returns
    -------
    RecordTally
        Accepted and countable records of each point, and records left by each cut.
    """
    limits = options.cut_limits
    params = options.params
    n_bins = counts.shape[1] - 1
    time_ns = records.time_ns
    with_time_cut = limits[TIME_CUT, 0] > 0.0 or limits[TIME_CUT, 1] < np.inf
    before = kernels.spline_polynomials(params[0])
    after = kernels.spline_polynomials(params[1])
    polynomials = before.copy()
    point_params = params[:1].copy()
    block = np.empty((4, BLOCK))
    energy = np.empty(BLOCK)
    rounded = np.empty(BLOCK, np.float32)
    time_since_last = np.empty(BLOCK)
    time_since_last[:] = np.inf
    accepted = np.empty(BLOCK, np.bool_)
    bin_index = np.empty(BLOCK, np.int64)
    n_accepted = np.zeros(len(points.first), np.int64)
    n_countable = np.zeros(len(points.first), np.int64)
    cut_counts = np.zeros(N_CUTS, np.int64)
    n_written = 0
    record_bytes = time_ns.strides[0]
    for j in range(len(points.first)):
        share = points.later_share[j]
        kernels.interpolate(params[:1], params[1:], share, point_params)
        kernels.interpolate(before, after, share, polynomials)
        pixel_params = point_params[0]
        n_before = cut_counts[N_CUTS - 1]
        row = Index(points.row[j])
        for begin in range(points.first[j], points.stop[j], BLOCK):
            n = min(BLOCK, points.stop[j] - begin)
            # The next block is prefetched in quarters between the steps: the processor
            # takes only so many requests at once. A short block fetches as little.
            next_block = time_ns.ctypes.data + (begin + BLOCK) * record_bytes
            quarter = n * record_bytes // 4
            load_block(records, begin, block[:, :n])
            prefetch_bytes(next_block, quarter)
            if with_time_cut:
                fill_time_since_last(begin, time_ns, time_since_last[:n])
            n_countable[j] += count_at_least(time_since_last[:n], limits[TIME_CUT, 0])
            n_countable[j] -= apply_cuts(
                block[:, :n],
                time_since_last,
                limits,
                KernelHeights(pixel_params[HEIGHT_REF], options.lowest_height),
                accepted,
                cut_counts,
            )
            prefetch_bytes(next_block + quarter, quarter)
            kernels.correct_heights(
                block[HEIGHT, :n],
                block[PRETRIGGER, :n],
                block[PHASE, :n],
                pixel_params,
                energy[:n],
            )
            prefetch_bytes(next_block + 2 * quarter, quarter)
            kernels.evaluate_curve(
                energy[:n],
                pixel_params[LOWEST],
                pixel_params[STEP],
                polynomials,
                energy[:n],
            )
            prefetch_bytes(next_block + 3 * quarter, quarter)
            for i in range(n):
                rounded[i] = np.float32(energy[i])
            find_bins(rounded[:n], accepted, options.bins, n_bins, bin_index)
            for i in range(n):
                counts[row, Index(bin_index[i])] += 1
            if len(photon_energies):
                for i in range(n):
                    kept = rounded[i] if accepted[i] else np.float32(np.nan)
                    photon_energies[Index(n_written + i)] = kept
                n_written += n
        n_accepted[j] = cut_counts[N_CUTS - 1] - n_before
    return RecordTally(n_accepted, n_countable, cut_counts)
