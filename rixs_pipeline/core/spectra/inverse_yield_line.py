"""The emission line of an inverse yield: which one, and whether it does not resonate.

A line that does not resonate dims as a whole where the sample absorbs: the fraction of
its counts in every bin stays, and it falls where the emission of the scanned element
rises. A line that another line overlaps changes its shape: a test of homogeneity. A
line that resonates, or that is the tail of one that does, rises with the emission of
the scanned element: a test of correlation. Other lines that do not resonate dim
together, so that the correlation with them says nothing. Both tests need some hundred
photons. Where the low-energy tail of the detector is known, so is how much of the
emission of the scanned element it brings into a window, with any number of photons.
"""

from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.response.leak import tail_weights
from rixs_pipeline.core.spectra.presets import O_KA, PRESETS
from rixs_pipeline.core.spectra.regions import Limits
from rixs_pipeline.types import BoolArray, Edge, FloatArray, IntArray

CANDIDATES = {
    "O_Ka": O_KA,
    "C_Ka": Limits(265, 290),
    "N_Ka": Limits(380, 402),
    "F_Ka": Limits(665, 690),
}
CLEARANCE_EV = 5.0  # of a candidate's window from the scan and the edge's emission
RESONANT_P = 1e-3  # lines with a smaller p value are called resonant
GROUPS = 4  # of incident points, in the test of shape
LEAST_EXPECTED = 10.0  # counts in a cell of the test
MAX_CELLS = 40  # of emission energy, in the test
LARGEST_CORRELATION = 0.999999  # keeps Fisher's z finite
# with the scanned element's emission; noise of I0 common to all emission gives less
RISING_CORRELATION = 0.1
# standard deviations of the correlation, by Fisher's z, one-sided: p = RESONANT_P
RISING_DEVIATIONS = 3.09
RESONANT_EMISSION_EV = 40.0  # reach below a scan of the emission that it excites
# Share of a window's photons, in the tail of the scanned element's emission. Where that
# triples at the white line, 0.1 raises the yield by 0.2, most of what a line dims by.
LARGEST_LEAK = 0.1


@dataclass(frozen=True)
class LineTest:
    """Homogeneity of a line's shape over a scan.

    Attributes
    ----------
    chi2, dof, p : float, int, float
        Of the test; p is NaN with too few counts.
    correlation : float
        Of the line's yield with the emission of the scanned element.
    rises : bool
        Whether it rises with that emission, as a resonance and its tail do.
    leak : float
        Share of its photons that are in the low-energy tail of that emission; NaN
        where the tail of the detector is unknown.
    """

    chi2: float
    dof: int
    p: float
    correlation: float
    rises: bool
    leak: float = float("nan")

    @property
    def leaks(self) -> bool:
        """Whether that share is too large."""
        return self.leak > LARGEST_LEAK

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the line; too few counts do not."""
        return not (self.p < RESONANT_P or self.rises or self.leaks)

    def plain_values(self) -> dict[str, float | int | bool | None]:
        """Return the test for JSON; an unknown p is None."""
        return {
            "chi2": self.chi2,
            "dof": self.dof,
            "correlation": self.correlation,
            "p": None if np.isnan(self.p) else self.p,
            "rises": self.rises,
            "leak": None if np.isnan(self.leak) else self.leak,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class LineWindow:
    """Name and emission window, eV, of a line."""

    name: str
    window: Limits


def check_line(
    data: MapData, weights: FloatArray, edge: Edge | None = None
) -> LineTest:
    """Test whether the emission within a region resonates with the scanned element.

    Parameters
    ----------
    data : MapData
        The map.
    weights : f8 (point, bin)
        Of the region; bins that count by half or less are left out.
    edge : Edge or None
        The scanned edge, whose emission window is in the presets. None: the emission
        from `RESONANT_EMISSION_EV` below the scan to its end.

    Returns
    -------
    LineTest
        Chi-squared of contiguous groups of incident points with about equal counts
        against emission bins, merged until each cell expects 10 counts; correlation
        over the points with the emission of the scanned element; share of the tail of
        that emission.
    """
    from scipy.special import chdtrc  # scipy.stats takes a second to load

    inside = weights > 0.5
    is_covered = inside.any(axis=1)
    is_used = is_covered & (data.exposure > 0)
    counts_inside = np.where(inside, data.counts, 0)
    line_counts = counts_inside[is_used]
    ascending = np.argsort(data.incident[is_used])
    table = _group_counts(line_counts[ascending])
    n_groups, n_cells = table.shape
    chi2, dof, p = 0.0, 0, float("nan")
    if n_groups > 1 and n_cells > 1:
        group_totals = table.sum(axis=1, keepdims=True)
        cell_totals = table.sum(axis=0)
        expected = group_totals * cell_totals / table.sum()
        terms = (table - expected) ** 2 / expected
        chi2 = float(terms.sum())
        dof = (n_groups - 1) * (n_cells - 1)
        p = float(chdtrc(dof, chi2))
    correlation = _correlate_with_element(data, inside, is_used, edge)
    fisher_z = np.arctanh(min(correlation, LARGEST_CORRELATION))
    n_points = int(is_used.sum())
    degrees_of_freedom = max(n_points - 3, 0)
    deviations = fisher_z * np.sqrt(degrees_of_freedom)
    is_correlated = correlation > RISING_CORRELATION
    rises = bool(is_correlated and deviations > RISING_DEVIATIONS)
    leak = _leak_share(data, inside, is_used, edge)
    return LineTest(chi2, dof, p, correlation, rises, leak)


def _leak_share(
    data: MapData, inside: BoolArray, is_used: BoolArray, edge: Edge | None
) -> float:
    """Return the share of a region's photons in the tail of the element's emission.

    Of all emission from the lower end of the element's window on, elastic light and
    losses among it; what is within the region is not in its tail.
    """
    tail = data.tail
    counts = data.counts[is_used]
    total = counts[inside[is_used]].sum()
    if tail is None or not (tail.fraction > 0 and tail.length > 0 and total):
        return float("nan")
    is_resonant = data.centres > _element_window(data, edge).low
    of_photons = replace(data, efficiency=1.0)
    weights = tail_weights(of_photons, tail, inside[is_used].astype(np.float64))
    return float((weights * counts)[:, is_resonant].sum() / total)


def _correlate_with_element(
    data: MapData, inside: BoolArray, is_used: BoolArray, edge: Edge | None
) -> float:
    """Return the correlation over points of a region's yield with the element's.

    A region within the emission of the scanned element correlates fully.
    """
    if is_used.sum() <= 3:
        return 0.0
    exposure = data.exposure[is_used]
    of_element = _element_window(data, edge).contains(data.centres)
    counts_inside = np.where(inside, data.counts, 0)
    counts_of_element = data.counts[:, of_element]
    line_counts = counts_inside.sum(axis=1)
    element_counts = counts_of_element.sum(axis=1)
    line = line_counts[is_used] / exposure
    element = element_counts[is_used] / exposure
    varies = np.ptp(line) > 0 and np.ptp(element) > 0
    if not varies:
        return 0.0
    correlations = np.corrcoef(line, element)
    return float(correlations[0, 1])


def _element_window(data: MapData, edge: Edge | None) -> Limits:
    """Return where the scanned element emits, eV."""
    if edge is not None:
        return PRESETS[edge].emission
    lowest = float(data.incident.min()) - RESONANT_EMISSION_EV
    return Limits(lowest, float(data.incident.max()))


def _group_counts(counts: IntArray) -> FloatArray:
    """Return counts (point, bin) in groups of about equal counts, (group, cell)."""
    total = int(counts.sum())
    if not total:
        return np.zeros((1, 1))
    filled_cells = total / (GROUPS * LEAST_EXPECTED * 2)
    n_cells = int(max(1, min(filled_cells, MAX_CELLS)))
    groups = _divide_evenly(counts.sum(axis=1), GROUPS)
    cells = _divide_evenly(counts.sum(axis=0), n_cells)
    table = np.zeros((GROUPS, n_cells))
    place = np.ix_(groups, cells)
    np.add.at(table, place, counts)
    is_filled_group = table.any(axis=1)
    is_filled_cell = table.any(axis=0)
    filled_rows = table[is_filled_group]
    return np.asarray(filled_rows[:, is_filled_cell])


def _divide_evenly(counts: IntArray, n_parts: int) -> IntArray:
    """Return the part (n,) of each of n counts, for parts of about equal counts."""
    total = int(counts.sum())
    part = (np.cumsum(counts) * n_parts - 1) // total
    return np.clip(part, 0, n_parts - 1)


def choose_line(data: MapData, edge: Edge | None) -> LineWindow:
    """Return the brightest line that does not resonate.

    Parameters
    ----------
    data : MapData
        The map.
    edge : Edge or None
        The scanned edge.

    Returns
    -------
    LineWindow
        Of `CANDIDATES`: K lines below the whole scan, clear of the edge's emission,
        that pass `check_line`.

    Raises
    ------
    ValueError
        There is none.
    """
    brightest: LineWindow | None = None
    most_counts = 0
    for name, window in CANDIDATES.items():
        if not _is_clear(window, data, edge):
            continue
        bins = data.emission_edges[:-1] >= window.low
        bins &= data.emission_edges[1:] <= window.high
        window_counts = data.counts[:, bins]
        counts = int(window_counts.sum())
        weights = np.broadcast_to(bins * 1.0, data.counts.shape)
        if counts > most_counts and check_line(data, weights, edge).passed:
            brightest, most_counts = LineWindow(name, window), counts
    if brightest is None:
        raise ValueError(
            "ipfy: no suitable line below the scanned edge (lines too weak, or excited "
            "differently across the edge); set `emission`"
        )
    return brightest


def _is_clear(window: Limits, data: MapData, edge: Edge | None) -> bool:
    """Return whether a window is clear of the scan and of the edge's emission."""
    high = window.high + CLEARANCE_EV
    if high >= data.incident.min():
        return False
    if edge is None:
        return True
    emission = PRESETS[edge].emission
    return high < emission.low or window.low > emission.high
