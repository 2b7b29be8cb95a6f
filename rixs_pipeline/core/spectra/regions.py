"""Regions of interest as weights on the map's bins, and those that the presets of the edges stand for.

Emission bins that a boundary cuts count by the share of their width inside; incident points have no width:
`low <= E < high` takes or leaves them. Weights make counts and their variance exact: N = sum w n, V = sum w^2 n.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import Kind, Piece, Region
from rixs_pipeline.core.spectra.presets import PRESETS
from rixs_pipeline.types import Edge

Floats = NDArray[np.float64]
Interval = tuple[
    Floats, Floats
]  # from, to in emission energy at every incident point, (point,) each

ELASTIC_LOSS = (-3.0, 3.0)  # eV: what an elastic region without limits of its own takes
_EXCLUDE_ELASTIC = 3.0
_NEAREST_EV = 1.0  # so far outside a scan a cut still means its first or last point


def preset_regions(edge: Edge) -> dict[str, Region]:
    """The default regions of an edge, e.g. Co_PFY, Co_iPFY, Co_TFY, Co_XES_L3, Co_ELASTIC; their names begin with it.

    The L edges' PFY leaves out the elastic line, which crosses the fluorescence at the white line; at the K edges it
    crosses it below the edge, and is meant.
    """
    element, preset = edge.split("_")[0], PRESETS[edge]
    kinds: dict[str, Kind] = {
        "PFY": "pfy",
        "TFY": "tfy",
        f"XES_{preset.band_name}": "xes",
        "ELASTIC": "elastic",
    }
    if preset.super_partial:
        kinds["sPFY"] = "spfy"
    if preset.inverse:
        kinds["iPFY"] = "ipfy"
    return {
        f"{element}_{name}": Region(kind=kind, edge=edge, **_preset(kind, edge))
        for name, kind in kinds.items()
    }


def _preset(kind: Kind, edge: Edge) -> dict[str, Any]:
    """The limits of one kind of region at an edge."""
    preset = PRESETS[edge]
    limits: dict[Kind, dict[str, Any]] = {
        "pfy": {
            "emission": preset.emission,
            "exclude_elastic": _EXCLUDE_ELASTIC if edge.endswith("_L") else None,
        },
        "spfy": {"emission": preset.super_partial or preset.emission},
        "ipfy": {"emission": preset.inverse} if preset.inverse else {},
        "xes": {"incident": preset.band},
    }
    return limits.get(kind, {})


def resolved(configured: Mapping[str, Region]) -> dict[str, Region]:
    """The regions that a config means, by name, no `preset` and no `cuts` left in them.

    A preset fills in what a region does not say; without a kind it stands for all regions of its edge, whose names
    follow on the region's. Each of several cuts is a spectrum of its own, called after its energy.
    """
    found: dict[str, Region] = {}
    for name, region in configured.items():
        said = {
            key: getattr(region, key) for key in region.model_fields_set - {"preset"}
        }
        if region.preset and region.kind is None:
            presets = preset_regions(region.preset)
            members = {
                f"{name}_{key.split('_', 1)[1]}": r.model_copy(update=said)
                for key, r in presets.items()
            }
        elif region.preset and region.kind:
            limits = _preset(region.kind, region.preset) | {"edge": region.preset}
            members = {name: Region(**(limits | said))}
        else:
            members = {name: region}
        for member, one in members.items():
            found |= _cuts(member, one) if one.cuts else {member: one}
    return found


def cut_names(configured: Mapping[str, Region]) -> dict[str, dict[str, str]]:
    """Regions of several cuts: name -> incident energies as text -> the name of their spectrum."""
    several = {
        name: region for name, region in configured.items() if len(region.cuts) > 1
    }
    return {
        name: {
            f"{_told(one.cuts[0])} eV": member
            for member, one in _cuts(name, region).items()
        }
        for name, region in several.items()
    }


def _told(cut: float | tuple[float, float]) -> str:
    return f"{cut[0]:g}–{cut[1]:g}" if isinstance(cut, tuple) else f"{cut:g}"


def _cuts(name: str, region: Region) -> dict[str, Region]:
    """A region for each cut; a single energy is a band of no width, which `weights` takes as the nearest point."""
    found = {}
    for cut in region.cuts:
        low, high = cut if isinstance(cut, tuple) else (cut, cut)
        label = f"{low:g}" if low == high else f"{low:g}_{high:g}"
        one = region.model_copy(update={"cuts": (cut,), "incident": None})
        found[f"{name}_{label.replace('.', 'p').replace('-', 'm')}"] = one
    return found


def weights(region: Region, incident: Floats, emission_edges: Floats) -> Floats:
    """The share of every bin that lies in the region, f8 (incident point, emission bin), 0 to 1.

    `incident` (point,) and `emission_edges` (bin + 1,) in eV. All limits of the region hold at once; loss limits and
    the excluded elastic line follow emission = incident; a polygon is filled by the even-odd rule; pieces are taken
    together, what lies in several counts once.
    """
    every = np.zeros_like(incident)
    intervals = _piece(
        region, incident, ELASTIC_LOSS if region.kind == "elastic" else None
    )
    if region.pieces:
        pieces = [
            interval
            for piece in region.pieces
            for interval in _piece(piece, incident, None)
        ]
        intervals = _both(intervals, _union(pieces))
    if region.exclude_elastic:
        half = region.exclude_elastic
        intervals = _both(
            intervals,
            [(every - np.inf, incident - half), (incident + half, every + np.inf)],
        )
    share = np.zeros((len(incident), len(emission_edges) - 1))
    for low, high in intervals:
        share += _share(low, high, emission_edges)
    for cut in region.cuts:
        share[~_in_cut(cut, incident)] = 0.0
    return share


def _in_cut(cut: float | tuple[float, float], incident: Floats) -> NDArray[np.bool_]:
    """The points of a band, or the one nearest to an energy within the scan."""
    if isinstance(cut, tuple):
        return np.asarray((incident >= cut[0]) & (incident < cut[1]))
    inside = incident.min() - _NEAREST_EV <= cut <= incident.max() + _NEAREST_EV
    distance = np.abs(incident - cut)
    return np.asarray(inside & (distance == distance.min()))


def _piece(
    piece: Piece, incident: Floats, default_loss: tuple[float, float] | None
) -> list[Interval]:
    """Where a piece runs along emission at every incident point."""
    every = np.zeros_like(incident)
    intervals = [(every - np.inf, every + np.inf)]
    if piece.emission:
        intervals = _both(
            intervals, [(every + piece.emission[0], every + piece.emission[1])]
        )
    if loss := piece.loss or default_loss:
        intervals = _both(intervals, [(incident - loss[1], incident - loss[0])])
    if piece.polygon:
        intervals = _both(intervals, _polygon(np.array(piece.polygon), incident))
    if piece.incident:
        inside = (incident >= piece.incident[0]) & (incident < piece.incident[1])
        intervals = [(low, np.where(inside, high, -np.inf)) for low, high in intervals]
    return intervals


def _union(intervals: list[Interval]) -> list[Interval]:
    """The same energies as intervals that do not overlap."""
    low, high = (np.stack(ends) for ends in zip(*intervals, strict=True))
    low = np.where(high > low, low, np.inf)  # empty ones go last
    order = np.argsort(low, axis=0)
    low, high = (np.take_along_axis(ends, order, axis=0) for ends in (low, high))
    reached = np.maximum.accumulate(
        np.where(np.isfinite(low) | (low == -np.inf), high, -np.inf), axis=0
    )
    before = np.concatenate([np.full((1, low.shape[1]), -np.inf), reached[:-1]])
    return list(zip(np.maximum(low, before), high, strict=True))


def _both(some: list[Interval], others: list[Interval]) -> list[Interval]:
    """The intersections of two lists of intervals; an empty one has to <= from."""
    return [
        (np.maximum(a, c), np.minimum(b, d)) for (a, b), (c, d) in product(some, others)
    ]


def _polygon(corners: Floats, incident: Floats) -> list[Interval]:
    """Where the vertical line at every incident point runs inside the polygon; `corners` (corner, 2)."""
    (x, y), (x_next, y_next) = (
        corners.T[:, :, None],
        np.roll(corners, -1, axis=0).T[:, :, None],
    )
    crossed = (x <= incident) != (x_next <= incident)
    slope = (y_next - y) / np.where(x_next == x, 1.0, x_next - x)
    crossings = np.sort(np.where(crossed, y + (incident - x) * slope, np.inf), axis=0)
    return [(crossings[k], crossings[k + 1]) for k in range(0, len(corners) - 1, 2)]


def _share(low: Floats, high: Floats, edges: Floats) -> Floats:
    """The share of each bin's width between `low` and `high`, (point, bin)."""
    inside = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    return np.asarray(np.maximum(inside, 0.0) / np.diff(edges))
