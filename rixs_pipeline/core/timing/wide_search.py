"""Where, in minutes of pulses, the readings of a scan find their structure."""

from dataclasses import dataclass

import numpy as np

from rixs_pipeline.core.timing.shift_fits import MIN_BAND_COUNTS, BandCounts, LoggedScan
from rixs_pipeline.types import BoolArray, FloatArray

STEPS_PER_SPACING = 2  # offsets tried for each point
OFF = 0.1  # of the median counts of points, below which the beam is off
MAX_OFF = 0.3  # share of points without pulses in a place that is considered
MAX_EXCESS = 2.0  # variance of points around a good fit over counting statistics
MIN_EXPLAINED = 0.9  # of the variance, where statistics are so good that no fit is good


@dataclass(frozen=True)
class Evidence:
    """Evidence that a scan took place where its clock has an offset.

    Attributes
    ----------
    offset
        f8 (offset,), s, ascending, evenly spaced.
    gain
        Log-likelihood that the readings explain beyond a straight line, f8 (offset,);
        0 where they do not fit, or where many points have no pulses.
    pulses
        Pulses in the points, f8 (offset,).
    """

    offset: FloatArray
    gain: FloatArray
    pulses: FloatArray

    def at(self, offset: FloatArray) -> FloatArray:
        """Return the gain at offsets, linear between those tried, 0 outside."""
        gain = np.interp(offset, self.offset, self.gain, left=0.0, right=0.0)
        return np.asarray(gain)


def search_offsets(
    pulses: BandCounts, scan: LoggedScan, low: float, high: float
) -> Evidence:
    """Compare a scan with the pulses at many offsets of its clock.

    Parameters
    ----------
    pulses
        Of the scan and its surroundings.
    scan
        By the clock of the log.
    low, high
        Range of offsets, s.

    Returns
    -------
    Evidence
        At STEPS_PER_SPACING offsets for each point.
    """
    step = scan.spacing / STEPS_PER_SPACING
    steps = np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    offset = step * steps if len(steps) else np.array([(low + high) / 2])
    starts = scan.start[None, :] - offset[:, None]
    ends = scan.end[None, :] - offset[:, None]
    edges = pulses.start + pulses.width * np.arange(pulses.counts.shape[1] + 1)
    counts = []
    for band in pulses.counts:
        cumulative = np.concatenate([[0.0], np.cumsum(band)])
        before = np.interp(starts, edges, cumulative)
        counts.append(np.interp(ends, edges, cumulative) - before)
    in_bands = np.stack(counts)  # (band, offset, point)
    total = in_bands.sum(axis=0)
    median = np.median(total, axis=1, keepdims=True)
    is_on = scan.is_usable & (total > OFF * median)
    share_off = 1 - is_on.sum(axis=1) / max(scan.is_usable.sum(), 1)
    gain = np.zeros(len(offset))
    misfit, freedom, explained = gain.copy(), gain.copy(), gain.copy()
    for band in in_bands:
        fit = _fit_band(band, scan, is_on)
        gain += fit.gain
        misfit += fit.misfit
        freedom += fit.freedom
        explained += fit.gain * 2
    excess = misfit / np.maximum(freedom, 1)
    share = explained / np.maximum(explained + misfit, 1e-9)
    is_good = (excess <= MAX_EXCESS) | (share >= MIN_EXPLAINED)
    is_good &= (share_off <= MAX_OFF) & (freedom > 0)
    scaled = np.where(is_good, gain / np.maximum(excess, 1), 0.0)
    return Evidence(offset, scaled, total.sum(axis=1))


@dataclass(frozen=True)
class _BandFit:
    """What the channels explain in a band, each f8 (offset,)."""

    gain: FloatArray
    misfit: FloatArray
    freedom: FloatArray


def _fit_band(counts: FloatArray, scan: LoggedScan, is_on: BoolArray) -> _BandFit:
    """Fit counts, f8 (offset, point), with all channels and with the first two."""
    number = np.maximum(is_on.sum(axis=1), 1)
    mean = (counts * is_on).sum(axis=1) / number
    is_measured = mean >= MIN_BAND_COUNTS
    variance = np.maximum(mean, MIN_BAND_COUNTS)
    weight = is_on / variance[:, None]
    design = scan.channels * (scan.end - scan.start) / scan.spacing
    full = _chi_squared(counts, design, weight)
    plain = _chi_squared(counts, design[:2], weight)
    gain = (plain - full) / 2
    freedom = number - float(len(design))
    return _BandFit(
        np.where(is_measured, gain, 0.0),
        np.where(is_measured, full, 0.0),
        np.where(is_measured, freedom, 0.0),
    )


def _chi_squared(
    counts: FloatArray, design: FloatArray, weight: FloatArray
) -> FloatArray:
    normal = np.einsum("op,cp,dp->ocd", weight, design, design, optimize=True)
    right = np.einsum("op,cp->oc", counts * weight, design)
    scale = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    normal = normal + (1e-9 * scale + 1e-12) * np.eye(len(design))
    solution = np.linalg.solve(normal, right[..., None])[..., 0]
    return np.asarray((counts**2 * weight).sum(axis=1) - (right * solution).sum(axis=1))
