"""Outlines of regions in the panels of a map, and their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.plots import options, style
from rixs_pipeline.plots.labels import spread_within
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

Point = tuple[float, float]

NARROW = 0.15  # of a panel's width: names of narrower outlines are upright
CLOSE_EV = 1e-6  # corners this close to the end of a panel touch it
SPACING = 0.05  # of a panel's height: least distance between names in the margin
UPRIGHT_INCHES = 0.19  # width of an upright name with its ground
POINTS_PER_INCH = 72
PADDING_INCHES = 0.15  # beside the names in the margin
IN_MARGIN = "axes fraction"  # coordinates of the names in the margin, and of no others
NAME_BOX = {"boxstyle": "round,pad=0.2", "fc": "0.2", "ec": "none", "alpha": 0.85}
COLOURS = ("white", style.ORANGE, style.SKY, style.PURPLE, style.YELLOW, style.GREEN)


@dataclass(frozen=True)
class _Label:
    """Name of a region, its colour, and the largest of its polygons in a panel."""

    name: str
    colour: str
    corners: FloatArray


def draw_outlines(
    panels: Sequence[Axes], outlines: Mapping[str, Sequence[FloatArray]]
) -> None:
    """Draw the outlines of regions, with their names, in the panels of one map.

    Each is drawn in the last panel that shows a part of it, and in the panels before
    unless that one shows all of it.

    Parameters
    ----------
    panels : sequence of Axes
        Panels with their final limits, the whole map first.
    outlines : mapping of str to sequence of f8 (corner, 2)
        Region -> polygons (incident, emission), eV.
    """
    from matplotlib.patches import Polygon

    labels: dict[Axes, list[_Label]] = {axes: [] for axes in panels}
    for (name, polygons), colour in zip(outlines.items(), cycle(COLOURS), strict=False):
        for axes in reversed(panels):
            clipped = clip_to_panel(polygons, axes)
            for corners in clipped:
                patch = Polygon(corners, fill=False, ec=colour, lw=1.3, label=name)
                axes.add_patch(patch)
            if clipped:
                labels[axes].append(_Label(name, colour, max(clipped, key=_area)))
                if not _is_cut_off(clipped, axes):
                    break
    for axes, panel_labels in labels.items():
        _write_names(axes, panel_labels)


def margin_width(axes: Axes) -> float:
    """Return the width of the names in a panel's right margin, inches, or 0."""
    names = [text for text in axes.texts if getattr(text, "xycoords", "") == IN_MARGIN]
    if not names:
        return 0.0
    widths = [text.get_window_extent().width for text in names]
    width = max(widths) / axes.figure.dpi + PADDING_INCHES
    return width * options.text_scale(axes.figure)


def clip_to_panel(polygons: Sequence[FloatArray], axes: Axes) -> list[FloatArray]:
    """Return the parts of polygons within the limits of a panel.

    Parameters
    ----------
    polygons : sequence of f8 (corner, 2)
        Incident and emission energy, eV.
    axes : Axes
        The panel.

    Returns
    -------
    list of f8 (corner, 2)
        Polygons of which nothing is in the panel are left out.
    """
    clipped_polygons = []
    for polygon in polygons:
        clipped = polygon
        for column, (low, high) in enumerate([axes.get_xlim(), axes.get_ylim()]):
            clipped = _clip(clipped, clipped[:, column] - high)
            clipped = _clip(clipped, low - clipped[:, column])
        if len(clipped) > 2 and np.ptp(clipped, axis=0).min() > 0:
            clipped_polygons.append(clipped)
    return clipped_polygons


def _clip(corners: FloatArray, excess: FloatArray) -> FloatArray:
    """Return the part of a polygon (corner, 2) where the excess (corner,) is <= 0.

    I. Sutherland, G. Hodgman, Commun. ACM 17, 32 (1974).
    """
    inside = []
    next_corners = np.roll(corners, -1, axis=0)
    next_excess = np.roll(excess, -1)
    for start, end, before, after in zip(
        corners, next_corners, excess, next_excess, strict=True
    ):
        if before <= 0:
            inside.append(start)
        if before * after < 0:
            inside.append(start + (end - start) * before / (before - after))
    return np.array(inside).reshape(-1, 2)


def _is_cut_off(polygons: Sequence[FloatArray], axes: Axes) -> bool:
    """Return whether polygons touch the lower or upper end of a panel."""
    emission = np.concatenate(polygons)[:, 1:]
    return bool(np.isclose(emission, axes.get_ylim(), rtol=0, atol=CLOSE_EV).any())


def _area(corners: FloatArray) -> float:
    """Return the area of a polygon (corner, 2), eV^2."""
    x, y = corners.T
    x_next, y_next = np.roll(corners, -1, axis=0).T
    return float(abs((x * y_next - x_next * y).sum()) / 2)


def _write_names(axes: Axes, labels: Sequence[_Label]) -> None:
    """Write the names of outlines: in the right margin where one reaches it."""
    heights = np.array([_height_at_right(axes, label) for label in labels])
    inside = [labels[number] for number in np.flatnonzero(np.isnan(heights)).tolist()]
    cut_off = [label for label in inside if _is_cut_off([label.corners], axes)]
    _write_beside_feet(axes, cut_off)
    boxes: list[Bbox] = []
    for label in inside:
        if not any(label is other for other in cut_off):
            boxes.append(_write_below_outline(axes, label, boxes))
    order = np.argsort(heights, kind="stable")
    in_margin = order[np.isfinite(heights[order])]
    spread_heights = spread_within(heights[in_margin], SPACING)
    for number, height in zip(in_margin.tolist(), spread_heights, strict=True):
        place = {"xycoords": IN_MARGIN, "ha": "left", "va": "center"}
        _write(axes, labels[number], (1.0, height), (4, 0), **place)


def _height_at_right(axes: Axes, label: _Label) -> float:
    """Return where an outline meets the right end, as a fraction of it; else NaN."""
    right = axes.get_xlim()[1]
    incident, emission = label.corners.T
    at_right = emission[np.abs(incident - right) < CLOSE_EV]
    if not len(at_right):
        return np.nan
    return float(axes.transLimits.transform((right, at_right.mean()))[1])


def _write_beside_feet(axes: Axes, labels: Sequence[_Label]) -> None:
    """Write names upright at the left feet of outlines that the panel cuts off.

    Names that would cover each other, or leave the panel, move to the right.
    """
    feet = [_foot(label) for label in labels]
    places = [axes.transLimits.transform(foot)[0] for foot in feet]
    width = axes.bbox.width / axes.figure.dpi
    line = UPRIGHT_INCHES / width
    left_of_feet = [max(place - line / 2, line / 2) for place in places]
    order = np.argsort(left_of_feet, kind="stable").tolist()
    spread = spread_within([left_of_feet[number] for number in order], line)
    for number, place in zip(order, spread, strict=True):
        bottom = axes.transLimits.transform(feet[number])[1]
        position = {"rotation": 90, "ha": "center", "va": "bottom"}
        coordinates = {"xycoords": axes.transAxes}
        _write(axes, labels[number], (place, bottom), (0, 5), **position, **coordinates)


def _write_below_outline(axes: Axes, label: _Label, boxes: Sequence[Bbox]) -> Bbox:
    """Write a name below its outline, upright where it is narrow, and return its box.

    It moves down, or to the right, until it covers none of the `boxes` of other names.
    """
    left_end, right_end = axes.get_xlim()
    is_narrow = np.ptp(label.corners[:, 0]) < NARROW * (right_end - left_end)
    offset = np.array([2.0, -5.0])
    step = np.array([1.0, 0.0]) if is_narrow else np.array([0.0, -1.0])
    angle = 90 if is_narrow else 0
    text = _write(
        axes, label, _foot(label), (2, -5), rotation=angle, ha="left", va="top"
    )
    box = text.get_window_extent()
    while any(box.overlaps(other) for other in boxes):
        offset += step * UPRIGHT_INCHES * POINTS_PER_INCH
        text.set_position((offset[0], offset[1]))
        box = text.get_window_extent()
    return box


def _foot(label: _Label) -> Point:
    """Return the lowest corner at the left end of an outline."""
    incident, emission = label.corners.T
    is_at_left = np.abs(incident - incident.min()) < CLOSE_EV
    return incident.min(), emission[is_at_left].min()


def _write(
    axes: Axes, label: _Label, position: Point, offset: Point, **options: Any
) -> Annotation:
    """Write a name in its colour on a dark ground, `offset` points from a position."""
    return axes.annotate(
        label.name,
        position,
        offset,
        textcoords="offset points",
        color=label.colour,
        size=style.SMALL_SIZE,
        bbox=NAME_BOX,
        annotation_clip=False,
        **options,
    )
