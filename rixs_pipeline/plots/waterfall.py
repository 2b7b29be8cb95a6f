"""Emission spectra of several incident energies, one above the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, style
from rixs_pipeline.plots.options import current_options
from rixs_pipeline.plots.spectrum_data import (
    Limits,
    highest_intensity,
    sort_spectrum,
    spectrum_axis,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL_SHARE = 0.2  # of the width of a panel, that a label takes
SHIFT = 0.6  # between spectra, as a fraction of the highest intensity
WIDTH_INCHES = 6.5
HEIGHT_INCHES = 2.0  # without spectra
SPECTRUM_INCHES = 0.8  # height that each spectrum adds


def waterfall_figure(
    spectra: Mapping[str, xr.Dataset], title: str, window: Limits
) -> Figure:
    """Plot emission spectra against emission energy or energy loss.

    Parameters
    ----------
    spectra : mapping of str to Dataset
        Label -> as `schema.spectrum`, the first at the bottom; at least one, all along
        the same dimension.
    title : str
        Of the figure.
    window : Limits
        Energies that are shown, eV.

    Returns
    -------
    Figure
        With one panel.
    """
    height = HEIGHT_INCHES + SPECTRUM_INCHES * len(spectra)
    figure = style.new_figure(WIDTH_INCHES, height, title)
    axes = figure.add_subplot(style.add_grid(figure)[0])
    top = highest_intensity(spectra.values(), window)
    draw_waterfall(axes, spectra, window, top)
    label_waterfall(axes, spectra, style.BARS)
    return figure


def draw_waterfall(
    axes: Axes, spectra: Mapping[str, xr.Dataset], window: Limits, top: float
) -> None:
    """Draw spectra in a panel, each above a zero line of its own.

    Labels stand where intensities are low: at the left end of emission energies, at
    the right end of energy losses.

    Parameters
    ----------
    axes : Axes
        The panel.
    spectra : mapping of str to Dataset
        Label -> as `schema.spectrum`, the first at the bottom.
    window : Limits
        Energies that are shown, eV.
    top : float
        Highest intensity of all panels that share a scale.
    """
    intensity_limits = current_options().intensity
    if intensity_limits is not None:
        top = intensity_limits.high
    axis = _common_axis(spectra)
    is_loss = axis == "energy_loss"
    label_position = window.high if is_loss else window.low
    for row, (label, spectrum) in enumerate(spectra.items()):
        visible = sort_spectrum(spectrum, window)
        energy = visible[axis].values
        intensity = visible["intensity"].values
        errors = visible["intensity_errors"].values
        colour = style.series_colour(row)
        zero = row * (SHIFT * top)
        axes.axhline(zero, color=style.GREY, lw=0.4, zorder=0)
        axes.errorbar(
            energy, intensity + zero, errors, color=colour, lw=1.0, elinewidth=0.5
        )
        is_near = np.abs(energy - label_position) < LABEL_SHARE * (
            window.high - window.low
        )
        ends = (intensity + np.nan_to_num(errors))[is_near]
        highest = np.nanmax(ends, initial=0.0)
        axes.annotate(
            label,
            (label_position, zero + highest),
            (-5 if is_loss else 5, 3),
            textcoords="offset points",
            ha="right" if is_loss else "left",
            va="bottom",
            size=style.SMALL_SIZE,
            color=colour,
        )
    axes.set_xlim(window)
    if top > 0:
        highest_zero = (len(spectra) - 1) * (SHIFT * top)
        axes.set_ylim(-0.1 * top, highest_zero + 1.15 * top)
    axes.locator_params(axis="x", nbins=5)


def label_waterfall(
    axes: Axes,
    spectra: Mapping[str, xr.Dataset],
    title: str = "",
    size: float = style.TEXT_SIZE,
) -> None:
    """Set the labels and the small title of a panel of shifted spectra."""
    intensity = next(iter(spectra.values()))["intensity"]
    x_label = labels.axis_label(_common_axis(spectra))
    y_label = labels.quantity_label(intensity, "intensity, shifted")
    style.label_axes(axes, x_label, y_label, title, size)


def _common_axis(spectra: Mapping[str, xr.Dataset]) -> str:
    """Return the name of the spectra's axis."""
    first = next(iter(spectra.values()))
    return str(spectrum_axis(first).name)
