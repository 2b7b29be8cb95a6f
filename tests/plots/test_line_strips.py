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


def test_unused_pixels_are_crosses_at_the_end_of_the_axis():
    axes = style.new_figure(4, 3, "strips").subplots()
    values = np.array([[1.0], [2.0], [500.0]])
    line_strips.draw_line_strips(
        axes, values, np.array([True, True, False]), np.zeros(1)
    )
    dots, crosses = axes.lines
    assert dots.get_ydata().tolist() == [1.0, 2.0]
    assert crosses.get_ydata() == pytest.approx([2.2])
    assert axes.get_ylim()[1] < 3
    assert [text.get_text() for text in axes.texts] == ["1.50"]


@pytest.mark.parametrize(("number", "rotation"), [(7, 0), (8, 90)])
def test_many_names_of_lines_are_upright(number, rotation):
    axes = style.new_figure(4, 3, "strips").subplots()
    line_strips.name_line_axis(axes, ["O_Ka"] * number)
    ticks = axes.get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["O Kα"] * number
    assert {tick.get_rotation() for tick in ticks} == {rotation}
