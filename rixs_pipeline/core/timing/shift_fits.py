"""How well the readings of a scan explain its pulses if its times are shifted.

The offset d of a clock is the time in the log minus that of the detector: a pulse at t
was recorded when the clock of the log showed t + d. In a band of pulse heights, the
rate of pulses is modelled as

    rate(t) = sum over channels c of beta_c x_c(t + d)

with channels x_c that are constant in a point: the incident flux, readings such as TEY.
For each d the coefficients beta follow from weighted linear least squares; the weights
are the inverse variances of the counts, from the fit at the best d. Bands matter: the
fluorescence of the scanned element is a small part of all photons and changes most.

In the time between two points the incident energy moves, it is unknown when: there the
channels are those of the point before, on the way, or those of the point after.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray, IntArray

BINS_PER_SPACING = 8  # bins of time between the starts of two points
STEPS_PER_BIN = 4  # offsets that are tried for each bin
MIN_BAND_COUNTS = 2.0  # counts a point, on average, that make a band worth fitting
MIN_POINTS = 8  # points in which pulses are fitted at least
RATE_FLOOR = 0.02  # of the mean rate of a band, smallest rate
CACHED_VALUES = 1 << 15  # f8, of which a few arrays fit into the processor's cache
RIDGE = 1e-9  # relative, so that channels may be proportional to each other


@dataclass(frozen=True)
class BandCounts:
    """Pulses of all pixels in bands of pulse height and equal bins of time.

    Attributes
    ----------
    start
        Start of the first bin, s by the clock of the detector.
    width
        Width of the bins, s.
    counts
        f8 (band, bin).
    """

    start: float
    width: float
    counts: FloatArray


@dataclass(frozen=True)
class LoggedScan:
    """Points and readings of a scan by the clock of the log.

    Attributes
    ----------
    start, end
        Of the points, f8 (point,), s, ascending.
    channels
        What rates may be proportional to, f8 (channel, point), about 1.
    is_usable
        Points whose channels describe all of the point, bool (point,).
    """

    start: FloatArray
    end: FloatArray
    channels: FloatArray
    is_usable: BoolArray

    @property
    def spacing(self) -> float:
        """Time from point to point, s."""
        return float(np.median(np.diff(self.start)))


@dataclass(frozen=True)
class ShiftCurve:
    """Likelihood of a scan as a function of the offset of its clock.

    Attributes
    ----------
    offset
        f8 (offset,), s, ascending, evenly spaced.
    log_likelihood
        f8 (gap, offset), 0 at its maximum; a row for each way in which the incident
        energy may move between points.
    spacing
        Time from point to point, s.
    """

    offset: FloatArray
    log_likelihood: FloatArray
    spacing: float

    def at(self, offset: FloatArray) -> FloatArray:
        """Return the log-likelihood at offsets, f8 (gap, ...).

        Outside the curve it is the lowest value of the curve.
        """
        rows = [
            np.interp(offset, self.offset, row, left=row.min(), right=row.min())
            for row in self.log_likelihood
        ]
        return np.stack(rows)


@dataclass(frozen=True)
class _BandFit:
    """Deviance of a band for each offset, f8 (offset,).

    `excess`: variance of the points around the best fit relative to that of counting
    statistics, at least 1.
    """

    deviance: FloatArray
    excess: float

    @property
    def lowest(self) -> float:
        return float(self.deviance.min())


def fit_shifts(
    pulses: BandCounts, scan: LoggedScan, centre: float, half_width: float
) -> ShiftCurve | None:
    """Fit the pulses of a scan for each offset in a range.

    The same pulses are fitted for each offset: those that lie in usable points of the
    scan for all of them. Pulses outside the scan need no model.

    Parameters
    ----------
    pulses
        Of the scan and its surroundings.
    scan
        By the clock of the log.
    centre, half_width
        Of the range of offsets, s; rounded to bins.

    Returns
    -------
    ShiftCurve or None
        None: too few points or pulses.
    """
    width = pulses.width
    steps = max(2, round(half_width / width))
    offset = centre + width * np.arange(-steps, steps + 1)
    first = int(np.ceil((scan.start[0] - offset[0] - pulses.start) / width))
    last = int(np.floor((scan.end[-1] - offset[-1] - pulses.start) / width))
    first, last = max(first, 0), min(last, pulses.counts.shape[1])
    if (last - first) * width < MIN_POINTS * scan.spacing:
        return None
    bins = np.arange(first - steps, last + steps + 1)
    edges = pulses.start + centre + width * bins
    is_used = _always_usable(scan, edges, 2 * steps + 1)
    n_points = is_used.sum() * width / scan.spacing
    counts = pulses.counts[:, first:last]
    bands = counts[counts[:, is_used].sum(axis=1) >= MIN_BAND_COUNTS * n_points]
    if n_points < MIN_POINTS or len(bands) == 0:
        return None
    fractions = np.arange(STEPS_PER_BIN) / STEPS_PER_BIN
    point = np.searchsorted(scan.start, edges[:-1] + width / 2, side="right")
    mask = is_used.astype(np.float64)
    templates = [
        [
            _template(
                _bin_means(start, end, scan.channels, edges + fraction * width), mask
            )
            for fraction in fractions
        ]
        for start, end in _gap_variants(scan)
    ]
    log_likelihood = np.zeros((len(templates), len(offset) * len(fractions)))
    for band in bands:
        fits = [_fit_band(band, variant, point, is_used) for variant in templates]
        best = min(fits, key=lambda fit: fit.lowest)
        for row, fit in zip(log_likelihood, fits, strict=True):
            row -= (fit.deviance - best.lowest) / (2 * best.excess)
    offset = (offset[:, None] + fractions * width).ravel()
    return ShiftCurve(offset, log_likelihood - log_likelihood.max(), scan.spacing)


def _gap_variants(scan: LoggedScan) -> list[tuple[FloatArray, FloatArray]]:
    """Return starts and ends of points with the gaps in the point before, or after."""
    until_next = np.append(scan.start[1:], scan.end[-1])
    from_previous = np.append(scan.start[0], scan.end[:-1])
    return [(scan.start, scan.end), (scan.start, until_next), (from_previous, scan.end)]


def _always_usable(scan: LoggedScan, edges: FloatArray, n_offsets: int) -> BoolArray:
    """Return the bins that lie in usable points for all offsets, bool (bin,).

    A point beside an unusable one is unusable too.
    """
    is_bad = ~scan.is_usable
    near = is_bad.copy()
    near[1:] |= is_bad[:-1]
    near[:-1] |= is_bad[1:]
    point = np.searchsorted(scan.start, edges, side="right") - 1
    point = np.clip(point, 0, len(near) - 1)
    is_bad_bin = near[point[:-1]] | near[point[1:]]
    before = np.concatenate([[0], np.cumsum(is_bad_bin)])
    n_bins = len(is_bad_bin) - n_offsets + 1
    return np.asarray(before[n_offsets:] == before[:n_bins])


def _bin_means(
    start: FloatArray, end: FloatArray, channels: FloatArray, edges: FloatArray
) -> FloatArray:
    """Return the means of channels in bins, f8 (channel, bin).

    Channels are constant in points and linear between them.
    """
    knots = np.stack([start, end], axis=1).ravel()
    length = np.diff(knots)
    inside = np.clip(edges, knots[0], knots[-1])
    below = np.searchsorted(knots, inside, side="right") - 1
    below = np.clip(below, 0, len(knots) - 2)
    elapsed = inside - knots[below]
    means = []
    for channel in channels:
        level = np.repeat(channel, 2)
        area = np.concatenate([[0.0], np.cumsum(length * (level[1:] + level[:-1]) / 2)])
        rise = np.divide(np.diff(level), length, where=length > 0, out=0 * length)
        integral = area[below] + level[below] * elapsed + rise[below] * elapsed**2 / 2
        integral += level[0] * np.minimum(edges - knots[0], 0)
        integral += level[-1] * np.maximum(edges - knots[-1], 0)
        means.append(np.diff(integral) / np.diff(edges))
    return np.stack(means)


@dataclass(frozen=True)
class _Template:
    """Channels in bins of time, by one variant of the gaps and one fraction of a bin.

    Attributes
    ----------
    channels
        f8 (channel, bin).
    products
        Of pairs of channels, as `np.triu_indices` orders them, f8 (pair, bin).
    normal
        Normal matrices of equal weights, f8 (offset, channel, channel).
    """

    channels: FloatArray
    products: FloatArray
    normal: FloatArray


def _template(channels: FloatArray, mask: FloatArray) -> _Template:
    """Return a template from its channels; `mask`, (bin,): 1 for pulses in use."""
    first, second = np.triu_indices(len(channels))
    products = channels[first] * channels[second]
    return _Template(channels, products, _normal_matrices(products, mask))


def _fit_band(
    counts: FloatArray, templates: list[_Template], point: IntArray, is_used: BoolArray
) -> _BandFit:
    """Fit the pulses of a band for each offset, template by template."""
    n_bins, mask = len(counts), is_used.astype(np.float64)
    used_counts = counts * mask
    floor = RATE_FLOOR * counts[is_used].mean()
    # equal weights first, then those of the rates that they give
    solutions = [
        _solve(used_counts, template.channels, template.normal)
        for template in templates
    ]
    expected = _expected_counts(solutions, templates, n_bins, floor).counts
    weight = mask / expected
    solutions = [
        _solve(
            counts * weight,
            template.channels,
            _normal_matrices(template.products, weight),
        )
        for template in templates
    ]
    best = _expected_counts(solutions, templates, n_bins, floor)
    in_point = point[best.shift : best.shift + n_bins][is_used]
    residual = np.bincount(in_point, (counts - best.counts)[is_used])
    expected_variance = np.bincount(in_point, best.counts[is_used])
    is_measured = expected_variance > 0
    pulls = residual[is_measured] ** 2 / expected_variance[is_measured]
    freedom = max(len(pulls) - len(templates[0].channels), 1)
    # counts are moved along the channels, so that rates are a product of matrices
    n_offsets = len(solutions[0].coefficients)
    moved = _moved(used_counts, n_offsets), _moved(mask, n_offsets)
    deviance = [
        _deviance(solution.coefficients, template.channels, floor, *moved)
        for template, solution in zip(templates, solutions, strict=True)
    ]
    excess = max(1.0, float(pulls.sum()) / freedom)
    return _BandFit(np.stack(deviance, axis=1).ravel(), excess)


def _deviance(
    coefficients: FloatArray,
    channels: FloatArray,
    floor: float,
    moved_counts: FloatArray,
    moved_mask: FloatArray,
) -> FloatArray:
    """Return -2 log of the Poisson likelihood for each offset, f8 (offset,).

    Parameters
    ----------
    coefficients
        f8 (offset, channel).
    channels
        f8 (channel, bin).
    floor
        Smallest rate, counts a bin.
    moved_counts, moved_mask
        Pulses in use, and 1 for the bins in use: f8 (offset, bin), see `_moved`.

    Returns
    -------
    ndarray
    """
    deviance = np.empty(len(coefficients))
    # some offsets at a time and in place: larger arrays leave the processor's cache
    n_rows = max(1, CACHED_VALUES // channels.shape[1])
    rates = np.empty((n_rows, channels.shape[1]))
    for first in range(0, len(deviance), n_rows):
        rows = slice(first, first + n_rows)
        n = len(deviance[rows])
        rate = np.matmul(coefficients[rows], channels, out=rates[:n])
        np.maximum(rate, floor, out=rate)
        total = np.vecdot(rate, moved_mask[rows])
        np.log(rate, out=rate)
        deviance[rows] = 2 * (total - np.vecdot(rate, moved_counts[rows]))
    return deviance


def _moved(values: FloatArray, n_offsets: int) -> FloatArray:
    """Return values (bin,) in a row for each offset, each a bin later than the last.

    A view, f8 (offset, bins of a template), 0 beside the values.
    """
    zeros = np.zeros(n_offsets - 1)
    padded = np.concatenate([zeros, values, zeros])
    n_bins = len(values) + n_offsets - 1
    return np.lib.stride_tricks.sliding_window_view(padded, n_bins)[::-1]


@dataclass(frozen=True)
class _Solutions:
    """Least-squares solutions for each offset.

    Attributes
    ----------
    explained
        Part of the weighted sum of squares of the counts, f8 (offset,).
    coefficients
        f8 (offset, channel).
    """

    explained: FloatArray
    coefficients: FloatArray


@dataclass(frozen=True)
class _ExpectedCounts:
    """Counts of the best fit, f8 (bin,), and the bins by which it is moved."""

    counts: FloatArray
    shift: int


def _expected_counts(
    solutions: Sequence[_Solutions],
    templates: Sequence[_Template],
    n_bins: int,
    floor: float,
) -> _ExpectedCounts:
    """Return the counts that the best of all solutions gives, at least `floor`."""
    explained = np.stack([solution.explained for solution in solutions], axis=1)
    row, column = np.unravel_index(np.argmax(explained), explained.shape)
    shift, best_template = int(row), int(column)
    channels = templates[best_template].channels[:, shift : shift + n_bins]
    rate = solutions[best_template].coefficients[shift] @ channels
    return _ExpectedCounts(np.maximum(rate, floor), shift)


def _normal_matrices(products: FloatArray, weight: FloatArray) -> FloatArray:
    """Return normal matrices, f8 (offset, channel, channel), made regular.

    Parameters
    ----------
    products
        Of `_Template`.
    weight
        f8 (bin,), of the counts.

    Returns
    -------
    ndarray
    """
    sums = np.stack([np.correlate(row, weight, "valid") for row in products], axis=1)
    n_channels = int(np.sqrt(2 * len(products)))  # n (n + 1) / 2 pairs
    first, second = np.triu_indices(n_channels)
    normal = np.empty((len(sums), n_channels, n_channels))
    normal[:, first, second] = normal[:, second, first] = sums
    scale = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    return np.asarray(normal + RIDGE * scale * np.eye(n_channels))


def _solve(
    weighted_counts: FloatArray, channels: FloatArray, normal: FloatArray
) -> _Solutions:
    """Solve the least-squares problem at each offset."""
    columns = [np.correlate(row, weighted_counts, "valid") for row in channels]
    right = np.stack(columns, axis=1)
    coefficients = np.linalg.solve(normal, right[..., None])[..., 0]
    return _Solutions((right * coefficients).sum(axis=1), coefficients)
