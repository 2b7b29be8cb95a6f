"""Reference runs: what the corrections for arrival phase and drift achieve.

Also how far the lines of each pixel shift from one reference run to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, product
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, line_strips, style
from rixs_pipeline.plots.style import Spacing
from rixs_pipeline.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNCORRECTED = "_uncorrected"  # end of the names of variables before a correction
# Markers of the next lines, when the colours are used up, and the letters for legends.
MARKER_LETTERS = {"o": "●", "s": "■", "^": "▲", "D": "◆"}
MAX_JUMP_ROWS = 8  # pixels with gain jumps whose lines are listed
BAND_HALF_WIDTH = 0.3  # of the band of a pass; passes are 1 apart


@dataclass(frozen=True)
class _SeriesStyle:
    """Marker and colour of a series of points."""

    marker: str
    colour: str

    @property
    def letter(self) -> str:
        """The marker as a letter, for legends."""
        return MARKER_LETTERS[self.marker]


@dataclass(frozen=True)
class _Series:
    """Points that are joined, with their errors: x (point,), others (series, point)."""

    x: FloatArray
    values: FloatArray
    errors: FloatArray


def corrections_figure(dataset: xr.Dataset) -> Figure:
    """Plot offsets of the lines against arrival phase and time.

    Shows them before and after the correction for each, and the baseline in time. The
    dataset is as `schema.PIXEL_CALIBRATION`; its attribute `run` is part of the title.
    """
    title = f"{labels.reference_run_title(dataset)}: arrival phase and drift, ok pixels"
    figure = style.new_figure(12, 7, title)
    spacing = Spacing(0.8, 0.55, 1.15, 0.8, 0.85, 0.9)
    grid = style.add_grid(figure, 2, 2, spacing, (3, 2))
    before, after, drift, baseline = grid.subplots(squeeze=False).ravel()
    _draw_phase(before, dataset, UNCORRECTED, "without phase correction")
    _draw_phase(after, dataset, "", "with phase correction")
    offsets = [
        dataset[f"phase_offset{ending}"].values.ravel() for ending in (UNCORRECTED, "")
    ]
    limits = line_strips.padded_limits(np.concatenate(offsets))
    for axes in (before, after):
        axes.set_ylim(limits)
    before.set_ylabel("line shift (eV)", size=style.TEXT_SIZE)
    after.tick_params(labelleft=False)
    _name_lines(after, dataset)
    _draw_drift(drift, dataset)
    _draw_series(
        baseline,
        _Series(
            _minutes(dataset),
            dataset["pretrigger_offset"].values[None],
            dataset["pretrigger_offset_errors"].values[None],
        ),
        [_SeriesStyle("o", style.BLACK)],
    )
    baseline_title = f"deviation from the mean over the run; {style.BARS}"
    baseline_label = "pretrigger mean (raw units)"
    style.label_axes(baseline, "time (min)", baseline_label, baseline_title)
    return figure


def _minutes(dataset: xr.Dataset) -> FloatArray:
    """Return the times (time_bin,), minutes."""
    return np.asarray(dataset["time_bin"].values / 60.0)


def _scatter_text(dataset: xr.Dataset, name: str) -> str:
    """Return the scatter of offsets, and the one expected from statistics alone."""
    offsets, errors = dataset[name].values, dataset[f"{name}_errors"].values
    is_measured = np.isfinite(offsets)
    if not is_measured.any():
        return "too few pulses"
    scatter = np.sqrt(np.mean(offsets[is_measured] ** 2))
    expected = np.sqrt(np.mean(errors[is_measured] ** 2))
    return f"{scatter:.2f} eV rms (statistics: {expected:.2f} eV)"


def _draw_phase(axes: Axes, dataset: xr.Dataset, ending: str, title: str) -> None:
    """Draw the offsets of every line against the arrival phase.

    `ending` of the variable's name: UNCORRECTED or nothing.
    """
    name = f"phase_offset{ending}"
    series = _Series(
        dataset["phase_bin"].values,
        dataset[name].values,
        dataset[f"{name}_errors"].values,
    )
    _draw_series(axes, series, _series_styles(dataset.sizes["fitted_line"]))
    axes.set_xlim(-1, 1)
    title = f"{title}: {_scatter_text(dataset, name)}"
    style.label_axes(axes, "arrival phase (digitiser samples)", "", title)


def _series_styles(number: int) -> list[_SeriesStyle]:
    """Return that many styles: all colours with the first marker, then the next."""
    combinations = cycle(product(MARKER_LETTERS, style.SERIES))
    return [
        _SeriesStyle(marker, colour) for marker, colour in islice(combinations, number)
    ]


def _name_lines(axes: Axes, dataset: xr.Dataset) -> None:
    """Write the names of the lines in their colours right of a panel."""
    names = labels.decode_texts(dataset["fitted_line"].values)
    styles = _series_styles(len(names))
    for row, (name, series_style) in enumerate(zip(names, styles, strict=True)):
        text = f"{series_style.letter} {labels.line_label(name)}"
        position = 1.02, 0.96 - 0.068 * row
        _write_legend_entry(axes, position, text, series_style.colour)


def _draw_drift(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw offsets of all lines together in time, before and after the correction."""
    names = ["time_offset_uncorrected", "time_offset"]
    colours = [style.VERMILLION, style.BLUE]
    series = _Series(
        _minutes(dataset),
        np.stack([dataset[name].values for name in names]),
        np.stack([dataset[f"{name}_errors"].values for name in names]),
    )
    _draw_series(axes, series, [_SeriesStyle("o", colour) for colour in colours])
    without = f"● without drift correction: {_scatter_text(dataset, names[0])}"
    _write_legend_entry(axes, (0, 1.13), without, colours[0])
    corrected = f"● with drift correction: {_scatter_text(dataset, names[1])}"
    _write_legend_entry(axes, (0, 1.04), corrected, colours[1])
    style.label_axes(axes, "time (min)", "line shift (eV)")


def _write_legend_entry(
    axes: Axes, position: tuple[float, float], text: str, colour: str
) -> None:
    """Write a text at a position in fractions of the axes.

    A legend by matplotlib takes as long as a panel.
    """
    axes.text(
        *position,
        text,
        transform=axes.transAxes,
        va="center",
        size=style.PANEL_SIZE,
        color=colour,
    )


def _draw_series(axes: Axes, series: _Series, styles: Sequence[_SeriesStyle]) -> None:
    """Draw series of joined points with error bars and a line at zero."""
    for values, series_style in zip(series.values, styles, strict=True):
        axes.plot(
            series.x,
            values,
            marker=series_style.marker,
            ms=4,
            lw=1,
            color=series_style.colour,
        )
    is_measured = np.isfinite(series.values) & np.isfinite(series.errors)
    row, point = np.nonzero(is_measured)
    axes.vlines(
        series.x[point],
        (series.values - series.errors)[is_measured],
        (series.values + series.errors)[is_measured],
        lw=1,
        colors=[styles[k].colour for k in row.tolist()],
    )
    style.draw_zero_line(axes)
    axes.locator_params(nbins=5)


def line_shifts_figure(dataset: xr.Dataset) -> Figure:
    """Plot how far the lines of each pixel shift from one reference run to the next.

    Parameters
    ----------
    dataset : Dataset
        `shift` f8 (pixel, line) eV, `has_jumped` bool (pixel,), `pixel`, `line_name`;
        attributes `before` and `after`: the names of the runs.

    Returns
    -------
    Figure
        Shifts line by line, and those of pixels with a gain jump as a table.
    """
    has_jumped = dataset["has_jumped"].values
    runs = f"{dataset.attrs['before']} to {dataset.attrs['after']}"
    jumps = f"gain jumps in {has_jumped.sum()} of {has_jumped.size} pixels"
    sample = dataset.attrs.get("sample", "")
    title = ", ".join(filter(None, [sample, f"reference runs {runs}: {jumps}"]))
    figure = style.new_figure(12, 7, title)
    spacing = Spacing(0.8, 0.1, 0.2, 0.8, 0.8, 0.5)
    grid = style.add_grid(figure, 2, 1, spacing, (5, 2))
    axes, table = grid.subplots(squeeze=False)[:, 0]
    style.draw_zero_line(axes)
    shifts = dataset["shift"].values
    line_strips.draw_line_strips(axes, shifts, ~has_jumped, np.zeros(1))
    subtitle = (
        "later run on the energy scale of the earlier one; dots: pixels in order of "
        "channel; bars: median; crosses, arrows with shift in eV: gain jump"
    )
    style.label_axes(axes, "", "line shift (eV)", subtitle)
    line_strips.name_line_axis(axes, labels.decode_texts(dataset["line_name"].values))
    _list_jumps(table, dataset.isel(pixel=np.flatnonzero(has_jumped)))
    return figure


def _list_jumps(table: Axes, jumped: xr.Dataset) -> None:
    """Write the line shifts of the pixels with a gain jump, one row each."""
    table.set_axis_off()
    table.text(
        0,
        1,
        "\n".join(_jump_rows(jumped)) or "no gain jumps",
        transform=table.transAxes,
        va="top",
        size=style.PANEL_SIZE,
        family="monospace",
    )


def _jump_rows(jumped: xr.Dataset) -> list[str]:
    """Return the rows of the table of gain jumps; none without any."""
    channels, shifts = jumped["pixel"].values, jumped["shift"].values
    if not channels.size:
        return []
    line_names = labels.decode_texts(jumped["line_name"].values)
    names = "".join(f"{labels.line_label(name):>9}" for name in line_names)
    rows = [f"{'shift (eV)':16}{names}"]
    for channel, pixel_shifts in zip(channels[:MAX_JUMP_ROWS], shifts, strict=False):
        numbers = "".join(f"{shift:+9.1f}" for shift in pixel_shifts)
        rows.append(f"{f'channel {channel}':16}" + numbers.replace("-", "−"))
    if channels.size > MAX_JUMP_ROWS:
        rows.append("and " + labels.list_channels(channels[MAX_JUMP_ROWS:]))
    return rows


def line_positions_figure(passes: Mapping[str, xr.Dataset], title: str) -> Figure:
    """Plot where the lines of a sample stand in each pass, a panel for each line.

    Parameters
    ----------
    passes : mapping of str to Dataset
        Scan -> `sample_line`, its position and error in eV, and the standard deviation
        of the energy scale at the line, `scale_error`.
    title : str
        Of the figure.

    Returns
    -------
    Figure
        With statistical errors as bars; the grey bands are those of the energy scale.
    """
    names = [
        str(name) for part in passes.values() for name in part["sample_line"].values
    ]
    lines = list(dict.fromkeys(names))
    figure = style.new_figure(
        1.2 + 0.5 * max(len(passes), 8), 1.6 + 1.6 * len(lines), title
    )
    spacing = Spacing(1.0, 0.95, 0.2, 0.6, 0.3, 0.2)
    grid = style.add_grid(figure, len(lines), 1, spacing)
    all_axes = grid.subplots(squeeze=False, sharex=True).ravel()
    for axes, line in zip(all_axes, lines, strict=True):
        _draw_positions(axes, list(passes.values()), line)
        axes.set_ylabel(f"{labels.line_label(line)} (eV)", size=style.TEXT_SIZE)
        axes.ticklabel_format(axis="y", useOffset=False)
    note = "bars: counting, 1σ; grey: energy scale, 1σ"
    style.label_axes(all_axes[0], "", all_axes[0].get_ylabel(), note)
    all_axes[-1].set_xticks(range(len(passes)), list(passes), rotation=45, ha="right")
    return figure


def _draw_positions(axes: Axes, passes: Sequence[xr.Dataset], line: str) -> None:
    """Draw the positions of a line in each pass with bars, on bands of the scale."""
    points = [
        (place, position, error, scale)
        for place, part in enumerate(passes)
        for name, position, error, scale in zip(
            part["sample_line"].values,
            part["sample_line_position"].values,
            part["sample_line_position_errors"].values,
            part["scale_error"].values,
            strict=True,
        )
        if name == line
    ]
    places, positions, errors, scales = np.array(points).T
    gap = np.full(len(points), np.nan)
    ends = np.stack([places - BAND_HALF_WIDTH, places + BAND_HALF_WIDTH, gap], axis=1)
    low, high = np.repeat(positions - scales, 3), np.repeat(positions + scales, 3)
    axes.fill_between(ends.ravel(), low, high, color="0.85")
    axes.errorbar(places, positions, errors, fmt="o", ms=4, color=style.BLUE)
