"""Samples compared: spectra overlaid on the first one's scale, differences with their errors, the test's outcome."""

from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SPAN = (
    120.0  # eV: an emission spectrum longer than that is shown where the counts are
)


def comparison_figure(dataset: "xr.Dataset", title: str) -> "Figure":
    """Intensities over their common factors above, the differences to the first sample below, each with its p.

    Args:
        dataset: as `schema.comparison`.
        title: of the figure.
    """
    axis = str(dataset["difference"].dims[1])
    order = np.argsort(dataset[axis].values, kind="stable")
    ordered = dataset.isel({axis: order})
    figure = style.new_figure(8, 6.4, title)
    (above,), (below,) = style.grid(
        figure, 2, gaps=(0, 0.45), height_ratios=(3, 1.4)
    ).subplots(squeeze=False, sharex=True)
    for index, sample in enumerate(style.texts(ordered["sample"].values)):
        one = ordered.isel(sample=index)
        _bars(
            above,
            axis,
            one,
            "intensity",
            style.SERIES[index % len(style.SERIES)],
            sample,
        )
    for index, sample in enumerate(style.texts(ordered["compared"].values)):
        one = ordered.isel(compared=index)
        colour = style.SERIES[(index + 1) % len(style.SERIES)]
        _bars(below, axis, one, "difference", colour, f"{sample}: {_outcome(one)}")
    style.dress(
        above, "", style.quantity(ordered["intensity"], "intensity / common factor")
    )
    style.dress(
        below,
        style.quantity(ordered[axis]),
        style.quantity(ordered["difference"], "difference"),
    )
    below.axhline(0, color=style.GREY, lw=0.8, zorder=0)
    for axes in (above, below):
        axes.legend(frameon=False, fontsize=style.SMALL_SIZE)
        axes.margins(x=0.01, y=0.12)
    below.set_xlim(_window(ordered, axis))
    return figure


def _bars(
    axes: "Axes", axis: str, one: "xr.Dataset", name: str, colour: str, label: str
) -> None:
    """Values that are joined, with bars of one standard deviation."""
    energy, values, errors = (one[n].values for n in (axis, name, f"{name}_errors"))
    style_of_line = "steps-mid" if axis == "emission_energy" else "default"
    axes.plot(
        energy,
        values,
        color=colour,
        lw=0.9,
        drawstyle=style_of_line,
        label=style.plain(label),
    )
    axes.errorbar(
        energy, values, errors, fmt="none", ecolor=colour, elinewidth=0.6, alpha=0.6
    )


def _outcome(one: "xr.Dataset") -> str:
    """The test's outcome, and the feature's ratio where there is one."""
    text = f"χ² {float(one['chi_square']):.1f} / {int(one['degrees_of_freedom'])}, p = {float(one['p']):.2g}"
    if "ratio" in one:
        low, high = float(one["ratio_lower"]), float(one["ratio_upper"])
        text += f", feature × {float(one['ratio']):.2f} ({low:.2f} to {high:.2f})"
    return text


def _window(dataset: "xr.Dataset", axis: str) -> tuple[float, float]:
    """All of it; of a long emission spectrum where the intensity is."""
    energy = dataset[axis].values
    if axis == "emission_energy" and np.ptp(energy) > MAX_SPAN:
        return style.where_counts_are(
            energy, np.nan_to_num(dataset["intensity"].values.sum(axis=0)), 15.0
        )
    return float(energy[0]), float(energy[-1])
