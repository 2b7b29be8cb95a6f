"""Reference runs: what the corrections for arrival phase and drift did, and how far lines moved from run to run."""

from itertools import cycle, islice, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.plots import pixel_strips as strips
from rixs_pipeline.plots import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

MARKERS = {
    "o": "●",
    "s": "■",
    "^": "▲",
    "D": "◆",
}  # of the next lines, when the colours begin anew; their letters
MAX_ROWS = 8  # jumping pixels whose lines are listed


def corrections_figure(dataset: "xr.Dataset") -> "Figure":
    """Offsets of the lines against arrival phase and against time, before and after the correction for each.

    Args:
        dataset: as `schema.PIXEL_CALIBRATION`; its attribute `run` stands in the title.
    """
    figure = style.new_figure(
        12,
        7,
        ": ".join([*_run(dataset), "arrival phase and drift, good pixels together"]),
    )
    grid = style.grid(
        figure, 2, 2, (0.8, 0.55, 1.15, 0.8), (0.85, 0.9), height_ratios=(3, 2)
    )
    before, after, drift, base = (figure.add_subplot(grid[k]) for k in range(4))
    _draw_phase(before, dataset, "_uncorrected", "without the phase correction")
    _draw_phase(after, dataset, "", "with it")
    ends = [
        dataset[f"phase_offset{which}"].values.ravel() for which in ("_uncorrected", "")
    ]
    for axes in (before, after):
        axes.set_ylim(strips.limits(np.concatenate(ends)))
    before.set_ylabel("line at this phase − line (eV)", size=style.TEXT_SIZE)
    after.tick_params(labelleft=False)
    _name_series(after, dataset)
    _draw_drift(drift, dataset)
    mean, errors = _with_errors(dataset, "pretrigger_offset")
    _draw_series(
        base, _minutes(dataset), mean[None], errors[None], [("o", style.BLACK)]
    )
    style.dress(
        base,
        "time (min)",
        "pretrigger mean",
        "deviation of the base line from its mean in the run",
    )
    return figure


def _run(dataset: "xr.Dataset") -> list[str]:
    return [str(dataset.attrs[key]) for key in ("run",) if key in dataset.attrs]


def _minutes(dataset: "xr.Dataset") -> Floats:
    return np.asarray(dataset["time_bin"].values / 60.0)


def _with_errors(dataset: "xr.Dataset", name: str) -> tuple[Floats, Floats]:
    return dataset[name].values, dataset[f"{name}_errors"].values


def _scatter(dataset: "xr.Dataset", name: str) -> str:
    """How far the offsets of a variable scatter, and how far they would by statistics alone."""
    offsets, errors = _with_errors(dataset, name)
    known = np.isfinite(offsets)
    if not known.any():
        return "too few pulses"
    rms, expected = (
        np.sqrt(np.mean(values[known] ** 2)) for values in (offsets, errors)
    )
    return f"{rms:.2f} eV rms, statistics {expected:.2f}"


def _draw_phase(axes: "Axes", dataset: "xr.Dataset", which: str, what: str) -> None:
    """Offsets of every line against the arrival phase, `which`: `_uncorrected` or nothing."""
    variable = f"phase_offset{which}"
    names = style.texts(dataset["fitted_line"].values)
    looks = list(islice(cycle(product(MARKERS, style.SERIES)), len(names)))
    _draw_series(
        axes, dataset["phase_bin"].values, *_with_errors(dataset, variable), looks
    )
    axes.set_xlim(-1, 1)
    style.dress(
        axes,
        "arrival phase within a sample",
        "",
        f"{what}: {_scatter(dataset, variable)}",
    )


def _name_series(axes: "Axes", dataset: "xr.Dataset") -> None:
    """The lines' names in their colours, right of the axes."""
    looks = cycle(product(MARKERS.values(), style.SERIES))
    for row, name in enumerate(style.texts(dataset["fitted_line"].values)):
        letter, colour = next(looks)
        _tell(
            axes, 1.02, 0.96 - 0.068 * row, f"{letter} {style.line_label(name)}", colour
        )


def _draw_drift(axes: "Axes", dataset: "xr.Dataset") -> None:
    """Offsets of all lines together against time, before and after the drift correction."""
    variables, looks = (
        ("time_offset_uncorrected", "time_offset"),
        (("o", style.VERMILLION), ("o", style.BLUE)),
    )
    offsets, errors = np.stack(
        [_with_errors(dataset, name) for name in variables], axis=1
    )
    _draw_series(axes, _minutes(dataset), offsets, errors, looks)
    for name, what, height, (_, colour) in zip(
        variables, ("without", "with"), (1.13, 1.04), looks, strict=True
    ):
        _tell(
            axes,
            0,
            height,
            f"● {what} the drift correction: {_scatter(dataset, name)}",
            colour,
        )
    style.dress(axes, "time (min)", "shift of the lines (eV)")


def _tell(axes: "Axes", x: float, y: float, text: str, colour: str) -> None:
    """An entry of a legend; a text, because matplotlib's legends take as long as a panel."""
    axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        va="center",
        size=style.SMALL_SIZE + 1,
        color=colour,
    )


def _draw_series(
    axes: "Axes",
    x: Floats,
    y: Floats,
    errors: Floats,
    looks: "Sequence[tuple[str, str]]",
) -> None:
    """Series (n, point) of values with their errors as joined points; `looks`: marker and colour of each."""
    for values, (marker, colour) in zip(y, looks, strict=True):
        axes.plot(x, values, marker=marker, ms=4, lw=1, color=colour)
    row, point = np.nonzero(np.isfinite(y) & np.isfinite(errors))
    colours = [looks[k][1] for k in row.tolist()]
    axes.vlines(
        x[point],
        (y - errors)[row, point],
        (y + errors)[row, point],
        lw=1,
        colors=colours,
    )
    axes.axhline(0, color=style.GREY, lw=0.8, zorder=0)
    axes.locator_params(nbins=5)


def moved_figure(moved: "xr.Dataset") -> "Figure":
    """How far each pixel's lines moved from one reference run to the next, and which pixels jumped.

    Args:
        moved: `shift` f8 (pixel, line) eV, `jumped` bool (pixel,), `pixel`, `line_name`; attributes `before`, `after`,
            the names of the runs.
    """
    jumped = moved["jumped"].values
    named = f"from {moved.attrs['before']} to {moved.attrs['after']}"
    figure = style.new_figure(
        12, 7, f"{named}: {jumped.sum()} of {jumped.size} pixels jumped"
    )
    grid = style.grid(
        figure, 2, 1, (0.8, 0.1, 0.2, 0.8), (0.8, 0.5), height_ratios=(5, 2)
    )
    axes, table = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    axes.axhline(0, color=style.GREY, lw=0.8, zorder=0)
    strips.draw(axes, moved["shift"].values, ~jumped, np.zeros(1))
    title = "later run on the earlier scale; dots: pixels in order of channel; bars: median; crosses: jumped"
    style.dress(axes, "", "line moved by (eV)", title)
    strips.name_lines(axes, moved)
    _list_jumps(table, moved.isel(pixel=np.flatnonzero(jumped)))
    return figure


def _list_jumps(table: "Axes", jumped: "xr.Dataset") -> None:
    """The shifts of the lines of the pixels that jumped, a row each."""
    table.set_axis_off()
    names = [style.line_label(name) for name in style.texts(jumped["line_name"].values)]
    rows = [f"{'jumped (eV)':16}" + "".join(f"{name:>9}" for name in names)]
    for one, shifts in zip(
        jumped["pixel"].values[:MAX_ROWS], jumped["shift"].values, strict=False
    ):
        numbers = "".join(f"{shift:+9.1f}" for shift in shifts).replace("-", "−")
        rows.append(f"{f'channel {one}':16}" + numbers)
    more = jumped.sizes["pixel"] - MAX_ROWS
    if more > 0:
        rows.append("and " + strips.listed(jumped["pixel"].values[MAX_ROWS:]))
    text = "\n".join(rows) if jumped.sizes["pixel"] else "no pixel jumped"
    table.text(
        0,
        1,
        text,
        transform=table.transAxes,
        va="top",
        size=style.SMALL_SIZE + 1,
        family="monospace",
    )
