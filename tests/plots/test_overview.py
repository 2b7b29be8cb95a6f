import numpy as np

from rixs_pipeline.config import Region
from rixs_pipeline.plots.overview import EdgeOverview, sample_overview_figure
from rixs_pipeline.stages.sample.region_spectra import extract_region


def edge_overview(rixs_map):
    yields = {"TFY": extract_region(rixs_map, Region(kind="tfy"))}
    return EdgeOverview(rixs_map, yields, extract_region(rixs_map, Region(kind="xes")))


def test_an_overview_has_the_map_its_yields_and_its_emission_on_shared_axes(
    make_map, inside
):
    overview = edge_overview(make_map().assign_attrs(edge="Co_L"))
    edges = dict.fromkeys(["Co_L", "Ni_L", "Mn_L"], overview)
    figure = sample_overview_figure("LMR", edges, None)
    assert len(figure.axes) == 9
    yields, rixs_map, emission = figure.axes[:3]
    assert yields.get_xlim() == rixs_map.get_xlim()
    assert emission.get_ylim() == rixs_map.get_ylim()
    assert np.nanmax(yields.lines[0].get_ydata()) == 1
    assert yields.get_title(loc="left") == "Co L edge"
    labels = [line.get_label() for line in rixs_map.lines]
    assert labels == ["elastic line"]
    inside(figure)


def test_an_overview_of_a_map_without_counts_is_flat(make_map, inside):
    rixs_map = make_map().assign_attrs(edge="Co_L")
    dark = rixs_map.assign({n: rixs_map[n] * 0 for n in ("counts", "intensity")})
    figure = sample_overview_figure("LMR", {"Co_L": edge_overview(dark)}, None)
    assert not np.nan_to_num(figure.axes[0].lines[0].get_ydata()).any()
    inside(figure)
