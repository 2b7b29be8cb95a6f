"""Emission spectra of several incident energies, one above the other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rixs_pipeline.plots import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Limits = tuple[float, float]
Cuts = Mapping[str, "xr.Dataset"]  # what it was excited with -> spectrum

STEP = 0.6  # between spectra, of the highest of them
SIZE = 6.5, 2.0, 0.8  # inches: width; height without spectra, and for each


def waterfall_figure(cuts: Cuts, title: str, window: Limits) -> "Figure":
    """Emission spectra against emission energy or loss, the first at the bottom.

    Args:
        cuts: label -> dataset as `schema.spectrum`, at least one, all along the same dimension.
        title: of the figure.
        window: what is shown of their axis, eV.
    """
    figure = style.new_figure(SIZE[0], SIZE[1] + SIZE[2] * len(cuts), title)
    draw(style.grid(figure).subplots(squeeze=False)[0, 0], cuts, window)
    return figure


def draw(
    axes: "Axes",
    cuts: Cuts,
    window: Limits,
    title: str = "",
    size: float = style.TEXT_SIZE,
    top: float | None = None,
) -> None:
    """The spectra in a panel, each on a zero line of its own, its label at the end of low intensity.

    `top`: the highest intensity of all panels that share a scale; default: of these spectra.
    """
    shown = {label: columns(dataset, window) for label, dataset in cuts.items()}
    first = next(iter(cuts.values()))["intensity"]
    right = first.dims[0] == "energy_loss"  # where the spectra are low
    top = highest(cuts, window) if top is None else top
    step = STEP * top
    for index, (label, (energy, values, bars)) in enumerate(shown.items()):
        colour, zero = style.SERIES[index % len(style.SERIES)], index * step
        axes.axhline(zero, color=style.GREY, lw=0.4, zorder=0)
        axes.errorbar(energy, values + zero, bars, color=colour, lw=1.0, elinewidth=0.5)
        axes.annotate(
            label,
            (window[right], zero),
            (-5 if right else 5, 7),
            textcoords="offset points",
            ha="right" if right else "left",
            size=style.SMALL_SIZE,
            color=colour,
        )
    axes.set_xlim(window)
    if top > 0:
        axes.set_ylim(-0.1 * top, (len(shown) - 1) * step + 1.15 * top)
    axes.locator_params(axis="x", nbins=5)
    style.dress(
        axes,
        f"{str(first.dims[0]).replace('_', ' ')} (eV)",
        style.quantity(first, "intensity, shifted"),
        title,
        size,
    )


def highest(cuts: "Mapping[Any, xr.Dataset]", window: Limits) -> float:
    """The highest intensity of spectra in a window, eV."""
    return max(
        (
            float(np.nanmax(columns(cut, window)[1], initial=0.0))
            for cut in cuts.values()
        ),
        default=1.0,
    )


def columns(
    dataset: "xr.Dataset", window: Limits | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy, intensity and errors of a spectrum in the window, energies ascending, f8 (energy,) each."""
    energy = dataset[str(dataset["intensity"].dims[0])].values
    order = np.argsort(energy, kind="stable")
    if window is not None:
        order = order[(energy[order] >= window[0]) & (energy[order] <= window[1])]
    return (
        energy[order],
        dataset["intensity"].values[order],
        dataset["intensity_errors"].values[order],
    )
