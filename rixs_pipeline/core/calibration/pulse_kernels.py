"""What is counted and compared pulse by pulse, compiled: `core.cuts`, `core.hold_off`, `core.calibration` and
`core.diagnostics` say what it is for. A pixel has thousands of pulses: array by array, numpy's calls cost more than
their work, and threads that calibrate side by side would wait for each other.
"""

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.energy.compile import compiled

Float = NDArray[np.float64]
Float4 = NDArray[np.float32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@compiled
def kth(values: Float, k: int) -> float:
    """The k-th smallest (from 0) of finite values (n,): by histograms, as far as they narrow it down."""
    left, n = values.copy(), len(values)
    counts = np.empty(256, np.int64)
    while n > 32:
        low, high = left[0], left[0]
        for i in range(n):
            low, high = min(low, left[i]), max(high, left[i])
        per_bin = 255.0 / (high - low)
        if not (per_bin > 0.0 and per_bin < np.inf):
            break
        counts[:] = 0
        for i in range(n):
            counts[int((left[i] - low) * per_bin)] += 1
        place, rest = 0, k
        while rest >= counts[place]:
            rest -= counts[place]
            place += 1
        if counts[place] > 0.7 * n:
            break
        k, found = rest, 0
        for i in range(n):
            value = left[i]
            left[found] = value
            found += int((value - low) * per_bin) == place
        n = found
    return np.partition(left[:n], k)[k]


@compiled
def median(values: Float) -> float:
    """That of finite values (n,), at least one."""
    middle = len(values) // 2
    upper = kth(values, middle)
    if len(values) % 2:
        return upper
    below, lower = 0, -np.inf
    for value in values:
        if value < upper:
            below, lower = below + 1, max(lower, value)
    return 0.5 * (lower + upper) if below == middle else upper


@compiled
def robust_range(
    values: Float, width: float, per_deviation: float
) -> tuple[float, float]:
    """Median +- `width` robust standard deviations of finite values (n,), at least one."""
    middle = median(values)
    spread = width * per_deviation * median(np.abs(values - middle))
    return middle - spread, middle + spread


@compiled
def finite(height: Float, phase: Float, base: Float, residual: Float) -> Bool:
    """Pulses (n,) that hold numbers at all and point upwards."""
    out = np.empty(len(height), np.bool_)
    for i in range(len(height)):
        numbers = (
            (abs(phase[i]) < np.inf)
            & (abs(base[i]) < np.inf)
            & (abs(residual[i]) < np.inf)
        )
        out[i] = numbers & (height[i] > 0.0) & (height[i] < np.inf)
    return out


@compiled
def some_pulses(
    base: Float4, residual: Float4, coefs: Float4, first: Int, stop: Int, most: int
) -> tuple[Float, Float, Float, Float]:
    """Height, phase, base line and residual (n,) of at most `most` records, evenly spread over slices first:stop.

    `coefs` (record, k) as in the file: derivativeLike is its second column, filtValue the third.
    """
    total = np.sum(stop - first)
    every = max(1, -(-total // most))
    columns, n, offset = np.empty((4, -(-total // every))), 0, 0
    for j in range(len(first)):
        while offset < stop[j] - first[j]:
            i = first[j] + offset
            height = np.float64(coefs[i, 2])
            columns[0, n], columns[1, n] = height, np.float64(coefs[i, 1]) / height
            columns[2, n], columns[3, n] = base[i], residual[i]
            n += 1
            offset += every
        offset -= stop[j] - first[j]
    return columns[0], columns[1], columns[2], columns[3]


@compiled
def near_lines(values: Float, lines: Float, reach: float) -> tuple[Int, Int, Float]:
    """Which values (pulse,) lie within `reach` of the nearest of the lines (line,), ascending; that line; how far."""
    index, line = np.empty(len(values), np.int64), np.empty(len(values), np.int64)
    away = np.empty(len(values))
    n = 0
    for i in range(len(values) if len(lines) else 0):
        k = 0
        while k + 1 < len(lines) and values[i] > 0.5 * (lines[k] + lines[k + 1]):
            k += 1
        distance = values[i] - lines[k]
        if abs(distance) < reach:
            index[n], line[n], away[n] = i, k, distance
            n += 1
    return index[:n], line[:n], away[:n]


@compiled
def centred(values: Float, group: Int, n_groups: int) -> Float:
    """Values (pulse,) less the median of their group (pulse,)."""
    out = values.copy()
    for k in range(n_groups):
        mine = group == k
        if mine.any():
            middle = median(values[mine])
            for i in range(len(values)):
                if mine[i]:
                    out[i] -= middle
    return out


@compiled
def detrended(values: Float, block: int) -> Float:
    """Values (pulse,) less the median of the block of pulses that each belongs to; the last block takes the rest."""
    out = values.copy()
    n_blocks = max(1, len(values) // block)
    for k in range(n_blocks):
        piece = out[k * block : (k + 1) * block if k + 1 < n_blocks else len(values)]
        if len(piece):
            piece -= median(values[k * block : min((k + 1) * block, len(values))])
    return out


@compiled
def standardised(values: Float, per_deviation: float, clip: float) -> Float:
    """Values (pulse,) about 0 in robust standard deviations, clipped; 0 where they do not scatter."""
    spread = per_deviation * median(np.abs(values)) if len(values) else 0.0
    out = np.zeros(len(values))
    if spread > 0:
        for i in range(len(values)):
            out[i] = max(-clip, min(clip, values[i] / spread))
    return out


@compiled
def histogram(values: Float, low: float, step: float, n_bins: int) -> Float:
    """Counts (n_bins,) in bins of `step` from `low` on; the first and the last hold what lies beyond them."""
    counts = np.zeros(n_bins)
    per_step = 1.0 / step
    for i in range(len(values)):
        place = np.floor((values[i] - low) * per_step)
        counts[int(max(0.0, min(n_bins - 1.0, place)))] += 1.0
    return counts


@compiled
def in_windows(energies: Float, windows: Float, usable: Bool) -> tuple[Int, Int]:
    """Which pulses (pulse,) lie in the window of a usable line, and that line; windows (line, 2) do not overlap."""
    index, line = np.empty(len(energies), np.int64), np.empty(len(energies), np.int64)
    n = 0
    for i in range(len(energies)):
        for k in range(len(windows)):
            if energies[i] >= windows[k, 0] and energies[i] < windows[k, 1]:
                if usable[k]:
                    index[n], line[n] = i, k
                    n += 1
                break
    return index[:n], line[:n]


@compiled
def add_offsets(counts: Float, line: Int, bins: Int, away: Float, reach: float) -> None:
    """Add pulses (pulse,) to counts (line, bin, step) by how far they are from their line, -reach ... reach."""
    n_steps = counts.shape[2]
    per_step = n_steps / (2.0 * reach)
    for i in range(len(line)):
        step = int(max(0.0, min(n_steps - 1.0, (away[i] + reach) * per_step)))
        counts[line[i], bins[i], step] += 1.0
