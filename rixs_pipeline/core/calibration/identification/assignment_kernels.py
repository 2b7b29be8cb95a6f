"""Score line assignments and peaks, compiled. `line_assignment` explains the method."""

from typing import NamedTuple

import numpy as np

from rixs_pipeline.core.energy.compile import compiled
from rixs_pipeline.types import FloatArray, IntArray

# tolerances beyond which a peak does not explain a line
MAX_DISTANCE = 5.0
# a line has no peak if it is explained by less than this share of the weakest peak
MISSING_SHARE = 0.3


class CurveColumns(NamedTuple):
    """Curves h = a (1 - exp(-E / b)) + d, each (hypothesis,)."""

    a: FloatArray
    b: FloatArray
    d: FloatArray


class PeakColumns(NamedTuple):
    """Pulse heights of peaks and the logarithms of their significance, each (peak,)."""

    pulse_height: FloatArray
    strength: FloatArray


class LineColumns(NamedTuple):
    """Lines, each (line,).

    Attributes
    ----------
    energy
        eV.
    weight
        How much a missing one counts.
    tolerance
        Standard deviation from the curve, eV.
    """

    energy: FloatArray
    weight: FloatArray
    tolerance: FloatArray


@compiled
def score_curves(
    curves: CurveColumns, peaks: PeakColumns, lines: LineColumns, offset_spread: float
) -> FloatArray:
    """Return how well each curve explains the peaks.

    Parameters
    ----------
    curves
        Hypotheses.
    peaks
        Peaks of the pixel.
    lines
        Lines that the peaks may belong to.
    offset_spread
        Standard deviation of d / a.

    Returns
    -------
    FloatArray
        (hypothesis,) scores.
    """
    scores = np.empty(len(curves.a))
    strength_sum = 0.0
    min_strength = np.inf
    for strength in peaks.strength:
        strength_sum += strength
        min_strength = min(min_strength, strength)
    missing = strength_sum / len(peaks.strength)
    weakest = MISSING_SHARE * min_strength
    falling = np.empty(len(lines.energy))
    last_b = np.nan
    for i in range(len(scores)):
        a, b, d = curves.a[i], curves.b[i], curves.d[i]
        if b != last_b:  # many curves in succession have the same one
            for k in range(len(falling)):
                falling[k] = np.exp(-lines.energy[k] / b)
            last_b = b
        scores[i] = -0.5 * (d / (offset_spread * a)) ** 2
        for k in range(len(lines.energy)):
            height = a * (1.0 - falling[k]) + d
            height_per_ev = a / b * falling[k]
            unit = height_per_ev * lines.tolerance[k]
            reach = MAX_DISTANCE * unit
            explained = 0.0
            for p in range(len(peaks.strength)):
                off = abs(peaks.pulse_height[p] - height)
                if off < reach:
                    distance = off / unit
                    share = np.exp(-0.5 * distance * distance)
                    explained = max(explained, peaks.strength[p] * share)
            scores[i] += explained
            if explained <= weakest:
                scores[i] -= lines.weight[k] * missing
    return scores


@compiled
def prominences(values: FloatArray, maxima: IntArray) -> FloatArray:
    """Return how far local maxima rise above the higher of their two saddles.

    Parameters
    ----------
    values
        (n,).
    maxima
        (peak,) indices of the maxima.

    Returns
    -------
    FloatArray
        (peak,), as scipy.signal's, whose import takes longer than a calibration.
    """
    prominence = np.empty(len(maxima))
    for i in range(len(maxima)):
        top = values[maxima[i]]
        saddle = -np.inf
        for step in (-1, 1):
            lowest = top
            k = maxima[i]
            while 0 <= k < len(values) and values[k] <= top:
                lowest = min(lowest, values[k])
                k += step
            saddle = max(saddle, lowest)
        prominence[i] = top - saddle
    return prominence
