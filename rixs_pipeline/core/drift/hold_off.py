"""How long after a pulse the next one is still affected: it sits on the tail of the first.

Learned from a reference run: what the pulses of a line say (their mean offset from it) and what the base line says,
against pulses that come long after, in bins of the time since the last pulse. The decay is that of absorber and
readout and is shared by the array, so the pixels are pooled; a pixel with enough pulses of its own speaks for itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

EDGES_S = np.geomspace(
    1e-3, 3.0, 22
)  # of the bins in time since the last pulse: 1.46 from one to the next
LATE = len(EDGES_S) - 1  # the bin of the pulses that count as unaffected
LONG_AFTER = 0.8  # quantile of the time since the last pulse beyond which a pulse counts as unaffected
SIGNIFICANT = 5.0  # standard errors
FADING = (
    2.0  # standard errors, of bins that follow a significant one: a tail ends slowly
)
# robust standard deviations: 0.1 eV in a line; a base line lifted by as much as it scatters anyhow, which the drift
# correction (5e-5 a unit of 4.5) turns into 0.2 eV. Real base lines are lifted by half of that 5 ms after a pulse, and
# the lines do not move
MATTERS = np.array([[0.05], [1.0]])
CLIP = 4.0  # robust standard deviations: outliers count no more than that
ENOUGH = 400_000  # pulses of the whole array: what matters is seen in its shortest bins
BLOCK = 64  # pulses over which the base line does not drift
ROBUST_SIGMA = 1.4826


@dataclass(frozen=True)
class Deviations:
    """How pulses differ from those long after the last one, each f8 (quantity, bin) in robust standard deviations.

    Quantities: offset from the line, base line. Without pulses the error is infinite.
    """

    mean: Float
    error: Float


def deviations(
    since_last: Float,
    pulse_height: Float,
    pretrigger_mean: Float,
    lines: Float,
    window: float,
) -> Deviations:
    """One pixel's deviations by time since the last pulse.

    Args:
        since_last: s, f8 (pulse,), pulses in order of time.
        pulse_height: (pulse,).
        pretrigger_mean: (pulse,).
        lines: pulse heights of the spectrum's lines, f8 (line,), ascending.
        window: half width around each line in which a pulse belongs to it, pulse height.
    """
    from rixs_pipeline.core.calibration import pulse_kernels

    place = int(LONG_AFTER * (len(since_last) - 1))
    late = float(np.partition(since_last, place)[place]) if len(since_last) else np.inf
    near, line, away = pulse_kernels.near_lines(pulse_height, lines, window)
    offset = pulse_kernels.centred(away, line, len(lines))
    base = pulse_kernels.detrended(pretrigger_mean, BLOCK)
    bins = np.where(since_last < late, _bin(since_last), LATE)
    rows = [
        _compared(which, pulse_kernels.standardised(values, ROBUST_SIGMA, CLIP))
        for which, values in ((bins[near], offset), (bins, base))
    ]
    return Deviations(*(np.stack(values) for values in zip(*rows, strict=True)))


def hold_offs(pixels: Sequence[Deviations]) -> Float:
    """The hold-off of each pixel, s, f8 (pixel,): 0 where pulses are not affected by the one before.

    It is where the last bin ends whose deviation is both significant and large enough to matter, before the first
    bin in which a deviation that matters would have been seen and was not. In the pooled array, bins next to it in
    which the deviation fades are added. A pixel whose own pulses show where it ends has its own hold-off; any other has
    that of the pooled array, or its own where that is longer.
    """
    if not pixels:
        return np.zeros(0)
    pooled, _ = _end(_pooled(pixels), FADING)
    own = [_end(one, SIGNIFICANT) for one in pixels]
    return np.array(
        [seconds if told else max(seconds, pooled) for seconds, told in own]
    )


def _bin(since_last: Float) -> NDArray[np.intp]:
    """The bin of each time, (pulse,); the first and the last hold what is beyond them."""
    place = np.log(np.clip(since_last, EDGES_S[0], EDGES_S[-1]) / EDGES_S[0]) / np.log(
        EDGES_S[1] / EDGES_S[0]
    )
    return np.asarray(np.minimum(place.astype(np.intp), LATE - 1))


def _compared(bins: NDArray[np.intp], values: Float) -> tuple[Float, Float]:
    """Mean (bin,) of the values less that of the late ones, and its standard error, infinite where it is not known."""
    number = np.bincount(bins, minlength=LATE + 1)
    total = np.bincount(bins, weights=values, minlength=LATE + 1)
    mean, error = np.zeros(LATE), np.full(LATE, np.inf)
    told = np.flatnonzero(number[:LATE])
    if number[LATE] > 1 and (spread := values.std()) > 0:
        mean[told] = total[told] / number[told] - total[LATE] / number[LATE]
        error[told] = spread * np.sqrt(1 / number[told] + 1 / number[LATE])
    return mean, error


def _pooled(pixels: Sequence[Deviations]) -> Deviations:
    """Weighted mean of the pixels that do not stand apart from the median pixel in any bin."""
    mean, error = (
        np.stack([one.mean for one in pixels]),
        np.stack([one.error for one in pixels]),
    )
    told = np.isfinite(error)
    middle = np.ma.median(np.ma.array(mean, mask=~told), axis=0).filled(0.0)  # type: ignore[no-untyped-call]
    apart = np.abs(mean - middle) > SIGNIFICANT * error
    weight = np.where(apart.any(axis=(1, 2), keepdims=True), 0.0, 1 / error**2)
    total = weight.sum(axis=0)
    told = total > 0
    pooled = np.full(total.shape, np.inf)
    pooled[told] = total[told] ** -0.5
    return Deviations(
        np.divide(
            (weight * mean).sum(axis=0), total, out=np.zeros(total.shape), where=told
        ),
        pooled,
    )


def _end(found: Deviations, fading: float) -> tuple[float, bool]:
    """Where the affected bins end, s, and whether a bin that is certainly not affected ends them.

    The bins that follow an affected one are so from `fading` standard errors on.
    """
    size = np.abs(found.mean)
    matters = size > MATTERS
    seen = np.asarray((matters & (size > SIGNIFICANT * found.error)).any(axis=0))
    fades = np.asarray((matters & (size > fading * found.error)).any(axis=0))
    clear = np.flatnonzero(~seen & np.all(SIGNIFICANT * found.error < MATTERS, axis=0))
    stop = int(clear[0]) if len(clear) else seen.size
    affected = np.flatnonzero(seen[:stop])
    if not len(affected):
        return 0.0, len(clear) > 0
    end = int(affected[-1]) + 1
    while end < stop and fades[end]:
        end += 1
    return float(EDGES_S[end]), len(clear) > 0
