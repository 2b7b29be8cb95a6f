"""Options of a figure, which apply to all that is drawn within `using_options`.

They are to the functions of this package what rcParams are to matplotlib, but neither
shared by threads nor left behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from rixs_pipeline.plots.labels import escape_math, unescape_math
from rixs_pipeline.plots.spectrum_data import Limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.text import Text

DPI = 150
VECTOR_DPI = 300  # of maps in PDF and SVG files, which are printed
MIN_TEXT_SIZE = 6.0  # points, which journals require
DEFAULT_TICK_SIZE = 10.0  # points, of matplotlib
TITLE = "{title}"  # stands for the default title
_SCALE = "text_scale"  # attribute of figures


@dataclass(frozen=True)
class FigureOptions:
    """How a figure looks.

    Attributes
    ----------
    formats : tuple of str
        `png`, `pdf`, `svg`.
    width, height : float or None
        Inches; None: those of the figure, the height in proportion to the width.
    font_size : float or None
        Of axis labels, points; None: that of the figure, smaller if its width is.
    dpi : int or None
        Dots per inch; None: 150, and 300 of maps in PDF and SVG files.
    title : str or None
        In place of the default title, which `{title}` in it stands for.
    cmap : str or None
        A colour map of matplotlib.
    labels : mapping of str to str
        Text in the figure -> text in its place.
    limits : mapping of str to tuple of Limits
        Dimension -> ranges, of which the first one applies that reaches into the data.
    intensity : Limits or None
        Of intensity axes and colours.
    draw : bool
        Whether the figure is drawn at all.
    section : str
        Where in the config the options are, such as `plots.map`.
    """

    formats: tuple[str, ...] = ("png",)
    width: float | None = None
    height: float | None = None
    font_size: float | None = None
    dpi: int | None = None
    title: str | None = None
    cmap: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, tuple[Limits, ...]] = field(default_factory=dict)
    intensity: Limits | None = None
    draw: bool = True
    section: str = field(default="", compare=False)

    @property
    def is_default(self) -> bool:
        """Whether the figure is drawn as it is without options."""
        return replace(self, formats=()) == FigureOptions(formats=())

    def range_of(self, axis: str, *data: Limits) -> Limits | None:
        """Return the limits of an axis, None where they are not set.

        Parameters
        ----------
        axis : str
            `incident_energy`, `emission_energy` or `energy_loss`.
        *data : Limits
            Ranges of the data, the most important one first, eV.

        Returns
        -------
        Limits or None
            The first ones that reach into the first range that any reach into.
        """
        for low, high in data:
            for limits in self.limits.get(axis, ()):
                if limits.low < high and limits.high > low:
                    return limits
        return None


NO_OPTIONS = FigureOptions()
_OPTIONS: ContextVar[FigureOptions | None] = ContextVar("options", default=None)


def current_options() -> FigureOptions:
    """Return the options that apply now, in this thread."""
    return _OPTIONS.get() or NO_OPTIONS


@contextmanager
def using_options(options: FigureOptions) -> Iterator[None]:
    """Apply options to the figures that are drawn meanwhile."""
    token = _OPTIONS.set(options)
    try:
        yield
    finally:
        _OPTIONS.reset(token)


@dataclass(frozen=True)
class FigureSize:
    """Inches of a figure, and the factor of its texts and margins."""

    width: float
    height: float
    text_scale: float


def figure_size(width: float, height: float, text_size: float) -> FigureSize:
    """Return the size of a figure with the options that apply.

    Parameters
    ----------
    width, height : float
        Without options, inches.
    text_size : float
        Of its axis labels, points.

    Returns
    -------
    FigureSize
        Texts of a smaller figure are smaller, but not below `MIN_TEXT_SIZE`.
    """
    options = current_options()
    shrunk = (options.width or width) / width
    if options.font_size is None:
        scale = min(1.0, max(shrunk, MIN_TEXT_SIZE / text_size))
    else:
        scale = options.font_size / text_size
    new_height = options.height or height * shrunk
    return FigureSize(width * shrunk, new_height, scale)


def set_text_scale(figure: Figure, scale: float) -> None:
    """Set the factor of the texts and margins of a figure."""
    vars(figure)[_SCALE] = scale


def text_scale(figure: Figure | SubFigure) -> float:
    """Return the factor of the texts and margins of a figure."""
    return float(vars(figure).get(_SCALE, 1.0))


def shown_title(title: str) -> str:
    """Return the title that a figure has with the options that apply."""
    custom = current_options().title
    return title if custom is None else custom.replace(TITLE, title)


def figure_texts(figure: Figure) -> tuple[str, ...]:
    """Return the texts of a figure that labels can replace, each once."""
    texts = (unescape_math(text.get_text()) for text in _texts(figure))
    return tuple(dict.fromkeys(text for text in texts if text))


def contains_label(text: str, label: str) -> bool:
    """Return whether a text of a figure is a label, or has it as a part."""
    return _label_pattern([label]).search(text) is not None


def finish(figure: Figure) -> None:
    """Replace texts and scale texts and lines, as the options that apply say."""
    labels, scale = current_options().labels, text_scale(figure)
    if labels:
        _replace_texts(figure, labels)
    if scale != 1:
        _scale(figure, scale)


def _replace_texts(figure: Figure, labels: Mapping[str, str]) -> None:
    """Replace texts, or parts of them."""
    new_texts = {escape_math(old): escape_math(new) for old, new in labels.items()}
    pattern = _label_pattern(new_texts)
    for text in _texts(figure):
        text.set_text(pattern.sub(lambda old: new_texts[old[0]], text.get_text()))


def _label_pattern(labels: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern of labels that no letter, digit, `_`, `+` or `-` adjoins.

    So the name of a sample is not replaced within a longer name.
    """
    longest_first = sorted(labels, key=len, reverse=True)
    choices = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![\w+-])(?:{choices})(?![\w+-])")


def _scale(figure: Figure, scale: float) -> None:
    """Scale sizes of texts, of tick labels, and widths of lines."""
    from matplotlib.axes import Axes

    all_axes = cast("list[Axes]", figure.findobj(Axes))
    tick_sizes = [
        (axis, float(axis.get_tick_params().get("labelsize", DEFAULT_TICK_SIZE)))
        for axes in all_axes
        for axis in (axes.xaxis, axes.yaxis)
    ]
    for text in _texts(figure):
        text.set_fontsize(float(text.get_fontsize()) * scale)
    for axis, size in tick_sizes:  # of ticks that are made later, too
        axis.set_tick_params(which="both", labelsize=size * scale)
    for axes in all_axes:
        for line in axes.lines:
            line.set_linewidth(line.get_linewidth() * scale)
            line.set_markersize(line.get_markersize() * scale)
        for collection in axes.collections:
            widths = np.multiply(collection.get_linewidth(), scale)
            collection.set_linewidth(widths.tolist())


def _texts(figure: Figure) -> list[Text]:
    from matplotlib.text import Text

    return cast("list[Text]", figure.findobj(Text))
