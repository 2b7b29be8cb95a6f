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


# values at both ends of a straight line, from those a quarter away from the ends
EXTRAPOLATION = np.array([[1.5, -0.5], [-0.5, 1.5]])


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
    bin_widths = np.diff(emission_edges)
    for interval in emission_intervals(region, incident):
        bins = _reached_bins(interval, emission_edges)
        bottom = np.maximum(interval.low[:, None], emission_edges[:-1][bins])
        top = np.minimum(interval.high[:, None], emission_edges[1:][bins])
        weights[:, bins] += np.maximum(top - bottom, 0.0) / bin_widths[bins]
    if region.nearest_incident is not None:
        is_nearest = _is_nearest(region.nearest_incident, incident)
        weights[~is_nearest] = 0.0
    return weights


def _reached_bins(interval: EmissionInterval, emission_edges: FloatArray) -> slice:
    """Return the bins that an interval reaches at any incident energy."""
    is_there = interval.high > interval.low
    if not is_there.any():
        return slice(0, 0)
    first = np.searchsorted(emission_edges, interval.low[is_there].min(), "right") - 1
    stop = np.searchsorted(emission_edges, interval.high[is_there].max())
    return slice(max(int(first), 0), int(stop))


def emission_intervals(
    region: RegionPiece, incident: FloatArray
) -> list[EmissionInterval]:
    """Return the emission energies that a region covers at each incident energy.

    Parameters
    ----------
    region : RegionPiece
        A region, or a piece of one. All its limits hold at once. Loss limits and the
        excluded elastic line follow emission = incident; pieces are united, so that
        overlaps count once.
    incident : f8 (point,)
        Incident energies, eV.

    Returns
    -------
    list of EmissionInterval
        Disjoint at every point; `nearest_incident` is not regarded.
    """
    low = np.full(len(incident), -np.inf)
    high = np.full(len(incident), np.inf)
    if region.emission:
        low = np.maximum(low, region.emission.low)
        high = np.minimum(high, region.emission.high)
    if region.loss:
        low = np.maximum(low, incident - region.loss.high)
        high = np.minimum(high, incident - region.loss.low)
    if region.incident:
        is_inside = region.incident.contains(incident)
        high = np.where(is_inside, high, -np.inf)
    intervals = [EmissionInterval(low, high)]
    if region.polygon:
        corners = np.array(region.polygon)
        intervals = _intersect(intervals, _polygon_intervals(corners, incident))
    if not isinstance(region, Region):
        return intervals
    if region.pieces:
        piece_intervals = []
        for piece in region.pieces:
            piece_intervals += emission_intervals(piece, incident)
        intervals = _intersect(intervals, _unite(piece_intervals))
    if region.exclude_elastic:
        infinity = np.full(len(incident), np.inf)
        below = EmissionInterval(-infinity, incident - region.exclude_elastic)
        above = EmissionInterval(incident + region.exclude_elastic, infinity)
        intervals = _intersect(intervals, [below, above])
    return intervals


def _is_nearest(energy: float, incident: FloatArray) -> BoolArray:
    """Mark the points (point,) nearest to an energy that lies within the scan."""
    first = incident.min() - NEAREST_EV
    last = incident.max() + NEAREST_EV
    if not first <= energy <= last:
        return np.zeros(len(incident), bool)
    distance = np.abs(incident - energy)
    return np.asarray(distance == distance.min())


def _intersect(
    intervals: list[EmissionInterval], limits: list[EmissionInterval]
) -> list[EmissionInterval]:
    """Return the intersections of each interval with each of the limits."""
    pairs = product(intervals, limits)
    return [interval.intersect(limit) for interval, limit in pairs]


def _unite(intervals: list[EmissionInterval]) -> list[EmissionInterval]:
    """Return the same energies as intervals that do not overlap."""
    low = np.stack([interval.low for interval in intervals])
    high = np.stack([interval.high for interval in intervals])
    low = np.where(high > low, low, np.inf)  # empty ones go last
    order = np.argsort(low, axis=0)
    low = np.take_along_axis(low, order, axis=0)
    high = np.take_along_axis(high, order, axis=0)
    is_filled = low < np.inf
    filled_high = np.where(is_filled, high, -np.inf)
    covered_to = np.maximum.accumulate(filled_high, axis=0)
    n_points = low.shape[1]
    first_row = np.full((1, n_points), -np.inf)
    rows_before = covered_to[:-1]
    covered_before = np.concatenate([first_row, rows_before])
    low = np.maximum(low, covered_before)
    return [EmissionInterval(*ends) for ends in zip(low, high, strict=True)]


def _polygon_intervals(
    corners: FloatArray, incident: FloatArray
) -> list[EmissionInterval]:
    """Return where vertical lines at the incident energies run inside a polygon.

    `corners` f8 (corner, 2): incident and emission energy, eV.
    """
    next_corners = np.roll(corners, -1, axis=0)
    x, y = corners.T[..., None]
    x_next, y_next = next_corners.T[..., None]
    is_crossed = (x <= incident) != (x_next <= incident)
    width = np.where(x_next == x, 1.0, x_next - x)
    slope = (y_next - y) / width
    crossings = y + (incident - x) * slope
    crossings = np.where(is_crossed, crossings, np.inf)
    crossings.sort(axis=0)
    return [
        EmissionInterval(crossings[row], crossings[row + 1])
        for row in range(0, len(corners) - 1, 2)
    ]


@dataclass(frozen=True)
class _Line:
    """emission = slope x incident + intercept, eV: a border of a region."""

    slope: float
    intercept: float

    def crossing(self, line: "_Line") -> float:
        """Return the incident energy where two lines cross, eV."""
        distance = line.intercept - self.intercept
        approach = self.slope - line.slope
        return distance / approach


@dataclass(frozen=True)
class _Side:
    """Left or right side of a trapezoid: emission from `low` to `high`, eV."""

    incident: float
    low: float
    high: float

    def touches(self, side: "_Side") -> bool:
        """Return whether two sides at the same incident energy overlap."""
        bottom = max(self.low, side.low)
        top = min(self.high, side.high)
        return top - bottom > LEAST_CONTACT_EV


@dataclass(frozen=True)
class _Trapezoid:
    """A part of a region between two incident energies."""

    left_side: _Side
    right_side: _Side


_Polygon = list[_Trapezoid]  # each continues the one before it


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
    span = _find_span(region, incident)
    if span is None:
        return []
    lowest = float(emission_edges[0])
    highest = float(emission_edges[-1])
    emission = Limits(lowest, highest)
    breakpoints = _find_breakpoints(region, span, emission)
    polygons: list[_Polygon] = []
    growing: list[_Polygon] = []
    for slab in _cut_into_trapezoids(region, breakpoints, emission):
        growing = [_polygon_to_continue(part, slab, growing) for part in slab]
        for polygon, trapezoid in zip(growing, slab, strict=True):
            polygon.append(trapezoid)
        polygons += [polygon for polygon in growing if len(polygon) == 1]
    return [_find_corners(polygon) for polygon in polygons]


def _find_span(region: Region, incident: FloatArray) -> Limits | None:
    """Return the incident energies within which a region is outlined, eV."""
    if region.nearest_incident is None:
        first = float(incident.min())
        last = float(incident.max())
        overhang = max(last - first, OVERHANG_EV)
        return Limits(first - overhang, last + overhang)
    nearest = incident[_is_nearest(region.nearest_incident, incident)]
    if not len(nearest):
        return None
    point = float(nearest[0])
    return Limits(point - LINE_WIDTH_EV / 2, point + LINE_WIDTH_EV / 2)


def _find_breakpoints(region: Region, span: Limits, emission: Limits) -> FloatArray:
    """Return the incident energies where borders begin, end or cross, ascending, eV."""
    positions = [*span]
    lines = [_Line(0.0, limit) for limit in emission]
    for piece in (region, *region.pieces):
        positions += piece.incident or ()
        lines += [_Line(0.0, limit) for limit in piece.emission or ()]
        lines += [_Line(1.0, -limit) for limit in piece.loss or ()]
        if piece.polygon:
            positions += [corner[0] for corner in piece.polygon]
            lines += _polygon_lines(np.array(piece.polygon))
    if region.exclude_elastic:
        lines.append(_Line(1.0, -region.exclude_elastic))
        lines.append(_Line(1.0, region.exclude_elastic))
    for first, second in combinations(lines, 2):
        if first.slope != second.slope:
            positions.append(first.crossing(second))
    rounded = np.round(positions, ROUNDING_DECIMALS)
    low, high = np.round(span, ROUNDING_DECIMALS)
    is_inside = (rounded >= low) & (rounded <= high)
    return np.unique(rounded[is_inside])


def _polygon_lines(corners: FloatArray) -> list[_Line]:
    """Return the lines through the sides of a polygon, apart from vertical ones.

    `corners` f8 (corner, 2): incident and emission energy, eV.
    """
    lines = []
    next_corners = np.roll(corners, -1, axis=0)
    for corner, next_corner in zip(corners, next_corners, strict=True):
        x, y = corner
        run, rise = next_corner - corner
        if run:
            slope = float(rise / run)
            intercept = float(y - slope * x)
            lines.append(_Line(slope, intercept))
    return lines


def _cut_into_trapezoids(
    region: Region, breakpoints: FloatArray, emission: Limits
) -> list[list[_Trapezoid]]:
    """Return the trapezoids between each breakpoint and the next, from low to high.

    Borders are evaluated a quarter of the way from both breakpoints, where no limit is
    ambiguous, and extrapolated as straight lines.
    """
    starts, ends = breakpoints[:-1], breakpoints[1:]
    quarter = (ends - starts) / 4
    incident = np.concatenate([starts + quarter, ends - quarter])
    bottom = np.full(len(incident), emission.low)
    top = np.full(len(incident), emission.high)
    whole_map = EmissionInterval(bottom, top)
    slabs: list[list[_Trapezoid]] = [[] for _ in starts]
    for interval in emission_intervals(region, incident):
        inside = interval.intersect(whole_map)
        low = inside.low.reshape(2, -1)
        high = inside.high.reshape(2, -1)
        is_filled = (high > low).all(axis=0)
        filled = np.flatnonzero(is_filled)
        low_left, low_right = EXTRAPOLATION @ low[:, filled]
        high_left, high_right = EXTRAPOLATION @ high[:, filled]
        for index, slab in enumerate(filled):
            left_side = _Side(starts[slab], low_left[index], high_left[index])
            right_side = _Side(ends[slab], low_right[index], high_right[index])
            trapezoid = _Trapezoid(left_side, right_side)
            slabs[slab].append(trapezoid)
    return slabs


def _polygon_to_continue(
    trapezoid: _Trapezoid, slab: list[_Trapezoid], polygons: list[_Polygon]
) -> _Polygon:
    """Return the polygon that a trapezoid alone continues; a new one where none is.

    `slab`: all trapezoids between the same breakpoints; `polygons`: those that end at
    the left one.
    """
    touched = [
        polygon
        for polygon in polygons
        if trapezoid.left_side.touches(polygon[-1].right_side)
    ]
    if len(touched) != 1:
        return []
    (polygon,) = touched
    end = polygon[-1].right_side
    n_continuing = sum(rival.left_side.touches(end) for rival in slab)
    return polygon if n_continuing == 1 else []


def _find_corners(polygon: _Polygon) -> FloatArray:
    """Return the corners (corner, 2) of joined trapezoids, counter-clockwise, eV."""
    bottom, top = [], []
    for trapezoid in polygon:
        for side in (trapezoid.left_side, trapezoid.right_side):
            bottom.append((side.incident, side.low))
            top.append((side.incident, side.high))
    corners = np.array([*bottom, *reversed(top)])
    corners = np.round(corners, ROUNDING_DECIMALS)
    previous = np.roll(corners, 1, axis=0)
    is_repeated = (corners == previous).all(axis=1)
    corners = corners[~is_repeated]
    previous = np.roll(corners, 1, axis=0)
    following = np.roll(corners, -1, axis=0)
    x_before, y_before = (corners - previous).T
    x_after, y_after = (following - corners).T
    turn = x_before * y_after - y_before * x_after
    length_before = np.hypot(x_before, y_before)
    length_after = np.hypot(x_after, y_after)
    is_corner = np.abs(turn) > STRAIGHT * length_before * length_after
    return np.asarray(corners[is_corner])
