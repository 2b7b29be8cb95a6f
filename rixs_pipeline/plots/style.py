"""Common look of all figures, and the content of their files.

Axes are placed in inches: a layout engine that measures every label takes longer than
the rest of a figure. Neither pyplot, rcParams nor mathtext is used: their state is
shared by the whole process, and figures may be drawn in threads. Colours: M. Okabe,
K. Ito, "Color Universal Design" (2008), which colour-blind readers can distinguish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.errors import UsageError
from rixs_pipeline.plots import options
from rixs_pipeline.plots.labels import escape_math
from rixs_pipeline.plots.options import DPI
from rixs_pipeline.plots.png import encode_png
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

TITLE_SIZE, TEXT_SIZE, PANEL_SIZE, SMALL_SIZE = 13, 10, 9, 8  # points
# Numbers from 10^-3 to 10^5 are written out; others have a power of ten at the axis,
# since they would be wider than the margin.
WRITTEN_OUT_POWERS = (-3, 5)
TITLE_INCHES = 0.25  # of the top margin, saved where there is no title
MIN_TOP_INCHES = 0.1
LEAST_PANEL_INCHES = 0.2

VECTOR_PARAMS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rixs",
    "pdf.fonttype": 42,  # TrueType
}

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
SERIES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
BARS = "bars: one standard deviation"  # wherever there are any
BANDS = "bands: one standard deviation"
MOST_LEGEND = 0.6  # of the height of a panel
LEGEND_ROW_INCHES, LEGEND_MARGIN_INCHES = 0.16, 0.12  # of texts of `SMALL_SIZE`
DARK_GREY, GREY, LIGHT_GREY, PALE_GREY = "0.25", "0.45", "0.75", "0.9"


@dataclass(frozen=True)
class Spacing:
    """Space around the panels of a figure and between them, inches.

    Attributes
    ----------
    left_margin, bottom_margin, right_margin, top_margin : float
        Of the figure.
    across, down : float
        Between neighbouring columns and rows.
    """

    left_margin: float = 0.8
    bottom_margin: float = 0.55
    right_margin: float = 0.15
    top_margin: float = 0.55
    across: float = 0.8
    down: float = 0.8

    def scale(self, factor: float) -> Spacing:
        """Return the spacing times a factor."""
        scaled = {name: factor * inches for name, inches in vars(self).items()}
        return Spacing(**scaled)


def new_figure(
    width: float, height: float, title: str, text_size: float = TEXT_SIZE
) -> Figure:
    """Return an empty figure with its title at the top left.

    Parameters
    ----------
    width, height : float
        Inches.
    title : str
        May contain any text, also `$`.
    text_size : float
        Of the axis labels, points.

    Returns
    -------
    Figure
        Not known to pyplot. The options that apply may change its size and title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = options.figure_size(width, height, text_size)
    dpi = options.current_options().dpi or DPI
    figure = Figure(figsize=(size.width, size.height), dpi=dpi)
    FigureCanvasAgg(figure)
    options.set_text_scale(figure, size.text_scale)
    set_title(figure, title)
    return figure


def set_title(figure: Figure, title: str) -> None:
    """Set the title of a figure, at its top left; it may contain any text."""
    width, height = figure.get_size_inches()
    figure.suptitle(
        escape_math(options.shown_title(title)),
        x=0.18 / width,
        y=1 - 0.1 / height,
        ha="left",
        size=TITLE_SIZE,
        weight="bold",
    )


def add_grid(
    figure: Figure,
    rows: int = 1,
    columns: int = 1,
    spacing: Spacing = Spacing(),
    height_ratios: Sequence[float] | None = None,
) -> GridSpec:
    """Return the places of panels in a figure.

    Parameters
    ----------
    figure : Figure
        The figure, of fixed size.
    rows, columns : int
        Number of panels.
    spacing : Spacing
        Space around and between them.
    height_ratios : sequence of float, optional
        Relative heights of the rows; default: equal.

    Returns
    -------
    GridSpec
        To be indexed by row and column.

    Raises
    ------
    UsageError
        The figure is too small for its margins.
    """
    width, height = figure.get_size_inches()
    if not figure.get_suptitle():
        top_margin = max(spacing.top_margin - TITLE_INCHES, MIN_TOP_INCHES)
        spacing = replace(spacing, top_margin=top_margin)
    spacing = spacing.scale(options.text_scale(figure))
    across, down = spacing.across, spacing.down
    # matplotlib wants gaps as fractions of the average size of a panel
    grid_width = width - spacing.left_margin - spacing.right_margin
    grid_height = height - spacing.bottom_margin - spacing.top_margin
    column_width = grid_width / columns
    row_height = grid_height / rows
    panel_width = column_width - across * (columns - 1) / columns
    panel_height = row_height - down * (rows - 1) / rows
    if min(panel_width, panel_height) < LEAST_PANEL_INCHES:
        raise UsageError(
            f"{width:g} x {height:g} inches have no room for the panels; "
            "increase `size`, or reduce `font_size`"
        )
    return figure.add_gridspec(
        rows,
        columns,
        left=spacing.left_margin / width,
        bottom=spacing.bottom_margin / height,
        right=1 - spacing.right_margin / width,
        top=1 - spacing.top_margin / height,
        wspace=across / panel_width,
        hspace=down / panel_height,
        height_ratios=height_ratios,
    )


def label_axes(
    axes: Axes, x_label: str, y_label: str, title: str = "", size: float = TEXT_SIZE
) -> None:
    """Set the labels, ticks and small title of a panel.

    Parameters
    ----------
    axes : Axes
        The panel, its scales already chosen.
    x_label, y_label : str
        Labels of the axes.
    title : str
        At the top left of the panel.
    size : float
        Of the texts, points.
    """
    axes.set_xlabel(x_label, size=size)
    axes.set_ylabel(y_label, size=size)
    # a fixed y spares matplotlib the search for a height without overlap
    axes.set_title(escape_math(title), loc="left", size=size, color=DARK_GREY, y=1.0)
    if axes.get_yscale() == "linear":
        axes.ticklabel_format(axis="y", scilimits=WRITTEN_OUT_POWERS)
    axes.yaxis.set_offset_position("right")  # left, a power of ten covers the title
    axes.yaxis.get_offset_text().set_fontsize(size - 1)
    axes.tick_params(
        which="both", direction="in", top=True, right=True, labelsize=size - 1
    )


def series_colour(number: int) -> str:
    """Return the colour of a series; after the last colour the first follows."""
    return SERIES[number % len(SERIES)]


def draw_zero_line(axes: Axes) -> None:
    """Draw a thin line at zero, behind all data."""
    axes.axhline(0, color=GREY, lw=0.8, zorder=0)


def add_legend(axes: Axes, columns: int = 1, title: str = "") -> None:
    """Add a legend at the top right of a panel, with space for it above the curves.

    Parameters
    ----------
    axes : Axes
        The panel in its final place, with a linear scale and final limits.
    columns : int
        Of the legend.
    title : str
        Above its entries.
    """
    number = len(axes.get_legend_handles_labels()[1])
    rows = -(-number // columns) + bool(title)
    height = axes.bbox.height / axes.figure.dpi
    space = (LEGEND_MARGIN_INCHES + LEGEND_ROW_INCHES * rows) / height
    low, high = axes.get_ylim()
    axes.set_ylim(low, low + (high - low) / (1 - min(space, MOST_LEGEND)))
    axes.legend(
        loc="upper right",
        ncols=columns,
        frameon=False,
        title=title,
        title_fontsize=SMALL_SIZE,
        fontsize=SMALL_SIZE,
        labelspacing=0.3,
        borderaxespad=0.3,
    )


def draw_error_bars(
    axes: Axes, x: FloatArray, y: FloatArray, errors: FloatArray, colour: str
) -> None:
    """Draw thin bars of one standard deviation at points (point,) drawn before.

    Masked arrays, which `errorbar` makes of each bar, would take most of the time.
    """
    from matplotlib.collections import LineCollection

    ends = np.stack([x, y - errors, x, y + errors], axis=1).reshape(-1, 2, 2)
    collection = LineCollection(list(ends), colors=colour, linewidths=0.7, alpha=0.7)
    axes.add_collection(collection)
    axes.autoscale_view()


def use_plain_log_ticks(axis: Axis) -> None:
    """Write numbers on a logarithmic axis as plain text; its limits must be final.

    Matplotlib's own are formulas.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    if high > 30 * low:
        axis.set_major_locator(LogLocator(subs=(1.0,)))
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    else:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def encode_figure(figure: Figure, image_format: str) -> bytes:
    """Draw a figure, and return the content of its file.

    Parameters
    ----------
    figure : Figure
        As `new_figure` makes it.
    image_format : str
        `png`, `pdf` or `svg`.

    Returns
    -------
    bytes
        The same each time.
    """
    if image_format == "png":
        return _encode_png(figure)
    return _encode_vectors(figure, image_format)


def _encode_png(figure: Figure) -> bytes:
    """Return the pixels of a figure as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib has no types for it
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # same
    return encode_png(pixels, figure.dpi)


def _encode_vectors(figure: Figure, image_format: str) -> bytes:
    """Return a figure as a PDF or SVG file.

    Text can be edited: it is text in SVG files, and in PDF files its fonts are
    embedded as TrueType. Matplotlib has these options in rcParams only, which other
    threads that save such files set to the same values.
    """
    from matplotlib import rc_context

    dpi = options.current_options().dpi or options.VECTOR_DPI
    date = {"CreationDate": None} if image_format == "pdf" else {"Date": None}
    buffer = BytesIO()
    with rc_context(VECTOR_PARAMS):
        figure.savefig(buffer, format=image_format, dpi=dpi, metadata=date)
    return buffer.getvalue()
