"""Axes that draw all ticks with one look like those of matplotlib."""

import numpy as np
import pytest

from rixs_pipeline.plots import calibration, corrections, map_kinds, maps, spectra
from rixs_pipeline.plots import options as figure_options
from rixs_pipeline.plots.figure_page import FigurePage
from rixs_pipeline.plots.options import FigureOptions, using_options
from rixs_pipeline.plots.shared_ticks import sharing_ticks
from rixs_pipeline.plots.style import label_axes, new_figure

EMISSION = np.arange(500.0, 560.0, 0.25)


@pytest.fixture
def plots(make_map, make_spectrum, make_calibration):
    """Return functions that make figures of all kinds, by name."""
    calibrated = make_calibration(12)
    rixs_map = make_map()
    outline = np.array([(770.0, 520.0), (770.0, 530.0), (790.0, 530.0)])
    emission = make_spectrum(EMISSION, "emission_energy", region='{"incident": [531]}')
    weak = make_spectrum(height=1e-7)
    tall = make_spectrum(height=1e8)
    shifts = calibrated[["pixel", "line_name"]].assign(
        shift=calibrated["line_residual"], has_jumped=calibrated["pixel"] == 9
    )
    return {
        "map": lambda: maps.map_figure(rixs_map, "map", {"region": [outline]}),
        "logarithmic map": lambda: maps.map_figure(
            rixs_map, "map", {}, maps.ColourScale.LOG
        ),
        "loss map": lambda: map_kinds.loss_map_figure(rixs_map, "map"),
        "spectrum": lambda: spectra.spectrum_figure(make_spectrum(), "PFY"),
        "emission spectrum": lambda: spectra.spectrum_figure(emission, "XES"),
        "cuts": lambda: spectra.cuts_figure({"531": emission, "532": emission}, "XES"),
        "powers of ten": lambda: spectra.overview_figure(
            {"weak": weak, "tall": tall}, "spectra"
        ),
        "two samples": lambda: spectra.overlay_figure(
            {"hot": make_spectrum(), "cold": make_spectrum(height=2.0)}, "PFY"
        ),
        "reference run": lambda: calibration.calibration_summary_figure(calibrated),
        "pixel": lambda: calibration.calibration_figure(calibrated, 1),
        "corrections": lambda: corrections.corrections_figure(calibrated),
        "line shifts": lambda: corrections.line_shifts_figure(
            shifts.assign_attrs(before="cal0000", after="cal0004")
        ),
        "slanted labels": slanted_labels,
        "labels at the other sides": other_sides,
    }


KINDS = (
    "map",
    "logarithmic map",
    "loss map",
    "spectrum",
    "emission spectrum",
    "cuts",
    "powers of ten",
    "two samples",
    "reference run",
    "pixel",
    "corrections",
    "line shifts",
    "slanted labels",
    "labels at the other sides",
)


def slanted_labels():
    figure = new_figure(4, 3, "scans")
    axes = figure.subplots()
    label_axes(axes, "scan", "energy (eV)")
    axes.set_xticks(range(3), ["scan0001", "scan0002", "s"], rotation=45, ha="right")
    return figure


def other_sides():
    figure = new_figure(4, 3, "panel")
    axes = figure.add_axes((0.2, 0.2, 0.6, 0.6))
    axes.set_xlim(5, -5)
    axes.minorticks_on()
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_xlabel("incident energy (eV)")
    axes.set_ylabel("intensity")
    return figure


def pixels_of(figure):
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())


def quick_pixels_of(figure):
    with sharing_ticks(figure):
        return pixels_of(figure)


def n_ticks(figure):
    return sum(len(axes.yaxis.majorTicks) for axes in figure.axes)


@pytest.mark.parametrize("kind", KINDS)
def test_figures_look_the_same(plots, kind):
    assert set(plots) == set(KINDS)
    figure, quick = plots[kind](), plots[kind]()
    assert np.array_equal(quick_pixels_of(quick), pixels_of(figure))
    assert n_ticks(quick) < n_ticks(figure)
    assert np.array_equal(pixels_of(quick), pixels_of(figure))  # afterwards


def test_figures_with_options_look_the_same(plots):
    looks = FigureOptions(width=3.3, labels={"PFY": "yield"}, title="{title}: PFY")
    with using_options(looks):
        figure, quick = plots["spectrum"](), plots["spectrum"]()
        figure_options.finish(figure)
        figure_options.finish(quick)
    assert np.array_equal(quick_pixels_of(quick), pixels_of(figure))


def test_a_page_looks_the_same_with_other_numbers(make_spectrum):
    page, quick_page = FigurePage(), FigurePage()
    for height in (1.0, 1e8, 300.0):
        spectrum = make_spectrum(height=height)
        figure = spectra.spectrum_figure(spectrum, "PFY", page)
        quick = spectra.spectrum_figure(spectrum, "PFY", quick_page)
        assert np.array_equal(quick_pixels_of(quick), pixels_of(figure))


def test_an_invisible_axis_stays_invisible():
    figure = new_figure(4, 3, "panel")
    axes = figure.subplots()
    axes.xaxis.set_visible(False)
    assert np.array_equal(quick_pixels_of(figure), pixels_of(figure))
