"""Spectra with their errors: a single one, several samples, all regions on a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, style
from rixs_pipeline.plots.figure_page import FigurePage
from rixs_pipeline.plots.options import current_options
from rixs_pipeline.plots.spectrum_data import (
    CurvePoints,
    Limits,
    curve_points,
    describe_edge,
    find_counts_window,
    is_left_out,
    sort_spectrum,
    spectrum_axis,
    whole_bins,
)
from rixs_pipeline.plots.style import Spacing
from rixs_pipeline.plots.waterfall import waterfall_figure
from rixs_pipeline.plots.windows import shade_windows, spectrum_windows
from rixs_pipeline.types import BoolArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# around a region's incident energies, where its emission spectrum is shown
EDGE_BELOW_EV, EDGE_ABOVE_EV = 60.0, 10.0
COUNTS_MARGIN_EV = 15.0  # around the counts of an emission spectrum
POINTS_MARGIN = 0.015  # of the range of incident points, at both ends of the axis
MANY_POINTS = 120  # from here on dots are smaller
LITTLE_EXPOSURE = 0.1  # of the median: less does not determine the intensity axis
SAME_ENERGY_EV = 1e-3
NO_ERRORS = "the log has no errors of readings"
BAND_LIMIT = 1.5  # bands determine the intensity axis up to this multiple of the bars
INFINITE_BAND = 100.0  # a band without upper end goes to this multiple of the intensity
OVERVIEW_COLUMNS = 3
MAX_NOTE_LENGTH = 108  # characters of a small line across a figure


def spectrum_figure(
    dataset: xr.Dataset, title: str, page: FigurePage | None = None
) -> Figure:
    """Plot a spectrum with bars of one standard deviation and its 95 % interval.

    An emission spectrum that extends far beyond the edge is shown around the edge, and
    as a whole in a small panel above.

    Parameters
    ----------
    dataset : Dataset
        As `schema.spectrum`; its attribute `region` (the config's mapping as JSON) has
        the incident energies.
    title : str
        Of the figure.
    page : FigurePage, optional
        For several spectra, one after the other: its figure is drawn anew.

    Returns
    -------
    Figure
        With 1 or 2 panels.
    """
    spectrum = sort_spectrum(dataset)
    window, full_range = _edge_window(spectrum), _full_range(spectrum)
    is_part = window != full_range and not current_options().limits
    page = page or FigurePage()
    figure = page.empty_figure(title, _new_spectrum_figure, is_part)
    *upper_panels, axes = figure.axes
    for panel in upper_panels:
        _draw_full_range(panel, spectrum, full_range, window)
    _draw_spectrum(axes, spectrum, style.BLUE, window)
    subtitle = f"{style.BARS}; band: 95 %" if _has_band(spectrum) else ""
    if spectrum.attrs.get("kind") == "reading":
        subtitle = NO_ERRORS
    if _has_elastic_line(spectrum):
        _draw_elastic_line(axes, spectrum)
        subtitle += "; dashed: elastic line, subtracted"
    _finish_panel(axes, [spectrum], window, subtitle)
    windows = spectrum_windows(spectrum)
    note = describe_edge(spectrum)
    shade_windows(axes, windows)
    if note:
        axes.plot([], [], ls="", label=_shorten_note(note))
    if windows or note:
        axes.set_xlim(window)
        style.add_legend(axes)
    return figure


def draw_spectrum_panel(axes: Axes, dataset: xr.Dataset, title: str) -> None:
    """Draw a spectrum with its errors in axes of any figure.

    Parameters
    ----------
    axes : Axes
        The panel.
    dataset : Dataset
        As for `spectrum_figure`.
    title : str
        Of the panel.
    """
    spectrum = sort_spectrum(dataset)
    window = _edge_window(spectrum)
    _draw_spectrum(axes, spectrum, style.BLUE, window)
    _finish_panel(axes, [spectrum], window, title)


def _has_elastic_line(spectrum: xr.Dataset) -> bool:
    """Return whether an elastic line was subtracted, in the unit of the intensity."""
    is_same_unit = spectrum.attrs.get("kind") != "ipfy"
    return "elastic_line" in spectrum.attrs and is_same_unit


def _draw_elastic_line(axes: Axes, spectrum: xr.Dataset) -> None:
    """Draw what was subtracted, with a band of one standard deviation."""
    energy = spectrum[spectrum["intensity"].dims[0]].values
    elastic = spectrum["background"].values
    errors = spectrum["background_errors"].values
    axes.plot(energy, elastic, color=style.VERMILLION, lw=0.9, ls="--")
    axes.fill_between(
        energy,
        elastic - errors,
        elastic + errors,
        color=style.VERMILLION,
        alpha=0.25,
        lw=0,
    )


def _new_spectrum_figure(title: str, is_part: bool) -> Figure:
    """Return an empty panel, with a low one above if a part of a spectrum is shown."""
    figure = style.new_figure(8, 5, title)
    spacing = Spacing(across=0, down=0.55)  # tick labels, and the subtitle below
    height_ratios = (1, 3) if is_part else (3,)
    grid = style.add_grid(figure, len(height_ratios), 1, spacing, height_ratios)
    grid.subplots()
    return figure


def overlay_figure(spectra: Mapping[str, xr.Dataset], title: str) -> Figure:
    """Plot the spectra of several samples, and the difference of two.

    Parameters
    ----------
    spectra : mapping of str to Dataset
        Label -> as `schema.spectrum`; at least one, all along the same dimension.
    title : str
        Of the figure.

    Returns
    -------
    Figure
        The difference of two spectra on the same energies is in a panel below.
    """
    notes = [
        f"{label} {describe_edge(spectrum)}"
        for label, spectrum in spectra.items()
        if is_left_out(spectrum)
    ]
    spectra = {
        label: spectrum
        for label, spectrum in spectra.items()
        if not is_left_out(spectrum)
    }
    if not spectra:
        return _text_figure(title, notes)
    ordered = [sort_spectrum(spectrum) for spectrum in spectra.values()]
    has_difference = _have_same_energies(ordered)
    figure = style.new_figure(8, 6.4 if has_difference else 5, title)
    spacing = Spacing(across=0, down=0.3)
    height_ratios = (3, 1) if has_difference else (3,)
    grid = style.add_grid(figure, len(height_ratios), 1, spacing, height_ratios)
    panels = grid.subplots(squeeze=False, sharex=True)[:, 0]
    axes = panels[0]
    window = _enclose([_edge_window(spectrum) for spectrum in ordered])
    for number, label in enumerate(spectra):
        colour = style.series_colour(number)
        _draw_spectrum(axes, ordered[number], colour, window, label)
    subtitle = (
        f"{style.BARS}; bands: 95 %" if any(map(_has_band, ordered)) else style.BARS
    )
    if all(spectrum.attrs.get("kind") == "reading" for spectrum in ordered):
        subtitle = NO_ERRORS
    _finish_panel(axes, ordered, window, subtitle)
    for note in notes:
        axes.plot([], [], ls="", label=_shorten_note(note))
    style.add_legend(axes)
    if has_difference:
        axes.set_xlabel("")
        difference = _subtract(ordered[1], ordered[0])
        first, second = spectra
        _draw_spectrum(panels[1], difference, style.BLACK, window)
        _finish_panel(panels[1], [difference], window, f"{second} − {first}")
        panels[1].set_ylim(_intensity_limits([difference], window))
    return figure


def _text_figure(title: str, notes: Sequence[str]) -> Figure:
    """Return a figure of the notes alone, a line each."""
    figure = style.new_figure(8, 0.7 + 0.25 * len(notes), title)
    text = "\n".join(_shorten_note(note) for note in notes)
    figure.text(0.025, 0.1, text, size=style.SMALL_SIZE, va="bottom", linespacing=1.6)
    return figure


def _shorten_note(note: str) -> str:
    """Return a note that fits into a line of a figure."""
    return labels.escape_math(shorten(note, MAX_NOTE_LENGTH, placeholder=" …"))


def cuts_figure(spectra: Mapping[str, xr.Dataset], title: str) -> Figure:
    """Plot emission spectra of several incident energies, one above the other.

    Parameters
    ----------
    spectra : mapping of str to Dataset
        Incident energies as text -> as `schema.spectrum`, ascending.
    title : str
        Of the figure.

    Returns
    -------
    Figure
        Around the edge, or around the elastic line.
    """
    ordered = [sort_spectrum(spectrum) for spectrum in spectra.values()]
    window = _enclose([_edge_window(spectrum) for spectrum in ordered])
    return waterfall_figure(spectra, title, window)


def overview_figure(
    spectra: Mapping[str, xr.Dataset], title: str, page: FigurePage | None = None
) -> Figure:
    """Plot all regions of a sample and edge as small panels, in the order given.

    Parameters
    ----------
    spectra : mapping of str to Dataset
        Region -> as `schema.spectrum`.
    title : str
        Of the figure.
    page : FigurePage, optional
        Its figure is drawn anew if it has as many panels.

    Returns
    -------
    Figure
        With a panel a region.
    """
    page = page or FigurePage()
    title = f"{title}: spectra of all regions ({style.BARS}; bands: 95 %)"
    figure = page.empty_figure(title, _new_overview_figure, len(spectra))
    for axes, (name, dataset) in zip(figure.axes, spectra.items(), strict=True):
        spectrum = sort_spectrum(dataset)
        window = _edge_window(spectrum)
        _draw_spectrum(axes, spectrum, style.BLUE, window)
        label = labels.spectrum_label(name, spectrum)
        if is_left_out(spectrum):
            label += ", not normalised: no significant edge"
        elif describe_edge(spectrum):
            label += ": no significant edge"
        _finish_panel(axes, [spectrum], window, label, style.SMALL_SIZE)
        axes.locator_params(nbins=5)
    return figure


def _new_overview_figure(title: str, n_panels: int) -> Figure:
    """Return empty panels, row by row."""
    columns = min(OVERVIEW_COLUMNS, max(1, n_panels))
    rows = max(1, -(-n_panels // columns))
    figure = style.new_figure(4 * columns, 0.6 + 2.7 * rows, title)
    spacing = Spacing(0.7, 0.45, 0.15, 0.75, 0.7, 0.72)
    grid = style.add_grid(figure, rows, columns, spacing)
    for number in range(n_panels):
        figure.add_subplot(grid[number // columns, number % columns])
    return figure


def _has_band(spectrum: xr.Dataset) -> bool:
    """Return whether a spectrum has the 95 % interval."""
    return "intensity_lower" in spectrum and "intensity_upper" in spectrum


def _is_binned(spectrum: xr.Dataset) -> bool:
    """Return whether energies are bins, unlike incident points."""
    return spectrum_axis(spectrum).name != "incident_energy"


def _enclose(windows: Sequence[Limits]) -> Limits:
    """Return the smallest window that encloses all windows."""
    low = min(window.low for window in windows)
    high = max(window.high for window in windows)
    return Limits(low, high)


def _full_range(spectrum: xr.Dataset) -> Limits:
    """Return the energies of all points; of an emission spectrum bins with counts."""
    energy = spectrum_axis(spectrum).values
    if _is_binned(spectrum):
        counts = spectrum["counts"].values
        window = find_counts_window(energy, counts, COUNTS_MARGIN_EV)
        return whole_bins(energy, window)
    margin = POINTS_MARGIN * np.ptp(energy) or 0.5
    return Limits(energy[0] - margin, energy[-1] + margin)


def _edge_window(spectrum: xr.Dataset) -> Limits:
    """Return the energies worth a close look, eV, unless the options have limits.

    Around the elastic line for energy losses; around the edge for an emission spectrum
    of certain incident energies, unless the region has emission limits; else all.
    """
    full_range = _full_range(spectrum)
    region = json.loads(spectrum.attrs.get("region", "{}"))
    axis = str(spectrum_axis(spectrum).name)
    limits = current_options().range_of(axis, full_range)
    if limits is not None:
        return limits
    incident = np.ravel(region.get("incident") or region.get("cuts") or [])
    if axis == "energy_loss":
        low, high = -EDGE_ABOVE_EV, EDGE_BELOW_EV
    elif axis == "emission_energy" and incident.size and not region.get("emission"):
        low = incident.min() - EDGE_BELOW_EV
        high = incident.max() + EDGE_ABOVE_EV
    else:
        return full_range
    window = Limits(max(full_range.low, low), min(full_range.high, high))
    return window if window.low < window.high else full_range


def _draw_spectrum(
    axes: Axes, spectrum: xr.Dataset, colour: str, window: Limits, label: str = ""
) -> None:
    """Draw values, bars of one standard deviation, and the 95 % interval as a band.

    Incident points are dots that are joined, emission bins are steps; points without a
    value are gaps. Only bars in the window are made: a thousand of them take longer
    than the rest of a figure.
    """
    energy = spectrum_axis(spectrum).values
    intensity = spectrum["intensity"].values
    points = curve_points(str(spectrum_axis(spectrum).name), energy)
    if _has_band(spectrum):
        _draw_band(axes, spectrum, points, colour)
    (curve,) = axes.plot(points.energy, intensity[points.rows], color=colour, lw=0.9)
    curve.set_label(labels.escape_math(label))
    if not _is_binned(spectrum):
        curve.set_marker("o")
        curve.set_markersize(3.2 if len(energy) < MANY_POINTS else 2.0)
    has_bar = _has_bar(spectrum, window)
    errors = spectrum["intensity_errors"].values[has_bar]
    style.draw_error_bars(axes, energy[has_bar], intensity[has_bar], errors, colour)


def _has_bar(spectrum: xr.Dataset, window: Limits) -> BoolArray:
    """Return which points (energy,) have a value and are in a window."""
    energy = spectrum_axis(spectrum).values
    is_inside = (energy >= window.low) & (energy <= window.high)
    return np.asarray(np.isfinite(spectrum["intensity"].values) & is_inside)


def _draw_band(
    axes: Axes, spectrum: xr.Dataset, points: CurvePoints, colour: str
) -> None:
    """Draw the 95 % interval; one without an upper end leaves the axes."""
    intensity = spectrum["intensity"].values
    finite = intensity[np.isfinite(intensity)]
    largest = np.abs(finite).max(initial=1.0)
    upper = spectrum["intensity_upper"].values
    upper = np.where(np.isposinf(upper), INFINITE_BAND * largest, upper)
    axes.fill_between(
        points.energy,
        spectrum["intensity_lower"].values[points.rows],
        upper[points.rows],
        color=colour,
        alpha=0.18,
        lw=0,
    )


def _finish_panel(
    axes: Axes,
    spectra: Sequence[xr.Dataset],
    window: Limits,
    title: str = "",
    size: float = style.TEXT_SIZE,
) -> None:
    """Set labels, zero line and limits."""
    x_label = labels.quantity_label(spectrum_axis(spectra[0]))
    y_label = labels.intensity_label(spectra[0])
    style.label_axes(axes, x_label, y_label, title, size)
    style.draw_zero_line(axes)
    axes.set_xlim(window)
    axes.set_ylim(current_options().intensity or _intensity_limits(spectra, window))


def _intensity_limits(spectra: Sequence[xr.Dataset], window: Limits) -> Limits:
    """Return limits around zero and all bars in the window.

    Points with hardly any exposure are not regarded, and bands only up to half as far
    again as the bars: that of an inverse yield of a few counts has no end.
    """
    bar_ends, value_ends = [np.zeros(1)], [0.0]
    band_ends = [np.zeros(1)]
    for spectrum in spectra:
        intensity = spectrum["intensity"].values
        exposure = spectrum["exposure"].values
        is_exposed = exposure >= LITTLE_EXPOSURE * np.median(exposure)
        is_regarded = _has_bar(spectrum, window) & is_exposed
        values = intensity[is_regarded]
        errors = np.nan_to_num(spectrum["intensity_errors"].values[is_regarded])
        bar_ends += [values - errors, values + errors]
        value_ends.append(float(values.max(initial=0.0)))
        if _has_band(spectrum):
            band_ends.append(spectrum["intensity_lower"].values[is_regarded])
            band_ends.append(spectrum["intensity_upper"].values[is_regarded])
    bars = np.concatenate(bar_ends)
    low, high = float(bars.min()), float(bars.max())
    if all(spectrum.attrs.get("kind") == "ipfy" for spectrum in spectra):
        # positive; bars of points without counts are longer than all values
        low, high = 0.0, min(high, BAND_LIMIT * max(value_ends))
    bands = np.nan_to_num(np.concatenate(band_ends), posinf=np.inf, neginf=-np.inf)
    bands = np.clip(bands, BAND_LIMIT * low, BAND_LIMIT * high)
    low = min(low, bands.min())
    high = max(high, bands.max())
    margin = 0.08 * (high - low) or 1.0
    return Limits(low - margin, high + margin)


def _draw_full_range(
    axes: Axes, spectrum: xr.Dataset, full_range: Limits, window: Limits
) -> None:
    """Draw all of an emission spectrum on a logarithmic scale, the window shaded."""
    energy = spectrum_axis(spectrum).values
    intensity = spectrum["intensity"].values
    points = curve_points(str(spectrum_axis(spectrum).name), energy)
    axes.plot(points.energy, intensity[points.rows], color=style.BLUE, lw=0.8)
    axes.axvspan(*window, color=style.ORANGE, alpha=0.2, lw=0)
    axes.set_xlim(full_range)
    positive = intensity[intensity > 0]
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(0.7 * positive.min(), 2 * positive.max())
    title = "whole spectrum, logarithmic; shaded: range shown below"
    style.label_axes(axes, "", "", title, style.SMALL_SIZE)
    style.use_plain_log_ticks(axes.yaxis)


def _have_same_energies(spectra: Sequence[xr.Dataset]) -> bool:
    """Return whether there are two spectra, on the same energies."""
    if len(spectra) != 2:
        return False
    first, second = (spectrum_axis(spectrum).values for spectrum in spectra)
    if first.shape != second.shape:
        return False
    return bool(np.all(np.abs(first - second) <= SAME_ENERGY_EV))


def _subtract(minuend: xr.Dataset, subtrahend: xr.Dataset) -> xr.Dataset:
    """Return the difference of two spectra on the same energies; variances add."""
    axis = spectrum_axis(subtrahend)
    dims = (str(axis.name),)
    difference = minuend["intensity"].values - subtrahend["intensity"].values
    attributes = subtrahend["intensity"].attrs | {"long_name": "difference"}
    errors = np.hypot(
        minuend["intensity_errors"].values, subtrahend["intensity_errors"].values
    )
    exposure = np.minimum(minuend["exposure"].values, subtrahend["exposure"].values)
    values = {
        dims[0]: (dims, axis.values, axis.attrs),
        "intensity": (dims, difference, attributes),
        "intensity_errors": (dims, errors),
        "exposure": (dims, exposure),
    }
    return type(minuend)(values)
