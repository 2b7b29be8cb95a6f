import numpy as np
import pytest

from rixs_pipeline.plots import map_kinds, maps
from rixs_pipeline.plots.map_kinds import DifferenceTexts
from rixs_pipeline.plots.options import FigureOptions, using_options
from rixs_pipeline.plots.spectrum_data import Limits

TEXTS = DifferenceTexts("hot − cold", "blocks of at least 100 counts", False)


@pytest.fixture(scope="module")
def difference(make_map):
    """A difference that is small but for a negative line."""
    rixs_map = make_map()
    intensity = 0.01 * np.ones(rixs_map["intensity"].shape)
    intensity[:, 1150:1155] = -2.0
    return rixs_map.assign(intensity=(rixs_map["intensity"].dims, intensity))


def test_a_loss_map_has_its_elastic_line_at_zero_and_a_colour_bar(make_map):
    axes, bar = map_kinds.loss_map_figure(make_map(), "map").axes
    assert axes.get_ylabel() == "energy loss (eV)"
    assert axes.get_ylim() == tuple(maps.LOSS_WINDOW)
    assert set(axes.lines[0].get_ydata()) == {0.0}
    assert bar.get_ylabel().startswith("intensity")


def test_limits_of_a_loss_map(make_map):
    looks = FigureOptions(limits={"energy_loss": (Limits(-3.0, 200.0),)})
    with using_options(looks):
        axes, _ = map_kinds.loss_map_figure(make_map(), "map").axes
    assert axes.get_ylim() == (-3, 200)
    losses = axes.collections[0].get_coordinates()[..., 1]
    assert losses.min() < -3 and losses.max() > 200  # no empty corners


def test_no_difference_is_in_the_middle_of_the_colours(difference):
    axes, bar = map_kinds.difference_map_figure(difference, TEXTS).axes
    low, high = axes.collections[0].get_clim()
    assert (low, high) == (-2.0, 2.0)
    assert bar.get_ylabel() == "difference"
    assert axes.collections[0].get_cmap().name == map_kinds.DIVERGING_COLOURS


def test_limits_of_a_difference_are_symmetric(difference):
    with using_options(FigureOptions(intensity=Limits(-1.0, 5.0))):
        axes, _ = map_kinds.difference_map_figure(difference, TEXTS).axes
    assert axes.collections[0].get_clim() == (-5.0, 5.0)


def test_significance_is_labelled(difference):
    texts = DifferenceTexts("hot − cold", "note", True)
    axes, bar = map_kinds.difference_map_figure(difference, texts).axes
    assert bar.get_ylabel() == "difference / standard deviation"
    assert axes.collections[0].get_clim()[1] >= 3


def test_equal_maps_can_be_drawn(difference):
    equal = difference.assign(intensity=0 * difference["intensity"])
    axes, _ = map_kinds.difference_map_figure(equal, TEXTS).axes
    assert axes.collections[0].get_clim() == (-1.0, 1.0)
