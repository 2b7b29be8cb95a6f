"""Maps against energy loss, and differences of the maps of two samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, maps, style
from rixs_pipeline.plots.options import current_options
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

MAP_INCHES = 7.0, 5.4  # width and height of a figure with one map
DIVERGING_COLOURS = "RdBu_r"
LEAST_SIGNIFICANCE = 3.0  # the colours go at least so far
FAR_PERCENTILE = 98  # of the emission energy that differs most: the end of colours


@dataclass(frozen=True)
class DifferenceTexts:
    """Texts of a difference map: its title and note, and what its colours are.

    `is_significance`: differences over their standard deviations, not intensities.
    """

    title: str
    note: str
    is_significance: bool


def loss_map_figure(dataset: xr.Dataset, title: str) -> Figure:
    """Plot a map against energy loss, incident - emission energy.

    Parameters
    ----------
    dataset : Dataset
        As `schema.RIXS_MAP`.
    title : str
        Of the figure.

    Returns
    -------
    Figure
        With one panel and its colour bar.
    """
    figure = style.new_figure(*MAP_INCHES, title)
    axes = figure.add_subplot(style.add_grid(figure)[0])
    maps.draw_loss_panel(axes, dataset, "dashed: elastic line")
    return figure


def difference_map_figure(dataset: xr.Dataset, texts: DifferenceTexts) -> Figure:
    """Plot the difference of the maps of two samples around the edge.

    Parameters
    ----------
    dataset : Dataset
        As `schema.RIXS_MAP`, with differences in place of the intensity.
    texts : DifferenceTexts
        Of the figure.

    Returns
    -------
    Figure
        With one panel and its colour bar; no difference is in the middle of it.
    """
    from matplotlib.colors import Normalize

    figure = style.new_figure(*MAP_INCHES, texts.title)
    axes = figure.add_subplot(style.add_grid(figure)[0])
    window = maps.emission_windows(dataset)[-1]
    image = maps.map_image(dataset).crop(window)
    least_end = LEAST_SIGNIFICANCE if texts.is_significance else 0.0
    end = max(_end_of_colours(image.intensity), least_end)
    norm = Normalize(-end, end)
    mesh = maps.draw_map(axes, image, norm=norm, cmap=DIVERGING_COLOURS)
    axes.set_ylim(window)
    x_label = labels.quantity_label(dataset["incident_energy"])
    y_label = labels.quantity_label(dataset["emission_energy"])
    style.label_axes(axes, x_label, y_label, texts.note)
    bar = figure.colorbar(mesh, ax=axes, extend="both")
    difference = labels.quantity_label(dataset["intensity"], "difference")
    significance = "difference / standard deviation"
    bar.set_label(significance if texts.is_significance else difference)
    return figure


def _end_of_colours(difference: FloatArray) -> float:
    """Return the size of the differences (bin, point) at the ends of the colours."""
    limits = current_options().intensity
    if limits is not None:
        return max(map(abs, limits))
    is_known = np.isfinite(difference).all(axis=0)
    sizes = np.abs(difference[:, is_known])
    if not sizes.any():
        return 1.0
    return float(np.percentile(sizes, FAR_PERCENTILE, axis=1).max()) or sizes.max()
