"""RIXS maps: intensity over incident and emission energy, with the elastic line and the regions of interest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.plots import style
from rixs_pipeline.plots.region_outlines import draw_outlines, margin_width
from rixs_pipeline.schema import POINT_USED

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Limits = tuple[float, float]
Scale = Literal["sqrt", "log"]

ZOOM_BELOW, ZOOM_ABOVE = (
    60.0,
    10.0,
)  # eV around the incident energies: fluorescence of the edge and elastic line
MAX_ROWS = 500  # of a panel, about its height in dots
COLOUR_MAP = "viridis"
NARROWEST = 1.5  # inches of a panel, however long the names in its margin


@dataclass(frozen=True)
class _Image:
    """A map ready to be drawn: ascending edges (point + 1,) and (bin + 1,) eV; intensity (bin, point), NaN masked."""

    incident_edges: Floats
    emission_edges: Floats
    intensity: Floats

    def cropped(self, low: float, high: float) -> "_Image":
        """The bins that reach into [low, high], averaged to what a panel can show: thinner rows would be dropped."""
        inside = np.flatnonzero(
            (self.emission_edges[1:] > low) & (self.emission_edges[:-1] < high)
        )
        group = max(1, -(-len(inside) // MAX_ROWS))
        starts = inside[::group]
        edges = np.append(
            self.emission_edges[starts], self.emission_edges[inside[-1] + 1]
        )
        width = np.diff(self.emission_edges)[inside, None]
        weighted = np.add.reduceat(
            self.intensity[inside] * width, starts - inside[0], axis=0
        )
        return _Image(self.incident_edges, edges, weighted / np.diff(edges)[:, None])


def map_figure(
    dataset: "xr.Dataset",
    title: str,
    outlines: Mapping[str, Sequence[Floats]],
    scale: Scale = "sqrt",
) -> "Figure":
    """A map twice: all emission energies that have counts, and the window around the edge.

    Args:
        dataset: as `schema.RIXS_MAP` or `SCAN_MAP`; at least one incident point and one emission bin.
        title: of the figure.
        outlines: region -> polygons (corner, 2) of incident and emission energy in eV.
        scale: of the colours; their upper end leaves out single hot bins and points of little exposure.
    """
    image = image_of(dataset)
    figure = style.new_figure(12, 5.4, title)
    windows = [
        window
        for window in (counts_window(dataset), _edge_window(dataset))
        if window[0] < window[1]
    ]
    panels = list(style.grid(figure, columns=len(windows)).subplots(squeeze=False)[0])
    bars = []
    for axes, window, subtitle in zip(
        panels, windows, (_summary(dataset), ""), strict=False
    ):
        mesh = draw_map(axes, image.cropped(*window), scale)
        axes.set_ylim(window)
        x_label, y_label = (
            style.quantity(dataset["incident_energy"]),
            style.quantity(dataset["emission_energy"]),
        )
        style.dress(axes, x_label, y_label, subtitle)
        bars.append(
            _draw_colour_bar(mesh, style.quantity(dataset["intensity"], "intensity"))
        )
    draw_outlines(panels, outlines)
    _place(figure, panels, bars)
    return figure


def point_edges(incident: Floats) -> Floats:
    """Edges (point + 1,) of columns around ascending points (point,): halfway between, symmetric at the ends, eV.

    Points that all have one energy share 1 eV.
    """
    if incident[0] == incident[-1]:
        return np.asarray(incident[0] + np.linspace(-0.5, 0.5, len(incident) + 1))
    middle = (incident[1:] + incident[:-1]) / 2
    return np.concatenate(
        [[2 * incident[0] - middle[0]], middle, [2 * incident[-1] - middle[-1]]]
    )


def image_of(dataset: "xr.Dataset") -> _Image:
    """Points in ascending order; masked ones are NaN."""
    incident = dataset["incident_energy"].values
    order = np.argsort(incident, kind="stable")
    intensity = (
        dataset["intensity"]
        .transpose("emission_energy", "incident_energy")
        .values.astype(float)
    )
    intensity[:, _masked(dataset)] = np.nan
    given = "incident_energy_edges" in dataset
    edges = (
        dataset["incident_energy_edges"].values
        if given
        else point_edges(incident[order])
    )
    return _Image(edges, dataset["emission_energy_edges"].values, intensity[:, order])


def counts_window(dataset: "xr.Dataset") -> Limits:
    """The emission energies that have counts, at bin edges, eV."""
    edges = dataset["emission_energy_edges"].values
    counts = dataset["counts"].values[~_masked(dataset)].sum(axis=0)
    low, high = style.where_counts_are(
        dataset["emission_energy"].values, counts, margin=15.0
    )
    return float(edges[edges <= low][-1]), float(edges[edges >= high][0])


def _edge_window(dataset: "xr.Dataset") -> Limits:
    """The emission energies around the edge, as far as the map goes."""
    edges, incident = (
        dataset["emission_energy_edges"].values,
        dataset["incident_energy"].values,
    )
    return max(edges[0], incident.min() - ZOOM_BELOW), min(
        edges[-1], incident.max() + ZOOM_ABOVE
    )


def _summary(dataset: "xr.Dataset") -> str:
    """What the map rests on, in a line."""
    used = ~_masked(dataset)
    photons, hours = (
        dataset["counts"].values[used].sum(),
        dataset["live_time"].values[used].sum() / 3600,
    )
    points = f"{used.size} points" + (
        f" ({np.sum(~used)} masked)" if not used.all() else ""
    )
    return f"{photons:,} photons, {points}, {hours:.1f} pixel hours"


def _masked(dataset: "xr.Dataset") -> NDArray[np.bool_]:
    """Points (point,) without exposure or left out of the map."""
    masked = dataset["exposure"].values <= 0
    if "point_status" in dataset:
        masked = masked | (dataset["point_status"].values != POINT_USED)
    return np.asarray(masked)


def colour_norm(intensity: Floats, scale: Scale) -> "Normalize":
    """Colours up to the 98th percentile along the strongest emission energy, which no hot bin or column moves."""
    from matplotlib.colors import LogNorm, PowerNorm

    exposed = intensity[:, np.isfinite(intensity).any(axis=0)]
    positive = exposed[exposed > 0]
    if not positive.size:
        return PowerNorm(0.5, vmin=0.0, vmax=1.0)
    highest = np.percentile(exposed, 98, axis=1).max()
    highest = float(highest if highest > 0 else positive.max())
    if scale == "sqrt":
        return PowerNorm(0.5, vmin=0.0, vmax=highest)
    return LogNorm(
        vmin=min(float(np.percentile(positive, 1)), highest / 10),
        vmax=highest,
        clip=True,
    )


def draw_map(
    axes: "Axes", image: _Image, scale: Scale, norm: "Normalize | None" = None
) -> "QuadMesh":
    """Intensities, masked points in grey, and the elastic line; `norm`: colours that several maps share."""
    from matplotlib import colormaps
    from matplotlib.patheffects import withStroke

    colours = colormaps[COLOUR_MAP].with_extremes(bad=style.LIGHT_GREY)
    norm = norm or colour_norm(image.intensity, scale)
    edges = image.incident_edges, image.emission_edges
    mesh = axes.pcolormesh(
        *edges, image.intensity, norm=norm, cmap=colours, rasterized=True
    )
    ends = float(edges[0][0]), float(edges[0][-1])
    stroke = [withStroke(linewidth=1.8, foreground="0.2")]
    axes.plot(
        ends,
        ends,
        "--",
        color="white",
        lw=1.0,
        label="elastic line",
        path_effects=stroke,
    )
    axes.set_xlim(ends)
    return mesh


def _draw_colour_bar(mesh: "QuadMesh", label: str) -> "Axes":
    """Axes with the colours of a map, yet to be placed."""
    from matplotlib.colors import LogNorm

    figure = mesh.figure
    bar = figure.colorbar(mesh, cax=figure.add_axes((0, 0, 1, 1)), extend="max")
    bar.set_label(label, size=style.TEXT_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE)
    if isinstance(mesh.norm, LogNorm):
        style.log_ticks(bar.ax.yaxis)
    else:
        bar.ax.ticklabel_format(axis="y", scilimits=style.POWERS)
    return bar.ax


def _place(figure: "Figure", panels: "list[Axes]", bars: "list[Axes]") -> None:
    """Panels side by side, each with its colour bar, between them the names of frames in the panel's right margin."""
    width, height = figure.get_size_inches()
    bottom, top = 0.55 / height, 1 - 0.6 / height
    for index, (axes, bar) in enumerate(zip(panels, bars, strict=True)):
        left, bar_left = (
            index * width / len(panels) + 0.8,
            (index + 1) * width / len(panels) - 0.9,
        )
        right = max(left + NARROWEST, bar_left - 0.12 - margin_width(axes))
        axes.set_position((left / width, bottom, (right - left) / width, top - bottom))
        bar.set_position((bar_left / width, bottom, 0.15 / width, top - bottom))
