import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from rixs_pipeline.plots import spectra, style


def png_size(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_save_writes_150_dpi_and_creates_the_folder(tmp_path):
    path = tmp_path / "figures" / "deep" / "map.png"
    figure = style.new_figure(4, 3, "a map")
    figure.subplots()
    assert style.save(figure, path) == path
    assert png_size(path) == (600, 450)
    assert [p.name for p in path.parent.iterdir()] == ["map.png"]


def test_the_file_holds_the_pixels_that_were_drawn(tmp_path):
    figure = style.new_figure(4, 3, "a map")
    figure.add_subplot(style.grid(figure)[0]).plot([1, 3, 2], color=style.VERMILLION)
    read = imread(style.save(figure, tmp_path / "map.png"))
    assert np.array_equal(np.round(255 * read), np.asarray(figure.canvas.buffer_rgba()))


def test_places_are_in_inches():
    figure = style.new_figure(10, 8, "a map")
    grid = style.grid(
        figure, 2, 3, (1.0, 0.5, 0.3, 0.7), (0.6, 0.9), height_ratios=(1, 3)
    )
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
        style.save(figure, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["map.png"]


def test_save_twice_gives_the_same_bytes(tmp_path):
    figure = style.new_figure(4, 3, "a map")
    figure.subplots().plot([1, 2])
    first = style.save(figure, tmp_path / "a.png").read_bytes()
    assert style.save(figure, tmp_path / "b.png").read_bytes() == first


def test_a_title_from_a_log_is_no_formula(tmp_path):
    figure = style.new_figure(4, 3, r"sample $x_$ and \alpha$")
    style.save(figure, tmp_path / "a.png")


def test_no_pyplot_no_rcparams_and_no_matplotlib_before_it_is_needed():
    code = """
import sys
from rixs_pipeline.plots import calibration, maps, spectra, style
assert "matplotlib" not in sys.modules
import matplotlib
before = {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}
figure = style.new_figure(4, 3, "title")
style.dress(figure.subplots(), "x", "y")
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


@pytest.mark.parametrize(
    ("name", "label"),
    [("O_Ka", "O Kα"), ("Ni_La", "Ni Lα"), ("Mn_Lb", "Mn Lβ"), ("elastic", "elastic")],
)
def test_line_labels(name, label):
    assert style.line_label(name) == label


def test_bytes_and_text_give_the_same_strings():
    assert style.texts(np.array([b"ok", b"dead"])) == style.texts(
        np.array(["ok", "dead"], dtype=object)
    )


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0.001, 0.2))
def test_labels_are_spread_apart_and_never_moved_down(positions, distance):
    positions.sort()
    moved = style.spread(positions, distance)
    assert all(b - a >= distance - 1e-12 for a, b in pairwise(moved))
    assert all(after >= before for before, after in zip(positions, moved, strict=True))


def test_stray_counts_do_not_widen_the_window():
    energy = np.arange(0.0, 1000.0)
    counts = np.zeros(1000)
    counts[500:520] = 1000
    counts[[3, 990]] = 1
    assert style.where_counts_are(energy, counts, 10.0) == (490.0, 529.0)
    assert style.where_counts_are(energy, np.zeros(1000), 10.0) == (0.0, 999.0)


def test_log_ticks_are_plain_text():
    figure = style.new_figure(4, 3, "title")
    axes = figure.subplots()
    axes.set_ylim(0.5, 20000)
    axes.set_yscale("log")
    style.log_ticks(axes.yaxis)
    figure.canvas.draw()
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert {"1", "10", "100", "1000", "10000"} <= set(shown)
    assert not any("$" in text for text in shown)
