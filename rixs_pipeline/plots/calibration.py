"""Reference runs: how well the lines of each pixel, and of the whole array, stand where they should."""

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.errors import UsageError
from rixs_pipeline.plots import pixel_strips as strips
from rixs_pipeline.plots import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

PIXEL_BIN_EV, SUM_BIN_EV = (
    1.0,
    0.5,
)  # a single pixel's counts are too few for the product's 0.25 eV
OK = "ok"
REASON_COLOURS = (
    style.VERMILLION,
    style.ORANGE,
    style.PURPLE,
    style.BLACK,
    style.YELLOW,
    style.GREEN,
    style.BLUE,
)


def calibration_figure(
    dataset: "xr.Dataset", pixel: int, sheet: "Figure | None" = None
) -> "Figure":
    """One pixel's reference run: calibrated spectrum, line residuals, resolution and, where given, its gain curve.

    Args:
        dataset: as `schema.PIXEL_CALIBRATION`.
        pixel: its channel number.
        sheet: such a figure of another pixel of this dataset, to be drawn anew: in a third of the time.

    Raises:
        UsageError: no such pixel in the dataset.
    """
    rows = np.flatnonzero(dataset["pixel"].values == pixel)
    if not rows.size:
        raise UsageError(
            f"pixel {pixel}: not in the calibration, which has {strips.listed(dataset['pixel'].values)}"
        )
    one = dataset.isel(pixel=rows[0])
    (status,) = style.texts([one["status"].item()])
    run = [str(dataset.attrs["run"])] if "run" in dataset.attrs else []
    title = ", ".join([*run, f"pixel {pixel}: {status}"])
    has_curve = "curve_pulse_height" in one and "curve_energy" in one
    figure = style.wipe(sheet, title) if sheet else _page(title, has_curve)
    spectrum, residuals, resolution, *curve = figure.axes
    _draw_spectrum(spectrum, one, one["spectrum"].values, PIXEL_BIN_EV)
    _draw_residuals(residuals, one)
    _draw_resolution(
        resolution, one, strips.medians(dataset["fwhm"].values, _used(dataset))
    )
    if has_curve:
        _draw_curve(curve, one)
    return figure


def _page(title: str, has_curve: bool) -> "Figure":
    """Empty axes for a pixel: spectrum above; residuals, resolution and the two of the gain curve below."""
    figure = style.new_figure(12, 7, title)
    grid = style.grid(figure, 2, 2 + has_curve, (0.8, 0.5, 0.2, 0.9), (0.85, 0.85))
    for place in (grid[0, :], grid[1, 0], grid[1, 1]):
        figure.add_subplot(place)
    if has_curve:
        grid[1, 2].subgridspec(2, 1, hspace=0.08).subplots()
    return figure


def calibration_summary_figure(dataset: "xr.Dataset") -> "Figure":
    """All pixels: the good ones' summed spectrum, residuals and resolution line by line, and every verdict.

    Args:
        dataset: as `schema.PIXEL_CALIBRATION`; its attributes `run` and `reference_set` stand in the title.
    """
    used = _used(dataset)
    named = [
        str(dataset.attrs[key])
        for key in ("run", "reference_set")
        if key in dataset.attrs
    ]
    figure = style.new_figure(
        12, 10, ", ".join([*named, f"{used.sum()} of {used.size} pixels ok"])
    )
    grid = style.grid(
        figure, 3, 2, (0.8, 0.1, 0.2, 0.9), (0.85, 0.75), height_ratios=(4, 4.5, 2)
    )
    below = grid[2, :].subgridspec(2, 1, height_ratios=(1, 4), hspace=0.45)
    _draw_spectrum(
        figure.add_subplot(grid[0, :]),
        dataset,
        dataset["spectrum"].values[used].sum(axis=0),
        SUM_BIN_EV,
    )
    residual, resolution = (
        figure.add_subplot(grid[1, 0]),
        figure.add_subplot(grid[1, 1]),
    )
    strips.draw(
        residual,
        dataset["line_residual"].values,
        used,
        _draw_uncertainties(residual, dataset),
    )
    strips.draw(resolution, dataset["fwhm"].values, used, np.zeros(1))
    style.dress(
        residual,
        "",
        "line − reference (eV)",
        "bars: median of the pixels that are ok; grey: reference ±1σ",
    )
    style.dress(
        resolution,
        "",
        "resolution, FWHM (eV)",
        "dots: pixels in order of channel; crosses: not ok",
    )
    resolution.set_ylim(bottom=0)
    for axes in (residual, resolution):
        strips.name_lines(axes, dataset)
    _draw_verdicts(figure.add_subplot(below[0]), figure.add_subplot(below[1]), dataset)
    return figure


def _used(dataset: "xr.Dataset") -> NDArray[np.bool_]:
    """Which pixels (pixel,) are ok."""
    return np.array(
        [status == OK for status in style.texts(dataset["status"].values)], dtype=bool
    )


def _draw_spectrum(
    axes: "Axes", dataset: "xr.Dataset", counts: NDArray[Any], bin_ev: float
) -> None:
    """Counts of a calibrated reference run in bins of `bin_ev`, logarithmic, its lines marked and named."""
    energy, lines = dataset["emission_energy"].values, dataset["line_energy"].values
    step = (energy[-1] - energy[0]) / max(len(energy) - 1, 1)
    group = max(1, round(bin_ev / step))
    summed = np.add.reduceat(counts, np.arange(0, len(counts), group))
    centres = energy[::group] + (group - 1) * step / 2
    axes.plot(centres, summed, drawstyle="steps-mid", color=style.BLUE, lw=0.9)
    low, high = style.where_counts_are(energy, counts, margin=15.0)
    axes.set_xlim(min([low, *(lines - 25)]), max([high, *(lines + 25)]))
    axes.set_ylim(0.5, 2 * max(summed.max(initial=0), 5))
    axes.set_yscale("log", nonpositive="clip")
    style.dress(
        axes,
        style.quantity(dataset["emission_energy"]),
        f"counts / {group * step:g} eV",
    )
    style.log_ticks(axes.yaxis)
    order = np.argsort(lines)
    places = style.spread(
        [axes.transLimits.transform((line, 0))[0] for line in lines[order]], 0.013
    )
    names = style.texts(dataset["line_name"].values[order])
    for name, line, place in zip(names, lines[order], places, strict=True):
        axes.axvline(line, color=style.VERMILLION, lw=0.8, ls=":", zorder=0)
        axes.annotate(
            style.line_label(name),
            (place, 1.0),
            (0, 3),
            xycoords="axes fraction",
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            size=style.SMALL_SIZE,
            color=style.VERMILLION,
        )


def _draw_uncertainties(axes: "Axes", dataset: "xr.Dataset") -> Floats:
    """Grey boxes around zero, as high as the uncertainty of each reference line; their ends (2 x line,), eV."""
    half = np.nan_to_num(dataset["line_energy_errors"].values)
    axes.bar(range(len(half)), 2 * half, 0.86, bottom=-half, color="0.9", zorder=0)
    axes.axhline(0, color=style.GREY, lw=0.8, zorder=0.5)
    return np.concatenate([-half, half])


def _draw_residuals(axes: "Axes", one: "xr.Dataset") -> None:
    """Residuals of one pixel's lines with their statistical errors, over the uncertainty of the references."""
    ends = _draw_uncertainties(axes, one)
    residual, errors = one["line_residual"].values, one["line_residual_errors"].values
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
    axes.set_ylim(
        strips.limits(
            np.concatenate([ends, residual[fitted] - bars, residual[fitted] + bars])
        )
    )
    style.dress(
        axes, "", "line − reference (eV)", "bars: statistics; grey: reference ±1σ"
    )
    strips.name_lines(axes, one)


def _draw_resolution(axes: "Axes", one: "xr.Dataset", medians: Floats) -> None:
    """Resolution of one pixel at its lines, beside the median of the array."""
    fwhm = one["fwhm"].values
    axes.plot(range(len(fwhm)), medians, "_", ms=22, mew=1.5, color=style.GREY)
    axes.plot(range(len(fwhm)), fwhm, "o", ms=5, color=style.BLUE)
    axes.set_ylim(0, 1.25 * max(1.0, *np.nan_to_num(np.concatenate([fwhm, medians]))))
    style.dress(
        axes, "", "resolution, FWHM (eV)", "bars: median of the pixels that are ok"
    )
    strips.name_lines(axes, one)


def _draw_curve(panels: "list[Axes]", one: "xr.Dataset") -> None:
    """The gain curve with the lines on it, and both again after the straight line through the curve's ends."""
    upper, lower = panels
    height, energy = one["curve_pulse_height"].values, one["curve_energy"].values
    scale = one["emission_energy"].values
    shown = np.isfinite(height) & (energy >= scale[0]) & (energy <= scale[-1])
    style.dress(upper, "", "energy (eV)", "gain curve and lines", style.SMALL_SIZE + 1)
    style.dress(
        lower, "pulse height", "− straight line (eV)", size=style.SMALL_SIZE + 1
    )
    upper.tick_params(labelbottom=False)
    for axes in panels:
        axes.locator_params(nbins=5)
    if shown.sum() < 2:
        upper.text(
            0.5,
            0.5,
            "no gain curve",
            transform=upper.transAxes,
            ha="center",
            color=style.GREY,
        )
        return
    height, energy = height[shown], energy[shown]
    slope = (energy[-1] - energy[0]) / (height[-1] - height[0])
    at, lines = one["line_pulse_height"].values, one["line_energy"].values
    for axes, tilt in ((upper, 0.0), (lower, 1.0)):
        axes.plot(
            height,
            energy - tilt * (energy[0] + slope * (height - height[0])),
            color=style.BLUE,
            lw=1.2,
        )
        axes.plot(
            at,
            lines - tilt * (energy[0] + slope * (at - height[0])),
            "o",
            ms=4,
            color=style.VERMILLION,
        )
    lower.axhline(0, color=style.GREY, lw=0.8, zorder=0)


def _draw_verdicts(strip: "Axes", table: "Axes", dataset: "xr.Dataset") -> None:
    """Every pixel's verdict as a coloured cell, and a table of the reasons that is its legend."""
    from matplotlib.colors import ListedColormap

    statuses, channels = style.texts(dataset["status"].values), dataset["pixel"].values
    groups = _reasons(statuses)
    others = cycle(REASON_COLOURS)
    colours = [style.SKY if reason == OK else next(others) for reason in groups]
    cells = np.zeros((1, len(statuses)))
    for index, members in enumerate(groups.values()):
        cells[0, members] = index
    strip.pcolormesh(
        np.arange(len(statuses) + 1),
        [0, 1],
        cells,
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=len(groups) - 0.5,
        edgecolors="white",
        linewidth=0.4,
    )
    style.dress(strip, "", "", "pixels by channel", style.SMALL_SIZE + 1)
    ticks = np.unique(np.linspace(0, len(channels) - 1, 13).astype(int))
    strip.set_xticks(ticks + 0.5, [str(channels[i]) for i in ticks])
    strip.set_yticks([])
    table.set_axis_off()
    for row, ((reason, members), colour) in enumerate(
        zip(groups.items(), colours, strict=True)
    ):
        y = 1 - (row + 0.5) / max(len(groups), 6)
        how: dict[str, Any] = {
            "transform": table.transAxes,
            "va": "center",
            "size": style.SMALL_SIZE + 1,
        }
        table.text(0.0, y, "■", color=colour, **how)
        table.text(
            0.02,
            y,
            style.plain(_in_full(reason, [statuses[i] for i in members])),
            **how,
        )
        table.text(0.47, y, f"{len(members)}", ha="right", **how)
        table.text(
            0.49, y, "" if reason == OK else strips.listed(channels[members]), **how
        )


def _reasons(statuses: list[str]) -> dict[str, list[int]]:
    """Rows of the pixels by reason (the status up to its colon): ok first, then the most frequent."""
    groups: dict[str, list[int]] = {}
    for row, status in enumerate(statuses):
        groups.setdefault(status.partition(":")[0], []).append(row)
    return dict(
        sorted(groups.items(), key=lambda item: (item[0] != OK, -len(item[1]), item[0]))
    )


def _in_full(reason: str, statuses: list[str]) -> str:
    """The whole status where all pixels of a reason share it: the numbers in it differ from pixel to pixel."""
    return statuses[0] if len(set(statuses)) == 1 else reason
