"""Figures with several panels, as a paper shows them: absorption of every edge, maps beside PFY, maps and cuts."""

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import frames, maps, style, waterfall

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rixs_pipeline.config import Region

Limits = tuple[float, float]
Overlay = Mapping[str, "xr.Dataset"]  # sample -> spectrum

BESIDE_EV = 5.0  # above and below a framed region, in its map
CELL = 3.6, 2.9  # inches of a panel with its labels


def xas_sheet(edges: Mapping[str, Overlay], channel: str) -> "Figure":
    """A panel an edge, in it the samples' absorption overlaid (Fig. 1 of an absorption study).

    Args:
        edges: edge -> sample -> normalised spectrum as `schema.spectrum`.
        channel: what is shown, for the title.
    """
    figure = style.new_figure(CELL[0] * len(edges), 3.2, f"{channel.upper()}, normalised")
    panels = style.grid(figure, 1, len(edges), gaps=(0.75, 0.8)).subplots(squeeze=False)[0]
    for letter, axes, (edge, overlay) in zip(ascii_lowercase, panels, edges.items(), strict=False):
        _overlay(axes, overlay, f"({letter}) {_edge(edge)}", errors=False)
    return figure


def map_sheet(rows: "Mapping[str, tuple[Overlay, Overlay, Region]]", emission: Limits | None) -> "Figure":
    """A row an edge: the map of each sample with the region framed and the elastic line dashed, then the overlay.

    Args:
        rows: edge -> maps of the samples, their spectra of the region, and the region.
        emission: what the maps show, eV; default: around the region.
    """
    columns = 1 + max(len(of[0]) for of in rows.values())
    figure = style.new_figure(
        CELL[0] * columns,
        0.5 + CELL[1] * len(rows),
        "RIXS maps (colours: square root of intensity) and fluorescence yield",
    )
    panels = style.grid(figure, len(rows), columns, (0.75, 0.5, 0.15, 0.75), (0.75, 0.75)).subplots(squeeze=False)
    letters = iter(ascii_lowercase)
    for row, (edge, (rixs_maps, spectra, region)) in zip(panels, rows.items(), strict=True):
        _maps(row, edge, rixs_maps, region, emission, letters)
        _overlay(row[len(rixs_maps)], spectra, f"({next(letters)}) {_edge(edge)} {_kind(region)}")
    return figure


def cut_sheet(
    edge: str,
    rixs_maps: Overlay,
    spectra: Overlay,
    region: "Region",
    cuts: Mapping[str, Mapping[float, "xr.Dataset"]],
    compared: float,
    emission: Limits | None,
) -> "Figure":
    """Maps (a, b) and the overlay of a region (c); below, emission spectra of each sample (d, e) and compared (f).

    Args:
        edge: of all of it.
        rixs_maps, spectra: sample -> map, and its spectrum of `region`.
        region: framed and overlaid.
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
    places = style.grid(figure, 2, len(rixs_maps) + 1, (0.75, 0.5, 0.15, 0.75), (0.75, 0.75))
    panels = places.subplots(squeeze=False)
    letters = iter(ascii_lowercase)
    _maps(panels[0], edge, rixs_maps, region, window, letters)
    _overlay(panels[0][len(rixs_maps)], spectra, f"({next(letters)}) {_kind(region)}")
    for axes, (sample, of_sample) in zip(panels[1], cuts.items(), strict=False):
        excited = {f"{energy:g} eV": dataset for energy, dataset in of_sample.items()}
        waterfall.draw(axes, excited, window, f"({next(letters)}) {sample}", 9)
    both = {sample: of_sample[compared] for sample, of_sample in cuts.items()}
    _overlay(panels[1][len(cuts)], both, f"({next(letters)}) excited at {compared:g} eV", window)
    return figure


def _maps(
    row: "Sequence[Axes]",
    edge: str,
    rixs_maps: Overlay,
    region: "Region",
    emission: Limits | None,
    letters: "Iterator[str]",
) -> None:
    """The samples' maps on one colour scale."""
    window = emission or _around(region, BESIDE_EV)
    images = {sample: maps.image_of(dataset).cropped(*window) for sample, dataset in rixs_maps.items()}
    norm = maps.colour_norm(np.concatenate([image.intensity for image in images.values()], axis=1), "sqrt")
    for axes, (sample, image) in zip(row, images.items(), strict=False):
        maps.draw_map(axes, image, "sqrt", norm)
        axes.set_ylim(max(window[0], image.emission_edges[0]), min(window[1], image.emission_edges[-1]))
        axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
        letter = next(letters)
        style.dress(axes, "incident energy (eV)", "emission energy (eV)", f"({letter}) {sample}, {_edge(edge)}", 9)
        for part in frames.outlines(region, axes.get_xlim(), axes.get_ylim()):
            axes.plot(*np.append(part, part[:1], axis=0).T, color="white", lw=1.3, label="region")


def _around(region: "Region", margin: float) -> Limits:
    """The emission energies of a region and what is beside it."""
    low, high = region.emission or (200.0, 1100.0)
    return low - margin, high + margin


def _overlay(axes: "Axes", overlay: Overlay, title: str, window: Limits | None = None, errors: bool = True) -> None:
    """Samples in one panel: joined points, with bars of one standard deviation."""
    for index, (sample, dataset) in enumerate(overlay.items()):
        energy, values, bars = waterfall.columns(dataset, window)
        colour = style.SERIES[index % len(style.SERIES)]
        axes.plot(energy, values, color=colour, lw=1.0, label=style.plain(sample))
        if errors and np.isfinite(bars).any():
            axes.errorbar(energy, values, bars, fmt="none", ecolor=colour, elinewidth=0.6, alpha=0.6)
    first = next(iter(overlay.values()))["intensity"]
    axes.margins(x=0.01)
    axes.locator_params(axis="x", nbins=6)
    style.dress(axes, f"{str(first.dims[0]).replace('_', ' ')} (eV)", style.quantity(first, "intensity"), title, 9)
    axes.legend(frameon=False, fontsize=style.SMALL_SIZE)


def _edge(edge: str) -> str:
    """`Ni L edge` for Ni_L."""
    return f"{edge.replace('_', ' ')} edge"


def _kind(region: "Region") -> str:
    """How a spectroscopist writes the kind of a region."""
    return {"spfy": "sPFY", "ipfy": "iPFY"}.get(region.kind or "", (region.kind or "").upper())
