"""Figures with several panels, as a paper shows them: absorption of every edge, maps beside PFY, maps and cuts."""

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import maps, style, waterfall
from rixs_pipeline.plots.region_outlines import clip_to_panel
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rixs_pipeline.config.models import Region

Limits = tuple[float, float]
Overlay = Mapping[str, "xr.Dataset"]  # sample -> spectrum
Outlines = Mapping[str, Sequence[FloatArray]]  # sample -> polygons of a region, eV

BESIDE_EV = 5.0  # above and below a framed region, in its map
CELL = 3.6, 2.9  # inches of a panel with its labels
LEGEND = 0.06  # of a panel's height, for each sample in its legend


def xas_sheet(rows: "Mapping[str, Mapping[str, Overlay]]", scale: str) -> "Figure":
    """A row a channel and a panel an edge, in it the samples' absorption overlaid (Fig. 1 of an absorption study).

    Args:
        rows: channel -> edge -> sample -> normalised spectrum as `schema.spectrum`.
        scale: how they are normalised, `max` or `edge`, for the title.
    """
    columns = list(dict.fromkeys(edge for edges in rows.values() for edge in edges))
    how = {"max": "normalised at the maximum", "edge": "normalised by the edge jump"}[
        scale
    ]
    title = f"{', '.join(rows).upper()}: {how}"
    figure = style.new_figure(CELL[0] * len(columns), 0.3 + CELL[1] * len(rows), title)
    panels = style.grid(figure, len(rows), len(columns), gaps=(0.75, 0.8)).subplots(
        squeeze=False
    )
    letters = iter(ascii_lowercase)
    for row, (channel, edges) in zip(panels, rows.items(), strict=True):
        for axes, edge in zip(row, columns, strict=True):
            if edge in edges:
                label = f"{channel.upper()} (normalised)"
                _overlay(
                    axes,
                    edges[edge],
                    f"({next(letters)}) {_edge(edge)}",
                    errors=channel == "pfy",
                    label=label,
                )
            else:
                axes.set_visible(False)
    return figure


def spectra_sheet(edges: "Mapping[str, tuple[Overlay, Region]]") -> "Figure":
    """A panel an edge, in it the samples' spectra of a region overlaid.

    Args:
        edges: edge -> sample -> spectrum as `schema.spectrum`, and the region.
    """
    figure = style.new_figure(
        max(CELL[0] * len(edges), 5.0), 0.3 + CELL[1], "Spectra of the samples"
    )
    panels = style.grid(figure, 1, len(edges), gaps=(0.75, 0.8)).subplots(
        squeeze=False
    )[0]
    for letter, axes, (edge, (overlay, region)) in zip(
        ascii_lowercase, panels, edges.items(), strict=False
    ):
        _overlay(
            axes, overlay, f"({letter}) {_edge(edge)} {_kind(region)}{_scaled(region)}"
        )
    return figure


def map_sheet(
    rows: "Mapping[str, tuple[Overlay, Overlay, Region, Outlines]]",
    emission: Limits | None,
) -> "Figure":
    """A row an edge: the map of each sample with the region framed and the elastic line dashed, then the overlay.

    Args:
        rows: edge -> maps of the samples, their spectra of the region, the region, and its outlines on the maps.
        emission: what the maps show, eV; default: around the region.
    """
    columns = 1 + max(len(of[0]) for of in rows.values())
    figure = style.new_figure(
        CELL[0] * columns,
        0.5 + CELL[1] * len(rows),
        "RIXS maps (colours: square root of intensity) and fluorescence yield",
    )
    panels = style.grid(
        figure, len(rows), columns, (0.75, 0.5, 0.15, 0.75), (0.75, 0.75)
    ).subplots(squeeze=False)
    letters = iter(ascii_lowercase)
    for row, (edge, (rixs_maps, spectra, region, outlines)) in zip(
        panels, rows.items(), strict=True
    ):
        window = emission or _around(region, BESIDE_EV)
        _maps(row, edge, rixs_maps, outlines, window, letters)
        _overlay(
            row[len(rixs_maps)],
            spectra,
            f"({next(letters)}) {_edge(edge)} {_kind(region)}",
        )
    return figure


def cut_sheet(
    edge: str,
    rixs_maps: Overlay,
    spectra: Overlay,
    region: "Region",
    outlines: Outlines,
    cuts: Mapping[str, Mapping[float, "xr.Dataset"]],
    compared: float,
    emission: Limits | None,
) -> "Figure":
    """Maps (a, b) and the overlay of a region (c); below, emission spectra of each sample (d, e) and compared (f).

    Args:
        edge: of all of it.
        rixs_maps, spectra: sample -> map, and its spectrum of `region`.
        region: overlaid.
        outlines: of the region on the map of each sample.
        cuts: sample -> incident energy in eV -> emission spectrum.
        compared: the incident energy at which the samples are overlaid, eV.
        emission: what maps and cuts show, eV; default: around the region, at least 15 eV.
    """
    window = emission or _around(region, 7.5)
    figure = style.new_figure(
        CELL[0] * (len(rixs_maps) + 1),
        0.5 + CELL[1] * 2,
        f"{_edge(edge)}: maps (colours: square root of intensity) and emission",
    )
    places = style.grid(
        figure, 2, len(rixs_maps) + 1, (0.75, 0.5, 0.15, 0.75), (0.75, 0.75)
    )
    panels = places.subplots(squeeze=False)
    letters = iter(ascii_lowercase)
    _maps(panels[0], edge, rixs_maps, outlines, window, letters)
    _overlay(panels[0][len(rixs_maps)], spectra, f"({next(letters)}) {_kind(region)}")
    highest = max(waterfall.highest(of_sample, window) for of_sample in cuts.values())
    for axes, (sample, of_sample) in zip(panels[1], cuts.items(), strict=False):
        excited = {f"{energy:g} eV": dataset for energy, dataset in of_sample.items()}
        waterfall.draw(axes, excited, window, f"({next(letters)}) {sample}", 9, highest)
    both = {sample: of_sample[compared] for sample, of_sample in cuts.items()}
    _overlay(
        panels[1][len(cuts)],
        both,
        f"({next(letters)}) excited at {compared:g} eV",
        window,
    )
    return figure


def _maps(
    row: "Sequence[Axes]",
    edge: str,
    rixs_maps: Overlay,
    outlines: Outlines,
    window: Limits,
    letters: "Iterator[str]",
) -> None:
    """The samples' maps on one colour scale."""
    images = {
        sample: maps.image_of(dataset).cropped(*window)
        for sample, dataset in rixs_maps.items()
    }
    norm = maps.colour_norm(
        np.concatenate([image.intensity for image in images.values()], axis=1), "sqrt"
    )
    for axes, (sample, image) in zip(row, images.items(), strict=False):
        maps.draw_map(axes, image, "sqrt", norm)
        axes.set_ylim(
            max(window[0], image.emission_edges[0]),
            min(window[1], image.emission_edges[-1]),
        )
        axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
        letter = next(letters)
        style.dress(
            axes,
            "incident energy (eV)",
            "emission energy (eV)",
            f"({letter}) {sample}, {_edge(edge)}",
            9,
        )
        for part in clip_to_panel(outlines[sample], axes):
            axes.plot(
                *np.append(part, part[:1], axis=0).T,
                color="white",
                lw=1.3,
                label="region",
            )


def _around(region: "Region", margin: float) -> Limits:
    """The emission energies of a region and what is beside it."""
    low, high = region.emission or (200.0, 1100.0)
    return low - margin, high + margin


def _overlay(
    axes: "Axes",
    overlay: Overlay,
    title: str,
    window: Limits | None = None,
    errors: bool = True,
    label: str = "",
) -> None:
    """Samples in one panel: joined points, with bars of one standard deviation; `label`: instead of the intensity's."""
    for index, (sample, dataset) in enumerate(overlay.items()):
        energy, values, bars = waterfall.columns(dataset, window)
        colour = style.SERIES[index % len(style.SERIES)]
        axes.plot(energy, values, color=colour, lw=1.0, label=style.plain(sample))
        if errors and np.isfinite(bars).any():
            axes.errorbar(
                energy,
                values,
                bars,
                fmt="none",
                ecolor=colour,
                elinewidth=0.6,
                alpha=0.6,
            )
    first = next(iter(overlay.values()))["intensity"]
    axes.margins(x=0.01)
    axes.locator_params(axis="x", nbins=6)
    x_label, y_label = (
        f"{str(first.dims[0]).replace('_', ' ')} (eV)",
        label or style.quantity(first, "intensity"),
    )
    style.dress(axes, x_label, y_label, title, 9)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + LEGEND * len(overlay) * (high - low))
    axes.legend(frameon=False, fontsize=style.SMALL_SIZE, loc="upper right")


def _edge(edge: str) -> str:
    """`Ni L edge` for Ni_L."""
    return f"{edge.replace('_', ' ')} edge"


def _scaled(region: "Region") -> str:
    """What a spectrum is divided by, in words."""
    if isinstance(region.scale, tuple):
        return f", 1 on average over {region.scale[0]:g}–{region.scale[1]:g} eV"
    return {
        "none": "",
        "max": " over its maximum",
        "area": " over its area",
        "edge": " over its edge jump",
    }[region.scale]


def _kind(region: "Region") -> str:
    """How a spectroscopist writes the kind of a region."""
    return {"spfy": "sPFY", "ipfy": "iPFY"}.get(
        region.kind or "", (region.kind or "").upper()
    )
