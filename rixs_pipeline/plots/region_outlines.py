"""The regions of interest of a map: their borders within a panel, drawn and named."""

from collections.abc import Mapping
from functools import reduce
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rixs_pipeline.config.models import Piece, Region

Floats = NDArray[np.float64]
Limits = tuple[float, float]
HalfPlane = tuple[
    tuple[float, float], float
]  # direction, limit: direction . (incident, emission) <= limit
Label = tuple[str, str, Floats]  # name, colour, border of its largest part

THIN_EV = 1e-3  # width of a frame around one incident energy
NARROW = 0.15  # of a panel: the name of such a frame stands upright below it
CLOSE_EV = 1e-6  # rounding of a clipped corner
IN_MARGIN = (
    "axes fraction"  # coordinates of the names in the right margin, and of no others
)
COLOURS = ("white", style.ORANGE, style.SKY, style.PURPLE, style.YELLOW, style.GREEN)


def draw(panels: "list[Axes]", regions: "Mapping[str, Region]") -> None:
    """Frames in the last panel that sees a region, and in those before it unless that one shows all of it."""
    from matplotlib.patches import Polygon

    limited = {name: region for name, region in regions.items() if _is_limited(region)}
    beside: list[list[Label]] = [[] for _ in panels]
    for (name, region), colour in zip(limited.items(), cycle(COLOURS), strict=False):
        for axes, labels in zip(panels[::-1], beside[::-1], strict=True):
            parts = outlines(region, axes.get_xlim(), axes.get_ylim())
            for part in parts:
                axes.add_patch(Polygon(part, fill=False, ec=colour, lw=1.3, label=name))
            if parts:
                labels.append((name, colour, max(parts, key=_area)))
                if not _reaches_out(parts, axes):
                    break
    for axes, labels in zip(panels, beside, strict=True):
        _label(axes, labels)


def margin(axes: "Axes") -> float:
    """Inches that the names in the right margin of a panel take, with the space beside them; 0 without any."""
    names = [text for text in axes.texts if getattr(text, "xycoords", "") == IN_MARGIN]
    return (
        max(text.get_window_extent().width for text in names) / style.DPI + 0.15
        if names
        else 0.0
    )


def _is_limited(region: "Region") -> bool:
    """Whether a region has limits of its own; the whole map, with or without its elastic line, gets no frame."""
    return any(
        (
            region.emission,
            region.incident,
            region.loss,
            region.polygon,
            region.pieces,
            region.cuts,
        )
    )


def _reaches_out(parts: list[Floats], axes: "Axes") -> bool:
    """Whether an outline touches the lower or upper end of a panel."""
    return bool(
        np.isclose(
            np.concatenate(parts)[:, 1:], axes.get_ylim(), rtol=0, atol=CLOSE_EV
        ).any()
    )


def outlines(region: "Region", incident: Limits, emission: Limits) -> list[Floats]:
    """The borders of a region within a panel, each f8 (corner, 2): incident, emission in eV.

    All limits hold at once; where the elastic line is excluded the region falls into a part below and one above it.
    Every piece has a border of its own, a single incident energy is a line. Empty where nothing of the region is in
    the panel.
    """
    half, (left, right), (bottom, top) = region.exclude_elastic, incident, emission
    sides: list[HalfPlane] = (
        [((-1, 1), -half), ((1, -1), -half)] if half else [((0, 0), 0.0)]
    )
    common = [
        *_half_planes(incident, (1, 0)),
        *_half_planes(emission, (0, 1)),
        *_limits(region),
    ]
    common += [
        plane for cut in region.cuts for plane in _half_planes(_band(cut), (1, 0))
    ]
    parts = []
    for piece in region.pieces or (region,):
        corners = (
            piece.polygon
            or region.polygon
            or [(left, bottom), (right, bottom), (right, top), (left, top)]
        )
        planes = [*common, *_limits(piece)]
        parts += [
            reduce(_clip, [*planes, side], np.array(corners, float)) for side in sides
        ]
    return [part for part in parts if len(part) > 2 and np.ptp(part, axis=0).min() > 0]


def _band(cut: "float | Limits") -> Limits:
    """Incident energies of a cut; a single one is as thin as a line."""
    return cut if isinstance(cut, tuple) else (cut - THIN_EV / 2, cut + THIN_EV / 2)


def _limits(piece: "Piece") -> list[HalfPlane]:
    """Its limits but for a polygon."""
    across = _half_planes(piece.incident, (1, 0)) + _half_planes(piece.emission, (0, 1))
    return across + _half_planes(piece.loss, (1, -1))


def _half_planes(limits: Limits | None, direction: tuple[int, int]) -> list[HalfPlane]:
    """limits[0] <= direction . (incident, emission) <= limits[1] as half planes; none without limits."""
    x, y = direction
    return [((-x, -y), -limits[0]), (direction, limits[1])] if limits else []


def _area(corners: Floats) -> float:
    """Area of a polygon (corner, 2), eV^2."""
    (x, y), (x_next, y_next) = corners.T, np.roll(corners, -1, axis=0).T
    return float(abs((x * y_next - x_next * y).sum()) / 2)


def _clip(corners: Floats, plane: HalfPlane) -> Floats:
    """The part of a polygon (corner, 2) in a half plane (I. Sutherland, G. Hodgman, Commun. ACM 17, 32 (1974))."""
    kept = []
    excess = corners @ np.array(plane[0], float) - plane[1]
    for here, there, a, b in zip(
        corners, np.roll(corners, -1, axis=0), excess, np.roll(excess, -1), strict=True
    ):
        if a <= 0:
            kept.append(here)
        if a * b < 0:
            kept.append(here + (there - here) * a / (a - b))
    return np.array(kept).reshape(-1, 2)


def _label(axes: "Axes", labels: "list[Label]") -> None:
    """Names of frames: in the right margin where a frame reaches it; else upright beside its foot, or below it,
    upright where the frame is narrow."""
    left, right = axes.get_xlim()
    margin = []
    for name, colour, corners in labels:
        x = corners[:, 0].min()
        at_left, at_right = (
            corners[np.abs(corners[:, 0] - side) < CLOSE_EV] for side in (x, right)
        )
        if len(at_right):
            height = axes.transLimits.transform((right, at_right[:, 1].mean()))[1]
            margin.append((height, name, colour))
        elif _reaches_out([corners], axes):
            side, shift = ("left", 4) if x - left < CLOSE_EV else ("right", -4)
            _tag(
                axes,
                name,
                colour,
                (x, at_left[:, 1].min()),
                (shift, 5),
                rotation=90,
                ha=side,
                va="bottom",
            )
        else:
            upright = 90 if np.ptp(corners[:, 0]) < NARROW * (right - left) else 0
            _tag(
                axes,
                name,
                colour,
                (x, at_left[:, 1].min()),
                (2, -5),
                ha="left",
                va="top",
                rotation=upright,
            )
    margin.sort()
    for (_, name, colour), y in zip(
        margin, style.spread([height for height, *_ in margin], 0.05), strict=True
    ):
        _tag(
            axes,
            name,
            colour,
            (1.0, y),
            (4, 0),
            xycoords=IN_MARGIN,
            ha="left",
            va="center",
        )


def _tag(
    axes: "Axes",
    name: str,
    colour: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    **how: Any,
) -> None:
    """A name in the colour of its frame on a dark ground, `offset` points from `at`."""
    box = {"boxstyle": "round,pad=0.2", "fc": "0.2", "ec": "none", "alpha": 0.85}
    axes.annotate(
        name,
        at,
        offset,
        textcoords="offset points",
        color=colour,
        size=style.SMALL_SIZE,
        bbox=box,
        annotation_clip=False,
        **how,
    )
