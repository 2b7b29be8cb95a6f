"""Tables (pixel, line) of reference runs as strips, one a line, pixels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, style
from rixs_pipeline.plots.spectrum_data import Limits
from rixs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW_PIXELS = 20  # up to here dots are large, and medians are drawn behind them
STRIP_HALF_WIDTH = 0.38  # of a strip, where lines are 1 apart
MEDIAN_HALF_WIDTH = 0.43  # of the bar at the median
HORIZONTAL_NAMES = 7  # more names of lines stand upright
VALUE_MARGIN = 0.1  # of the range of values, at both ends of an axis
# of the range of an axis: space for medians, for arrows, and for the values beside them
MEDIAN_SPACE, ARROW_SPACE, BEYOND_SPACE = 0.08, 0.04, 0.16
UPRIGHT_SPACE = 0.32  # in place of `BEYOND_SPACE`: the values are upright


def draw_line_strips(
    axes: Axes, values: FloatArray, is_used: BoolArray, shown_values: FloatArray
) -> None:
    """Draw a table as strips with the median of each line.

    Parameters
    ----------
    axes : Axes
        The panel.
    values : f8 (pixel, line)
        The table; NaN where a pixel does not have a line.
    is_used : bool (pixel,)
        These pixels are dots, and determine the limits of the axis; the others are
        crosses, or arrows where they are beyond it, with their values in numbers.
    shown_values : f8 (any,)
        Further values within the limits.
    """
    number_of_pixels, number_of_lines = values.shape
    used_values = values[is_used].ravel()
    limits = padded_limits(np.concatenate([shown_values, used_values]))
    offsets = np.linspace(-STRIP_HALF_WIDTH, STRIP_HALF_WIDTH, number_of_pixels)
    x = np.arange(number_of_lines) + offsets[:, None]
    has_few_dots = is_used.sum() <= FEW_PIXELS
    axes.plot(
        x[is_used].ravel(),
        used_values,
        "o",
        ms=5 if has_few_dots else 3,
        mew=0,
        alpha=0.7,
        color=style.BLUE,
    )
    _draw_crosses(axes, x, np.where(is_used[:, None], np.nan, values), limits)
    _draw_medians(axes, median_per_line(values, is_used), 1.9 if has_few_dots else 2.1)


def _draw_crosses(
    axes: Axes, x: FloatArray, values: FloatArray, limits: Limits
) -> None:
    """Draw values (pixel, line) within limits as crosses, others as arrows.

    The limits of the axis get space for the arrows, their values and the medians.
    """
    is_above, is_below = values > limits.high, values < limits.low
    is_inside = np.isfinite(values) & ~is_above & ~is_below
    if is_inside.any():
        axes.plot(x[is_inside], values[is_inside], "x", ms=4, color=style.VERMILLION)
    span = limits.high - limits.low
    is_upright = _name_rotation(values.shape[1]) > 0
    space = span * (UPRIGHT_SPACE if is_upright else BEYOND_SPACE)
    low, high = limits.low, limits.high + MEDIAN_SPACE * span
    if is_above.any():
        high += space
        _draw_arrows(axes, x, np.where(is_above, values, np.nan), limits, 1)
    if is_below.any():
        low -= space
        _draw_arrows(axes, x, np.where(is_below, values, np.nan), limits, -1)
    axes.set_ylim(low, high)


def _draw_arrows(
    axes: Axes, x: FloatArray, values: FloatArray, limits: Limits, direction: int
) -> None:
    """Draw arrows for values (pixel, line) beyond limits, the values in numbers.

    `direction`: 1 for those above, -1 for those below.
    """
    is_upward = direction > 0
    end = limits.high if is_upward else limits.low
    length = direction * ARROW_SPACE * (limits.high - limits.low)
    places = x[np.isfinite(values)]
    axes.vlines(places, end, end + length, color=style.VERMILLION, lw=1)
    axes.plot(
        places,
        np.full(len(places), end + length),
        "^" if is_upward else "v",
        ms=5,
        mew=0,
        color=style.VERMILLION,
    )
    rotation = _name_rotation(values.shape[1])
    for column, column_x in zip(values.T, x.T, strict=True):
        is_beyond = np.isfinite(column)
        beyond = np.unique(np.round(column[is_beyond], 1))
        if not beyond.size:
            continue
        separator = " to " if rotation else " to\n"
        ends = [f"{value:.1f}" for value in beyond[[0, -1]][: beyond.size]]
        axes.annotate(
            separator.join(ends).replace("-", "−"),
            (column_x[is_beyond].mean(), end + length),
            (0, 4 * direction),
            textcoords="offset points",
            ha="center",
            va="bottom" if is_upward else "top",
            rotation=rotation,
            linespacing=0.95,
            size=style.SMALL_SIZE,
            color=style.VERMILLION,
        )


def _draw_medians(axes: Axes, medians: FloatArray, z_order: float) -> None:
    """Draw the medians (line,) as bars, their values above."""
    lines = np.flatnonzero(np.isfinite(medians))
    axes.hlines(
        medians[lines],
        lines - MEDIAN_HALF_WIDTH,
        lines + MEDIAN_HALF_WIDTH,
        color=style.BLACK,
        lw=1.8,
        zorder=z_order,
    )
    top_of_axes = axes.get_xaxis_transform()
    for line in lines.tolist():
        rounded = round(medians[line], 2) + 0.0  # no -0.00
        axes.text(
            line,
            0.985,
            f"{rounded:.2f}".replace("-", "−"),
            transform=top_of_axes,
            ha="center",
            va="top",
            size=style.SMALL_SIZE,
        )


def name_line_axis(axes: Axes, line_names: Sequence[str]) -> None:
    """Write the names of lines, e.g. O_Ka, along the horizontal axis."""
    names = [labels.line_label(name) for name in line_names]
    axes.set_xticks(range(len(names)), names, rotation=_name_rotation(len(names)))
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="x", length=0)


def _name_rotation(number_of_lines: int) -> float:
    """Return the angle of texts that have the width of a line, degrees."""
    return 90.0 if number_of_lines > HORIZONTAL_NAMES else 0.0


def median_per_line(values: FloatArray, is_used: BoolArray) -> FloatArray:
    """Return the median of each line over the pixels that are used.

    Parameters
    ----------
    values : f8 (pixel, line)
        The table; values that are not finite are not regarded.
    is_used : bool (pixel,)
        Pixels that are used.

    Returns
    -------
    f8 (line,)
        NaN where no pixel has a value.
    """
    medians = np.full(values.shape[1], np.nan)
    for line, column in enumerate(values[is_used].T):
        finite = column[np.isfinite(column)]
        if finite.size:
            medians[line] = np.median(finite)
    return medians


def padded_limits(values: FloatArray) -> Limits:
    """Return limits with a margin around 0 and all finite values."""
    finite = values[np.isfinite(values)]
    low = finite.min(initial=0.0)
    high = finite.max(initial=0.0)
    margin = VALUE_MARGIN * (high - low) or 1.0
    return Limits(low - margin, high + margin)
