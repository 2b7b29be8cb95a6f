"""Figures whose empty panels serve several plots of one layout."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from rixs_pipeline.plots import style
from rixs_pipeline.plots.options import current_options

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class FigurePage:
    """Make figures by clearing the panels of the last one of their layout.

    Axes and their ticks take longer to make than to fill.
    """

    def __init__(self) -> None:
        self._figures: dict[tuple[Hashable, ...], Figure] = {}

    def empty_figure(
        self, title: str, make_figure: Callable[..., Figure], *options: Hashable
    ) -> Figure:
        """Return a figure with empty panels.

        Tick labels that were hidden stay hidden, and locators that were set stay set:
        each plot has to set the same ones.

        Parameters
        ----------
        title : str
            Of the figure.
        make_figure : callable
            Takes title and options; returns the figure with its panels.
        *options : hashable
            On which the layout depends.

        Returns
        -------
        Figure
            If there is one of the same layout and options, that one, which has to be
            saved by then; otherwise a new one, as with `FigureOptions`.
        """
        if not current_options().is_default:  # which change sizes of what is kept
            return make_figure(title, *options)
        layout = (make_figure, *options)
        if layout not in self._figures:
            self._figures[layout] = make_figure(title, *options)
            return self._figures[layout]
        figure = self._figures[layout]
        for axes in figure.axes:
            _clear_panel(axes)
        style.set_title(figure, title)
        return figure


def _clear_panel(axes: Axes) -> None:
    """Remove all that was plotted in a panel; scale and limits become the default."""
    for artist in (*axes.lines, *axes.collections, *axes.patches, *axes.texts):
        artist.remove()
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
    axes.containers.clear()
    axes.relim()
    axes.set_yscale("linear")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.autoscale()
