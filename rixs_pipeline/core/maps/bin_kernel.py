"""Pulse records -> counts in one pass, compiled: cuts, corrections, energy and bins while a record is in the cache.

Nothing as long as the scan is ever made: records are taken in blocks that stay in the first-level cache, each step a
loop over a block, so that the processor's vector units are used. The energy is that of `core.energy`, with its code.
"""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.energy import kernels
from rixs_pipeline.core.energy.compile import compiled, exact, prefetch
from rixs_pipeline.core.energy.kernels import HEIGHT_REF, LOWEST, STEP, Index, within

Float = NDArray[np.float64]
Float4 = NDArray[np.float32]
Int = NDArray[np.int64]
Int4 = NDArray[np.int32]
Bool = NDArray[np.bool_]
Grid = tuple[float, float, float]

BLOCK = 192
CACHE_LINE = 64  # bytes, at least
SLOPE, HEIGHT = 1, 2  # columns of `coefs`: derivativeLike, filtValue
RESIDUAL, BASE, PHASE, SINCE_LAST = range(4)  # rows of the cuts' limits
N_STAGES = 6  # of the cut flow, as `cuts.CUT_NAMES`


@compiled
def slices(time_ns: Int, start_ns: Int, end_ns: Int) -> tuple[Int, Int]:
    """First record of each point (point,) and the one after its last, by bisection: few records are read.

    `time_ns` (record,) ascends; windows are half open, start <= time < end.
    """
    first, stop = np.empty(len(start_ns), np.int64), np.empty(len(start_ns), np.int64)
    for j in range(len(start_ns)):
        for out, limit in ((first, start_ns[j]), (stop, end_ns[j])):
            low, high = 0, len(time_ns)
            while low < high:
                middle = (low + high) // 2
                if time_ns[middle] < limit:
                    low = middle + 1
                else:
                    high = middle
            out[j] = low
        stop[j] = max(first[j], stop[j])
    return first, stop


@compiled
def in_order(time_ns: Int, first: Int, stop: Int) -> bool:
    """Whether the records of slices (point,) are in order of time, one slice after the other."""
    falls, previous = 0, np.int64(np.iinfo(np.int64).min)
    for j in range(len(first)):
        for i in range(first[j], stop[j]):
            now = time_ns[Index(i)]
            falls += now < previous
            previous = now
    return falls == 0


@compiled
def blind_ns(
    time_ns: Int, first: Int, stop: Int, start_ns: Int, end_ns: Int, hold_ns: int
) -> Int:
    """How much of each point (point,) lies within `hold_ns` after a record, what overlaps counted once; ns."""
    blind = np.zeros(len(first), np.int64)
    for j in range(len(first)):
        until = start_ns[j]
        for i in range(max(first[j] - 1, 0), stop[j]):
            time = time_ns[Index(i)]
            begin = max(time, until)
            until = max(until, min(time + hold_ns, end_ns[j]))
            blind[j] += max(until - begin, 0)
    return blind


@compiled
def ask_for(address: int, size: int, quarter: int) -> None:
    """Have one quarter of the `size` bytes at an address brought into the cache while others are worked on."""
    for at in range(
        address + quarter * size // 4, address + (quarter + 1) * size // 4, CACHE_LINE
    ):
        prefetch(at)


@compiled
def load(
    begin: int, base_in: Float4, residual_in: Float4, coefs: Float4, block: Float
) -> None:
    """Height, derivativeLike, base line and residual of a block of records into the rows of `block` (4, n)."""
    for i in range(block.shape[1]):
        row = Index(begin + i)
        block[0, i] = coefs[row, Index(HEIGHT)]
        block[1, i] = coefs[row, Index(SLOPE)]
        block[2, i] = base_in[row]
        block[3, i] = residual_in[row]


@compiled
def since_last(begin: int, time_ns: Int, out: Float) -> None:
    """Seconds since the previous record (n,); inf for the first of the file."""
    previous = time_ns[Index(begin - 1)] if begin > 0 else np.int64(0)
    for i in range(len(out)):
        now = time_ns[Index(begin + i)]
        out[i] = np.float64(now - previous) * 1e-9
        previous = now
    if begin == 0:
        out[0] = np.inf


@compiled
def cut(
    block: Float, since: Float, limits: Float, safe: float, accepted: Bool, flow: Int
) -> None:
    """Which records of a block are photons (n,), and `flow` (N_STAGES,) with those left after each cut added to it.

    Turns derivativeLike into the phase; what is not accepted becomes the pulse height `safe`, so that nothing after
    this meets a NaN.
    """
    residual_low, residual_high = limits[RESIDUAL, 0], limits[RESIDUAL, 1]
    base_low, base_high = limits[BASE, 0], limits[BASE, 1]
    phase_low, phase_high = limits[PHASE, 0], limits[PHASE, 1]
    since_low, since_high = limits[SINCE_LAST, 0], limits[SINCE_LAST, 1]
    finite, with_residual, with_base, with_phase, with_all = 0, 0, 0, 0, 0
    for i in range(block.shape[1]):
        height, base, residual = block[0, i], block[2, i], block[3, i]
        phase = block[1, i] / height
        # of f4 and their quotients: far below the largest f8, and infinite or NaN where one of them is
        ok = (height > 0.0) & (height + abs(phase) + abs(base) + abs(residual) < np.inf)
        finite += ok
        ok &= (residual >= residual_low) & (residual <= residual_high)
        with_residual += ok
        ok &= (base >= base_low) & (base <= base_high)
        with_base += ok
        ok &= (phase >= phase_low) & (phase <= phase_high)
        with_phase += ok
        ok &= (since[i] >= since_low) & (since[i] <= since_high)
        with_all += ok
        accepted[i] = ok
        block[0, i] = height if ok else safe
        block[1, i] = phase if ok else 0.0
        block[2, i] = base if ok else 0.0
    flow[0] += block.shape[1]
    flow[1] += finite
    flow[2] += with_residual
    flow[3] += with_base
    flow[4] += with_phase
    flow[5] += with_all


@compiled
def at_least(values: Float, low: float) -> int:
    """How many values are `low` or more."""
    number = 0
    for i in range(len(values)):
        number += values[i] >= low
    return number


@exact
def places(energy: Float4, accepted: Bool, grid: Grid, n_bins: int, place: Int) -> None:
    """Bins (n,) of a block's energies (n,); `n_bins` for what is in none.

    Bins are low + k step <= E < low + (k + 1) step, exactly: the bin guessed by a division is compared with its
    edges, computed as the edges are.
    """
    low, step, top = grid
    per_step, last = 1.0 / step, n_bins - 1.0
    for i in range(len(energy)):
        e = np.float64(energy[i])
        guess = np.float64(np.int64(within((e - low) * per_step, 0.0, last)))
        guess += 1.0 if e >= low + step * (guess + 1.0) else 0.0
        guess -= 1.0 if e < low + step * guess else 0.0
        inside = accepted[i] & (e >= low) & (e < top)
        place[i] = np.int64(min(guess, last)) if inside else n_bins


@compiled
def count_photons(
    energy: Float4, point: Int4, row: Int, grid: Grid, counts: Int, in_map: Int
) -> None:
    """Add photons (photon,) that are calibrated already to the counts of a scan.

    Args:
        energy: f4 (photon,), eV.
        point, row: of each photon: its place in `counts` and in `in_map`.
        grid: lowest edge, step and highest edge of the bins, eV.
        counts: i8 (point, bin + 1), added to; the last column takes what is in no bin.
        in_map: i8 (pixel,), added to: photons that are in a bin.
    """
    n_bins = counts.shape[1] - 1
    accepted, place = np.ones(BLOCK, np.bool_), np.empty(BLOCK, np.int64)
    for begin in range(0, len(energy), BLOCK):
        n = min(BLOCK, len(energy) - begin)
        places(energy[begin : begin + n], accepted, grid, n_bins, place)
        for i in range(n):
            counts[Index(point[begin + i]), Index(place[i])] += 1
            in_map[Index(row[begin + i])] += place[i] < n_bins


@compiled
def bin_records(
    time_ns: Int,
    base: Float4,
    residual: Float4,
    coefs: Float4,
    first: Int,
    stop: Int,
    limits: Float,
    params: Float,
    late_share: Float,
    grid: Grid,
    row: Int,
    counts: Int,
    kept: Float4,
) -> tuple[Int, Int, Int]:
    """Add the records of one pixel to the counts of a scan.

    Args:
        time_ns, base, residual, coefs: columns of the records (record,) in order of time, `coefs` (record, k), strided
            as they lie in the file.
        first, stop: slices (point,) of the records.
        limits: f8 (4, 2), of residual, base line, phase, time since the last record; NaN accepts nothing.
        params: f8 (2, N_PARAMS), the energy function before and after.
        late_share: f8 (point,), how much of the latter holds in a point.
        grid: lowest edge, step and highest edge of the bins, eV.
        row: of each point (point,): its place in `counts`.
        counts: i8 (row, bin + 1), added to; the last column takes what is in no bin.
        kept: f4 (record in a point,) or (0,): energies of the records of one point after the other are written here;
            NaN for those that are not photons.

    Energies are rounded to f4 before they are counted, 3e-5 eV at most: so counts are those of a list of them.

    Returns:
        Accepted records (point,), records after the hold-off (point,), and the cut flow (N_STAGES,).
    """
    n_bins = counts.shape[1] - 1
    early, late = kernels.power_series(params[0]), kernels.power_series(params[1])
    rows, now = early.copy(), params[:1].copy()
    block, energy = np.empty((4, BLOCK)), np.empty(BLOCK)
    since, accepted = np.full(BLOCK, np.inf), np.empty(BLOCK, np.bool_)
    held_off = limits[SINCE_LAST, 0] > 0.0 or limits[SINCE_LAST, 1] < np.inf
    rounded, place = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.int64)
    passed, countable = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
    flow = np.zeros(N_STAGES, np.int64)
    written, n_bytes = 0, BLOCK * time_ns.strides[0]
    for j in range(len(first)):
        kernels.between(params[:1], params[1:], late_share[j], now)
        kernels.between(early, late, late_share[j], rows)
        before, into = flow[N_STAGES - 1], Index(row[j])
        for begin in range(first[j], stop[j], BLOCK):
            n = min(BLOCK, stop[j] - begin)
            # the next block, a part between any two steps: the processor takes only so many requests at once
            following = time_ns.ctypes.data + (begin + BLOCK) * time_ns.strides[0]
            load(begin, base, residual, coefs, block[:, :n])
            ask_for(following, n_bytes, 0)
            if held_off:
                since_last(begin, time_ns, since[:n])
            countable[j] += at_least(since[:n], limits[SINCE_LAST, 0])
            cut(block[:, :n], since, limits, now[0, HEIGHT_REF], accepted, flow)
            ask_for(following, n_bytes, 1)
            kernels.corrected(
                block[0, :n], block[2, :n], block[1, :n], now[0], energy[:n]
            )
            ask_for(following, n_bytes, 2)
            kernels.on_curve(energy[:n], now[0, LOWEST], now[0, STEP], rows, energy[:n])
            ask_for(following, n_bytes, 3)
            for i in range(n):
                rounded[i] = np.float32(energy[i])
            places(rounded[:n], accepted, grid, n_bins, place)
            for i in range(n):
                counts[into, Index(place[i])] += 1
            if len(kept):
                for i in range(n):
                    kept[Index(written + i)] = (
                        rounded[i] if accepted[i] else np.float32(np.nan)
                    )
                written += n
        passed[j] = flow[N_STAGES - 1] - before
    return passed, countable, flow
