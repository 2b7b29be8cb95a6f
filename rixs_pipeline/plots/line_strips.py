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
        crosses, at the end of the axis if beyond it.
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
    is_cross = ~is_used[:, None] & np.isfinite(values)
    if is_cross.any():
        clipped = np.clip(values[is_cross], *limits)
        (crosses,) = axes.plot(x[is_cross], clipped, "x", ms=4, color=style.VERMILLION)
        crosses.set_clip_on(False)
    _draw_medians(axes, median_per_line(values, is_used), 1.9 if has_few_dots else 2.1)
    space_for_numbers = 0.08 * (limits.high - limits.low)
    axes.set_ylim(limits.low, limits.high + space_for_numbers)


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
    rotation = 90 if len(names) > HORIZONTAL_NAMES else 0
    axes.set_xticks(range(len(names)), names, rotation=rotation)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="x", length=0)


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
