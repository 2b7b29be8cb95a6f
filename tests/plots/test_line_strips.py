import numpy as np
import pytest

from rixs_pipeline.plots import line_strips, style


def test_medians_are_those_of_the_used_pixels():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [100.0, 5.0]])
    medians = line_strips.median_per_line(values, np.array([True, True, False]))
    assert medians == pytest.approx([2.0, np.nan], nan_ok=True)


def test_limits_include_zero_and_a_margin():
    assert line_strips.padded_limits(np.array([5.0, np.nan, 10.0])) == (-1.0, 11.0)
    assert line_strips.padded_limits(np.array([])) == (-1.0, 1.0)


def test_unused_pixels_are_crosses_or_arrows_with_their_values():
    axes = style.new_figure(4, 3, "strips").subplots()
    values = np.array([[1.0], [2.0], [500.0], [0.5], [-30.0], [-40.0]])
    is_used = np.array([True, True, False, False, False, False])
    line_strips.draw_line_strips(axes, values, is_used, np.zeros(1))
    dots, crosses, upward, downward = axes.lines
    assert dots.get_ydata().tolist() == [1.0, 2.0]
    assert crosses.get_ydata().tolist() == [0.5]
    assert [line.get_marker() for line in (upward, downward)] == ["^", "v"]
    assert upward.get_ydata() == pytest.approx([2.296])  # beyond the data: no value
    assert len(downward.get_ydata()) == 2
    assert axes.get_ylim()[1] < 3
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["500.0", "−40.0 to\n−30.0", "1.50"]


@pytest.mark.parametrize(("number", "rotation"), [(7, 0), (8, 90)])
def test_many_names_of_lines_are_upright(number, rotation):
    axes = style.new_figure(4, 3, "strips").subplots()
    line_strips.name_line_axis(axes, ["O_Ka"] * number)
    ticks = axes.get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["O Kα"] * number
    assert {tick.get_rotation() for tick in ticks} == {rotation}
