import numpy as np
import pytest

from rixs_pipeline.plots import calibration, spectra, style
from rixs_pipeline.plots.figure_page import FigurePage


def pixels_of(figure):
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())


def test_a_pixel_looks_the_same_in_the_figure_of_another_one(make_calibration):
    dataset = make_calibration(12)
    page = FigurePage()
    for pixel in (1, 5, 11, 3):  # the second is dead
        figure = calibration.calibration_figure(dataset, pixel, page)
        alone = calibration.calibration_figure(dataset, pixel)
        assert np.array_equal(pixels_of(figure), pixels_of(alone))


def test_a_spectrum_looks_the_same_in_the_figure_of_another_one(make_spectrum):
    page = FigurePage()
    for height, masked in [(1.0, ()), (500.0, (4, 5)), (0.02, ())]:
        spectrum = make_spectrum(height=height, masked=masked)
        figure = spectra.spectrum_figure(spectrum, f"height {height}", page)
        alone = spectra.spectrum_figure(spectrum, f"height {height}")
        assert np.array_equal(pixels_of(figure), pixels_of(alone))


def test_an_overview_looks_the_same_in_the_figure_of_another_one(make_spectrum):
    page = FigurePage()
    for height, number in [(1.0, 4), (500.0, 4), (2.0, 3), (0.02, 4)]:
        regions = {
            f"region {n}": make_spectrum(height=height * (1 + n)) for n in range(number)
        }
        figure = spectra.overview_figure(regions, "overview", page)
        alone = spectra.overview_figure(regions, "overview")
        assert np.array_equal(pixels_of(figure), pixels_of(alone))


@pytest.mark.parametrize(("layouts", "number"), [("aa", 1), ("ab", 2), ("aba", 2)])
def test_panels_are_made_only_for_another_layout(layouts, number):
    made = []

    def make(title, layout):
        made.append(layout)
        return style.new_figure(2, 1, title)

    page = FigurePage()
    for layout in layouts:
        figure = page.empty_figure(f"title {layout}", make, layout)
        assert figure.get_suptitle() == f"title {layout}"
    assert len(made) == number
