"""Regions of interest as weights on the map's bins, and the presets of every edge.

Emission bins that a boundary cuts count by the share of their width inside; incident points have no width:
`low <= E < high` takes or leaves them. Weights make counts and their variance exact: N = sum w n, V = sum w^2 n.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config import Edge, Region

Floats = NDArray[np.float64]
Interval = tuple[Floats, Floats]  # from, to in emission energy at every incident point, (point,) each

ELASTIC_LOSS = (-3.0, 3.0)  # eV: what an elastic region without limits of its own takes
_EXCLUDE_ELASTIC = 3.0

# emission of PFY, incident band of XES and its name, emission of iPFY (a non-resonant line), all eV; proposals: the
# windows of C, N, O, Mn, Fe, Co, Ni stand in the explanation of the method, the others are La - 13 to Lb + 9
_PRESETS: dict[Edge, tuple[tuple[float, float], tuple[str, float, float], tuple[float, float] | None]] = {
    "C_K": ((265, 285), ("285", 284.9, 285.9), None),
    "N_K": ((380, 398), ("400", 399, 402), None),
    "O_K": ((515, 530), ("531", 530.5, 531.5), None),
    "Ti_L": ((439, 467), ("L3", 457.5, 461), None),
    "V_L": ((498, 528), ("L3", 516, 520), None),
    "Cr_L": ((560, 592), ("L3", 576, 580), (510, 540)),
    "Mn_L": ((625, 655), ("L3", 640, 643.5), (510, 535)),
    "Fe_L": ((690, 725), ("L3", 708, 710), (510, 540)),
    "Co_L": ((762, 800), ("L3", 780, 781), (510, 540)),
    "Ni_L": ((838, 880), ("L3", 852.5, 855.5), (510, 540)),
    "Cu_L": ((917, 959), ("L3", 930.5, 932), (510, 540)),
    "Zn_L": ((999, 1044), ("L3", 1023, 1027), (510, 540)),
}


def preset_regions(edge: Edge) -> dict[str, Region]:
    """The default regions of an edge, e.g. Co_PFY, Co_iPFY, Co_TFY, Co_XES_L3, Co_ELASTIC; their names begin with it.

    The L edges' PFY leaves out the elastic line, which crosses the fluorescence at the white line.
    """
    element, shell = edge.split("_")
    emission, (band, low, high), non_resonant = _PRESETS[edge]
    regions = {
        "PFY": Region(
            kind="pfy", edge=edge, emission=emission, exclude_elastic=_EXCLUDE_ELASTIC if shell == "L" else None
        ),
        "TFY": Region(kind="tfy", edge=edge),
        f"XES_{band}": Region(kind="xes", edge=edge, incident=(low, high)),
        "ELASTIC": Region(kind="elastic", edge=edge),
    }
    if edge == "O_K":
        regions["sPFY"] = Region(kind="spfy", edge=edge, emission=(523, 524))
    if non_resonant:
        regions["iPFY"] = Region(kind="ipfy", edge=edge, emission=non_resonant)
    return {f"{element}_{name}": region for name, region in regions.items()}


def weights(region: Region, incident: Floats, emission_edges: Floats) -> Floats:
    """The share of every bin that lies in the region, f8 (incident point, emission bin), 0 to 1.

    `incident` (point,) and `emission_edges` (bin + 1,) in eV. All limits of the region hold at once; loss limits and
    the excluded elastic line follow emission = incident; a polygon is filled by the even-odd rule.
    """
    every = np.zeros_like(incident)
    intervals = [(every - np.inf, every + np.inf)]
    if region.emission:
        intervals = _both(intervals, [(every + region.emission[0], every + region.emission[1])])
    loss = region.loss or (ELASTIC_LOSS if region.kind == "elastic" else None)
    if loss:
        intervals = _both(intervals, [(incident - loss[1], incident - loss[0])])
    if region.polygon:
        intervals = _both(intervals, _polygon(np.array(region.polygon), incident))
    if region.exclude_elastic:
        half = region.exclude_elastic
        intervals = _both(intervals, [(every - np.inf, incident - half), (incident + half, every + np.inf)])
    share = np.zeros((len(incident), len(emission_edges) - 1))
    for low, high in intervals:
        share += _share(low, high, emission_edges)
    if region.incident:
        share[(incident < region.incident[0]) | (incident >= region.incident[1])] = 0.0
    return share


def _both(some: list[Interval], others: list[Interval]) -> list[Interval]:
    """The intersections of two lists of intervals; an empty one has to <= from."""
    return [(np.maximum(a, c), np.minimum(b, d)) for (a, b), (c, d) in product(some, others)]


def _polygon(corners: Floats, incident: Floats) -> list[Interval]:
    """Where the vertical line at every incident point runs inside the polygon; `corners` (corner, 2)."""
    (x, y), (x_next, y_next) = corners.T[:, :, None], np.roll(corners, -1, axis=0).T[:, :, None]
    crossed = (x <= incident) != (x_next <= incident)
    slope = (y_next - y) / np.where(x_next == x, 1.0, x_next - x)
    crossings = np.sort(np.where(crossed, y + (incident - x) * slope, np.inf), axis=0)
    return [(crossings[k], crossings[k + 1]) for k in range(0, len(corners) - 1, 2)]


def _share(low: Floats, high: Floats, edges: Floats) -> Floats:
    """The share of each bin's width between `low` and `high`, (point, bin)."""
    inside = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    return np.asarray(np.maximum(inside, 0.0) / np.diff(edges))
