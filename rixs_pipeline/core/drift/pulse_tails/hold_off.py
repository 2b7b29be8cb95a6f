"""Hold-off: the time for which a pulse still affects the next one, on its tail.

It is learned from a reference run. In bins of the time since the last pulse, the mean
offset of pulses from their line, and of the baseline from its usual value, are compared
with those of pulses that come long after the last one. The decay is that of absorber
and readout and is common to the array, so the pixels are pooled. A pixel with enough
pulses has a hold-off from its pulses alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.types import FloatArray

# Edges of the bins in time since the last pulse, s; each is 1.46 times the one before.
EDGES_S = np.geomspace(1e-3, 3.0, 22)
EDGE_RATIO = EDGES_S[1] / EDGES_S[0]
LOG_STEP = np.log(EDGE_RATIO)
LATE_BIN = len(EDGES_S) - 1  # index of the pulses that count as unaffected
LATE_QUANTILE = 0.8  # of the time since the last pulse; later ones are unaffected
SIGNIFICANCE = 5.0  # standard errors
# Standard errors in the bins that follow a significant one: a tail ends slowly.
FADING_SIGNIFICANCE = 2.0
# Deviations that matter, robust standard deviations. Lines: 0.1 eV.
MIN_OFFSET_DEVIATION = 0.05
# Baseline: lifted by as much as it scatters, which the drift correction (5e-5 for a
# unit, with a scatter of 4.5 units) turns into 0.2 eV. Real baselines are lifted by
# half of that 5 ms after a pulse, without an effect on the lines.
MIN_BASELINE_DEVIATION = 1.0
MIN_DEVIATION = np.array(  # (quantity, 1)
    [[MIN_OFFSET_DEVIATION], [MIN_BASELINE_DEVIATION]]
)
CLIP = 4.0  # robust standard deviations: outliers count as this
MAX_PULSES = 400_000  # of the whole array: enough in the shortest bins
BLOCK = 64  # consecutive pulses, over which the baseline does not drift


@dataclass(frozen=True)
class Deviations:
    """Mean deviations of pulses from those that come long after the last pulse.

    In robust standard deviations. The quantities are the offset from the line and the
    baseline.
    """

    mean: FloatArray  # (quantity, bin)
    error: FloatArray  # (quantity, bin) standard error; infinite without pulses


@dataclass(frozen=True)
class _TailEnd:
    """End of the bins in which pulses are affected by the last pulse."""

    seconds: float  # 0 where no bin is affected
    is_certain: bool  # whether a bin follows that is certainly not affected


def measure_deviations(
    since_last: FloatArray,
    pulse_height: FloatArray,
    pretrigger_mean: FloatArray,
    lines: FloatArray,
    window: float,
) -> Deviations:
    """Measure the deviations of one pixel's pulses by time since the last pulse.

    Parameters
    ----------
    since_last
        (pulse,) s, pulses in order of time.
    pulse_height
        (pulse,)
    pretrigger_mean
        (pulse,)
    lines
        (line,) pulse heights of the lines in the spectrum, ascending.
    window
        Largest distance of a pulse from its line, pulse height.

    Returns
    -------
    Deviations
        (2, bin)
    """
    from rixs_pipeline.core.calibration import pulse_kernels  # numba: slow to import

    bins = _time_bins(since_last)
    n_lines = len(lines)
    near = pulse_kernels.find_near_lines(pulse_height, lines, window)
    offset = pulse_kernels.subtract_group_medians(near.offset, near.line, n_lines)
    offset = pulse_kernels.standardise(offset, CLIP)
    by_offset = _compare_with_late(bins[near.pulse], offset)
    baseline = pulse_kernels.subtract_block_medians(pretrigger_mean, BLOCK)
    baseline = pulse_kernels.standardise(baseline, CLIP)
    by_baseline = _compare_with_late(bins, baseline)
    means = (by_offset.mean, by_baseline.mean)
    errors = (by_offset.error, by_baseline.error)
    return Deviations(mean=np.stack(means), error=np.stack(errors))


def estimate_hold_offs(pixels: Sequence[Deviations]) -> FloatArray:
    """Return the hold-off (pixel,) of each pixel, s; 0 where pulses are not affected.

    It ends with the last bin whose deviation is both significant and large enough to
    matter, before the first bin that certainly has no such deviation. In the pooled
    array, adjacent bins in which the deviation fades are added. A pixel whose pulses
    show the end of their tail has a hold-off of its own; any other has that of the
    pooled array, or that of its pulses where it is longer.
    """
    if not pixels:
        return np.zeros(0)
    pooled = _pool(pixels)
    pooled_end = _find_tail_end(pooled, FADING_SIGNIFICANCE)
    hold_offs = np.empty(len(pixels))
    for row, deviations in enumerate(pixels):
        end = _find_tail_end(deviations, SIGNIFICANCE)
        hold_off = end.seconds
        if not end.is_certain:
            hold_off = max(hold_off, pooled_end.seconds)
        hold_offs[row] = hold_off
    return hold_offs


def _time_bins(since_last: FloatArray) -> NDArray[np.intp]:
    """Return the bin (pulse,) of each time since the last pulse, s.

    The last bin is that of the pulses that count as unaffected; of the others, the
    first and the last hold the times beyond them too.
    """
    n_pulses = len(since_last)
    if not n_pulses:
        return np.zeros(0, dtype=np.intp)
    rank = int(LATE_QUANTILE * (n_pulses - 1))
    partitioned = np.partition(since_last, rank)
    late = partitioned[rank]
    shortest = EDGES_S[0]
    longest = EDGES_S[-1]
    clipped = np.clip(since_last, shortest, longest)
    place = np.log(clipped / shortest) / LOG_STEP
    bins = place.astype(np.intp)
    bins = np.minimum(bins, LATE_BIN - 1)
    return np.where(since_last < late, bins, LATE_BIN)


def _compare_with_late(bins: NDArray[np.intp], values: FloatArray) -> Deviations:
    """Return the mean (bin,) of values (pulse,) less that of the late pulses."""
    n_bins = LATE_BIN + 1
    counts = np.bincount(bins, minlength=n_bins)
    sums = np.bincount(bins, weights=values, minlength=n_bins)
    mean = np.zeros(LATE_BIN)
    error = np.full(LATE_BIN, np.inf)
    n_late = counts[LATE_BIN]
    if n_late < 2:
        return Deviations(mean, error)
    spread = values.std()
    if spread > 0:
        filled = np.flatnonzero(counts[:LATE_BIN])
        number = counts[filled]
        late_mean = sums[LATE_BIN] / n_late
        mean[filled] = sums[filled] / number - late_mean
        relative_error = np.sqrt(1 / number + 1 / n_late)
        error[filled] = spread * relative_error
    return Deviations(mean, error)


def _pool(pixels: Sequence[Deviations]) -> Deviations:
    """Return the weighted mean of the pixels that agree with the median pixel."""
    mean = np.stack([pixel.mean for pixel in pixels])
    error = np.stack([pixel.error for pixel in pixels])
    has_no_pulses = ~np.isfinite(error)
    masked = np.ma.array(mean, mask=has_no_pulses)
    # numpy.ma has no types
    median = np.ma.median(masked, axis=0)  # type: ignore[no-untyped-call]
    median = median.filled(0.0)
    distance = np.abs(mean - median)
    is_far = distance > SIGNIFICANCE * error
    quantity_and_bin = (1, 2)
    is_odd = is_far.any(quantity_and_bin, keepdims=True)
    precision = 1 / error**2
    weight = np.where(is_odd, 0.0, precision)
    weighted = weight * mean
    weighted_sum = weighted.sum(axis=0)
    total = weight.sum(axis=0)
    has_pulses = total > 0
    total_of_filled = total[has_pulses]
    pooled_error = np.full_like(total, np.inf)
    pooled_error[has_pulses] = total_of_filled**-0.5
    pooled_mean = np.zeros_like(total)
    pooled_mean[has_pulses] = weighted_sum[has_pulses] / total_of_filled
    return Deviations(pooled_mean, pooled_error)


def _find_tail_end(deviations: Deviations, fading_significance: float) -> _TailEnd:
    """Find the last bin in which pulses are affected.

    The bins that follow an affected one are affected as well where their deviation is
    `fading_significance` standard errors or more.
    """
    size = np.abs(deviations.mean)
    error = deviations.error
    reach = SIGNIFICANCE * error
    matters = size > MIN_DEVIATION
    is_significant = size > reach
    is_faintly_significant = size > fading_significance * error
    has_precision = reach < MIN_DEVIATION
    affected_quantities = matters & is_significant
    fading_quantities = matters & is_faintly_significant
    is_affected = np.any(affected_quantities, axis=0)
    is_fading = np.any(fading_quantities, axis=0)
    is_precise = np.all(has_precision, axis=0)
    is_clear = is_precise & ~is_affected
    clear = np.flatnonzero(is_clear)
    is_certain = len(clear) > 0
    stop = len(is_affected)
    if is_certain:
        stop = int(clear[0])
    affected = np.flatnonzero(is_affected[:stop])
    if not len(affected):
        return _TailEnd(0.0, is_certain)
    last_affected = int(affected[-1])
    end = last_affected + 1
    while end < stop and is_fading[end]:
        end += 1
    end_time = float(EDGES_S[end])
    return _TailEnd(end_time, is_certain)
