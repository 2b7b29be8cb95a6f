"""Sheets of several panels: what they hold and where it stands."""

import numpy as np

from rixs_pipeline.config.models import Region
from rixs_pipeline.plots.multi_panel import spectra_sheet, xas_sheet
from rixs_pipeline.plots.overview import overview_sheet
from rixs_pipeline.stages.sample.region_spectra import extract_region


def test_an_overview_has_the_map_its_yields_and_its_emission_on_shared_axes(
    make_map, inside
):
    rixs_map = make_map().assign_attrs(edge="Co_L")
    yields = {"TFY": extract_region(rixs_map, Region(kind="tfy"))}
    shown = rixs_map, yields, extract_region(rixs_map, Region(kind="xes"))
    figure = overview_sheet("LMR", {"Co_L": shown, "Ni_L": shown, "Mn_L": shown}, None)
    assert len(figure.axes) == 9
    above, below, beside = figure.axes[:3]
    assert above.get_xlim() == below.get_xlim()
    assert beside.get_ylim() == below.get_ylim()
    assert np.nanmax(above.lines[0].get_ydata()) == 1
    assert above.get_title(loc="left") == "Co L edge"
    assert any(line.get_linestyle() == "--" for line in below.lines), "the elastic line"
    inside(figure)


def test_an_overview_of_a_map_without_counts_is_flat(make_map, inside):
    rixs_map = make_map().assign_attrs(edge="Co_L")
    dark = rixs_map.assign({n: rixs_map[n] * 0 for n in ("counts", "intensity")})
    shown = (
        dark,
        {"TFY": extract_region(dark, Region(kind="tfy"))},
        extract_region(dark, Region(kind="xes")),
    )
    figure = overview_sheet("LMR", {"Co_L": shown}, None)
    assert not np.nan_to_num(figure.axes[0].lines[0].get_ydata()).any()
    inside(figure)


def test_absorption_has_a_row_a_channel_and_a_column_an_edge(make_map, inside):
    spectrum = extract_region(
        make_map().assign_attrs(edge="Co_L"), Region(kind="tfy", scale="max")
    )
    both = {"a": spectrum, "b": spectrum}
    figure = xas_sheet(
        {"tfy": {"Co_L": both, "Ni_L": both}, "pfy": {"Ni_L": both}}, "max"
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["(a) Co L edge", "(b) Ni L edge", "(c) Ni L edge"]
    assert figure.axes[0].get_ylabel() == "TFY (normalised)"
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "a",
        "b",
    ]
    inside(figure)


def test_spectra_tell_what_they_are_divided_by(make_map, inside):
    region = Region(kind="spfy", emission=(776, 777), scale=(790, 800))
    spectrum = extract_region(make_map().assign_attrs(edge="Co_L"), region)
    figure = spectra_sheet(
        {"Co_L": ({"a": spectrum, "b": spectrum, "c": spectrum}, region)}
    )
    (axes,) = figure.axes
    assert (
        axes.get_title(loc="left") == "(a) Co L edge sPFY, 1 on average over 790–800 eV"
    )
    legend = axes.get_legend().get_window_extent(figure.canvas.get_renderer())
    points = axes.transData.transform(np.column_stack(axes.lines[0].get_data()))
    assert not any(
        legend.contains(*point) for point in points[np.isfinite(points).all(axis=1)]
    )
    inside(figure)
