"""Which figures are drawn, from what, and when again."""

import json

import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.plots import maps
from rixs_pipeline.stages.figures import draw
from rixs_pipeline.stages.figures.plan import (
    plan_comparisons,
    plan_maps,
    plan_reference_runs,
    plan_spectra,
)

GROUPS = [("LMR_RT", "Co_L"), ("LMR_100C", "Co_L"), ("LMR_RT", "O_K")]


def planned(tmp_path, products=(), **config):
    resolved = Config.model_validate(config)
    sets = [
        *plan_maps(tmp_path, resolved, GROUPS),
        *plan_spectra(tmp_path, resolved, GROUPS),
        *plan_comparisons(tmp_path, resolved, GROUPS, products),
    ]
    return {figure_set.name: figure_set for figure_set in sets}


def test_every_map_has_its_figures(tmp_path):
    figure_sets = planned(tmp_path)
    names = [f"{sample}-{edge}" for sample, edge in GROUPS]
    assert list(figure_sets) == [*(f"{name} map" for name in names), *names]
    of_map, of_spectra = (figure_sets[f"LMR_RT-O_K{kind}"] for kind in (" map", ""))
    assert of_map.sources == (tmp_path / "maps/LMR_RT-O_K.nxs",)
    assert of_spectra.sources == (tmp_path / "spectra/LMR_RT-O_K.nxs",)
    options = of_map.options
    assert "O_sPFY" in options["regions"]
    assert json.dumps(options)


def test_sets_without_a_figure_that_is_drawn_are_left_out(tmp_path):
    figure = {"kind": "maps", "samples": ["LMR_RT"], "edges": ["Co_L"]}
    config = {
        "compare": {"heating": {"samples": ["LMR_RT", "LMR_100C"]}},
        "figures": {"a": figure, "b": figure | {"draw": True}},
        "plots": {"defaults": {"draw": False}, "line_positions": {"draw": True}},
    }
    names = planned(tmp_path, **config).keys()
    maps = {f"{sample}-{edge} map" for sample, edge in GROUPS}
    assert names == maps | {"b multi-panel"}
    resolved = Config.model_validate(config)
    assert not list(plan_reference_runs(tmp_path, resolved, ["cal0000", "cal0004"]))


def test_line_shifts_are_drawn_between_consecutive_reference_runs(tmp_path):
    runs = ["cal0000", "cal0004", "cal0009"]
    figure_sets = plan_reference_runs(tmp_path, Config(), runs)
    names = [figure_set.name for figure_set in figure_sets]
    assert names == [
        "cal0000",
        "cal0004",
        "cal0009",
        "cal0000-cal0004",
        "cal0004-cal0009",
    ]


def test_figures_depend_on_the_regions_that_they_outline(tmp_path):
    first, second = (
        planned(tmp_path, regions={"P": {"kind": "pfy", "emission": [770, high]}})
        for high in (780, 790)
    )
    assert first["LMR_RT-Co_L map"].options != second["LMR_RT-Co_L map"].options


def test_comparisons_are_drawn_for_edges_that_two_samples_share(tmp_path):
    figure_sets = planned(
        tmp_path, compare={"heating": {"samples": ["LMR_RT", "LMR_100C", "unknown"]}}
    )
    assert [name for name in figure_sets if name.startswith("heating")] == [
        "heating-Co_L"
    ]
    spectra = [tmp_path / f"spectra/{s}-Co_L.nxs" for s in ("LMR_RT", "LMR_100C")]
    assert figure_sets["heating-Co_L"].sources == (
        *spectra,
        tmp_path / "comparisons/heating-Co_L.nxs",
    )


def test_products_of_an_earlier_reduction_are_not_drawn(tmp_path):
    products = [
        tmp_path / "xas/LMR_RT-Co_L.nxs",
        tmp_path / "comparisons/heating-Co_L.nxs",
    ]
    for path in products:
        path.parent.mkdir()
        path.write_text("of another config")
    config = {
        "compare": {"heating": {"samples": ["LMR_RT", "LMR_100C"]}},
        "figures": {"fig1": {"kind": "xas", "samples": ["LMR_RT"], "edges": ["Co_L"]}},
    }
    before, now = planned(tmp_path, **config), planned(tmp_path, products, **config)
    assert now.keys() - before.keys() == {"LMR_RT-Co_L xas", "fig1 multi-panel"}
    compared_before = before["heating-Co_L"].plan.args[1]
    compared_now = now["heating-Co_L"].plan.args[1]
    assert compared_before.tests_path is None
    assert compared_now.tests_path == products[1]


@pytest.fixture
def quick(monkeypatch):
    """Figures are made, but not rendered, which takes most of the time."""

    def encode(figure, image_format):
        assert figure.axes
        return b"figure"

    monkeypatch.setattr(draw, "encode_figure", encode)


REGIONS = {
    "Co_PFY": {"kind": "pfy", "emission": [762, 800]},
    "Co_XES": {"kind": "xes", "incident": [780, 782]},
}


def test_the_report_of_a_small_beamtime(small, quick):
    """Drawn once, then fresh; a figure that is deleted is drawn again."""
    config = {
        "regions": REGIONS,
        "compare": {
            "heating": {"samples": ["LMR_RT", "LMR_100C"], "regions": ["Co_PFY"]}
        },
    }
    summary = small.run(config, until="report")
    assert summary.failed == {}
    folder = small.out / "figures"
    figures = {str(path.relative_to(folder)) for path in folder.glob("*/*")}
    assert figures >= {
        "reference_runs/cal0000-summary.png",
        "corrections/cal0000-corrections.png",
        "reference_runs/cal0000-cal0005-moved.png",
        "maps/LMR_RT-Co_L-map.png",
        "spectra/LMR_100C-Co_L-Co_PFY.png",
        "spectra/LMR_RT-Co_L-log_tey.png",
        "spectra/LMR_RT-Co_L-overview.png",
        "comparisons/compare-heating-Co_L-Co_PFY.png",
    }
    assert "comparisons/compare-heating-Co_L-Co_XES.png" not in figures
    assert not any("-pixel" in name for name in figures)
    assert {name for name in summary.executed if name.endswith(".png")} == {
        f"figures/{name}" for name in figures
    }
    assert small.run(config, until="report").executed == []
    assert (
        small.run(config, until="extract").executed
        == []
        == small.run(config, until="report").executed
    )
    (folder / "maps/LMR_RT-Co_L-map.png").unlink()
    executed = small.run(config, until="report").executed
    assert executed == ["figures/maps/LMR_RT-Co_L-map.png"]


def test_only_the_figures_that_show_a_changed_region_are_drawn_again(small, quick):
    small.run({"regions": REGIONS}, until="report")
    changed = REGIONS | {"Co_PFY": {"kind": "pfy", "emission": [764, 800]}}
    drawn = {
        name
        for name in small.run({"regions": changed}, until="report").executed
        if name.endswith(".png")
    }
    stems = "LMR_RT-Co_L", "LMR_100C-Co_L"
    assert drawn >= {
        f"figures/{folder}/{stem}-{what}.png"
        for stem in stems
        for folder, what in (
            ("maps", "map"),
            ("spectra", "Co_PFY"),
            ("spectra", "overview"),
        )
    }
    assert not drawn & {
        f"figures/spectra/{stem}-{what}.png"
        for stem in stems
        for what in ("Co_XES", "log_tey", "log_tfy")
    }
    assert not any("cal0" in name for name in drawn)


def test_options_draw_only_the_figures_that_they_concern(small, quick):
    """No product changes, and files of formats that are not wanted are deleted."""
    small.run({"regions": REGIONS}, until="report")
    plots = {"map": {"format": "svg"}, "spectrum": {"title": ""}}
    executed = small.run({"regions": REGIONS, "plots": plots}, until="report").executed
    assert executed and all(name.startswith("figures/") for name in executed)
    assert {name.split("-")[-1] for name in executed} == {
        "map.svg",
        *(f"{name}.png" for name in (*REGIONS, "log_tey", "log_tfy")),
    }
    assert {path.suffix for path in (small.out / "figures/maps").iterdir()} == {".svg"}


def test_figures_that_are_switched_off_are_deleted(small, quick):
    small.run({"regions": REGIONS}, until="report")
    off = {kind: {"draw": False} for kind in ("map", "reference_run", "xas")}
    summary = small.run({"regions": REGIONS, "plots": off}, until="report")
    assert summary.failed == {} and summary.executed == []
    left = {path.name for path in (small.out / "figures").glob("*/*")}
    assert not [name for name in left if name.endswith(("-map.png", "-summary.png"))]
    assert not [name for name in left if name.endswith("-xas.png")]
    assert {"LMR_RT-Co_L-lines.png", "LMR_RT-Co_L-Co_PFY.png"} <= left


def test_labels_without_a_text_are_reported_also_if_nothing_is_drawn(small, quick):
    labels = {"LMR_RT": "fresh", "LMR_200C": "200 °C", "Co_PFY": "PFY"}
    plots = {
        "defaults": {"labels": labels},
        "xas": {"labels": {"Co_PFY": "PFY", "incident energy (eV)": "hν"}},
        "cuts": {"labels": {"no figure of this kind": ""}},
    }
    config = {"regions": REGIONS, "plots": plots}
    of_first = small.run(config, until="report").warnings
    lines = [line for line in of_first if ".labels`" in line]
    assert [line.split("; there are: ")[0] for line in lines] == [
        "config: `plots.defaults.labels`: no text 'LMR_200C' in the figures",
        "config: `plots.xas.labels`: no text 'Co_PFY' in the figures",
    ]
    assert "'incident energy (eV)'" in lines[1]
    again = small.run(config, until="report")
    assert again.executed == [] and again.warnings == of_first
    plots["xas"] = {"labels": {"incident energy (eV)": "hν"}}
    (line,) = [
        line
        for line in small.run(config, until="report").warnings
        if ".labels`" in line
    ]
    assert line == lines[0]


def test_further_maps_are_drawn_if_they_are_configured(small, quick):
    config = {
        "regions": REGIONS,
        "compare": {"heating": {"samples": ["LMR_RT", "LMR_100C"]}},
    }
    kinds = ("loss_map", "rebinned_map", "difference_map")
    plots: dict = {kind: {} for kind in kinds}
    summary = small.run(config | {"plots": plots}, until="report")
    assert summary.failed == {}
    further = {
        f"figures/maps/{sample}-Co_L-{kind}.png"
        for sample in ("LMR_RT", "LMR_100C")
        for kind in ("loss_map", "rebinned_map")
    } | {"figures/comparisons/compare-heating-Co_L-LMR_100C-map.png"}
    assert further <= set(summary.executed)
    changed = plots | {"difference_map": {"significance": True}}
    executed = small.run(config | {"plots": changed}, until="report").executed
    assert executed == ["figures/comparisons/compare-heating-Co_L-LMR_100C-map.png"]
    small.run(config, until="report")
    assert not any((small.out / figure).exists() for figure in further)


def test_figures_are_the_same_bytes_in_other_processes(small):
    small.run(
        {"regions": REGIONS, "execution": {"scheduler": "serial"}}, until="report"
    )
    figures = small.out / "figures"
    alone = {path.name: path.read_bytes() for path in figures.glob("*/*")}
    small.run(
        {"regions": REGIONS, "execution": {"scheduler": "threads", "workers": 2}},
        until="report",
        force=True,
    )
    together = {path.name: path.read_bytes() for path in figures.glob("*/*")}
    assert together == alone


def test_a_comparison_without_regions_shows_all_that_are_shared(small, quick):
    small.run(
        {"regions": REGIONS, "compare": {"c": {"samples": ["LMR_RT", "LMR_100C"]}}},
        until="report",
    )
    names = {path.name for path in (small.out / "figures/comparisons").iterdir()}
    assert names == {
        f"compare-c-Co_L-{name}.png" for name in (*REGIONS, "log_tey", "log_tfy")
    }


def test_a_figure_that_cannot_be_drawn_costs_only_itself(small, monkeypatch, quick):
    monkeypatch.setattr(maps, "map_figure", lambda *_: 1 / 0)
    summary = small.run({"regions": REGIONS}, until="report")
    assert set(summary.failed) == {
        "LMR_RT-Co_L map figures",
        "LMR_100C-Co_L map figures",
    }
    assert (small.out / "figures/reference_runs/cal0000-summary.png").is_file()
    assert summary.items["LMR_RT-Co_L"]["status"] == "fresh"
