"""Multi-panel figures as in a paper: absorption, maps beside yields, maps and cuts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, maps, style
from rixs_pipeline.plots.options import current_options, text_scale
from rixs_pipeline.plots.region_outlines import clip_to_panel
from rixs_pipeline.plots.spectrum_data import (
    Limits,
    highest_intensity,
    is_left_out,
    sort_spectrum,
    spectrum_axis,
)
from rixs_pipeline.plots.style import Spacing
from rixs_pipeline.plots.waterfall import draw_waterfall, label_waterfall
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

    Datasets = Mapping[str, xr.Dataset]  # sample -> map or spectrum

MAP_MARGIN_EV = 5.0  # above and below a region, in maps
CUT_MARGIN_EV = 7.5  # above and below a region, in maps beside cuts
PANEL_WIDTH_INCHES, PANEL_HEIGHT_INCHES = 3.6, 2.9  # with labels
TITLE_INCHES, MAP_TITLE_INCHES = 0.3, 0.5
MIN_WIDTH_INCHES = 5.0  # the title needs it
SPECTRA_SPACING = Spacing(across=0.75)
COLOUR_BAR_INCHES = 0.75  # width of a colour bar with its label
MAP_SPACING = Spacing(0.75, 0.5, 0.15 + COLOUR_BAR_INCHES, 0.75, 0.75, 0.75)

_KIND_LABELS = {"spfy": "sPFY", "ipfy": "iPFY"}


@dataclass(frozen=True)
class RegionDescription:
    """What figures need to know of a region.

    Attributes
    ----------
    kind : str
        `pfy`, `spfy`, ...
    scale : str or (float, float)
        What its spectra are divided by: `none`, `max`, `area`, `edge`, or the mean over
        a window in eV.
    emission : (float, float) or None
        Its emission limits, eV.
    """

    kind: str
    scale: str | tuple[float, float]
    emission: tuple[float, float] | None

    @property
    def label(self) -> str:
        """The kind as spectroscopists write it."""
        return _KIND_LABELS.get(self.kind, self.kind.upper())

    @property
    def scale_label(self) -> str:
        """What spectra are divided by."""
        return labels.scale_label(self.scale)


@dataclass(frozen=True)
class SamplesAtEdge:
    """Maps and spectra of a region of several samples at an edge.

    Attributes
    ----------
    edge : str
        E.g. Ni_L.
    region : RegionDescription
        The region.
    spectra : mapping of str to Dataset
        Sample -> spectrum of the region.
    rixs_maps : mapping of str to Dataset
        Sample -> map.
    outlines : mapping of str to sequence of f8 (corner, 2)
        Sample -> polygons (incident, emission) of the region on its map, eV.
    """

    edge: str
    region: RegionDescription
    spectra: Datasets
    rixs_maps: Datasets
    outlines: Mapping[str, Sequence[FloatArray]]

    def emission_window(self, margin: float) -> Limits:
        """Return the emission energies of the region with a margin, eV.

        Without limits of the region: those of the maps that have counts.
        """
        if self.region.emission is not None:
            low, high = self.region.emission
            return Limits(low - margin, high + margin)
        ends = []
        for rixs_map in self.rixs_maps.values():
            has_counts = rixs_map["counts"].values.any(axis=0)
            bins = rixs_map["emission_energy"].values
            ends += bins[has_counts if has_counts.any() else slice(None)][
                [0, -1]
            ].tolist()
        return Limits(min(ends), max(ends))


@dataclass(frozen=True)
class EmissionCuts:
    """Emission spectra of several samples at several incident energies.

    Attributes
    ----------
    spectra : mapping of str to mapping of float to Dataset
        Sample -> incident energy in eV -> emission spectrum.
    compared : float
        The incident energy at which the samples are overlaid, eV.
    """

    spectra: Mapping[str, Mapping[float, xr.Dataset]]
    compared: float


class _Letters:
    """The letters of the panels, in order."""

    def __init__(self) -> None:
        self._letters: Iterator[str] = iter(ascii_lowercase)

    def label(self, text: str) -> str:
        """Return a panel's title with the next letter, e.g. `(a) Ni L edge`."""
        return f"({next(self._letters)}) {text}"


def absorption_figure(
    channels: Mapping[str, Mapping[str, Datasets]], scale: str
) -> Figure:
    """Plot absorption with a row a channel and a column an edge, samples overlaid.

    Parameters
    ----------
    channels : mapping
        Channel -> edge -> sample -> normalised spectrum as `schema.spectrum`.
    scale : str
        How they are normalised: `max` or `edge`.

    Returns
    -------
    Figure
        Panels without data are not visible.
    """
    edges = list(dict.fromkeys(edge for row in channels.values() for edge in row))
    names = ", ".join(channels).upper()
    figure = style.new_figure(
        max(PANEL_WIDTH_INCHES * len(edges), MIN_WIDTH_INCHES),
        TITLE_INCHES + PANEL_HEIGHT_INCHES * len(channels),
        f"{names}: {labels.normalisation_label(scale)}",
        style.PANEL_SIZE,
    )
    grid = style.add_grid(figure, len(channels), len(edges), SPECTRA_SPACING)
    letters = _Letters()
    rows = grid.subplots(squeeze=False)
    for panels, (channel, samples_at) in zip(rows, channels.items(), strict=True):
        for axes, edge in zip(panels, edges, strict=True):
            if edge not in samples_at:
                axes.set_visible(False)
                continue
            # errors of readings are mostly those of the pre-edge line: common to all
            has_bands = channel != "pfy"
            _overlay_spectra(axes, samples_at[edge], has_bands=has_bands)
            title = letters.label(labels.edge_label(edge))
            y_label = f"{channel.upper()} (normalised)"
            errors = style.BANDS if has_bands else style.BARS
            _finish_overlay(axes, samples_at[edge], title, y_label, errors)
    return figure


def spectra_figure(edges: Sequence[SamplesAtEdge]) -> Figure:
    """Plot the spectra of a region with a panel an edge, samples overlaid.

    Maps and outlines of `edges` are not used.
    """
    figure = style.new_figure(
        max(PANEL_WIDTH_INCHES * len(edges), MIN_WIDTH_INCHES),
        TITLE_INCHES + PANEL_HEIGHT_INCHES,
        "Spectra of the samples",
        style.PANEL_SIZE,
    )
    grid = style.add_grid(figure, 1, len(edges), SPECTRA_SPACING)
    letters = _Letters()
    for axes, samples in zip(grid.subplots(squeeze=False)[0], edges, strict=True):
        _overlay_spectra(axes, samples.spectra)
        region = f"{samples.region.label}{samples.region.scale_label}"
        title = letters.label(f"{labels.edge_label(samples.edge)} {region}")
        _finish_overlay(axes, samples.spectra, title)
    return figure


def maps_figure(edges: Sequence[SamplesAtEdge], emission: Limits | None) -> Figure:
    """Plot maps of the samples with the overlay of their spectra, a row an edge.

    Parameters
    ----------
    edges : sequence of SamplesAtEdge
        One for each row.
    emission : Limits, optional
        Emission energies of the maps, eV; default: around the region.

    Returns
    -------
    Figure
        Regions are outlined in the maps.
    """
    columns = 1 + max(len(samples.rixs_maps) for samples in edges)
    figure = style.new_figure(
        PANEL_WIDTH_INCHES * columns + COLOUR_BAR_INCHES,
        MAP_TITLE_INCHES + PANEL_HEIGHT_INCHES * len(edges),
        "RIXS maps (colours: square root of intensity) and fluorescence yield",
        style.PANEL_SIZE,
    )
    grid = style.add_grid(figure, len(edges), columns, MAP_SPACING)
    letters = _Letters()
    for panels, samples in zip(grid.subplots(squeeze=False), edges, strict=True):
        _make_room(panels[len(samples.rixs_maps) :])
        window = _emission_window(samples, emission, MAP_MARGIN_EV)
        _draw_maps(panels, samples, window, letters)
        axes = panels[len(samples.rixs_maps)]
        _overlay_spectra(axes, samples.spectra)
        text = f"{labels.edge_label(samples.edge)} {samples.region.label}"
        _finish_overlay(axes, samples.spectra, letters.label(text))
    return figure


def cuts_figure(
    samples: SamplesAtEdge, cuts: EmissionCuts, emission: Limits | None
) -> Figure:
    """Plot maps and spectra of the samples, and below their emission spectra.

    Parameters
    ----------
    samples : SamplesAtEdge
        For the upper row.
    cuts : EmissionCuts
        For the lower row: those of each sample, and the samples compared.
    emission : Limits, optional
        Emission energies of maps and cuts, eV; default: around the region.

    Returns
    -------
    Figure
        With two rows.
    """
    window = _emission_window(samples, emission, CUT_MARGIN_EV)
    columns = len(samples.rixs_maps) + 1
    edge = labels.edge_label(samples.edge)
    figure = style.new_figure(
        PANEL_WIDTH_INCHES * columns + COLOUR_BAR_INCHES,
        MAP_TITLE_INCHES + PANEL_HEIGHT_INCHES * 2,
        f"{edge}: maps (colours: square root of intensity) and emission",
        style.PANEL_SIZE,
    )
    grid = style.add_grid(figure, 2, columns, MAP_SPACING)
    upper_row, lower_row = grid.subplots(squeeze=False)
    _make_room([upper_row[-1], lower_row[-1]])
    letters = _Letters()
    _draw_maps(upper_row, samples, window, letters)
    axes = upper_row[-1]
    _overlay_spectra(axes, samples.spectra)
    _finish_overlay(axes, samples.spectra, letters.label(samples.region.label))
    _draw_cuts(lower_row, cuts, window, letters)
    return figure


def _emission_window(
    samples: SamplesAtEdge, emission: Limits | None, margin: float
) -> Limits:
    """Return the emission energies of the maps: of the options, the figure, or region.

    `margin` around the region, eV.
    """
    limits = maps.emission_limits(next(iter(samples.rixs_maps.values())))
    return limits or emission or samples.emission_window(margin)


def _make_room(panels: Sequence[Axes]) -> None:
    """Move panels to the right of the colour bar, for which the margin has room."""
    for axes in panels:
        width = axes.figure.bbox.width / axes.figure.dpi
        shift = COLOUR_BAR_INCHES * text_scale(axes.figure) / width
        axes.set_position(axes.get_position().translated(shift, 0.0).bounds)


def _add_colour_bar(axes: Axes, mesh: QuadMesh, label: str) -> None:
    """Add a colour bar to the right of a panel."""
    bar_axes = axes.inset_axes((1.03, 0.0, 0.04, 1.0))
    bar = axes.figure.colorbar(mesh, cax=bar_axes, extend="max")
    bar.set_label(label, size=style.SMALL_SIZE)
    bar_axes.tick_params(labelsize=style.SMALL_SIZE)
    bar_axes.ticklabel_format(axis="y", scilimits=style.WRITTEN_OUT_POWERS)


def _draw_maps(
    panels: Sequence[Axes], samples: SamplesAtEdge, window: Limits, letters: _Letters
) -> None:
    """Draw the samples' maps on one colour scale, the region outlined.

    The colour bar is beside the last one.
    """
    images = {
        sample: maps.map_image(rixs_map).crop(window)
        for sample, rixs_map in samples.rixs_maps.items()
    }
    intensities = [image.intensity for image in images.values()]
    norm = maps.colour_norm(np.concatenate(intensities, axis=1))
    for axes, (sample, image) in zip(panels, images.items(), strict=False):
        mesh = maps.draw_map(axes, image, norm=norm)
        low = max(window.low, image.emission_edges[0])
        high = min(window.high, image.emission_edges[-1])
        axes.set_ylim(low, high)
        axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
        title = letters.label(f"{sample}, {labels.edge_label(samples.edge)}")
        x_label, y_label = "incident energy (eV)", "emission energy (eV)"
        style.label_axes(axes, x_label, y_label, title, style.PANEL_SIZE)
        for polygon in clip_to_panel(samples.outlines[sample], axes):
            incident, emission = np.append(polygon, polygon[:1], axis=0).T
            axes.plot(incident, emission, color="white", lw=1.3, label="region")
    intensity = next(iter(samples.rixs_maps.values()))["intensity"]
    _add_colour_bar(axes, mesh, labels.quantity_label(intensity, "intensity"))


def _draw_cuts(
    panels: Sequence[Axes], cuts: EmissionCuts, window: Limits, letters: _Letters
) -> None:
    """Draw the emission spectra of each sample, and overlay those to be compared."""
    *sample_panels, overlay = panels
    top = max(
        highest_intensity(spectra.values(), window) for spectra in cuts.spectra.values()
    )
    for axes, (sample, spectra) in zip(
        sample_panels, cuts.spectra.items(), strict=True
    ):
        labelled = {f"{energy:g} eV": cut for energy, cut in spectra.items()}
        draw_waterfall(axes, labelled, window, top)
        label_waterfall(axes, labelled, letters.label(sample), style.PANEL_SIZE)
    compared = {
        sample: sort_spectrum(spectra[cuts.compared], window)
        for sample, spectra in cuts.spectra.items()
    }
    _overlay_spectra(overlay, compared)
    title = letters.label(f"excited at {cuts.compared:g} eV")
    _finish_overlay(overlay, compared, title)


def _overlay_spectra(axes: Axes, spectra: Datasets, has_bands: bool = False) -> None:
    """Draw spectra of samples, with bars or bands of one standard deviation."""
    for row, (sample, spectrum) in enumerate(spectra.items()):
        if is_left_out(spectrum):
            axes.plot([], [], ls="", label=f"{sample}: no significant edge")
            continue
        ordered = sort_spectrum(spectrum)
        energy, values = spectrum_axis(ordered).values, ordered["intensity"].values
        errors = ordered["intensity_errors"].values
        colour = style.series_colour(row)
        label = labels.escape_math(sample)
        axes.plot(energy, values, color=colour, lw=1.0, label=label)
        if not np.isfinite(errors).any():
            continue
        if has_bands:
            ends = values - errors, values + errors
            axes.fill_between(energy, *ends, color=colour, alpha=0.2, lw=0)
        else:
            style.draw_error_bars(axes, energy, values, errors, colour)


def _finish_overlay(
    axes: Axes,
    spectra: Datasets,
    title: str,
    y_label: str = "",
    errors: str = style.BARS,
) -> None:
    """Set labels and legend, with space above the spectra for it.

    `y_label`: default is the intensity with its unit; `errors`: what is drawn for them.
    """
    normalised = [part for part in spectra.values() if not is_left_out(part)]
    first = next(iter(normalised or spectra.values()))
    axes.margins(x=0.01)
    axes.locator_params(axis="x", nbins=6)
    x_label = labels.axis_label(str(spectrum_axis(first).name))
    y_label = y_label or labels.intensity_label(first)
    style.label_axes(axes, x_label, y_label, title, style.PANEL_SIZE)
    style.add_legend(axes, title=errors if axes.collections else "")
    axis, ends = str(spectrum_axis(first).name), Limits(*axes.get_xlim())
    axes.set_xlim(current_options().range_of(axis, ends))
    axes.set_ylim(current_options().intensity)
