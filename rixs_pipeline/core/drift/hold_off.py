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
LOG_STEP = np.log(EDGES_S[1] / EDGES_S[0])
LATE_BIN = len(EDGES_S) - 1  # index of the pulses that count as unaffected
LATE_QUANTILE = 0.8  # of the time since the last pulse; later ones are unaffected
SIGNIFICANCE = 5.0  # standard errors
# Standard errors in the bins that follow a significant one: a tail ends slowly.
FADING_SIGNIFICANCE = 2.0
# Deviations that matter (quantity, 1), robust standard deviations. Lines: 0.1 eV.
# Baseline: lifted by as much as it scatters, which the drift correction (5e-5 for a
# unit, with a scatter of 4.5 units) turns into 0.2 eV. Real baselines are lifted by
# half of that 5 ms after a pulse, without an effect on the lines.
MIN_DEVIATION = np.array([[0.05], [1.0]])
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
    near = pulse_kernels.find_near_lines(pulse_height, lines, window)
    offset = pulse_kernels.subtract_group_medians(near.offset, near.line, len(lines))
    baseline = pulse_kernels.subtract_block_medians(pretrigger_mean, BLOCK)
    offset_deviations = _compare_with_late(
        bins[near.pulse], pulse_kernels.standardise(offset, CLIP)
    )
    baseline_deviations = _compare_with_late(
        bins, pulse_kernels.standardise(baseline, CLIP)
    )
    quantities = (offset_deviations, baseline_deviations)
    return Deviations(
        mean=np.stack([quantity.mean for quantity in quantities]),
        error=np.stack([quantity.error for quantity in quantities]),
    )


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
    pooled = _find_tail_end(_pool(pixels), FADING_SIGNIFICANCE).seconds
    hold_offs = np.empty(len(pixels))
    for row, deviations in enumerate(pixels):
        end = _find_tail_end(deviations, SIGNIFICANCE)
        hold_offs[row] = end.seconds if end.is_certain else max(end.seconds, pooled)
    return hold_offs


def _time_bins(since_last: FloatArray) -> NDArray[np.intp]:
    """Return the bin (pulse,) of each time since the last pulse, s.

    The last bin is that of the pulses that count as unaffected; of the others, the
    first and the last hold the times beyond them too.
    """
    if not len(since_last):
        return np.zeros(0, dtype=np.intp)
    rank = int(LATE_QUANTILE * (len(since_last) - 1))
    late = float(np.partition(since_last, rank)[rank])
    shortest, longest = EDGES_S[0], EDGES_S[-1]
    clipped = np.clip(since_last, shortest, longest)
    place = np.log(clipped / shortest) / LOG_STEP
    bins = np.minimum(place.astype(np.intp), LATE_BIN - 1)
    return np.where(since_last < late, bins, LATE_BIN)


def _compare_with_late(bins: NDArray[np.intp], values: FloatArray) -> Deviations:
    """Return the mean (bin,) of values (pulse,) less that of the late pulses."""
    number = np.bincount(bins, minlength=LATE_BIN + 1)
    total = np.bincount(bins, weights=values, minlength=LATE_BIN + 1)
    mean = np.zeros(LATE_BIN)
    error = np.full(LATE_BIN, np.inf)
    n_late = number[LATE_BIN]
    if n_late > 1 and (spread := values.std()) > 0:
        filled = np.flatnonzero(number[:LATE_BIN])
        late_mean = total[LATE_BIN] / n_late
        mean[filled] = total[filled] / number[filled] - late_mean
        error[filled] = spread * np.sqrt(1 / number[filled] + 1 / n_late)
    return Deviations(mean, error)


def _pool(pixels: Sequence[Deviations]) -> Deviations:
    """Return the weighted mean of the pixels that agree with the median pixel."""
    mean = np.stack([deviations.mean for deviations in pixels])
    error = np.stack([deviations.error for deviations in pixels])
    has_no_pulses = ~np.isfinite(error)
    masked = np.ma.array(mean, mask=has_no_pulses)
    # numpy.ma has no types
    median = np.ma.median(masked, axis=0)  # type: ignore[no-untyped-call]
    distance = np.abs(mean - median.filled(0.0))
    is_far = distance > SIGNIFICANCE * error
    is_odd = is_far.any(axis=(1, 2), keepdims=True)
    weight = np.where(is_odd, 0.0, 1 / error**2)
    total = weight.sum(axis=0)
    has_pulses = total > 0
    pooled_error = np.full(total.shape, np.inf)
    pooled_error[has_pulses] = total[has_pulses] ** -0.5
    pooled_mean = np.zeros(total.shape)
    weighted_sum = (weight * mean).sum(axis=0)
    pooled_mean[has_pulses] = weighted_sum[has_pulses] / total[has_pulses]
    return Deviations(pooled_mean, pooled_error)


def _find_tail_end(deviations: Deviations, fading_significance: float) -> _TailEnd:
    """Find the last bin in which pulses are affected.

    The bins that follow an affected one are affected as well where their deviation is
    `fading_significance` standard errors or more.
    """
    size = np.abs(deviations.mean)
    error = deviations.error
    matters = size > MIN_DEVIATION
    is_significant = size > SIGNIFICANCE * error
    is_affected = np.any(matters & is_significant, axis=0)
    is_fading = np.any(matters & (size > fading_significance * error), axis=0)
    is_precise = np.all(SIGNIFICANCE * error < MIN_DEVIATION, axis=0)
    clear = np.flatnonzero(~is_affected & is_precise)
    is_certain = len(clear) > 0
    stop = int(clear[0]) if is_certain else len(is_affected)
    affected = np.flatnonzero(is_affected[:stop])
    if not len(affected):
        return _TailEnd(0.0, is_certain)
    end = int(affected[-1]) + 1
    while end < stop and is_fading[end]:
        end += 1
    return _TailEnd(float(EDGES_S[end]), is_certain)
