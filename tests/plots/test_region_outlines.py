import numpy as np
import pytest
from matplotlib.patches import Polygon

from rixs_pipeline.plots import style
from rixs_pipeline.plots.region_outlines import clip_to_panel, margin_width
from tests.plots.test_maps import TFY, outlined_map, panels


def polygons(axes):
    patches = [patch for patch in axes.patches if isinstance(patch, Polygon)]
    return [patch.get_xy() for patch in patches]


def corners(xy):
    return {(round(float(x), 6), round(float(y), 6)) for x, y in xy}


def test_outlines_are_at_the_limits(make_map):
    region = {"kind": "pfy", "emission": (765, 790), "incident": (775, 785)}
    whole, zoom = panels(outlined_map(make_map(), {"Co_PFY": region, "Co_TFY": TFY}))
    (frame,) = polygons(zoom)  # TFY has no limits and no outline
    assert corners(frame) == {(775, 765), (785, 765), (785, 790), (775, 790)}
    assert polygons(whole) == []  # all of it is in the zoom
    assert [text.get_text() for text in zoom.texts] == ["Co_PFY"]


def test_a_region_far_from_the_edge_is_outlined_in_the_whole_map(make_map):
    whole, zoom = panels(
        outlined_map(make_map(), {"Co_iPFY": {"kind": "ipfy", "emission": (510, 540)}})
    )
    left, right = whole.get_xlim()
    assert corners(polygons(whole)[0]) == corners(
        [(left, 510), (right, 510), (right, 540), (left, 540)]
    )
    assert polygons(zoom) == []
    assert [text.get_text() for text in whole.texts] == ["Co_iPFY"]


def test_an_emission_cut_is_outlined_in_all_panels(make_map):
    whole, zoom = panels(
        outlined_map(make_map(), {"XES": {"kind": "xes", "incident": (780, 781)}})
    )
    for axes in (whole, zoom):
        bottom, top = axes.get_ylim()
        assert corners(polygons(axes)[0]) == corners(
            [(780, bottom), (781, bottom), (781, top), (780, top)]
        )


def test_labels_in_the_margin_do_not_cover_each_other(make_map):
    regions = {
        f"R{i}": {"kind": "spfy", "emission": (523 + i / 10, 524 + i / 10)}
        for i in range(4)
    }
    whole, _ = panels(outlined_map(make_map(), regions))
    whole.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in whole.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    ("rate", "name"), [(1.0, "Co_PFY"), (1e-5, "a_region_with_a_long_name"), (1e6, "R")]
)
def test_names_numbers_and_colour_bars_have_room(make_map, inside, rate, name):
    dataset = make_map()
    dataset = dataset.assign(intensity=dataset["intensity"] * rate)
    figure = outlined_map(dataset, {name: {"kind": "ipfy", "emission": (510, 540)}})
    inside(figure)
    whole, _ = panels(figure)
    (tag,) = whole.texts
    bar = min(
        (axes for axes in figure.axes if not axes.get_xlabel()),
        key=lambda axes: axes.get_position().x0,
    )
    assert tag.get_window_extent().x0 > whole.get_window_extent().x1
    assert tag.get_window_extent().x1 < bar.get_window_extent().x0


def test_polygons_are_clipped_to_the_panel():
    axes = style.new_figure(4, 3, "panel").subplots()
    axes.set(xlim=(0, 10), ylim=(0, 10))
    triangle = np.array([[5.0, 5.0], [15.0, 5.0], [5.0, 15.0]])
    outside = triangle + 20
    (clipped,) = clip_to_panel([triangle, outside], axes)
    assert corners(clipped) == {(5, 5), (10, 5), (10, 10), (5, 10)}


def test_a_panel_without_names_needs_no_margin(make_map):
    whole, zoom = panels(
        outlined_map(make_map(), {"Co_iPFY": {"kind": "ipfy", "emission": (510, 540)}})
    )
    assert margin_width(whole) > 0
    assert margin_width(zoom) == 0
