"""Copied texts are those that matplotlib draws, to a pixel."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from rixs_pipeline.plots.text_images import TextCopyingRenderer

TEXTS = ["12", "−0.5", "incident energy (eV)", "O Kα", "gjpq", "•", "f"]
DPI = 150
BLACK = (0.0, 0.0, 0.0, 1.0)


def drawn(kind, text, x=90.0, y=300.0, angle=0.0, size=10, colour=BLACK, **options):
    renderer = kind(400, 400, DPI)
    gc = renderer.new_gc()
    gc.set_foreground(colour, isRGBA=True)
    if "alpha" in options:
        gc.set_alpha(options["alpha"])
    font = FontProperties(size=size)
    renderer.draw_text(gc, x, y, text, font, angle, options.get("ismath", False))
    return np.asarray(renderer.buffer_rgba()).astype(float)


def centre(pixels):
    """Centre of what is drawn: row, column."""
    opacity = pixels[..., 3]
    weights = [opacity.sum(axis=1), opacity.sum(axis=0)]
    return [np.average(np.arange(len(w)), weights=w) for w in weights]


@pytest.mark.parametrize("size", [8, 13])
@pytest.mark.parametrize("text", TEXTS)
def test_text_is_where_matplotlib_draws_it(text, size):
    by_matplotlib = drawn(RendererAgg, text, size=size)
    copied = drawn(TextCopyingRenderer, text, size=size)
    assert centre(copied) == pytest.approx(centre(by_matplotlib), abs=1.0)
    ink = by_matplotlib[..., 3].sum()
    assert copied[..., 3].sum() == pytest.approx(ink, rel=0.03)


@pytest.mark.parametrize("text", TEXTS)
def test_upright_text_is_the_horizontal_one_turned_about_its_start(text):
    x, y = 90.0, 300.0
    horizontal = drawn(TextCopyingRenderer, text, x, y)
    upright = drawn(TextCopyingRenderer, text, x, y, angle=90.0)
    row, column = centre(horizontal)
    assert centre(upright) == pytest.approx([y + x - column - 1, x + row - y], abs=1.0)
    assert upright.sum() == horizontal.sum()


@pytest.mark.parametrize("text", TEXTS)
def test_text_has_the_size_that_matplotlib_measures(text):
    font = FontProperties(size=9)
    sizes = [
        kind(1, 1, DPI).get_text_width_height_descent(text, font, False)
        for kind in (RendererAgg, TextCopyingRenderer)
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-12)


@pytest.mark.parametrize("angle", [0.0, 90.0])
def test_text_comes_again_at_the_nearest_pixel(angle):
    first = drawn(TextCopyingRenderer, "energy", angle=angle)
    again = drawn(TextCopyingRenderer, "energy", 100.0 + 0.3, 270.0 - 0.3, angle=angle)
    assert first[..., 3].any()
    np.testing.assert_array_equal(np.roll(first, (-30, 10), axis=(0, 1)), again)


def test_colour_and_opacity_are_those_of_the_text():
    red = drawn(TextCopyingRenderer, "■", colour=(1.0, 0.0, 0.0, 0.5))
    assert red[..., 3].max() == pytest.approx(128, abs=1)
    opaque = red[red[..., 3] > 100]
    assert (opaque[:, :3] == (255, 0, 0)).all()
    faint = drawn(TextCopyingRenderer, "■", alpha=0.5)
    assert faint[..., 3].max() == pytest.approx(128, abs=1)


@pytest.mark.parametrize(
    ("text", "options"),
    [("x^2", {"ismath": True}), ("slanted", {"angle": 45.0}), ("試料", {})],
)
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_other_texts_are_left_to_matplotlib(text, options):
    text = f"${text}$" if options.get("ismath") else text
    by_matplotlib = drawn(RendererAgg, text, **options)
    assert by_matplotlib[..., 3].any()
    copied = drawn(TextCopyingRenderer, text, **options)
    np.testing.assert_array_equal(copied, by_matplotlib)
