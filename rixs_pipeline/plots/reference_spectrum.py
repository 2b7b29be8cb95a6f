"""The spectrum of a reference run, its peaks named, or the pulse heights of a pixel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.plots import labels, style
from rixs_pipeline.plots.spectrum_data import find_counts_window
from rixs_pipeline.types import FloatArray, are_ok

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

COUNTS_MARGIN_EV = 15.0  # around the counts of a spectrum
LINE_MARGIN_EV = 25.0  # at least, around the reference lines
NAME_SPACING = 0.013  # of a panel's width: least distance between names of lines
SAME_PEAK_EV = 5.0  # within which peaks, and lines, up to 1 keV are the same
STRONGER_SHELLS = {"Lb": "La", "Kb": "Ka"}  # weaker lines of an element -> stronger
MARKS_TEXT = "grey: not used for the energy scale; ?: peak of no reference line"


@dataclass(frozen=True)
class Mark:
    """A line or peak of a spectrum, in eV or units of the pulse height.

    `is_reference`: whether it carries the energy scale.
    """

    energy: float
    text: str
    is_reference: bool = True


def draw_spectrum(
    axes: Axes,
    dataset: xr.Dataset,
    counts: NDArray[Any],
    bin_ev: float,
    marks: Sequence[Mark],
) -> None:
    """Draw the spectrum of a reference run on a logarithmic scale.

    Parameters
    ----------
    axes : Axes
        The panel.
    dataset : Dataset
        As `schema.PIXEL_CALIBRATION`.
    counts : (bin,)
        Counts of a pixel or of several.
    bin_ev : float
        Width of the bins that are drawn, about, eV.
    marks : sequence of Mark
        Lines and peaks, which are marked and named.
    """
    energy = dataset["emission_energy"].values
    lines = dataset["line_energy"].values
    steps = np.diff(energy)
    step = steps[0] if len(steps) else bin_ev
    if len(steps) and steps[-1] > step:  # wide bins above 2 keV: at high energies, all
        step = steps[-1]
        ends = energy[[0, -1]] + [-steps[0] / 2, step / 2]
        edges = np.arange(ends[1], ends[0] - step, -step)[::-1]
        counts = np.histogram(energy, edges, weights=counts)[0]
        energy = (edges[1:] + edges[:-1]) / 2
    group = max(1, round(bin_ev / step))
    first_bins = np.arange(0, len(counts), group)
    summed = np.add.reduceat(counts, first_bins)
    centres = energy[::group] + (group - 1) * step / 2
    axes.plot(centres, summed, drawstyle="steps-mid", color=style.BLUE, lw=0.9)
    low, high = find_counts_window(energy, counts, COUNTS_MARGIN_EV)
    low = (lines - LINE_MARGIN_EV).min(initial=low)
    high = (lines + LINE_MARGIN_EV).max(initial=high)
    axes.set_xlim(low, high)
    highest = summed.max(initial=5)
    axes.set_ylim(0.5, 2 * highest)
    axes.set_yscale("log", nonpositive="clip")
    x_label = labels.quantity_label(dataset["emission_energy"])
    style.label_axes(axes, x_label, f"counts / {group * step:g} eV")
    style.use_plain_log_ticks(axes.yaxis)
    axes.annotate(
        MARKS_TEXT,
        (1, 0),
        (0, -24),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="top",
        size=style.SMALL_SIZE,
        color=style.GREY,
    )
    _write_above(axes, [mark for mark in marks if low <= mark.energy <= high])


def draw_heights(axes: Axes, pixel_data: xr.Dataset) -> None:
    """Draw the pulse-height spectrum of a pixel, with the positions of its peaks.

    They are what `calibration.hints` of the config refers to.
    """
    counts = pixel_data["height_counts"].values
    width = float(np.nan_to_num(pixel_data["height_bin_width"].item(), nan=1.0))
    centres = (np.arange(len(counts)) + 0.5) * width
    axes.plot(centres, counts, drawstyle="steps-mid", color=style.BLUE, lw=0.9)
    axes.set_xlim(0, len(counts) * width)
    axes.set_ylim(0.5, 2 * counts.max(initial=5))
    axes.set_yscale("log", nonpositive="clip")
    channel = pixel_data["pixel"].item()
    title = f"pulse height of pixel {channel}; name peaks in calibration.hints"
    style.label_axes(axes, title, "counts")
    style.use_plain_log_ticks(axes.yaxis)
    heights = pixel_data["peak_pulse_height"].values
    heights = np.sort(heights[np.isfinite(heights)])
    _write_above(axes, [Mark(height, f"{height:.0f}") for height in heights.tolist()])


def find_marks(dataset: xr.Dataset) -> list[Mark]:
    """Return the lines and peaks of a reference run that have a name, or none.

    Parameters
    ----------
    dataset : Dataset
        As `schema.PIXEL_CALIBRATION`, with all pixels. Its attribute `set_lines` has
        the energies of all lines of the reference set, eV, as JSON.

    Returns
    -------
    list of Mark
        Ascending: the lines that carry the energy scale; in grey the elastic line, the
        weaker lines of the same elements (Lβ, Kβ), and the peaks that most ok pixels
        have besides, with `?` and their energy where the reference set has no such
        line.
    """
    energies = dataset["line_energy"].values.tolist()
    names = labels.decode_texts(dataset["line_name"].values)
    marks = [
        Mark(energy, labels.line_label(name))
        for energy, name in zip(energies, names, strict=True)
    ]
    elastic = _elastic_energies(dataset)
    if elastic.size:
        marks.append(Mark(float(np.median(elastic)), "elastic", is_reference=False))
    set_lines: dict[str, float] = json.loads(dataset.attrs.get("set_lines", "{}"))
    for name, energy in set_lines.items():
        element, _, shell = name.partition("_")
        stronger = f"{element}_{STRONGER_SHELLS.get(shell)}"
        if stronger in names and name not in names:
            marks.append(Mark(energy, labels.line_label(name), is_reference=False))
    reach = SAME_PEAK_EV * max(1.0, max(energies, default=0.0) / 1000)
    for energy in _common_peaks(dataset, reach):
        if any(abs(mark.energy - energy) < reach for mark in marks):
            continue
        near = [name for name, line in set_lines.items() if abs(line - energy) < reach]
        text = labels.line_label(near[0]) if near else f"? {energy:.0f} eV"
        marks.append(Mark(energy, text, is_reference=False))
    return sorted(marks, key=lambda mark: mark.energy)


def _elastic_energies(dataset: xr.Dataset) -> FloatArray:
    """Return the positions (n,) of the elastic line in the pixels that show it, eV."""
    if "elastic_energy" not in dataset:
        return np.array([])
    elastic = np.asarray(dataset["elastic_energy"].values, float).ravel()
    return np.asarray(elastic[np.isfinite(elastic)])


def _common_peaks(dataset: xr.Dataset, reach: float) -> list[float]:
    """Return the energies, eV, of the peaks that more than half of the ok pixels have.

    Peaks of different pixels that are closer than `reach` eV are one.
    """
    rows = np.flatnonzero(are_ok(dataset["status"].values))
    if "peak_pulse_height" not in dataset or "curve_energy" not in dataset:
        return []
    energies = [np.empty(0)]
    for row in rows:
        curve = dataset["curve_pulse_height"].values[row]
        is_on_curve = np.isfinite(curve)
        heights = dataset["peak_pulse_height"].values[row]
        heights = heights[np.isfinite(heights)]
        curve_energy = dataset["curve_energy"].values[row]
        if is_on_curve.any():
            on_curve = curve[is_on_curve], curve_energy[is_on_curve]
            energies.append(np.interp(heights, *on_curve, left=np.nan, right=np.nan))
    ascending = np.concatenate(energies)
    ascending = np.sort(ascending[np.isfinite(ascending)])
    is_gap = np.diff(ascending) > reach
    peaks = np.split(ascending, np.flatnonzero(is_gap) + 1)
    return [float(np.median(peak)) for peak in peaks if 2 * len(peak) > len(rows) > 0]


def _write_above(axes: Axes, marks: Sequence[Mark]) -> None:
    """Mark ascending positions along an axis, with upright texts above it."""
    positions = np.array([mark.energy for mark in marks])
    on_axis = np.column_stack([positions, np.zeros(len(positions))])
    places = axes.transLimits.transform(on_axis)[:, 0] if marks else positions
    text_places = labels.spread_positions(places, NAME_SPACING)
    for mark, place in zip(marks, text_places, strict=True):
        colour = style.VERMILLION if mark.is_reference else style.GREY
        line_style = ":" if mark.is_reference else "--"
        axes.axvline(mark.energy, color=colour, lw=0.8, ls=line_style, zorder=0)
        axes.annotate(
            mark.text,
            (place, 1.0),
            (0, 3),
            xycoords="axes fraction",
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            size=style.SMALL_SIZE,
            color=colour,
        )
