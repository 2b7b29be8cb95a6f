"""Loops over the pulses of one pixel: medians, histograms, nearest lines.

A pixel has thousands of pulses. Array by array, the calls of numpy cost more than the
work, and threads that calibrate several pixels would wait for each other. So most are
compiled; a function of few calls is not, since compiling it costs more than it saves.
"""

from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.energy.compile import compiled
from rixs_pipeline.core.stats.robust import SIGMA_PER_MAD, Range
from rixs_pipeline.types import BoolArray, FloatArray, IntArray, PulseColumns

SAMPLE_SIZE = 64  # values that are sorted by comparing each with all others
SAMPLE_REACH = 10  # ranks in a sample: 2.5 standard deviations of its median
MAX_SHARE = 0.7  # of the values kept by a sample; beyond it most values are equal
BLOCK = 256  # pulses: intermediate values stay in the first-level cache


class SampledPulses(NamedTuple):
    """Quantities of a sample of pulses, each (pulse,)."""

    pulse_height: FloatArray
    phase: FloatArray
    pretrigger_mean: FloatArray
    residual: FloatArray


class NearLines(NamedTuple):
    """Pulses close to a line, each (n,)."""

    pulse: IntArray  # index of the pulse
    line: IntArray  # index of the nearest line
    offset: FloatArray  # distance from the line


class PulsesInWindows(NamedTuple):
    """Pulses in the windows of lines, each (n,)."""

    pulse: IntArray  # index of the pulse
    line: IntArray  # index of the line


@compiled
def quickselect(values: FloatArray, rank: int) -> float:
    """Return the value of the given rank (0: the smallest); reorder the values (n,).

    Values on the wrong side of a pivot are swapped until those up to the rank are the
    lowest: C. A. R. Hoare, Commun. ACM 4, 321 (1961). `np.partition` takes 3 s to
    compile.
    """
    first, last = 0, len(values) - 1
    while first < last:
        pivot = values[rank]
        i, k = first, last
        while i <= k:
            while values[i] < pivot:
                i += 1
            while values[k] > pivot:
                k -= 1
            if i <= k:
                values[i], values[k] = values[k], values[i]
                i += 1
                k -= 1
        if k < rank:
            first = i
        if rank < i:
            last = k
    return values[rank]


@compiled
def sort_few(values: FloatArray, out: FloatArray) -> None:
    """Sort values (n,) into the first places of `out`.

    Each value is placed by the number of smaller ones: n^2 comparisons, which
    vectorise, are faster for a few values than n log n unpredictable branches.
    """
    out[:] = np.nan
    n = len(values)
    for i in range(n):
        value = values[i]
        place = 0
        for k in range(n):
            place += values[k] < value
        while out[place] == value:  # taken by an equal value
            place += 1
        out[place] = value


@compiled
def select_by_rank(values: FloatArray, rank: int) -> float:
    """Return the value of the given rank (0: the smallest) of finite values (n,).

    It lies almost certainly between two values of a sample. Values below these are only
    counted; those between are searched in the same way: R. W. Floyd, R. L. Rivest,
    Commun. ACM 18, 165 (1975).
    """
    candidates = values.copy()
    n = len(values)
    sample = np.empty(SAMPLE_SIZE)
    ordered = np.empty(SAMPLE_SIZE)
    place = rank
    while n > SAMPLE_SIZE:
        for i in range(SAMPLE_SIZE):
            sample[i] = candidates[i * n // SAMPLE_SIZE]
        sort_few(sample, ordered)
        middle = place * SAMPLE_SIZE // n
        low = ordered[middle - SAMPLE_REACH] if middle >= SAMPLE_REACH else -np.inf
        high = np.inf
        if middle + SAMPLE_REACH < SAMPLE_SIZE:
            high = ordered[middle + SAMPLE_REACH]
        n_below, n_inside = 0, 0
        for i in range(n):
            value = candidates[i]
            candidates[n_inside] = value
            n_below += value < low
            n_inside += (value >= low) & (value <= high)
        place -= n_below
        if place < 0 or place >= n_inside or n_inside > MAX_SHARE * n:
            return quickselect(values.copy(), rank)
        n = n_inside
    sort_few(candidates[:n], ordered)
    return ordered[place]


@compiled
def median(values: FloatArray) -> float:
    """Return the median of finite values (n,), at least one."""
    middle = len(values) // 2
    upper = select_by_rank(values, middle)
    if len(values) % 2:
        return upper
    n_below = 0
    lower = -np.inf
    for value in values:  # branches would be unpredictable
        n_below += value < upper
        below = value if value < upper else -np.inf
        lower = below if below > lower else lower
    return 0.5 * (lower + upper) if n_below == middle else upper


def quantile(values: FloatArray, share: float) -> float:
    """Return a quantile of finite values (n,), linear between ranks as `np.quantile`.

    Parameters
    ----------
    values
        At least one.
    share
        0 to 1.

    Returns
    -------
    float
    """
    rank = share * (len(values) - 1)
    below = int(rank)
    part = rank - below
    lower = select_by_rank(values, below)
    if not part:
        return lower
    upper = select_by_rank(values, below + 1)
    step = upper - lower
    return lower + step * part if part < 0.5 else upper - step * (1 - part)


def robust_range(values: FloatArray, width: float) -> Range:
    """Return the median +- `width` robust standard deviations.

    Parameters
    ----------
    values
        (n,) finite values, at least one.
    width
        Half width of the range in standard deviations of the bulk.

    Returns
    -------
    Range
        Unaffected by outliers.
    """
    middle = median(values)
    half_width = width * SIGMA_PER_MAD * median(np.abs(values - middle))
    return Range(middle - half_width, middle + half_width)


@compiled
def block_medians(values: FloatArray, block: int) -> FloatArray:
    """Return the medians (n_blocks,) of blocks of `block` consecutive values.

    The median of a block with NaN is NaN. Values after the last whole block are not
    used.
    """
    n_blocks = len(values) // block
    rows = np.empty((block, n_blocks))
    has_nan = np.zeros(n_blocks, np.bool_)
    for k in range(n_blocks):
        for i in range(block):
            value = values[k * block + i]
            rows[i, k] = value
            has_nan[k] |= np.isnan(value)
    # Odd-even sort of all blocks at once, whose exchanges of neighbours vectorise.
    for turn in range(block):
        for i in range(turn % 2, block - 1, 2):
            first, second = rows[i], rows[i + 1]
            for k in range(n_blocks):
                a, b = first[k], second[k]
                first[k] = a if a < b else b
                second[k] = b if a < b else a
    medians = 0.5 * (rows[(block - 1) // 2] + rows[block // 2])
    medians[has_nan] = np.nan
    return medians


def select_finite(
    pulse_height: FloatArray,
    phase: FloatArray,
    pretrigger_mean: FloatArray,
    residual: FloatArray,
) -> BoolArray:
    """Select the pulses with finite values and a positive pulse height.

    Parameters
    ----------
    pulse_height, phase, pretrigger_mean, residual
        (pulse,) quantities.

    Returns
    -------
    bool array
        (pulse,)
    """
    is_finite = (pulse_height > 0.0) & (pulse_height < np.inf)
    for values in (phase, pretrigger_mean, residual):
        is_finite &= np.isfinite(values)
    return is_finite


@compiled
def sample_pulses(
    pulses: PulseColumns, first: IntArray, stop: IntArray, max_pulses: int
) -> SampledPulses:
    """Sample records evenly from slices of a pixel's file.

    Parameters
    ----------
    pulses
        Columns (record,) of the file. Of `coefs` derivativeLike is the second,
        filtValue the third.
    first, stop
        (slice,) bounds of the slices of records.
    max_pulses
        Size of the sample, at most.

    Returns
    -------
    SampledPulses
        In the order of the records.
    """
    n_records = 0
    for j in range(len(first)):
        n_records += stop[j] - first[j]
    step = max(1, -(-n_records // max_pulses))
    columns = np.empty((4, -(-n_records // step)))
    n = 0
    offset = 0
    for j in range(len(first)):
        while offset < stop[j] - first[j]:
            i = first[j] + offset
            height = np.float64(pulses.coefs[i, 2])
            columns[0, n] = height
            columns[1, n] = np.float64(pulses.coefs[i, 1]) / height
            columns[2, n] = pulses.pretrigger_mean[i]
            columns[3, n] = pulses.residual[i]
            n += 1
            offset += step
        offset -= stop[j] - first[j]
    return SampledPulses(columns[0], columns[1], columns[2], columns[3])


@compiled
def find_near_lines(heights: FloatArray, lines: FloatArray, reach: float) -> NearLines:
    """Find the pulses close to a line.

    Parameters
    ----------
    heights
        (pulse,) pulse heights or energies.
    lines
        (line,) ascending, in the same unit.
    reach
        Largest distance from the nearest line.

    Returns
    -------
    NearLines
        Which pulses are within reach of which line, and how far from it.
    """
    n_pulses = len(heights) if len(lines) else 0
    pulse = np.empty(n_pulses, np.int64)
    line = np.empty(n_pulses, np.int64)
    offset = np.empty(n_pulses)
    n = 0
    for i in range(n_pulses):
        nearest = 0
        while nearest + 1 < len(lines):
            boundary = 0.5 * (lines[nearest] + lines[nearest + 1])
            if not heights[i] > boundary:
                break
            nearest += 1
        distance = heights[i] - lines[nearest]
        if abs(distance) < reach:
            pulse[n] = i
            line[n] = nearest
            offset[n] = distance
            n += 1
    return NearLines(pulse[:n], line[:n], offset[:n])


def subtract_group_medians(
    values: FloatArray, group: IntArray, n_groups: int
) -> FloatArray:
    """Subtract from each value the median of its group.

    Parameters
    ----------
    values
        (pulse,)
    group
        (pulse,) group of each value, 0 to `n_groups` - 1.
    n_groups
        Number of groups.

    Returns
    -------
    float array
        (pulse,)
    """
    centred = values.copy()
    for k in range(n_groups):
        members = np.flatnonzero(group == k)
        if len(members):
            centred[members] -= median(values[members])
    return centred


def subtract_block_medians(values: FloatArray, block: int) -> FloatArray:
    """Subtract the median of each block of consecutive values, which removes drift.

    Parameters
    ----------
    values
        (pulse,) in order of time.
    block
        Number of values in a block. The remaining ones belong to the last block, whose
        median is that of its first `block` values.

    Returns
    -------
    float array
        (pulse,)
    """
    if not len(values):
        return values
    medians = block_medians(values, min(block, len(values)))
    block_of_value = np.arange(len(values)) // block
    return values - medians[np.minimum(block_of_value, len(medians) - 1)]


def standardise(values: FloatArray, limit: float) -> FloatArray:
    """Divide values that scatter about 0 by their robust standard deviation.

    Parameters
    ----------
    values
        (pulse,)
    limit
        Largest absolute value of the result; values beyond it are set to it.

    Returns
    -------
    float array
        (pulse,) 0 everywhere where the values have no spread.
    """
    spread = SIGMA_PER_MAD * median(np.abs(values)) if len(values) else 0.0
    if not spread > 0:
        return np.zeros(len(values))
    return np.clip(values / spread, -limit, limit)


@compiled
def histogram(values: FloatArray, low: float, step: float, n_bins: int) -> FloatArray:
    """Count values in uniform bins.

    Parameters
    ----------
    values
        (pulse,)
    low
        Lower edge of the first bin.
    step
        Width of a bin.
    n_bins
        Number of bins.

    Returns
    -------
    float array
        (bin,) counts; the first and the last bin hold the values beyond them too.
    """
    counts = np.zeros(n_bins)
    bins_per_unit = 1.0 / step
    last = n_bins - 1.0
    for value in values:
        place = np.floor((value - low) * bins_per_unit)
        counts[int(max(0.0, min(last, place)))] += 1.0
    return counts


@compiled
def find_in_windows(
    energies: FloatArray, windows: FloatArray, is_usable: BoolArray
) -> PulsesInWindows:
    """Find the pulses in the windows of usable lines.

    Parameters
    ----------
    energies
        (pulse,) eV
    windows
        (line, 2) eV, `low <= energy < high`, without overlap.
    is_usable
        (line,)

    Returns
    -------
    PulsesInWindows
        Indices of the pulses and of their lines.
    """
    n_pulses = len(energies)
    pulse = np.empty(n_pulses, np.int64)
    line = np.empty(n_pulses, np.int64)
    window = np.empty(BLOCK, np.int64)  # of each pulse; -1 outside
    n = 0
    for begin in range(0, n_pulses, BLOCK):
        block = energies[begin : begin + BLOCK]
        window[:] = -1
        for k in range(len(windows)):
            low, high = windows[k]
            if is_usable[k]:
                for i in range(len(block)):
                    is_inside = (block[i] >= low) & (block[i] < high)
                    window[i] = k if is_inside else window[i]
        for i in range(len(block)):  # branches would be unpredictable
            pulse[n] = begin + i
            line[n] = window[i]
            n += window[i] >= 0
    return PulsesInWindows(pulse[:n], line[:n])


@compiled
def add_to_offset_histograms(
    counts: FloatArray, line: IntArray, bins: IntArray, offset: FloatArray, reach: float
) -> None:
    """Count pulses by their line, their bin, and their offset from the line.

    Parameters
    ----------
    counts
        (line, bin, step) to which the pulses are added; the steps divide the offsets
        from -reach to reach evenly.
    line, bins
        (pulse,) indices.
    offset
        (pulse,) distance from the line, in the unit of `reach`.
    reach
        Largest offset.
    """
    n_steps = counts.shape[2]
    last = n_steps - 1.0
    steps_per_unit = n_steps / (2.0 * reach)
    for i in range(len(line)):
        place = (offset[i] + reach) * steps_per_unit
        step = int(max(0.0, min(last, place)))
        counts[line[i], bins[i], step] += 1.0
