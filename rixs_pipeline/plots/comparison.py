"""Samples compared: their spectra on a common scale, differences, and the test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline.plots import labels, style
from rixs_pipeline.plots.options import current_options
from rixs_pipeline.plots.spectrum_data import (
    Limits,
    curve_points,
    find_counts_window,
    whole_bins,
)
from rixs_pipeline.plots.style import Spacing
from rixs_pipeline.plots.windows import shade_windows

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONG_SPECTRUM_EV = 120.0  # longer emission spectra are shown where they have counts
HEIGHT_RATIOS = (3, 1.4)  # of spectra and differences
COUNTS_MARGIN_EV = 15.0  # around the counts of a spectrum


def comparison_figure(dataset: xr.Dataset, title: str) -> Figure:
    """Plot the spectra of samples and their differences to the first one.

    Parameters
    ----------
    dataset : Dataset
        As `schema.comparison`.
    title : str
        Of the figure.

    Returns
    -------
    Figure
        Intensities over their common factors above; differences below, each with the
        result of the test.
    """
    axis = str(dataset["difference"].dims[1])
    order = np.argsort(dataset[axis].values, kind="stable")
    ordered = dataset.isel({axis: order})
    figure = style.new_figure(8, 6.4, title)
    grid = style.add_grid(figure, 2, 1, Spacing(down=0.45), HEIGHT_RATIOS)
    above, below = grid.subplots(squeeze=False, sharex=True)[:, 0]
    samples = labels.decode_texts(ordered["sample"].values)
    without_edge = json.loads(dataset.attrs.get("no_edge", "[]"))
    for row, name in enumerate(samples):
        sample = f"{name} (no significant edge)" if name in without_edge else name
        spectrum = ordered.isel(sample=row)
        _draw_spectrum(above, spectrum, "intensity", style.series_colour(row), sample)
    compared = labels.decode_texts(ordered["compared"].values)
    for row, sample in enumerate(compared):
        difference = ordered.isel(compared=row)
        label = f"{sample}: {_test_result(difference)}"
        _draw_spectrum(
            below, difference, "difference", style.series_colour(row + 1), label
        )
    kind = json.loads(dataset.attrs.get("region", "{}")).get("kind")
    quantity = "inverse PFY" if kind == "ipfy" else "intensity"
    intensity_label = labels.quantity_label(
        ordered["intensity"], f"{quantity} / common factor"
    )
    style.label_axes(above, "", intensity_label, style.BARS)
    energy_label = labels.quantity_label(ordered[axis])
    difference_label = labels.quantity_label(ordered["difference"], "difference")
    style.label_axes(below, energy_label, difference_label)
    style.draw_zero_line(below)
    below.set_xlim(_shown_energies(ordered, axis))
    windows = _feature_windows(ordered)
    for axes in (above, below):
        axes.margins(x=0.01, y=0.12)
        axes.autoscale_view(scalex=False)
        shade_windows(axes, windows)
        style.add_legend(axes)
    above.set_ylim(current_options().intensity)
    return figure


def _feature_windows(dataset: xr.Dataset) -> dict[str, Limits]:
    """Return the windows of the feature that is compared in this region, eV."""
    comparison = json.loads(dataset.attrs.get("comparison", "{}"))
    feature = comparison.get("feature")
    if feature is None or "amplitude" not in dataset:
        return {}
    windows = {"feature": Limits(*feature["window"])}
    if feature.get("baseline"):
        windows["baseline"] = Limits(*feature["baseline"])
    return windows


def _draw_spectrum(
    axes: Axes, spectrum: xr.Dataset, name: str, colour: str, label: str
) -> None:
    """Draw a variable along energy, joined, with bars of one standard deviation."""
    axis = str(spectrum[name].dims[0])
    energy = spectrum[axis].values
    values = spectrum[name].values
    errors = spectrum[f"{name}_errors"].values
    points = curve_points(axis, energy)
    (curve,) = axes.plot(points.energy, values[points.rows], color=colour, lw=0.9)
    curve.set_label(labels.escape_math(label))
    style.draw_error_bars(axes, energy, values, errors, colour)


def _test_result(difference: xr.Dataset) -> str:
    """Return the result of the test, and the ratio of a feature if there is one."""
    chi_square = float(difference["chi_square"])
    degrees_of_freedom = int(difference["degrees_of_freedom"])
    p = float(difference["p"])
    text = f"χ² {chi_square:.1f} / {degrees_of_freedom}, p = {p:.2g}"
    if degrees_of_freedom < 1:
        text = "nothing to test (0 degrees of freedom)"
    if "ratio" not in difference:
        return text
    ratio = float(difference["ratio"])
    low, high = float(difference["ratio_lower"]), float(difference["ratio_upper"])
    return f"{text}, feature × {ratio:.2f} ({low:.2f} to {high:.2f})"


def _shown_energies(dataset: xr.Dataset, axis: str) -> Limits:
    """Return the limits of the options, or all energies, eV.

    Of a long emission spectrum, those that have counts.
    """
    energy = dataset[axis].values
    window = Limits(energy[0], energy[-1])
    limits = current_options().range_of(axis, window)
    if limits is not None:
        return limits
    if axis == "incident_energy":
        return window
    if axis == "emission_energy" and np.ptp(energy) > LONG_SPECTRUM_EV:
        intensity = np.nan_to_num(dataset["intensity"].values.sum(axis=0))
        window = find_counts_window(energy, intensity, COUNTS_MARGIN_EV)
    return whole_bins(energy, window)
