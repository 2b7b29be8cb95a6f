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


def png_size(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_save_writes_150_dpi_and_creates_the_folder(tmp_path):
    path = tmp_path / "figures" / "deep" / "map.png"
    figure = style.new_figure(4, 3, "a map")
    figure.subplots()
    assert style.save_figure(figure, path) == path
    assert png_size(path) == (600, 450)
    assert [p.name for p in path.parent.iterdir()] == ["map.png"]


def test_the_file_holds_the_pixels_that_were_drawn(tmp_path):
    figure = style.new_figure(4, 3, "a map")
    figure.add_subplot(style.add_grid(figure)[0]).plot(
        [1, 3, 2], color=style.VERMILLION
    )
    path = style.save_figure(figure, tmp_path / "map.png")
    drawn = np.asarray(figure.canvas.buffer_rgba())
    assert np.array_equal(np.round(255 * imread(path)), drawn)
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


def test_save_keeps_the_old_file_when_drawing_fails(tmp_path):
    path = tmp_path / "map.png"
    path.write_bytes(b"old")
    figure = style.new_figure(4, 3, "a map")
    figure.text(0.5, 0.5, "$no \\formula$")
    with pytest.raises(ValueError, match="formula"):
        style.save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["map.png"]


def test_save_twice_gives_the_same_bytes(tmp_path):
    figure = style.new_figure(4, 3, "a map")
    figure.subplots().plot([1, 2])
    first = style.save_figure(figure, tmp_path / "a.png").read_bytes()
    assert style.save_figure(figure, tmp_path / "b.png").read_bytes() == first


def test_a_title_from_a_log_is_no_formula(tmp_path):
    figure = style.new_figure(4, 3, r"sample $x_$ and \alpha$")
    style.save_figure(figure, tmp_path / "a.png")


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
