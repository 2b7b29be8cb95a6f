"""Axes that draw all their ticks with one.

A tick of matplotlib is five artists, and an axis measures the labels of all its ticks
three times. Here the marks of one tick are drawn at all places at once, and its label
at one place after the other. The pixels are the same; figures take a sixth less time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rixs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axis import Tick, XAxis, YAxis
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import BboxBase

POINTS_PER_INCH = 72
AT_END = 1e-10  # of an axis: how far beyond its ends ticks are drawn, as by matplotlib


class PlacedTick(NamedTuple):
    """A tick, the places (place,) where it is drawn, and its labels there."""

    tick: Tick
    places: FloatArray
    texts: Sequence[str]


@contextmanager
def sharing_ticks(figure: Figure) -> Iterator[None]:
    """Draw the ticks of a figure in this way within the block.

    Its axes must have no grid, and ticks that differ in nothing but place and text.
    """
    all_axis = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    for axis in all_axis:
        vars(axis)["draw"] = partial(_draw_axis, axis)
    try:
        yield
    finally:
        for axis in all_axis:
            del vars(axis)["draw"]


def _draw_axis(axis: XAxis | YAxis, renderer: RendererBase) -> None:
    """Draw an axis with its label, as its own method `draw` does."""
    placed_ticks = list(_place_ticks(axis))
    has_power_of_ten = bool(axis.get_major_formatter().get_offset())
    if has_power_of_ten or not axis.get_visible():
        type(axis).draw(axis, renderer)
        return
    boxes: list[BboxBase] = [axis.axes.bbox]
    for placed in placed_ticks:
        _draw_marks(axis, placed, renderer)
        for label in (placed.tick.label1, placed.tick.label2):
            if label.get_visible():
                boxes += _draw_labels(axis, label, placed, renderer)
    if axis.label.get_text():
        _place_label(axis, boxes)
        axis.label.draw(renderer)


def _place_ticks(axis: XAxis | YAxis) -> Iterator[PlacedTick]:
    """Yield the first major tick and the first minor one, if there are any."""
    major = axis.get_majorticklocs(), axis.get_major_formatter(), axis.get_major_ticks
    minor = axis.get_minorticklocs(), axis.get_minor_formatter(), axis.get_minor_ticks
    for locations, formatter, get_ticks in (major, minor):
        places = np.asarray(locations, dtype=float)
        texts = formatter.format_ticks(places.tolist())
        rows = np.flatnonzero(_are_on_axis(axis, places))
        if rows.size:
            (tick,) = get_ticks(1)
            yield PlacedTick(tick, places[rows], [texts[row] for row in rows])


def _are_on_axis(axis: XAxis | YAxis, places: FloatArray) -> BoolArray:
    """Return which places (place,) are within the limits."""
    transform = axis.get_transform()
    ends = transform.transform(np.asarray(axis.get_view_interval()))
    margin = AT_END * abs(ends[1] - ends[0])
    at = transform.transform(places)
    return np.asarray((at >= ends.min() - margin) & (at <= ends.max() + margin))


def _draw_marks(
    axis: XAxis | YAxis, placed: PlacedTick, renderer: RendererBase
) -> None:
    """Draw the marks of a tick at all places."""
    for mark in (placed.tick.tick1line, placed.tick.tick2line):
        x, y = mark.get_xdata(orig=True), mark.get_ydata(orig=True)
        if axis.axis_name == "x":
            mark.set_data(placed.places, y)
        else:
            mark.set_data(x, placed.places)
        mark.draw(renderer)
        mark.set_data(x, y)


def _draw_labels(
    axis: XAxis | YAxis, label: Text, placed: PlacedTick, renderer: RendererBase
) -> list[BboxBase]:
    """Draw the labels of a tick; return their boxes if the axis has a label."""
    move = label.set_x if axis.axis_name == "x" else label.set_y
    boxes: list[BboxBase] = []
    for place, text in zip(placed.places, placed.texts, strict=True):
        move(place)
        label.set_text(text)
        label.draw(renderer)
        if axis.label.get_text():
            boxes.append(label.get_window_extent(renderer))
    return boxes


def _place_label(axis: XAxis | YAxis, boxes: Sequence[BboxBase]) -> None:
    """Place the label of an axis beside boxes."""
    ends = np.array([box.extents for box in boxes])  # (box, 4): x0, y0, x1, y1
    distance = axis.labelpad * axis.axes.figure.dpi / POINTS_PER_INCH
    is_horizontal = axis.axis_name == "x"
    if axis.get_label_position() in ("left", "bottom"):
        place = ends[:, int(is_horizontal)].min() - distance
    else:
        place = ends[:, 2 + is_horizontal].max() + distance
    if is_horizontal:
        axis.label.set_y(place)
    else:
        axis.label.set_x(place)
