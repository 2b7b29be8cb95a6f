import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from rixs_pipeline.plots import spectra, style
from rixs_pipeline.plots.style import Spacing


def png_size(content):
    return struct.unpack(">II", content[16:24])


def test_figures_have_150_dpi():
    figure = style.new_figure(4, 3, "a map")
    figure.subplots()
    assert png_size(style.encode_figure(figure, "png")) == (600, 450)


def test_the_file_holds_the_pixels_that_were_drawn():
    figure = style.new_figure(4, 3, "a map")
    figure.add_subplot(style.add_grid(figure)[0]).plot(
        [1, 3, 2], color=style.VERMILLION
    )
    content = style.encode_figure(figure, "png")
    drawn = np.asarray(figure.canvas.buffer_rgba())
    assert np.array_equal(np.round(255 * imread(BytesIO(content))), drawn)
    assert (drawn[..., 3] == 255).all()


def test_places_are_in_inches():
    figure = style.new_figure(10, 8, "a map")
    spacing = Spacing(1.0, 0.5, 0.3, 0.7, 0.6, 0.9)
    grid = style.add_grid(figure, 2, 3, spacing, height_ratios=(1, 3))
    boxes = np.array(
        [
            [axes.get_position().extents * (10, 8, 10, 8) for axes in row]
            for row in grid.subplots()
        ]
    )
    assert (boxes[..., 0].min(), boxes[..., 1].min()) == pytest.approx((1.0, 0.5))
    assert (boxes[..., 2].max(), boxes[..., 3].max()) == pytest.approx((9.7, 7.3))
    assert boxes[:, 1:, 0] - boxes[:, :-1, 2] == pytest.approx(0.6)
    assert boxes[0, :, 1] - boxes[1, :, 3] == pytest.approx(0.9)


def test_a_figure_gives_the_same_bytes_each_time():
    figure = style.new_figure(4, 3, "a map")
    figure.subplots().plot([1, 2])
    first = style.encode_figure(figure, "png")
    assert style.encode_figure(figure, "png") == first


def test_a_title_from_a_log_is_no_formula():
    figure = style.new_figure(4, 3, r"sample $x_$ and \alpha$")
    assert style.encode_figure(figure, "png")


def test_no_pyplot_no_rcparams_and_no_matplotlib_before_it_is_needed():
    code = """
import sys
from rixs_pipeline.plots import calibration, maps, spectra, style
assert "matplotlib" not in sys.modules
import matplotlib
keys = matplotlib.rcParams.keys() - {"backend"}
before = {key: matplotlib.rcParams[key] for key in keys}
figure = style.new_figure(4, 3, "title")
style.label_axes(figure.subplots(), "x", "y")
figure.canvas.draw()
assert "matplotlib.pyplot" not in sys.modules
assert {key: matplotlib.rcParams[key] for key in before} == before
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_figures_made_in_threads_equal_those_made_alone(make_spectrum):
    heights = [1.0, 500.0]

    def render(height):
        png = BytesIO()
        figure = spectra.overview_figure(
            {"PFY": make_spectrum(height=height)}, f"{height}"
        )
        figure.savefig(png, format="png", dpi=50)
        return png.getvalue()

    alone = [render(height) for height in heights]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(render, heights * 2)) == alone * 2


def test_log_ticks_are_plain_text():
    figure = style.new_figure(4, 3, "title")
    axes = figure.subplots()
    axes.set_ylim(0.5, 20000)
    axes.set_yscale("log")
    style.use_plain_log_ticks(axes.yaxis)
    figure.canvas.draw()
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert {"1", "10", "100", "1000", "10000"} <= set(shown)
    assert not any("$" in text for text in shown)
