from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.config import Region
from rixs_pipeline.plots import multi_panel
from rixs_pipeline.plots.spectrum_data import Limits
from rixs_pipeline.stages.sample.configured_regions import outlines_on_map
from rixs_pipeline.stages.sample.region_spectra import extract_region

REGION = Region(kind="spfy", emission=(776, 777), incident=(775, 790))


@pytest.fixture(scope="module")
def rixs_map(make_map):
    return make_map().assign_attrs(edge="Co_L")


def samples_at_edge(rixs_map, names, region=REGION):
    spectrum = extract_region(rixs_map, region)
    outlines = outlines_on_map(rixs_map, {"region": region})["region"]
    return multi_panel.SamplesAtEdge(
        edge="Co_L",
        region=multi_panel.RegionDescription(
            region.kind, region.scale, region.emission
        ),
        spectra=dict.fromkeys(names, spectrum),
        rixs_maps=dict.fromkeys(names, rixs_map),
        outlines=dict.fromkeys(names, outlines),
    )


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]


def labels(axes):
    return [line.get_label() for line in axes.lines]


def test_absorption_has_a_row_a_channel_and_a_column_an_edge(rixs_map, inside):
    spectrum = extract_region(rixs_map, Region(kind="tfy", scale="max"))
    samples = {"a": spectrum, "b": spectrum}
    channels = {"tfy": {"Co_L": samples, "Ni_L": samples}, "pfy": {"Ni_L": samples}}
    figure = multi_panel.absorption_figure(channels, "max")
    assert figure.get_suptitle() == "TFY, PFY: normalised at the maximum"
    assert titles(figure) == ["(a) Co L edge", "(b) Ni L edge", "(c) Ni L edge"]
    assert figure.axes[0].get_ylabel() == "TFY (normalised)"
    legend = figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["a", "b"]
    legends = [axes.get_legend() for axes in figure.axes if axes.get_visible()]
    bands, _, bars = (legend.get_title().get_text() for legend in legends)
    assert bands == "bands: one standard deviation"
    assert bars == "bars: one standard deviation"
    inside(figure)


def test_titles_name_the_normalisation(rixs_map, inside):
    region = Region(kind="spfy", emission=(776, 777), scale=(790, 800))
    figure = multi_panel.spectra_figure([samples_at_edge(rixs_map, "abc", region)])
    (axes,) = figure.axes
    assert titles(figure) == ["(a) Co L edge sPFY / mean (790–800 eV)"]
    legend = axes.get_legend().get_window_extent(figure.canvas.get_renderer())
    points = axes.transData.transform(np.column_stack(axes.lines[0].get_data()))
    visible = points[np.isfinite(points).all(axis=1)]
    assert not any(legend.contains(*point) for point in visible)
    inside(figure)


def test_maps_have_one_colour_scale_and_the_region_outlined(rixs_map, inside):
    edges = [samples_at_edge(rixs_map, "ab"), samples_at_edge(rixs_map, "a")]
    figure = multi_panel.maps_figure(edges, None)
    first, second, overlay = figure.axes[:3]
    assert titles(figure)[:3] == [
        "(a) a, Co L edge",
        "(b) b, Co L edge",
        "(c) Co L edge sPFY",
    ]
    assert first.get_ylim() == (771, 782)
    assert first.collections[0].norm is second.collections[0].norm
    for axes in (first, second):
        assert labels(axes) == ["elastic line", "region"]
        incident, emission = axes.lines[1].get_data()
        assert (incident.min(), incident.max()) == pytest.approx((775, 790))
        assert (emission.min(), emission.max()) == pytest.approx((776, 777))
    assert labels(overlay)[0] == "a"
    inside(figure)


def test_cuts_of_the_samples_share_their_scale(rixs_map, inside):
    cuts = {
        energy: extract_region(
            rixs_map, Region(kind="xes", incident=(energy, energy + 2))
        )
        for energy in (780.0, 794.0)
    }
    figure = multi_panel.cuts_figure(
        samples_at_edge(rixs_map, ["a", "b"]),
        multi_panel.EmissionCuts({"a": cuts, "b": cuts}, compared=794.0),
        Limits(760, 800),
    )
    assert titles(figure)[2:] == ["(c) sPFY", "(d) a", "(e) b", "(f) excited at 794 eV"]
    first, second, compared = figure.axes[3:]
    assert first.get_ylim() == second.get_ylim()
    assert [text.get_text() for text in first.texts] == ["780 eV", "794 eV"]
    energy = compared.lines[0].get_xdata()
    assert energy.min() >= 760 and energy.max() <= 800
    assert figure.axes[0].get_ylim() == (760, 800)
    inside(figure)


@pytest.mark.parametrize(
    ("scale", "text"), [("none", ""), ("max", " / maximum"), ("edge", " / edge jump")]
)
def test_regions_are_described(scale, text):
    region = multi_panel.RegionDescription("ipfy", scale, None)
    assert (region.label, region.scale_label) == ("iPFY", text)


def test_maps_of_a_region_without_limits_show_what_has_counts(rixs_map):
    """Wherever the detector sees light: lines of keV as those below 1 keV."""
    bins = rixs_map["emission_energy"].values
    hard = rixs_map.assign_coords(emission_energy=bins + 5000.0).copy(deep=True)
    hard["counts"][:, :40] = 0
    hard["counts"][:, -10:] = 0
    samples = samples_at_edge(rixs_map, ["a"])
    whole = multi_panel.RegionDescription("tfy", "none", None)
    samples = replace(samples, region=whole, rixs_maps={"a": hard})
    has_counts = hard["counts"].values.any(axis=0)
    seen = bins[has_counts] + 5000.0
    assert samples.emission_window(5.0) == (seen[0], seen[-1])
    assert samples_at_edge(rixs_map, ["a"]).emission_window(5.0) == (771.0, 782.0)


def test_samples_without_an_edge_are_named_and_not_drawn(rixs_map, inside):
    spectrum = extract_region(rixs_map, Region(kind="tfy", scale="max"))
    without = (spectrum * np.nan).assign_attrs(not_normalised="no significant edge")
    channels = {"tfy": {"Co_L": {"a": without, "b": spectrum}}}
    figure = multi_panel.absorption_figure(channels, "max")
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["a: no significant edge", "b"]
    inside(figure)
