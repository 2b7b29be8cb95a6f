"""Whether the share of each pixel in the counts of the array is the same at all points.

Light reaches all pixels alike, so that the expected counts of pixel p at point j are
a_p b_j x live time. A pixel that loses pulses on the way to disk departs from it, and
its exposure is too long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.core.maps import pile_up
from rixs_pipeline.types import BoolArray, FloatArray, IntArray

MAX_STRETCHES = 16  # of points, of which windows are made: 32 find no more
MAX_FINE_STRETCHES = 300  # the same once the pixels are known: two rows, not hundreds
FALSE_ALARMS = 1e-5  # probability of any in a scan whose shares are constant
SMALLEST_CHANGE = 0.12  # of a share; cuts, pile-up and geometry change it by less
MIN_EXPECTED = 10.0  # counts in a window and outside it: the deviance is chi^2
MEMBER_DEVIANCE = 9.0  # three standard deviations: the pixel changed with others


@dataclass(frozen=True)
class ShareChange:
    """Pixels whose share in the counts differs in a window of points.

    Attributes
    ----------
    is_changed
        Which pixels, (pixel,).
    first, stop
        The window: first point, and the one after its last.
    ratio
        Their counts relative to those of the other pixels, in the window over the rest.
    """

    is_changed: BoolArray
    first: int
    stop: int
    ratio: float


@dataclass(frozen=True)
class _Windows:
    """Windows of points [first, stop), (window,) each.

    None begins with the first point: the rest of the points does it as well.
    """

    first: NDArray[np.intp]
    stop: NDArray[np.intp]

    @classmethod
    def of_stretches(cls, n_points: int, max_stretches: int) -> _Windows:
        """Return all windows of whole stretches of points, the first one excepted."""
        n_stretches = min(n_points, max_stretches)
        edges = np.linspace(0, n_points, n_stretches + 1).astype(np.intp)
        first, stop = np.triu_indices(len(edges) - 1, 1)
        begins_later = first > 0
        first, stop = first[begins_later], stop[begins_later]
        last = np.arange(1, len(edges) - 1)
        return cls(
            edges[np.concatenate([first, last])],
            edges[np.concatenate([stop, np.full(len(last), len(edges) - 1)])],
        )

    def sums(self, values: IntArray | FloatArray) -> FloatArray:
        """Return the sums (pixel, window) of values (pixel, point)."""
        total = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
        return np.asarray(total[:, self.stop] - total[:, self.first])


@dataclass(frozen=True)
class _Comparison:
    """How the counts in windows compare with those at the rest of the points.

    Attributes
    ----------
    deviance
        chi^2 of one degree of freedom where nothing changes, f8 (pixel, window); 0 of
        small ratios, and where counts are few.
    log_ratio
        Logarithm of the ratio of the counts, f8 (pixel, window).
    together
        chi^2 of all pixels, with one degree of freedom less than pixels, f8 (window,).
    """

    deviance: FloatArray
    log_ratio: FloatArray
    together: FloatArray


def find_share_changes(counts: IntArray, live_time: FloatArray) -> list[ShareChange]:
    """Find pixels whose share in the counts changes within a scan.

    Parameters
    ----------
    counts
        i8 (pixel, point).
    live_time
        f8 (pixel, point), s; 0 where a pixel is not exposed.

    Returns
    -------
    list of ShareChange
        The most significant first. The pixels of each are left out before the next one
        is sought.
    """
    counts = np.where(live_time > 0, counts, 0)
    changes: list[ShareChange] = []
    rows = np.flatnonzero(counts.any(axis=1))
    while len(rows) > 1:
        change = _find_change(counts[rows], live_time[rows])
        if change is None:
            break
        is_changed = np.zeros(len(counts), bool)
        is_changed[rows[change.is_changed]] = True
        changes.append(ShareChange(is_changed, change.first, change.stop, change.ratio))
        rows = rows[~change.is_changed]
    return changes


def _find_change(counts: IntArray, live_time: FloatArray) -> ShareChange | None:
    """Find the most significant change of a share, and the pixels that take part."""
    n_points = counts.shape[1]
    windows = _Windows.of_stretches(n_points, MAX_STRETCHES)
    if not len(windows.first):
        return None
    compared = _compare(counts, live_time, windows)
    window = _most_significant(compared)
    if window is None:
        return None
    deviance, log_ratio = compared.deviance[:, window], compared.log_ratio[:, window]
    takes_part = deviance > MEMBER_DEVIANCE
    if not takes_part.any():
        return None
    sides = [takes_part & (log_ratio < 0), takes_part & (log_ratio > 0)]
    is_changed = max(sides, key=lambda side: float(deviance[side].sum()))
    strongest = int(np.where(is_changed, deviance, 0.0).argmax())
    is_changed &= np.abs(log_ratio) > abs(log_ratio[strongest]) / 2
    change = _refine(counts, live_time, is_changed)
    size = abs(np.log(change.ratio))
    return change if size > -np.log1p(-SMALLEST_CHANGE) else None


def _most_significant(compared: _Comparison) -> int | None:
    """Return the window in which the pixels together, or one, differ most."""
    from scipy.special import chdtri  # scipy.stats takes half a second to import

    n_pixels, n_windows = compared.deviance.shape
    together = compared.together
    single = compared.deviance.max(axis=0)
    p = FALSE_ALARMS / 2 / n_windows
    if together.max() > chdtri(n_pixels - 1, p):
        return int(together.argmax())
    if single.max() > chdtri(1, p / n_pixels):
        return int(single.argmax())
    return None


def _refine(
    counts: IntArray, live_time: FloatArray, is_changed: BoolArray
) -> ShareChange:
    """Find the window of pixels together, to the point."""
    groups = [is_changed, ~is_changed]
    n_points = counts.shape[1]
    windows = _Windows.of_stretches(n_points, MAX_FINE_STRETCHES)
    # one live time for a group: that of its pixels at their usual rates
    rates = pile_up.fit_rates(counts, live_time).pixel
    expected = live_time * rates[:, None]
    group_counts = np.array([counts[group].sum(axis=0) for group in groups])
    group_time = np.array([expected[group].sum(axis=0) for group in groups])
    compared = _compare(group_counts, group_time, windows)
    # a window that ends before the scan does has one more parameter
    penalty = 2 * np.log(n_points) * (windows.stop < n_points)
    best = int((compared.deviance[0] - penalty).argmax())
    first, stop = int(windows.first[best]), int(windows.stop[best])
    ratio = float(np.exp(compared.log_ratio[0, best] - compared.log_ratio[1, best]))
    if ratio > 1 and stop == n_points:
        return ShareChange(is_changed, 0, first, 1 / ratio)
    return ShareChange(is_changed, first, stop, ratio)


def _compare(counts: IntArray, live_time: FloatArray, windows: _Windows) -> _Comparison:
    """Compare the counts of each pixel in windows with those at the other points.

    Notes
    -----
    Of the n photons of a pixel, N in a window are binomial with the expected share q.
    The deviance is 2 (N ln(N / n q) + (n - N) ln((n - N) / (n - n q))), divided by
    1 - a_p / sum a, since the pixel takes part in what is expected.
    """
    rates = pile_up.fit_rates(counts, live_time)
    expected = rates.pixel[:, None] * live_time * rates.point
    inside = windows.sums(counts)
    expected_inside = windows.sums(expected)
    outside = counts.sum(axis=1)[:, None] - inside
    expected_outside = np.maximum(expected.sum(axis=1)[:, None] - expected_inside, 0.0)
    deviance = _deviance(inside, expected_inside)
    deviance += _deviance(outside, expected_outside)
    share = expected.sum(axis=1) / expected.sum()
    is_certain = np.minimum(expected_inside, expected_outside) > MIN_EXPECTED
    odds = np.maximum(inside, 0.5) / np.maximum(outside, 0.5)  # never 0
    expected_odds = np.divide(
        expected_inside, expected_outside, out=odds.copy(), where=is_certain
    )
    log_ratio = np.log(odds / expected_odds)
    # of two equal groups that disagree, each is half as far from both together
    is_large = np.abs(log_ratio) > -np.log1p(-SMALLEST_CHANGE) / 2
    deviance = np.where(is_certain & is_large, deviance, 0.0)
    return _Comparison(deviance / (1 - share[:, None]), log_ratio, deviance.sum(axis=0))


def _deviance(counts: FloatArray, expected: FloatArray) -> FloatArray:
    """Return 2 (N ln(N / E) - N + E)."""
    ratio = np.divide(counts, expected, out=np.ones_like(expected), where=expected > 0)
    logarithm = np.log(np.where(ratio > 0, ratio, 1.0))
    return np.asarray(2 * (counts * logarithm - counts + expected))
