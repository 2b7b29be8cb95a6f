"""Which figures are drawn again."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.io import temporaries
from rixs_pipeline.plots import style
from rixs_pipeline.plots.options import FigureOptions
from rixs_pipeline.stages.figures.draw import (
    FigureTask,
    PlannedFigure,
    draw_figures,
    join_figures,
)


@dataclass(frozen=True)
class Content:
    spectrum: xr.Dataset
    outlines: np.ndarray


def content(height=1.0, corner=0.0, **attributes):
    spectrum = xr.Dataset({"intensity": ("energy", [height, 2.0])}, attrs=attributes)
    return {"LMR": Content(spectrum, np.array([[corner, 1.0]]))}


def plot():
    figure = style.new_figure(1, 1, "figure")
    figure.subplots()
    return figure


@pytest.fixture
def draw(tmp_path):
    """Draw a figure of given content; return the figure files."""

    def draw(shown_content, digests, **options):
        path, looks = tmp_path / "figures" / "map", FigureOptions(**options)
        figures = [PlannedFigure(path, shown_content, plot, looks)]
        return draw_figures(FigureTask(tmp_path, lambda: figures, digests))

    return draw


def test_a_figure_of_the_same_content_is_not_drawn_again(draw, tmp_path):
    first = draw(content(config_hash="a"), {})
    assert first.new_files == ("figures/map.png",)
    assert (tmp_path / "figures/map.png").is_file()
    again = draw(content(config_hash="b"), first.digests)  # provenance is not shown
    assert again.new_files == ()
    assert again.digests == first.digests


@pytest.mark.parametrize(
    "changed", [content(height=1.5), content(corner=0.5), content(sample="LMR")]
)
def test_a_figure_of_changed_content_is_drawn_again(draw, changed):
    first = draw(content(), {})
    assert draw(changed, first.digests).new_files == ("figures/map.png",)


def test_a_figure_that_is_missing_is_drawn_again(draw, tmp_path):
    first = draw(content(), {})
    (tmp_path / "figures/map.png").unlink()
    assert draw(content(), first.digests).new_files == ("figures/map.png",)


def test_a_further_format_does_not_draw_the_others_again(draw):
    first = draw(content(), {})
    both = draw(content(), first.digests, formats=("png", "svg"))
    assert both.new_files == ("figures/map.svg",)
    assert both.digests.keys() == {"figures/map.png", "figures/map.svg"}
    assert draw(content(), both.digests, formats=("svg",)).digests.keys() == {
        "figures/map.svg"
    }


def test_the_old_file_stays_when_drawing_fails(draw, tmp_path):
    draw(content(), {})
    path = tmp_path / "figures/map"
    before = path.with_suffix(".png").read_bytes()

    def plot_formula():
        figure = plot()
        figure.text(0.5, 0.5, "$no \\formula$")
        return figure

    with pytest.raises(ValueError, match="formula"):
        draw_figures(
            FigureTask(
                tmp_path, lambda: [PlannedFigure(path, content(), plot_formula)], {}
            )
        )
    assert [file.name for file in path.parent.iterdir()] == ["map.png"]
    assert path.with_suffix(".png").read_bytes() == before


def test_what_a_killed_process_left_is_removed(draw, tmp_path):
    child = os.fork()
    if not child:
        Path.replace = lambda *_: os._exit(0)  # before the figure has its name
        draw(content(), {})
    os.waitpid(child, 0)
    (left,) = (tmp_path / "figures").iterdir()
    os.utime(left, (0, 0))
    temporaries.remove_orphans(tmp_path)
    assert not left.exists()


def test_a_figure_with_changed_options_is_drawn_again(draw):
    first = draw(content(), {})
    assert draw(content(), first.digests, title="b").new_files == ("figures/map.png",)


def test_figures_that_are_switched_off_are_not_drawn(draw, tmp_path):
    result = draw(content(), {}, draw=False)
    assert (result.digests, result.new_files) == ({}, ())
    assert not (tmp_path / "figures").exists()


def test_texts_are_reported_as_they_were_if_labels_replace_some(draw):
    assert draw(content(), {}).texts == {}
    result = draw(content(), {}, labels={"figure": "map"}, section="plots.map")
    assert result.texts == {"figures/map.png": ("plots.map", "figure")}


def test_parts_of_a_set_draw_each_figure_once(tmp_path):
    paths = [tmp_path / "figures" / f"{number}" for number in range(5)]
    figures = [PlannedFigure(path, content(), plot) for path in paths]
    whole = FigureTask(tmp_path, lambda: figures, {})
    first, second = map(draw_figures, whole.split(2))
    assert first.new_files == ("figures/0.png", "figures/2.png", "figures/4.png")
    assert second.new_files == ("figures/1.png", "figures/3.png")
    joined = join_figures(first, second)
    assert joined.digests == draw_figures(whole).digests
    assert len(joined.new_files) == 5


def test_a_figure_that_cannot_be_written_does_not_keep_the_others_from_it(tmp_path):
    (tmp_path / "a.png").mkdir()
    looks = FigureOptions()
    figures = [
        PlannedFigure(tmp_path / name, content(), plot, looks) for name in ("a", "b")
    ]
    with pytest.raises(IsADirectoryError) as caught:
        draw_figures(FigureTask(tmp_path, lambda: figures, {}))
    assert caught.value.filename == str(tmp_path / "a.png")
    assert (tmp_path / "b.png").is_file()
