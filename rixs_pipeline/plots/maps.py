"""RIXS maps: intensity against incident and emission energy, elastic line, regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, style
from rixs_pipeline.plots.options import current_options, text_scale
from rixs_pipeline.plots.region_outlines import draw_outlines, margin_width
from rixs_pipeline.plots.spectrum_data import Limits, find_counts_window
from rixs_pipeline.schema import POINT_USED
from rixs_pipeline.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

# around the incident energies: fluorescence of the edge, and the elastic line
EDGE_BELOW_EV, EDGE_ABOVE_EV = 60.0, 10.0
LOSS_WINDOW = Limits(-EDGE_ABOVE_EV, EDGE_BELOW_EV)
LOSS_MARGIN_EV = 5.0  # so that slanted bins fill the corners of a panel
COUNTS_MARGIN_EV = 15.0  # around the counts of a map
MAX_ROWS = 500  # of a panel: about its height in dots
COLOUR_MAP = "viridis"
BRIGHTEST_PERCENTILE = 98  # of the strongest emission energy: the end of the colours
MAP_INCHES = {1: 7.0, 2: 12.0}  # width of a figure with as many panels
MIN_PANEL_INCHES = 1.5  # width of a panel, however long the names in its margin
COLOUR_BAR_INCHES = 0.15  # width
COLOUR_BAR_GAP_INCHES = 0.12  # between a panel with its names and its colour bar


class ColourScale(StrEnum):
    """How colours follow the intensity."""

    SQRT = "sqrt"
    LOG = "log"


@dataclass(frozen=True)
class MapImage:
    """Intensities of a map, ready to be drawn.

    Attributes
    ----------
    incident_edges : f8 (point + 1,)
        Ascending edges of the columns, eV.
    emission_edges : f8 (bin + 1,)
        Ascending edges of the rows, eV.
    intensity : f8 (bin, point)
        NaN at masked points.
    """

    incident_edges: FloatArray
    emission_edges: FloatArray
    intensity: FloatArray

    def crop(self, window: Limits) -> MapImage:
        """Return the bins that reach into a window of emission energy, eV.

        Neighbouring bins are averaged where there are more than a panel has dots:
        matplotlib would drop them.
        """
        reaches_in = self.emission_edges[1:] > window.low
        reaches_in &= self.emission_edges[:-1] < window.high
        inside = np.flatnonzero(reaches_in)
        group = max(1, -(-len(inside) // MAX_ROWS))
        first_bins = inside[::group]
        upper_end = self.emission_edges[inside[-1] + 1]
        edges = np.append(self.emission_edges[first_bins], upper_end)
        widths = np.diff(self.emission_edges)[inside, None]
        counts = self.intensity[inside] * widths
        summed = np.add.reduceat(counts, first_bins - inside[0], axis=0)
        return MapImage(self.incident_edges, edges, summed / np.diff(edges)[:, None])


def map_figure(
    dataset: xr.Dataset,
    title: str,
    outlines: Mapping[str, Sequence[FloatArray]],
    colour_scale: ColourScale = ColourScale.SQRT,
    cmap: str = COLOUR_MAP,
    *,
    note: str = "",
) -> Figure:
    """Plot a map twice: wherever it has counts, and around the edge.

    Parameters
    ----------
    dataset : Dataset
        As `schema.RIXS_MAP` or `SCAN_MAP`; at least one incident point and one bin.
    title : str
        Of the figure.
    outlines : mapping of str to sequence of f8 (corner, 2)
        Region -> polygons (incident, emission), eV.
    colour_scale : ColourScale
        How colours follow the intensity.
    cmap : str
        A colour map of matplotlib.
    note : str
        Small title of the last panel.

    Returns
    -------
    Figure
        Panels and colour bars; only one panel where a window would be empty.
    """
    image = map_image(dataset)
    windows = emission_windows(dataset)
    figure = style.new_figure(MAP_INCHES[len(windows)], 5.4, title)
    grid = style.add_grid(figure, columns=len(windows))
    panels = list(grid.subplots(squeeze=False)[0])
    x_label = labels.quantity_label(dataset["incident_energy"])
    y_label = labels.quantity_label(dataset["emission_energy"])
    colour_label = labels.quantity_label(dataset["intensity"], "intensity")
    subtitles = [_summarise(dataset)] * len(windows)
    subtitles[-1] = note or ("" if len(windows) > 1 else subtitles[-1])
    colour_bars = []
    for axes, window, subtitle in zip(panels, windows, subtitles, strict=False):
        mesh = draw_map(axes, image.crop(window), colour_scale, cmap=cmap)
        axes.set_ylim(window)
        style.label_axes(axes, x_label, y_label, subtitle)
        colour_bars.append(_add_colour_bar(mesh, colour_label))
    draw_outlines(panels, outlines)
    _place_panels(figure, panels, colour_bars)
    return figure


def draw_map_panel(
    axes: Axes,
    dataset: xr.Dataset,
    title: str,
    outlines: Mapping[str, Sequence[FloatArray]],
    colour_scale: ColourScale = ColourScale.SQRT,
    cmap: str = COLOUR_MAP,
) -> None:
    """Draw the map around the edge, with its colour bar, in axes of any figure.

    Parameters
    ----------
    axes : Axes
        The panel.
    dataset, outlines, colour_scale, cmap
        As for `map_figure`.
    title : str
        Of the panel.
    """
    window = emission_windows(dataset)[-1]
    mesh = draw_map(axes, map_image(dataset).crop(window), colour_scale, cmap=cmap)
    axes.set_ylim(window)
    draw_outlines([axes], outlines)
    y_label = labels.quantity_label(dataset["emission_energy"])
    _finish_panel(axes, mesh, dataset, title, y_label)


def draw_loss_panel(
    axes: Axes,
    dataset: xr.Dataset,
    title: str,
    colour_scale: ColourScale = ColourScale.SQRT,
    cmap: str = COLOUR_MAP,
) -> None:
    """Draw a map against energy loss, incident - emission energy, around the edge.

    Parameters
    ----------
    axes : Axes
        The panel.
    dataset, title, colour_scale, cmap
        As for `draw_map_panel`.
    """
    loss_window = _loss_window(dataset)
    low, high = loss_window
    wide_window = Limits(low - LOSS_MARGIN_EV, high + LOSS_MARGIN_EV)
    image = map_image(dataset).crop(_edge_window(dataset, wide_window))
    loss = image.incident_edges - image.emission_edges[:, None]
    norm = colour_norm(image.intensity, colour_scale)
    mesh = _draw_intensities(axes, image, loss, norm, cmap)
    ends = Limits(image.incident_edges[0], image.incident_edges[-1])
    axes.set_xlim(current_options().range_of("incident_energy", ends) or ends)
    axes.set_ylim(loss_window)
    axes.axhline(0.0, color="white", ls="--", lw=1.0)
    _finish_panel(axes, mesh, dataset, title, "energy loss (eV)")


def _finish_panel(
    axes: Axes, mesh: QuadMesh, dataset: xr.Dataset, title: str, y_label: str
) -> None:
    """Set labels, and add a colour bar that takes its place from the panel."""
    x_label = labels.quantity_label(dataset["incident_energy"])
    style.label_axes(axes, x_label, y_label, title)
    bar = axes.figure.colorbar(mesh, ax=axes, extend="max")
    bar.set_label(labels.quantity_label(dataset["intensity"], "intensity"))


def map_image(dataset: xr.Dataset) -> MapImage:
    """Return the intensities of a map with ascending points."""
    incident = dataset["incident_energy"].values
    order = np.argsort(incident, kind="stable")
    transposed = dataset["intensity"].transpose("emission_energy", "incident_energy")
    intensity = transposed.values.astype(float)
    intensity[:, _is_masked(dataset)] = np.nan
    if "incident_energy_edges" in dataset:
        incident_edges = dataset["incident_energy_edges"].values
    else:
        incident_edges = point_edges(incident[order])
    emission_edges = dataset["emission_energy_edges"].values
    return MapImage(incident_edges, emission_edges, intensity[:, order])


def point_edges(incident: FloatArray) -> FloatArray:
    """Return edges (point + 1,) halfway between ascending points (point,), eV.

    Those at the ends are symmetric; points that all have one energy share 1 eV.
    """
    if incident[0] == incident[-1]:
        half_width = 0.5
        ends = incident[0] - half_width, incident[0] + half_width
        return np.linspace(*ends, len(incident) + 1)
    middle = (incident[1:] + incident[:-1]) / 2
    first = 2 * incident[0] - middle[0]
    last = 2 * incident[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])


def counts_window(dataset: xr.Dataset) -> Limits:
    """Return the emission energies of a map that have counts, at bin edges, eV."""
    edges = dataset["emission_energy_edges"].values
    counts = dataset["counts"].values[~_is_masked(dataset)]
    energy = dataset["emission_energy"].values
    low, high = find_counts_window(energy, counts.sum(axis=0), COUNTS_MARGIN_EV)
    edges_below, edges_above = edges[edges <= low], edges[edges >= high]
    return Limits(edges_below[-1], edges_above[0])


def emission_windows(dataset: xr.Dataset) -> list[Limits]:
    """Return the emission energies of the panels of a map, eV.

    Those with counts and those around the edge, or the limits of the options.
    """
    limits = emission_limits(dataset)
    if limits is not None:
        return [limits]
    windows = [counts_window(dataset), _edge_window(dataset)]
    return [window for window in windows if window.low < window.high]


def emission_limits(dataset: xr.Dataset) -> Limits | None:
    """Return the emission limits of the options for a map, rather near the edge."""
    options = current_options()
    if not options.limits:
        return None
    windows = _edge_window(dataset), counts_window(dataset)
    return options.range_of("emission_energy", *windows)


def _edge_window(dataset: xr.Dataset, loss: Limits = LOSS_WINDOW) -> Limits:
    """Return the emission energies around the edge, as far as the map goes, eV."""
    edges = dataset["emission_energy_edges"].values
    incident = dataset["incident_energy"].values
    low = max(edges[0], incident.min() - loss.high)
    high = min(edges[-1], incident.max() - loss.low)
    return Limits(low, high)


def _loss_window(dataset: xr.Dataset) -> Limits:
    """Return the energy losses that a map shows: of the options, or near the edge."""
    edges = dataset["emission_energy_edges"].values
    incident = dataset["incident_energy"].values
    whole_map = Limits(incident.min() - edges[-1], incident.max() - edges[0])
    return current_options().range_of("energy_loss", whole_map) or LOSS_WINDOW


def _summarise(dataset: xr.Dataset) -> str:
    """Return photons, points and measuring time of a map as text."""
    is_used = ~_is_masked(dataset)
    photons = dataset["counts"].values[is_used].sum()
    hours = dataset["live_time"].values[is_used].sum() / 3600
    masked = "" if is_used.all() else f" ({np.sum(~is_used)} masked)"
    return (
        f"{photons:,} photons, {is_used.size} points{masked}, {hours:.1f} pixel hours"
    )


def _is_masked(dataset: xr.Dataset) -> BoolArray:
    """Return which points (point,) have no exposure or are excluded from the map."""
    is_masked = dataset["exposure"].values <= 0
    if "point_status" in dataset:
        is_masked = is_masked | (dataset["point_status"].values != POINT_USED)
    return np.asarray(is_masked)


def colour_norm(
    intensity: FloatArray, colour_scale: ColourScale = ColourScale.SQRT
) -> Normalize:
    """Return colours that neither a hot bin nor a hot column determines.

    Parameters
    ----------
    intensity : f8 (bin, point)
        NaN at masked points.
    colour_scale : ColourScale
        How colours follow the intensity.

    Returns
    -------
    Normalize
        Up to the 98th percentile over the points at the strongest emission energy,
        unless the options have limits.
    """
    from matplotlib.colors import LogNorm, PowerNorm

    limits = current_options().intensity
    if limits is not None:
        return PowerNorm(0.5, vmin=limits.low, vmax=limits.high)
    is_exposed = np.isfinite(intensity).any(axis=0)
    exposed = intensity[:, is_exposed]
    positive = exposed[exposed > 0]
    if not positive.size:
        return PowerNorm(0.5, vmin=0.0, vmax=1.0)
    highest = np.percentile(exposed, BRIGHTEST_PERCENTILE, axis=1).max()
    if highest <= 0:
        highest = positive.max()
    if colour_scale is ColourScale.SQRT:
        return PowerNorm(0.5, vmin=0.0, vmax=highest)
    lowest = min(np.percentile(positive, 1), highest / 10)
    return LogNorm(vmin=lowest, vmax=highest, clip=True)


def draw_map(
    axes: Axes,
    image: MapImage,
    colour_scale: ColourScale = ColourScale.SQRT,
    norm: Normalize | None = None,
    cmap: str = COLOUR_MAP,
) -> QuadMesh:
    """Draw intensities, masked points in grey, and the elastic line.

    Parameters
    ----------
    axes : Axes
        The panel.
    image : MapImage
        The intensities.
    colour_scale : ColourScale
        How colours follow the intensity.
    norm : Normalize, optional
        Colours that several maps share, in place of `colour_scale`.
    cmap : str
        A colour map of matplotlib.

    Returns
    -------
    QuadMesh
        The intensities as drawn, for a colour bar.
    """
    from matplotlib.patheffects import withStroke

    norm = norm or colour_norm(image.intensity, colour_scale)
    mesh = _draw_intensities(axes, image, image.emission_edges, norm, cmap)
    ends = Limits(image.incident_edges[0], image.incident_edges[-1])
    axes.plot(
        ends,
        ends,
        "--",
        color="white",
        lw=1.0,
        label="elastic line",
        path_effects=[withStroke(linewidth=1.8, foreground="0.2")],
    )
    axes.set_xlim(current_options().range_of("incident_energy", ends) or ends)
    return mesh


def _draw_intensities(
    axes: Axes, image: MapImage, edges: FloatArray, norm: Normalize, cmap: str
) -> QuadMesh:
    """Draw intensities on vertical edges, (bin + 1,) or (bin + 1, point + 1), eV."""
    from matplotlib import colormaps

    incident_edges = image.incident_edges
    if edges.ndim > 1:
        incident_edges = np.broadcast_to(incident_edges, edges.shape)
    colours = colormaps[current_options().cmap or cmap]
    return axes.pcolormesh(
        incident_edges,
        edges,
        image.intensity,
        norm=norm,
        cmap=colours.with_extremes(bad=style.LIGHT_GREY),
        rasterized=True,
    )


def _add_colour_bar(mesh: QuadMesh, label: str) -> Axes:
    """Add axes with the colours of a map, yet to be placed."""
    from matplotlib.colors import LogNorm

    figure = mesh.figure
    bar = figure.colorbar(mesh, cax=figure.add_axes((0, 0, 1, 1)), extend="max")
    bar.set_label(label, size=style.TEXT_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE)
    if isinstance(mesh.norm, LogNorm):
        style.use_plain_log_ticks(bar.ax.yaxis)
    else:
        bar.ax.ticklabel_format(axis="y", scilimits=style.WRITTEN_OUT_POWERS)
    return bar.ax


def _place_panels(
    figure: Figure, panels: Sequence[Axes], colour_bars: Sequence[Axes]
) -> None:
    """Place panels side by side, with space for the names of regions in the margin."""
    width, height = figure.get_size_inches()
    scale = text_scale(figure)
    bottom, top = 0.55 * scale / height, 1 - 0.6 * scale / height
    column_width = width / len(panels)
    panel_height = top - bottom
    bar_width = COLOUR_BAR_INCHES * scale / width
    pairs = zip(panels, colour_bars, strict=True)
    for column, (axes, bar) in enumerate(pairs):
        panel_left = column * column_width + 0.8 * scale
        bar_left = (column + 1) * column_width - 0.9 * scale
        names_left = bar_left - COLOUR_BAR_GAP_INCHES * scale - margin_width(axes)
        panel_right = max(panel_left + MIN_PANEL_INCHES * scale, names_left)
        panel_width = (panel_right - panel_left) / width
        panel_box = (panel_left / width, bottom, panel_width, panel_height)
        axes.set_position(panel_box)
        bar_box = (bar_left / width, bottom, bar_width, panel_height)
        bar.set_position(bar_box)
