"""The shape of a region: weights of the map's bins, and outlines for figures.

Both come from `emission_intervals`: the emission energies that a region covers at given
incident energies. Emission bins that a border cuts count by the fraction of their width
inside; incident points have no width: `low <= E < high` takes or leaves them. With
weights w, sums are exact, N = sum w n, and so are their variances, V = sum w^2 n.
"""

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from rixs_pipeline.core.spectra.regions import Limits, Region, RegionPiece
from rixs_pipeline.types import BoolArray, FloatArray

NEAREST_EV = 1.0  # a single incident energy may lie this far outside the scan
LINE_WIDTH_EV = 1e-3  # outline around a single incident energy
OVERHANG_EV = 10.0  # outlines extend at least so far beyond the scan, for wide bins
ROUNDING_DECIMALS = 9  # of positions in eV: what is closer coincides
LEAST_CONTACT_EV = 1e-6  # between trapezoids that are joined
STRAIGHT = 1e-6  # sine of the largest angle that is no corner


@dataclass(frozen=True)
class EmissionInterval:
    """Emission energies from `low` to `high`, eV, f8 (incident point,) each.

    Empty at points where `high` is not above `low`.
    """

    low: FloatArray
    high: FloatArray

    def intersect(self, interval: "EmissionInterval") -> "EmissionInterval":
        """Return what lies in both intervals."""
        low = np.maximum(self.low, interval.low)
        high = np.minimum(self.high, interval.high)
        return EmissionInterval(low, high)


def region_weights(
    region: Region, incident: FloatArray, emission_edges: FloatArray
) -> FloatArray:
    """Return the fraction of each bin that lies in a region.

    Parameters
    ----------
    region : Region
        The region.
    incident : f8 (point,)
        Incident energies, eV.
    emission_edges : f8 (bin + 1,)
        Edges of the emission bins, eV.

    Returns
    -------
    f8 (point, bin)
        From 0 to 1.
    """
    weights = np.zeros((len(incident), len(emission_edges) - 1))
    lower_edges, upper_edges = emission_edges[:-1], emission_edges[1:]
    for interval in emission_intervals(region, incident):
        top = np.minimum(interval.high[:, None], upper_edges)
        bottom = np.maximum(interval.low[:, None], lower_edges)
        weights += np.maximum(top - bottom, 0.0) / np.diff(emission_edges)
    if region.nearest_incident is not None:
        weights[~_is_nearest(region.nearest_incident, incident)] = 0.0
    return weights


def emission_intervals(region: Region, incident: FloatArray) -> list[EmissionInterval]:
    """Return the emission energies that a region covers at each incident energy.

    Parameters
    ----------
    region : Region
        All its limits hold at once. Loss limits and the excluded elastic line follow
        emission = incident; pieces are united, so that overlaps count once.
    incident : f8 (point,)
        Incident energies, eV.

    Returns
    -------
    list of EmissionInterval
        Disjoint at every point; `nearest_incident` is not regarded.
    """
    intervals = _piece_intervals(region, incident)
    if region.pieces:
        pieces = [_piece_intervals(piece, incident) for piece in region.pieces]
        united = _unite([interval for piece in pieces for interval in piece])
        intervals = _intersect(intervals, united)
    if region.exclude_elastic:
        unlimited = np.full(len(incident), np.inf)
        below = EmissionInterval(-unlimited, incident - region.exclude_elastic)
        above = EmissionInterval(incident + region.exclude_elastic, unlimited)
        intervals = _intersect(intervals, [below, above])
    return intervals


def _is_nearest(energy: float, incident: FloatArray) -> BoolArray:
    """Mark the points (point,) nearest to an energy that lies within the scan."""
    lowest, highest = incident.min() - NEAREST_EV, incident.max() + NEAREST_EV
    distance = np.abs(incident - energy)
    return np.asarray((lowest <= energy <= highest) & (distance == distance.min()))


def _piece_intervals(
    piece: RegionPiece, incident: FloatArray
) -> list[EmissionInterval]:
    """Return the emission energies that a piece covers at each incident energy."""
    zero = np.zeros_like(incident)
    intervals = [EmissionInterval(zero - np.inf, zero + np.inf)]
    if piece.emission:
        window = EmissionInterval(zero + piece.emission[0], zero + piece.emission[1])
        intervals = _intersect(intervals, [window])
    if loss := piece.loss_limits:
        band = EmissionInterval(incident - loss[1], incident - loss[0])
        intervals = _intersect(intervals, [band])
    if piece.polygon:
        crossed = _polygon_intervals(np.array(piece.polygon), incident)
        intervals = _intersect(intervals, crossed)
    if piece.incident:
        inside = (incident >= piece.incident[0]) & (incident < piece.incident[1])
        intervals = [
            EmissionInterval(interval.low, np.where(inside, interval.high, -np.inf))
            for interval in intervals
        ]
    return intervals


def _intersect(
    intervals: list[EmissionInterval], limits: list[EmissionInterval]
) -> list[EmissionInterval]:
    """Return the intersections of each interval with each of the limits."""
    return [interval.intersect(limit) for interval, limit in product(intervals, limits)]


def _unite(intervals: list[EmissionInterval]) -> list[EmissionInterval]:
    """Return the same energies as intervals that do not overlap."""
    low = np.stack([interval.low for interval in intervals])
    high = np.stack([interval.high for interval in intervals])
    low = np.where(high > low, low, np.inf)  # empty ones go last
    order = np.argsort(low, axis=0)
    low = np.take_along_axis(low, order, axis=0)
    high = np.take_along_axis(high, order, axis=0)
    is_filled = np.isfinite(low) | (low == -np.inf)
    covered_to = np.maximum.accumulate(np.where(is_filled, high, -np.inf), axis=0)
    start = np.full((1, low.shape[1]), -np.inf)
    low = np.maximum(low, np.concatenate([start, covered_to[:-1]]))
    return [EmissionInterval(*ends) for ends in zip(low, high, strict=True)]


def _polygon_intervals(
    corners: FloatArray, incident: FloatArray
) -> list[EmissionInterval]:
    """Return where vertical lines at the incident energies run inside a polygon.

    `corners` f8 (corner, 2): incident and emission energy, eV.
    """
    x, y = corners.T[:, :, None]
    x_next, y_next = np.roll(corners, -1, axis=0).T[:, :, None]
    is_crossed = (x <= incident) != (x_next <= incident)
    slope = (y_next - y) / np.where(x_next == x, 1.0, x_next - x)
    crossings = np.where(is_crossed, y + (incident - x) * slope, np.inf)
    crossings = np.sort(crossings, axis=0)
    return [
        EmissionInterval(crossings[row], crossings[row + 1])
        for row in range(0, len(corners) - 1, 2)
    ]


@dataclass(frozen=True)
class _Line:
    """emission = slope x incident + intercept, eV: a border of a region, or part of it."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class _Trapezoid:
    """A region between two incident energies: borders `low` and `high` at both, eV."""

    left: float
    right: float
    low: Limits
    high: Limits

    def continues(self, before: "_Trapezoid") -> bool:
        """Whether it has a part of its left side in common with the one before."""
        bottom = max(self.low[0], before.low[1])
        top = min(self.high[0], before.high[1])
        return top - bottom > LEAST_CONTACT_EV


def region_outlines(
    region: Region, incident: FloatArray, emission_edges: FloatArray
) -> list[FloatArray]:
    """Return the outlines of a region on a map: they enclose what has a weight.

    Parameters
    ----------
    region : Region
        The region.
    incident : f8 (point,)
        Incident energies of the map, eV.
    emission_edges : f8 (bin + 1,)
        Edges of its emission bins, eV.

    Returns
    -------
    list of f8 (corner, 2)
        Polygons (incident, emission) in eV that do not overlap. Unlimited regions go
        beyond the first and last incident point, to be clipped by the figure; a single
        incident energy is a thin rectangle. Empty where the region misses the map.

    Notes
    -----
    Between neighbouring breakpoints, where borders begin, end or cross, all borders are
    straight and the region consists of trapezoids; those that continue each other make
    one outline.
    """
    overhang = max(float(np.ptp(incident)), OVERHANG_EV)
    ends = float(incident.min()) - overhang, float(incident.max()) + overhang
    if region.nearest_incident is not None:
        nearest = incident[_is_nearest(region.nearest_incident, incident)]
        if not len(nearest):
            return []
        ends = nearest[0] - LINE_WIDTH_EV / 2, nearest[0] + LINE_WIDTH_EV / 2
    emission = float(emission_edges[0]), float(emission_edges[-1])
    breakpoints = _find_breakpoints(region, ends, emission)
    polygons: list[list[_Trapezoid]] = []
    growing: list[list[_Trapezoid]] = []
    for trapezoids in _cut_into_trapezoids(region, breakpoints, emission):
        growing = [_polygon_to_continue(t, trapezoids, growing) for t in trapezoids]
        for polygon, trapezoid in zip(growing, trapezoids, strict=True):
            polygon.append(trapezoid)
        polygons += [polygon for polygon in growing if len(polygon) == 1]
    return [_find_corners(polygon) for polygon in polygons]


def _find_breakpoints(region: Region, ends: Limits, emission: Limits) -> FloatArray:
    """Return the incident energies where borders begin, end or cross, ascending, eV."""
    positions = [*ends]
    lines = [_Line(0.0, limit) for limit in emission]
    for piece in (region, *region.pieces):
        positions += piece.incident or ()
        lines += [_Line(0.0, limit) for limit in piece.emission or ()]
        lines += [_Line(1.0, -limit) for limit in piece.loss_limits or ()]
        corners = piece.polygon or ()
        positions += [x for x, _ in corners]
        lines += [
            _line_through(*ends)
            for ends in zip(corners, corners[1:] + corners[:1], strict=True)
            if ends[0][0] != ends[1][0]
        ]
    if half_width := region.exclude_elastic:
        lines += [_Line(1.0, -half_width), _Line(1.0, half_width)]
    positions += [
        (second.intercept - first.intercept) / (first.slope - second.slope)
        for first, second in combinations(lines, 2)
        if first.slope != second.slope
    ]
    breakpoints = np.unique(np.round(positions, ROUNDING_DECIMALS))
    first, last = np.round(ends, ROUNDING_DECIMALS)
    return breakpoints[(breakpoints >= first) & (breakpoints <= last)]


def _line_through(first: Limits, second: Limits) -> _Line:
    """Return the line through two corners (incident, emission), eV."""
    slope = (second[1] - first[1]) / (second[0] - first[0])
    return _Line(slope, first[1] - slope * first[0])


def _cut_into_trapezoids(
    region: Region, breakpoints: FloatArray, emission: Limits
) -> list[list[_Trapezoid]]:
    """Return the trapezoids between each breakpoint and the next, from low to high.

    Borders are evaluated a quarter of the way from both breakpoints, where no limit is
    ambiguous, and drawn on as straight lines.
    """
    quarter = np.diff(breakpoints) / 4
    near_left, near_right = breakpoints[:-1] + quarter, breakpoints[1:] - quarter
    incident = np.stack([near_left, near_right]).ravel()
    slabs: list[list[_Trapezoid]] = [[] for _ in quarter]
    unlimited = np.ones(len(incident))
    whole = EmissionInterval(emission[0] * unlimited, emission[1] * unlimited)
    for interval in emission_intervals(region, incident):
        inside = interval.intersect(whole)
        low = inside.low.reshape(2, -1)
        high = inside.high.reshape(2, -1)
        for slab in np.flatnonzero((high > low).all(axis=0)):
            trapezoid = _Trapezoid(
                left=float(breakpoints[slab]),
                right=float(breakpoints[slab + 1]),
                low=_extrapolate(low[:, slab]),
                high=_extrapolate(high[:, slab]),
            )
            slabs[slab].append(trapezoid)
    return slabs


def _extrapolate(border: FloatArray) -> Limits:
    """Return a border at both breakpoints from its values a quarter away from them."""
    half_step = float(border[1] - border[0]) / 2
    return float(border[0]) - half_step, float(border[1]) + half_step


def _polygon_to_continue(
    trapezoid: _Trapezoid,
    neighbours: list[_Trapezoid],
    polygons: list[list[_Trapezoid]],
) -> list[_Trapezoid]:
    """Return the polygon that a trapezoid alone continues; a new one where none is.

    `neighbours`: trapezoids between the same breakpoints; `polygons`: those that end at
    the left one.
    """
    touched = [polygon for polygon in polygons if trapezoid.continues(polygon[-1])]
    if len(touched) != 1:
        return []
    rivals = [rival for rival in neighbours if rival.continues(touched[0][-1])]
    return touched[0] if len(rivals) == 1 else []


def _find_corners(trapezoids: list[_Trapezoid]) -> FloatArray:
    """Return the corners (corner, 2) of joined trapezoids, counter-clockwise, eV."""
    bottom, top = [], []
    for trapezoid in trapezoids:
        bottom.append((trapezoid.left, trapezoid.low[0]))
        bottom.append((trapezoid.right, trapezoid.low[1]))
        top.append((trapezoid.left, trapezoid.high[0]))
        top.append((trapezoid.right, trapezoid.high[1]))
    corners = np.round([*bottom, *reversed(top)], ROUNDING_DECIMALS)
    is_repeated = (corners == np.roll(corners, 1, axis=0)).all(axis=1)
    corners = corners[~is_repeated]
    before = corners - np.roll(corners, 1, axis=0)
    after = np.roll(corners, -1, axis=0) - corners
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    lengths = np.hypot(*before.T) * np.hypot(*after.T)
    is_corner = np.abs(turn) > STRAIGHT * lengths
    return np.asarray(corners[is_corner])
