"""RIXS maps: intensity over incident and emission energy, with the elastic line and the regions of interest."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.plots import style
from rixs_pipeline.schema import POINT_USED

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    from rixs_pipeline.config import Region

Floats = NDArray[np.float64]
Limits = tuple[float, float]
Label = tuple[str, str, Floats]  # name, colour, border of its largest part
HalfPlane = tuple[tuple[float, float], float]  # direction, limit: direction . (incident, emission) <= limit
Scale = Literal["sqrt", "log"]

ZOOM_BELOW, ZOOM_ABOVE = 60.0, 10.0  # eV around the incident energies: fluorescence of the edge and elastic line
MAX_ROWS = 500  # of a panel, about its height in dots
FRAME_COLOURS = ("white", style.ORANGE, style.SKY, style.PURPLE, style.YELLOW, style.GREEN)
COLOUR_MAP = "viridis"


@dataclass(frozen=True)
class _Image:
    """A map ready to be drawn: ascending edges (point + 1,) and (bin + 1,) eV; intensity (bin, point), NaN masked."""

    incident_edges: Floats
    emission_edges: Floats
    intensity: Floats

    def cropped(self, low: float, high: float) -> "_Image":
        """The bins that reach into [low, high], averaged to what a panel can show: thinner rows would be dropped."""
        inside = np.flatnonzero((self.emission_edges[1:] > low) & (self.emission_edges[:-1] < high))
        group = max(1, -(-len(inside) // MAX_ROWS))
        starts = inside[::group]
        edges = np.append(self.emission_edges[starts], self.emission_edges[inside[-1] + 1])
        width = np.diff(self.emission_edges)[inside, None]
        weighted = np.add.reduceat(self.intensity[inside] * width, starts - inside[0], axis=0)
        return _Image(self.incident_edges, edges, weighted / np.diff(edges)[:, None])


def map_figure(dataset: "xr.Dataset", title: str, regions: "Mapping[str, Region]", scale: Scale = "sqrt") -> "Figure":
    """A map twice: all emission energies that have counts, and the window around the edge.

    Args:
        dataset: as `schema.RIXS_MAP` or `SCAN_MAP`; at least one incident point and one emission bin.
        title: of the figure.
        regions: framed where they are limited in anything.
        scale: of the colours; their upper end leaves out single hot bins and points of little exposure.
    """
    image = _image(dataset)
    figure = style.new_figure(12, 5.4, title)
    windows = [_counts_window(dataset), _edge_window(dataset)]
    shown = [window for window in windows if window[0] < window[1]]
    panels = list(zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True))
    for axes, window in panels:
        _draw_map(
            figure, axes, image.cropped(*window), scale, style.quantity(dataset["intensity"], "intensity")
        )
        axes.set_ylim(window)
        style.dress(axes, style.quantity(dataset["incident_energy"]), style.quantity(dataset["emission_energy"]))
    style.dress(panels[0][0], panels[0][0].get_xlabel(), panels[0][0].get_ylabel(), _summary(dataset), style.TEXT_SIZE)
    _frame([axes for axes, _ in panels], regions)
    return figure


def point_edges(incident: Floats) -> Floats:
    """Edges (point + 1,) of columns around ascending points (point,): halfway between, symmetric at the ends, eV."""
    if len(incident) == 1:
        return np.array([incident[0] - 0.5, incident[0] + 0.5])
    middle = (incident[1:] + incident[:-1]) / 2
    return np.concatenate([[2 * incident[0] - middle[0]], middle, [2 * incident[-1] - middle[-1]]])


def outlines(region: "Region", incident: Limits, emission: Limits) -> list[Floats]:
    """The borders of a region within a panel, each f8 (corner, 2): incident, emission in eV.

    All limits hold at once; where the elastic line is excluded the region falls into a part below and one above it.
    Empty where nothing of the region is in the panel.
    """
    planes = [*_half_planes(incident, (1, 0)), *_half_planes(emission, (0, 1)), *_half_planes(region.loss, (1, -1))]
    planes += [*_half_planes(region.incident, (1, 0)), *_half_planes(region.emission, (0, 1))]
    half = region.exclude_elastic
    sides: list[HalfPlane] = [((-1, 1), -half), ((1, -1), -half)] if half else [((0, 0), 0.0)]
    start = np.array(region.polygon or [(x, y) for x, y in zip(np.repeat(incident, 2), (*emission, *emission[::-1]))])
    parts = [reduce(_clip, [*planes, side], start) for side in sides]
    return [part for part in parts if _area(part) > 0]


def _half_planes(limits: Limits | None, direction: tuple[int, int]) -> list[HalfPlane]:
    """limits[0] <= direction . (incident, emission) <= limits[1] as `direction . corner <= limit`; none if no limits."""
    x, y = direction
    return [((-x, -y), -limits[0]), (direction, limits[1])] if limits else []


def _area(corners: Floats) -> float:
    """Area of a polygon (corner, 2), eV^2; 0 without corners."""
    (x, y), (x_next, y_next) = corners.T, np.roll(corners, -1, axis=0).T
    return float(abs((x * y_next - x_next * y).sum()) / 2)


def _clip(corners: Floats, plane: HalfPlane) -> Floats:
    """The part of a polygon (corner, 2) in a half plane (I. Sutherland, G. Hodgman, Commun. ACM 17, 32 (1974))."""
    kept = []
    excess = corners @ np.array(plane[0], float) - plane[1]
    for here, there, a, b in zip(corners, np.roll(corners, -1, axis=0), excess, np.roll(excess, -1), strict=True):
        if a <= 0:
            kept.append(here)
        if a * b < 0:
            kept.append(here + (there - here) * a / (a - b))
    return np.array(kept).reshape(-1, 2)


def _image(dataset: "xr.Dataset") -> _Image:
    """Points in ascending order; points without exposure or left out of the map are NaN."""
    incident = dataset["incident_energy"].values
    order = np.argsort(incident, kind="stable")
    intensity = dataset["intensity"].transpose("emission_energy", "incident_energy").values.astype(float)
    masked = dataset["exposure"].values <= 0
    if "point_status" in dataset:
        masked = masked | (dataset["point_status"].values != POINT_USED)
    intensity[:, masked] = np.nan
    given = "incident_energy_edges" in dataset
    edges = dataset["incident_energy_edges"].values if given else point_edges(incident[order])
    return _Image(edges, dataset["emission_energy_edges"].values, intensity[:, order])


def _counts_window(dataset: "xr.Dataset") -> Limits:
    """The emission energies that have counts, at bin edges."""
    edges = dataset["emission_energy_edges"].values
    counts = dataset["counts"].sum("incident_energy").values
    low, high = style.where_counts_are(dataset["emission_energy"].values, counts, margin=15.0)
    return float(edges[edges <= low][-1]), float(edges[edges >= high][0])


def _edge_window(dataset: "xr.Dataset") -> Limits:
    """The emission energies around the edge, as far as the map goes."""
    edges, incident = dataset["emission_energy_edges"].values, dataset["incident_energy"].values
    return max(edges[0], incident.min() - ZOOM_BELOW), min(edges[-1], incident.max() + ZOOM_ABOVE)


def _summary(dataset: "xr.Dataset") -> str:
    """What the map rests on, in a line."""
    photons, hours = int(dataset["counts"].sum()), float(dataset["live_time"].sum()) / 3600
    masked = int(np.isnan(_image(dataset).intensity).all(axis=0).sum())
    points = f"{dataset.sizes['incident_energy']} points" + (f" ({masked} masked)" if masked else "")
    return f"{photons:,} photons, {points}, {hours:,.1f} pixel hours".replace(",", "\u202f", photons > 999)


def _norm(intensity: Floats, scale: Scale) -> "Normalize":
    """Colours up to the strongest emission energy's second-brightest percents, which one hot column does not move."""
    from matplotlib.colors import LogNorm, PowerNorm

    exposed = intensity[:, np.isfinite(intensity).any(axis=0)]
    positive = exposed[exposed > 0]
    if not positive.size:
        return PowerNorm(0.5, vmin=0.0, vmax=1.0)
    highest = np.percentile(exposed, 98, axis=1).max()
    highest = float(highest if highest > 0 else positive.max())
    if scale == "sqrt":
        return PowerNorm(0.5, vmin=0.0, vmax=highest)
    return LogNorm(vmin=min(float(np.percentile(positive, 1)), highest / 10), vmax=highest, clip=True)


def _draw_map(figure: "Figure", axes: "Axes", image: _Image, scale: Scale, label: str) -> None:
    from matplotlib import colormaps
    from matplotlib.patheffects import withStroke

    norm = _norm(image.intensity, scale)
    mesh = axes.pcolormesh(
        image.incident_edges, image.emission_edges, image.intensity, norm=norm, rasterized=True,
        cmap=colormaps[COLOUR_MAP].with_extremes(bad=style.LIGHT_GREY),
    )  # fmt: skip
    axes.set_facecolor(style.LIGHT_GREY)
    ends = image.incident_edges[[0, -1]]
    stroke = [withStroke(linewidth=1.8, foreground="0.2")]
    axes.plot(ends, ends, "--", color="white", lw=1.0, label="elastic line", scalex=False, path_effects=stroke)
    axes.set_xlim(ends)
    bar = figure.colorbar(mesh, ax=axes, extend="max", pad=0.02, aspect=30)
    bar.set_label(label, size=style.TEXT_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE)
    if scale == "log":
        style.log_ticks(bar.ax.yaxis)


def _frame(panels: "list[Axes]", regions: "Mapping[str, Region]") -> None:
    """Frames in the last panel that sees a region, and in those before it unless that one shows all of it."""
    from matplotlib.patches import Polygon

    limited = {name: region for name, region in regions.items() if _is_limited(region)}
    beside: list[list[Label]] = [[] for _ in panels]
    for (name, region), colour in zip(limited.items(), cycle(FRAME_COLOURS), strict=False):
        for axes, labels in zip(panels[::-1], beside[::-1], strict=True):
            parts = outlines(region, axes.get_xlim(), axes.get_ylim())
            for part in parts:
                axes.add_patch(Polygon(part, fill=False, ec=colour, lw=1.3, label=name))
            if parts:
                labels.append((name, colour, max(parts, key=_area)))
                if not _reaches_out(parts, axes):
                    break
    for axes, labels in zip(panels, beside, strict=True):
        _label(axes, labels)


def _is_limited(region: "Region") -> bool:
    """Whether a region has a border that could be drawn."""
    return any((region.emission, region.incident, region.loss, region.polygon))


def _reaches_out(parts: list[Floats], axes: "Axes") -> bool:
    """Whether an outline touches the lower or upper end of a panel."""
    return bool(np.isin(np.concatenate(parts)[:, 1], axes.get_ylim()).any())


def _label(axes: "Axes", labels: "list[Label]") -> None:
    """Names of frames: in the right margin where a frame reaches it; else upright beside its foot, or below it."""
    left, right = axes.get_xlim()
    margin = []
    for name, colour, corners in labels:
        at_right = corners[corners[:, 0] == right]
        x, at_left = corners[:, 0].min(), corners[corners[:, 0] == corners[:, 0].min()]
        if len(at_right):
            height = axes.transLimits.transform((right, at_right[:, 1].mean()))[1]
            margin.append((height, name, colour))
        elif _reaches_out([corners], axes):
            side, shift = ("left", 4) if x == left else ("right", -4)
            _tag(axes, name, colour, (x, at_left[:, 1].min()), (shift, 5), rotation=90, ha=side, va="bottom")
        else:
            _tag(axes, name, colour, (x, at_left[:, 1].min()), (2, -5), ha="left", va="top")
    margin.sort()
    for (_, name, colour), y in zip(margin, style.spread([height for height, *_ in margin], 0.05), strict=True):
        _tag(axes, name, colour, (1.0, y), (4, 0), xycoords="axes fraction", ha="left", va="center")


def _tag(
    axes: "Axes", name: str, colour: str, at: tuple[float, float], offset: tuple[float, float], **how: Any
) -> None:
    """A name in the colour of its frame on a dark ground, `offset` points from `at`."""
    box = {"boxstyle": "round,pad=0.2", "fc": "0.2", "ec": "none", "alpha": 0.85}
    axes.annotate(
        name, at, offset, textcoords="offset points", color=colour, size=style.SMALL_SIZE, bbox=box,
        annotation_clip=False, **how,
    )  # fmt: skip
