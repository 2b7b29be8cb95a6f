"""The look of all figures, set on the artists themselves, and how a figure is saved.

Axes stand where they are put, in inches: a layout that finds out how much space every label needs takes longer than the
rest of a figure. Neither pyplot nor rcParams nor mathtext is used: their state is shared by the whole process, and
figures are made in threads. Colours: M. Okabe, K. Ito, "Color Universal Design" (2008), told apart by colour-blind
readers too.
"""

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

DPI = 150
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 13, 10, 8  # points
POWERS = (
    -3,
    5,
)  # powers of ten from which numbers on an axis are written with one: longer ones would leave the margin

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
SERIES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
GREY, LIGHT_GREY = "0.45", "0.75"

_GREEK = {"Ka": "Kα", "Kb": "Kβ", "La": "Lα", "Lb": "Lβ"}


def new_figure(width: float, height: float, title: str) -> "Figure":
    """An empty figure of `width` x `height` inches on an Agg canvas, its title at the top left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return _entitle(figure, title)


def _entitle(figure: "Figure", title: str) -> "Figure":
    """Put a title at the top left."""
    width, height = figure.get_size_inches()
    figure.suptitle(
        plain(title),
        x=0.18 / width,
        y=1 - 0.1 / height,
        ha="left",
        size=TITLE_SIZE,
        weight="bold",
    )
    return figure


def wipe(figure: "Figure", title: str) -> "Figure":
    """The figure with its axes empty again, under another title; axes and ticks, which take most of the time, are kept.

    Hidden labels and locators stay as they are: what is drawn next must set them up in the same way.
    """
    for axes in figure.axes:
        for artist in (*axes.lines, *axes.collections, *axes.patches, *axes.texts):
            artist.remove()
        axes.containers.clear()
        axes.relim()
        axes.set_yscale("linear")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.autoscale()
    return _entitle(figure, title)


def grid(
    figure: "Figure",
    rows: int = 1,
    columns: int = 1,
    margins: tuple[float, float, float, float] = (0.8, 0.55, 0.15, 0.55),
    gaps: tuple[float, float] = (0.8, 0.8),
    **ratios: Any,
) -> "GridSpec":
    """Places for `rows` x `columns` axes, all in inches.

    Args:
        figure: that the axes are for.
        rows, columns: how many.
        margins: around them, left, bottom, right, top.
        gaps: between them, across and down.
        ratios: `width_ratios`, `height_ratios`.
    """
    width, height = figure.get_size_inches()
    left, bottom, right, top = margins
    across, down = ((width - left - right) / columns, (height - bottom - top) / rows)
    ends = {
        "left": left / width,
        "bottom": bottom / height,
        "right": 1 - right / width,
        "top": 1 - top / height,
    }
    spaces = {
        "wspace": gaps[0] / (across - gaps[0] * (columns - 1) / columns),
        "hspace": gaps[1] / (down - gaps[1] * (rows - 1) / rows),
    }
    return figure.add_gridspec(rows, columns, **ends, **spaces, **ratios)


def dress(
    axes: "Axes", x_label: str, y_label: str, title: str = "", size: float = TEXT_SIZE
) -> None:
    """Labels, ticks and an optional small title, the same on all axes."""
    axes.set_xlabel(x_label, size=size)
    axes.set_ylabel(y_label, size=size)
    axes.set_title(
        plain(title), loc="left", size=size, color="0.25", y=1.0
    )  # y: matplotlib need not search for it
    if axes.get_yscale() == "linear":
        axes.ticklabel_format(axis="y", scilimits=POWERS)
    axes.yaxis.set_offset_position("right")  # a power of ten would stand in the title
    axes.yaxis.get_offset_text().set_fontsize(size - 1)
    axes.tick_params(
        which="both", direction="in", top=True, right=True, labelsize=size - 1
    )


def save(figure: "Figure", path: Path) -> Path:
    """Write a figure at 150 dpi as PNG, whole or not at all; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    figure.canvas.draw()
    try:
        temporary.write_bytes(_png(np.asarray(figure.canvas.buffer_rgba())))  # type: ignore[attr-defined]
        os.replace(temporary, path)  # noqa: PTH105 - the one atomic way, said as such
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of pixels (row, column, RGBA).

    Rows are not filtered, which suits lines and areas of one colour: a fifth larger than matplotlib's own, in a fifth
    of the time. Format: W3C, "Portable Network Graphics (PNG) Specification" (2003).
    """
    height, width, _ = pixels.shape
    rows = np.zeros(
        (height, 1 + 4 * width), np.uint8
    )  # each begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    metre = round(DPI / 0.0254)
    chunks = {
        b"IHDR": pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0),
        b"pHYs": pack(">IIB", metre, metre, 1),
        b"IDAT": zlib.compress(rows.data, 3),
        b"IEND": b"",
    }
    parts = [
        pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def plain(text: str) -> str:
    """A text from a log as it stands: `$` would start a formula, which need not parse."""
    return text.replace("$", r"\$")


def quantity(variable: "xr.DataArray", name: str = "") -> str:
    """Label of an axis: name or the variable's long name, and its unit where it has one: `emission energy (eV)`."""
    what, units = (
        name or variable.attrs.get("long_name", variable.name),
        variable.attrs.get("units", ""),
    )
    return plain(f"{what} ({units})" if units else str(what))


def line_label(name: str) -> str:
    """A reference line as a spectroscopist writes it: `O_Ka` becomes `O Kα`."""
    element, _, shell = name.partition("_")
    return plain(f"{element} {_GREEK.get(shell, shell)}".strip())


def texts(values: Iterable[Any]) -> list[str]:
    """Strings of a product, which h5py gives as bytes."""
    return [
        value.decode() if isinstance(value, bytes) else str(value) for value in values
    ]


def spread(positions: Iterable[float], distance: float) -> list[float]:
    """Ascending positions of labels, moved up where they would stand closer than `distance`."""
    moved: list[float] = []
    for position in positions:
        moved.append(max(position, moved[-1] + distance) if moved else position)
    return moved


def log_ticks(axis: "Axis") -> None:
    """Numbers on a logarithmic axis as plain text (matplotlib's own are formulas); the limits must stand."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    decades = high > 30 * low
    axis.set_major_locator(LogLocator(subs=(1.0,) if decades else (1.0, 2.0, 5.0)))
    axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)) if decades else NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def where_counts_are(
    energy: NDArray[np.float64], counts: NDArray[Any], margin: float
) -> tuple[float, float]:
    """Energies in eV between which nearly all counts lie, `margin` eV around them; stray counts (0.05 %) do not matter.

    `energy` and `counts` (bin,), energies ascending; all energies where there are no counts.
    """
    total = np.cumsum(np.nan_to_num(counts))
    if not total.size or total[-1] <= 0:
        return float(energy.min(initial=np.inf)), float(energy.max(initial=-np.inf))
    low, high = energy[np.searchsorted(total, (0.0005 * total[-1], 0.9995 * total[-1]))]
    return max(float(energy[0]), float(low) - margin), min(
        float(energy[-1]), float(high) + margin
    )
