"""Reference runs: spectrum, residuals and resolution of a pixel and of the array."""

from __future__ import annotations

from collections import Counter
from itertools import cycle
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import UsageError
from rixs_pipeline.plots import labels, line_strips, style
from rixs_pipeline.plots.figure_page import FigurePage
from rixs_pipeline.plots.reference_spectrum import (
    draw_heights,
    draw_spectrum,
    find_marks,
)
from rixs_pipeline.plots.style import Spacing
from rixs_pipeline.types import BoolArray, FloatArray, PixelState, are_ok

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# a single pixel has too few counts for the product's bins of 0.25 eV
PIXEL_BIN_EV, ARRAY_BIN_EV = 1.0, 0.5
FEW_PULSES = 50  # fewer than that make no spectrum of pulse heights
REASON_COLOURS = (
    style.VERMILLION,
    style.ORANGE,
    style.PURPLE,
    style.BLACK,
    style.YELLOW,
    style.GREEN,
    style.BLUE,
)
# characters of a status that fit into the table, and into a title
MAX_STATUS_LENGTH, MAX_TITLE_LENGTH = 64, 100
MIN_STATUS_ROWS = 6  # a table of fewer reasons does not fill its panel
STATUS_TICKS = 13  # channel numbers along the strip of pixels


def calibration_figure(
    dataset: xr.Dataset, pixel: int, page: FigurePage | None = None
) -> Figure:
    """Plot the reference run of a pixel.

    Shows its calibrated spectrum, the residuals of its lines, its resolution and, where
    the dataset has one, its gain curve. Without a calibration its pulse heights are
    shown, and without enough pulses for them the reason in one line.

    Parameters
    ----------
    dataset : Dataset
        As `schema.PIXEL_CALIBRATION`; its attributes `sample` and `run` are part of the
        title.
    pixel : int
        Channel number.
    page : FigurePage, optional
        For several pixels, one after the other: its figure is drawn anew.

    Returns
    -------
    Figure
        With 3 panels, or 5 with the gain curve; with 1 or none without a calibration.

    Raises
    ------
    UsageError
        The dataset has no such pixel.
    """
    channels = dataset["pixel"].values
    rows = np.flatnonzero(channels == pixel)
    if not rows.size:
        available = labels.list_channels(channels)
        raise UsageError(
            f"pixel {pixel}: not in the calibration; available: {available}"
        )
    pixel_data = dataset.isel(pixel=rows[0])
    (status,) = labels.decode_texts([pixel_data["status"].item()])
    run_title = labels.reference_run_title(dataset)
    if _has_no_scale(pixel_data):
        return _uncalibrated_figure(pixel_data, run_title, status)
    title = f"{run_title}, pixel {pixel}: {status}"
    title = shorten(title, MAX_TITLE_LENGTH, placeholder=" …")
    has_curve = "curve_pulse_height" in dataset and "curve_energy" in dataset
    page = page or FigurePage()
    figure = page.empty_figure(title, _new_pixel_figure, has_curve)
    spectrum, residuals, resolution, *curve_panels = figure.axes
    counts = pixel_data["spectrum"].values
    draw_spectrum(spectrum, pixel_data, counts, PIXEL_BIN_EV, find_marks(dataset))
    _draw_residuals(residuals, pixel_data)
    is_ok = _are_pixels_ok(dataset)
    medians = line_strips.median_per_line(dataset["fwhm"].values, is_ok)
    _draw_resolution(resolution, pixel_data, medians)
    if has_curve:
        curve, curvature = curve_panels
        _draw_curve(curve, curvature, pixel_data)
    return figure


def _uncalibrated_figure(pixel_data: xr.Dataset, title: str, status: str) -> Figure:
    """Plot the pulse heights of a pixel without a calibration, or write the reason."""
    counts = pixel_data["height_counts"].values if "height_counts" in pixel_data else 0
    pulses = int(np.sum(counts))
    text = f"pixel {pixel_data['pixel'].item()} is not calibrated: {status}"
    if pulses >= FEW_PULSES:
        figure = style.new_figure(12, 4, f"{title}, {text}")
        grid = style.add_grid(figure, spacing=Spacing(top_margin=0.9))
        draw_heights(figure.add_subplot(grid[0]), pixel_data)
        return figure
    figure = style.new_figure(12, 1.1, title)
    if pulses:
        text += f"; {pulses} accepted pulses, too few to calibrate"
    figure.text(0.015, 0.25, labels.escape_math(text), size=style.TEXT_SIZE)
    return figure


def _new_pixel_figure(title: str, has_curve: bool) -> Figure:
    """Return empty panels for a pixel: spectrum, residuals, resolution, gain curve."""
    figure = style.new_figure(12, 7, title)
    spacing = Spacing(0.8, 0.5, 0.2, 0.9, 0.85, 0.85)
    columns = 3 if has_curve else 2
    grid = style.add_grid(figure, 2, columns, spacing)
    figure.add_subplot(grid[0, :])
    figure.add_subplot(grid[1, 0])
    figure.add_subplot(grid[1, 1])
    if has_curve:
        grid[1, 2].subgridspec(2, 1, hspace=0.08).subplots()
    return figure


def calibration_summary_figure(dataset: xr.Dataset) -> Figure:
    """Plot a reference run of the whole array.

    Shows the summed spectrum of the pixels that are ok, or the pulse heights of the
    pixel with the most peaks where no pixel is ok, residuals and resolution line
    by line, and the status of every pixel. The attributes `run` and `reference_set` of
    the dataset, which is as `schema.PIXEL_CALIBRATION`, are part of the title.
    """
    is_ok = _are_pixels_ok(dataset)
    run_title = labels.reference_run_title(dataset)
    title = f"{run_title}: {is_ok.sum()} of {is_ok.size} pixels ok"
    if "reference_set" in dataset.attrs:
        title += f" (reference lines: {dataset.attrs['reference_set']})"
    figure = style.new_figure(12, 10, title)
    spacing = Spacing(0.8, 0.1, 0.2, 0.9, 0.85, 0.75)
    grid = style.add_grid(figure, 3, 2, spacing, (4, 4.5, 2))
    spectrum = figure.add_subplot(grid[0, :])
    residual = figure.add_subplot(grid[1, 0])
    resolution = figure.add_subplot(grid[1, 1])
    if is_ok.any() or "height_counts" not in dataset:
        counts = dataset["spectrum"].values[is_ok].sum(axis=0)
        draw_spectrum(spectrum, dataset, counts, ARRAY_BIN_EV, find_marks(dataset))
    else:
        n_peaks = np.isfinite(dataset["peak_pulse_height"].values).sum(axis=1)
        pixel_data = dataset.isel(pixel=int(np.argmax(n_peaks)))
        draw_heights(spectrum, pixel_data)

    uncertainties = _draw_uncertainties(residual, dataset)
    residuals = dataset["line_residual"].values
    line_strips.draw_line_strips(residual, residuals, is_ok, uncertainties)
    residual_title = "bars: median; crosses: not ok; grey: reference lines ±1σ"
    style.label_axes(residual, "", "measured − reference line (eV)", residual_title)

    widths = dataset["fwhm"].values
    pixel_resolution = dataset["resolution"].values[is_ok]
    shown_widths = np.append(np.nan_to_num(pixel_resolution), 0.0)
    line_strips.draw_line_strips(resolution, widths, is_ok, shown_widths)
    _draw_array_resolution(resolution, pixel_resolution)
    resolution_title = "dots: pixels; bars: median; grey band: resolution"
    if np.isfinite(pixel_resolution).any():
        resolution_title += f", median {np.nanmedian(pixel_resolution):.2f} eV"
    style.label_axes(resolution, "", "Gaussian FWHM (eV)", resolution_title)
    resolution.set_ylim(bottom=0)
    _name_lowest_row(resolution, widths[is_ok])
    for axes in (residual, resolution):
        line_strips.name_line_axis(axes, _line_names(dataset))

    bottom = grid[2, :].subgridspec(2, 1, height_ratios=(1, 4), hspace=0.45)
    status_strip = figure.add_subplot(bottom[0])
    status_table = figure.add_subplot(bottom[1])
    _draw_statuses(status_strip, status_table, dataset)
    return figure


def _line_names(dataset: xr.Dataset) -> list[str]:
    return labels.decode_texts(dataset["line_name"].values)


def _are_pixels_ok(dataset: xr.Dataset) -> BoolArray:
    return are_ok(labels.decode_texts(dataset["status"].values))


def _has_no_scale(pixel_data: xr.Dataset) -> bool:
    """Return whether only the pulse heights of a pixel can be shown."""
    return not pixel_data["spectrum"].values.any()


def _draw_uncertainties(axes: Axes, dataset: xr.Dataset) -> FloatArray:
    """Draw the standard deviation of each reference line as a grey box around zero.

    Returns the ends of the boxes (2 x line,), eV.
    """
    errors = np.nan_to_num(dataset["line_energy_errors"].values)
    axes.bar(
        range(len(errors)),
        height=2 * errors,
        width=0.86,
        bottom=-errors,
        color=style.PALE_GREY,
        zorder=0,
    )
    axes.axhline(0, color=style.GREY, lw=0.8, zorder=0.5)
    return np.concatenate([-errors, errors])


def _draw_residuals(axes: Axes, pixel_data: xr.Dataset) -> None:
    """Draw the residuals of a pixel's lines with their statistical errors."""
    uncertainties = _draw_uncertainties(axes, pixel_data)
    residual = pixel_data["line_residual"].values
    errors = pixel_data["line_residual_errors"].values
    fitted = np.flatnonzero(np.isfinite(residual))
    axes.errorbar(
        fitted,
        residual[fitted],
        errors[fitted],
        fmt="o",
        ms=5,
        capsize=3,
        color=style.BLUE,
    )
    bars = np.nan_to_num(errors[fitted])
    lower_ends, upper_ends = residual[fitted] - bars, residual[fitted] + bars
    shown_values = np.concatenate([uncertainties, lower_ends, upper_ends])
    axes.set_ylim(line_strips.padded_limits(shown_values))
    title = "bars: statistical, 1σ; grey: reference lines, 1σ"
    style.label_axes(axes, "", "measured − reference line (eV)", title)
    line_strips.name_line_axis(axes, _line_names(pixel_data))


def _name_lowest_row(axes: Axes, widths: FloatArray) -> None:
    """Say why widths (pixel, line), eV, are equal to the smallest one, if several are.

    The fit of a line ends at the narrowest that its bins resolve.
    """
    finite = widths[np.isfinite(widths)]
    if np.isclose(finite, finite.min(initial=np.inf), rtol=1e-9).sum() < 2:
        return
    lowest = float(finite.min())
    axes.text(
        0.01,
        lowest - 0.02 * axes.get_ylim()[1],
        f"lowest row, {lowest:.2f} eV: narrowest line that is fitted",
        transform=axes.get_yaxis_transform(),
        va="top",
        size=style.SMALL_SIZE,
        color=style.GREY,
    )


def _draw_array_resolution(axes: Axes, resolution: FloatArray) -> None:
    """Draw the range of the pixels' resolutions (pixel,), eV, with its median."""
    finite = resolution[np.isfinite(resolution)]
    if not finite.size:
        return
    median = np.median(finite)
    axes.axhspan(finite.min(), finite.max(), color=style.GREY, alpha=0.2, lw=0)
    axes.axhline(median, color=style.GREY, lw=1)


def _draw_resolution(axes: Axes, pixel_data: xr.Dataset, medians: FloatArray) -> None:
    """Draw the resolution of a pixel, the Gaussian and full widths of its lines.

    `medians` (line,) of the Gaussian widths of all pixels that are ok.
    """
    positions = np.arange(len(medians))
    axes.plot(positions, medians, "_", ms=22, mew=1.5, color=style.GREY)
    highest = np.nan_to_num(medians).max(initial=1.0)
    for name, marker, colour, text in (
        ("fwhm", "o", style.BLUE, "Gaussian part"),
        ("line_width", "s", style.ORANGE, "whole line"),
    ):
        widths = pixel_data[name].values
        errors = np.nan_to_num(pixel_data[f"{name}_errors"].values)
        axes.errorbar(
            positions,
            widths,
            errors,
            fmt=marker,
            ms=5,
            capsize=3,
            color=colour,
            label=text,
        )
        highest = max(highest, np.nan_to_num(widths + errors).max(initial=0.0))
    resolution = float(pixel_data["resolution"])
    error = float(pixel_data["resolution_errors"])
    if np.isfinite(resolution):
        axes.axhspan(
            resolution - error, resolution + error, color=style.GREY, alpha=0.25, lw=0
        )
    axes.set_ylim(0, 1.35 * highest)
    axes.legend(loc="upper right", ncols=2, fontsize=style.SMALL_SIZE, frameon=False)
    title = "grey bars: median"
    if np.isfinite(resolution):
        title = f"band: {resolution:.2f} ± {error:.2f} eV; {title} of pixels"
    style.label_axes(axes, "", "FWHM (eV)", title)
    line_strips.name_line_axis(axes, _line_names(pixel_data))


def _draw_curve(curve: Axes, curvature: Axes, pixel_data: xr.Dataset) -> None:
    """Draw a gain curve with its lines, and its deviation from a straight line.

    The straight line goes through the ends of the curve.
    """
    size = style.PANEL_SIZE
    style.label_axes(curve, "", "energy (eV)", "gain curve and lines", size)
    style.label_axes(curvature, "pulse height", "− straight line (eV)", size=size)
    curve.tick_params(labelbottom=False)
    for axes in (curve, curvature):
        axes.locator_params(nbins=5)
    pulse_height = pixel_data["curve_pulse_height"].values
    energy = pixel_data["curve_energy"].values
    emission = pixel_data["emission_energy"].values
    is_above, is_below = energy >= emission[0], energy <= emission[-1]
    is_shown = np.isfinite(pulse_height) & is_above & is_below
    if is_shown.sum() < 2:
        curve.text(
            0.5,
            0.5,
            "no gain curve",
            transform=curve.transAxes,
            ha="center",
            color=style.GREY,
        )
        return
    pulse_height, energy = pulse_height[is_shown], energy[is_shown]
    energy_range = energy[-1] - energy[0]
    slope = energy_range / (pulse_height[-1] - pulse_height[0])
    line_height = pixel_data["line_pulse_height"].values
    line_energy = pixel_data["line_energy"].values
    lines: dict[str, Any] = {
        "marker": "o",
        "ms": 4,
        "ls": "",
        "color": style.VERMILLION,
    }
    gain: dict[str, Any] = {"color": style.BLUE, "lw": 1.2}
    curve.plot(pulse_height, energy, **gain)
    curve.plot(line_height, line_energy, **lines)
    chord = energy[0] + slope * (pulse_height - pulse_height[0])
    chord_at_lines = energy[0] + slope * (line_height - pulse_height[0])
    curvature.plot(pulse_height, energy - chord, **gain)
    curvature.plot(line_height, line_energy - chord_at_lines, **lines)
    style.draw_zero_line(curvature)


def _draw_statuses(strip: Axes, table: Axes, dataset: xr.Dataset) -> None:
    """Draw the status of every pixel as a coloured cell, and a table as its legend."""
    statuses = labels.decode_texts(dataset["status"].values)
    reasons = [status.partition(":")[0] for status in statuses]
    ordered = _order_reasons(reasons)
    colours = dict(zip(ordered, _status_colours(ordered), strict=True))
    _draw_status_strip(strip, dataset["pixel"].values, reasons, colours)
    table.set_axis_off()
    row_height = 1 / max(len(ordered), MIN_STATUS_ROWS)
    for row, (reason, colour) in enumerate(colours.items()):
        members = np.flatnonzero(np.array(reasons) == reason)
        texts = {statuses[pixel] for pixel in members}
        # numbers in a status differ from pixel to pixel
        text = texts.pop() if len(texts) == 1 else reason
        text = shorten(text, MAX_STATUS_LENGTH, placeholder=" …")
        channels = dataset["pixel"].values[members]
        listed = "" if reason == PixelState.OK else labels.list_channels(channels)
        y = 1 - (row + 0.5) * row_height
        options: dict[str, Any] = {
            "transform": table.transAxes,
            "va": "center",
            "size": style.PANEL_SIZE,
        }
        table.text(0.0, y, "■", color=colour, **options)
        table.text(0.02, y, labels.escape_math(text), **options)
        table.text(0.47, y, f"{len(members)}", ha="right", **options)
        table.text(0.49, y, listed, **options)


def _draw_status_strip(
    axes: Axes, channels: NDArray[Any], reasons: list[str], colours: dict[str, str]
) -> None:
    """Draw a cell a pixel in the colour of its reason."""
    from matplotlib.colors import ListedColormap

    numbers = {reason: number for number, reason in enumerate(colours)}
    cells = np.array([numbers[reason] for reason in reasons], float)
    axes.pcolormesh(
        np.arange(len(reasons) + 1),
        [0, 1],
        cells[None],
        cmap=ListedColormap(list(colours.values())),
        vmin=-0.5,
        vmax=len(colours) - 0.5,
        edgecolors="white",
        linewidth=0.4,
    )
    style.label_axes(axes, "", "", "pixel status by channel", style.PANEL_SIZE)
    ticks = np.linspace(0, len(channels) - 1, STATUS_TICKS)
    ticks = np.unique(ticks.astype(int))
    axes.set_xticks(ticks + 0.5, channels[ticks].astype(str))
    axes.set_yticks([])


def _order_reasons(reasons: list[str]) -> list[str]:
    """Return the different reasons: ok first, then the most frequent."""
    counts = Counter(reasons)
    ordered = sorted(counts)
    ordered.sort(key=lambda reason: counts[reason], reverse=True)
    ordered.sort(key=lambda reason: reason != PixelState.OK)
    return ordered


def _status_colours(reasons: list[str]) -> list[str]:
    """Return a colour for each reason."""
    colours = cycle(REASON_COLOURS)
    return [
        style.SKY if reason == PixelState.OK else next(colours) for reason in reasons
    ]
