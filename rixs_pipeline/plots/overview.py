"""Overview of a sample: at every edge the map, its yields and its emission."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, maps, style
from rixs_pipeline.plots.spectrum_data import Limits, sort_spectrum, spectrum_axis
from rixs_pipeline.plots.style import Spacing

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

EDGE_WIDTH_INCHES, EDGE_HEIGHT_INCHES = 5.6, 4.6
COLUMNS = 2
HEIGHT_RATIOS = (1, 2.2)  # of yields and map
WIDTH_RATIOS = (2.4, 1)  # of map and emission
TITLE_INCHES = 0.4


@dataclass(frozen=True)
class EdgeOverview:
    """A map at an edge and what is summed from it.

    Attributes
    ----------
    rixs_map : Dataset
        As `schema.RIXS_MAP`.
    yields : mapping of str to Dataset
        Name -> spectrum against incident energy.
    emission_spectrum : Dataset
        Of all incident points.
    """

    rixs_map: xr.Dataset
    yields: Mapping[str, xr.Dataset]
    emission_spectrum: xr.Dataset


def sample_overview_figure(
    sample: str, edges: Mapping[str, EdgeOverview], emission: Limits | None
) -> Figure:
    """Plot map, yields and emission of a sample at every edge.

    Parameters
    ----------
    sample : str
        For the title.
    edges : mapping of str to EdgeOverview
        Edge -> its data.
    emission : Limits, optional
        Emission energies that are shown, eV; default: those with counts.

    Returns
    -------
    Figure
        With three panels an edge.
    """
    columns = min(COLUMNS, len(edges))
    rows = -(-len(edges) // columns)
    width = EDGE_WIDTH_INCHES * columns
    height = TITLE_INCHES + EDGE_HEIGHT_INCHES * rows
    title = f"{sample}: maps, yields and emission"
    figure = style.new_figure(width, height, title, style.PANEL_SIZE)
    spacing = Spacing(0.75, 0.55, 0.15, 0.75, 0.85, 0.95)
    grid = style.add_grid(figure, rows, columns, spacing)
    for number, (edge, overview) in enumerate(edges.items()):
        row, column = divmod(number, columns)
        place = grid[row, column].subgridspec(
            2,
            2,
            height_ratios=HEIGHT_RATIOS,
            width_ratios=WIDTH_RATIOS,
            hspace=0.08,
            wspace=0.1,
        )
        yield_axes = figure.add_subplot(place[0, 0])
        map_axes = figure.add_subplot(place[1, 0])
        emission_axes = figure.add_subplot(place[1, 1])
        window = emission or maps.emission_windows(overview.rixs_map)[0]
        mesh = _draw_map(map_axes, overview.rixs_map, window)
        _draw_yields(yield_axes, overview.yields, labels.edge_label(edge))
        yield_axes.set(xlim=map_axes.get_xlim(), xticklabels=[])
        _draw_emission(emission_axes, overview.emission_spectrum, window)
        _add_colour_bar(emission_axes, mesh)
    return figure


def _add_colour_bar(axes: Axes, mesh: QuadMesh) -> None:
    """Add a colour bar above the emission spectrum, beside the yields."""
    bar_axes = axes.inset_axes((0.1, 1.25, 0.85, 0.055))
    bar = axes.figure.colorbar(
        mesh, cax=bar_axes, orientation="horizontal", extend="max"
    )
    bar.set_label("√ scale (counts/(s eV))", size=style.SMALL_SIZE)
    bar_axes.tick_params(labelsize=style.SMALL_SIZE)
    bar_axes.locator_params(axis="x", nbins=2)


def _draw_map(axes: Axes, rixs_map: xr.Dataset, window: Limits) -> QuadMesh:
    """Draw the map within a window of emission energy."""
    mesh = maps.draw_map(axes, maps.map_image(rixs_map).crop(window))
    axes.set_ylim(window)
    x_label, y_label = "incident energy (eV)", "emission energy (eV)"
    style.label_axes(axes, x_label, y_label, size=style.PANEL_SIZE)
    return mesh


def _draw_yields(axes: Axes, yields: Mapping[str, xr.Dataset], title: str) -> None:
    """Draw yields, each divided by its maximum."""
    for row, (name, spectrum) in enumerate(yields.items()):
        ordered = sort_spectrum(spectrum)
        values = ordered["intensity"].values
        maximum = np.nanmax(values, initial=0.0) or 1.0
        axes.plot(
            spectrum_axis(ordered).values,
            values / maximum,
            color=style.series_colour(row),
            lw=1.0,
            label=labels.escape_math(name),
        )
    style.label_axes(axes, "", "yield / maximum", title, style.PANEL_SIZE)
    style.add_legend(axes, columns=len(yields))


def _draw_emission(axes: Axes, spectrum: xr.Dataset, window: Limits) -> None:
    """Draw an emission spectrum upright, along the emission axis of the map."""
    ordered = sort_spectrum(spectrum, window)
    energy = spectrum_axis(ordered).values
    intensity = ordered["intensity"].values
    axes.plot(intensity, energy, color=style.BLACK, lw=0.8)
    style.label_axes(axes, "counts/(s eV)", "", size=style.PANEL_SIZE)
    axes.set(ylim=window, yticklabels=[], xlim=(0, None))
    axes.locator_params(axis="x", nbins=3, prune="lower")
