"""Which figures are drawn, from what, and when again."""

import json

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config.models import Config
from rixs_pipeline.stages.figures import draw as drawing
from rixs_pipeline.stages.figures import plan as report
from tests.stages.builders import calibration

GROUPS = [("LMR_RT", "Co_L"), ("LMR_100C", "Co_L"), ("LMR_RT", "O_K")]


def planned(tmp_path, made=(), **config):
    plan = report.plan_results(tmp_path, Config.model_validate(config), GROUPS, made)
    return {one.name: one for one in plan}


def test_every_map_has_its_figures(tmp_path):
    found = planned(tmp_path)
    assert list(found) == ["LMR_RT-Co_L", "LMR_100C-Co_L", "LMR_RT-O_K"]
    assert found["LMR_RT-O_K"].sources == (
        tmp_path / "maps/LMR_RT-O_K.nxs",
        tmp_path / "spectra/LMR_RT-O_K.nxs",
    )
    assert "O_sPFY" in found["LMR_RT-O_K"].options and json.dumps(
        found["LMR_RT-O_K"].options
    )


def test_what_moved_is_drawn_between_consecutive_calibrations(tmp_path):
    names = [
        one.name
        for one in report.plan_calibrations(tmp_path, ["cal0000", "cal0004", "cal0009"])
    ]
    assert names == [
        "cal0000",
        "cal0004",
        "cal0009",
        "cal0000-cal0004",
        "cal0004-cal0009",
    ]


def test_what_moved_is_told_of_the_pixels_that_are_good_in_both_calibrations():
    named = {"line_name": ("line", np.array(["C_Ka", "O_Ka", "Cu_La"], dtype=object))}
    before = calibration(
        "cal0000", 0.0, {1: 0.0, 3: "dead: no pulses", 5: 0.0, 9: 0.0}
    ).assign(named)
    after = calibration(
        "cal0009", 1.0, {9: -20.0, 7: 0.0, 5: "noisy: 9 eV", 3: 0.0, 1: 0.5}
    ).assign(named)
    found = report.moved(before, after)
    assert found["pixel"].values.tolist() == [1, 9]
    assert found["jumped"].values.tolist() == [False, True]
    assert np.abs(found["shift"].values[0]) == pytest.approx(0.5, abs=0.05)
    assert np.abs(found["shift"].values[1]) == pytest.approx(20, abs=1)
    assert (found.attrs["before"], found.attrs["after"]) == ("cal0000", "cal0009")


def test_figures_depend_on_the_regions_that_they_frame(tmp_path):
    one, other = (
        planned(tmp_path, regions={"P": {"kind": "pfy", "emission": [770, high]}})
        for high in (780, 790)
    )
    assert one["LMR_RT-Co_L"].options != other["LMR_RT-Co_L"].options


def test_comparisons_are_drawn_for_edges_that_two_samples_share(tmp_path):
    found = planned(
        tmp_path, compare={"heating": {"samples": ["LMR_RT", "LMR_100C", "unknown"]}}
    )
    assert [name for name in found if name.startswith("heating")] == ["heating-Co_L"]
    spectra = [tmp_path / f"spectra/{s}-Co_L.nxs" for s in ("LMR_RT", "LMR_100C")]
    assert found["heating-Co_L"].sources == (
        *spectra,
        tmp_path / "comparisons/heating-Co_L.nxs",
    )


def test_products_that_an_earlier_run_left_are_not_drawn(tmp_path):
    left = [tmp_path / "xas/LMR_RT-Co_L.nxs", tmp_path / "comparisons/heating-Co_L.nxs"]
    for path in left:
        path.parent.mkdir()
        path.write_text("of another config")
    config = {
        "compare": {"heating": {"samples": ["LMR_RT", "LMR_100C"]}},
        "figures": {"fig1": {"kind": "xas", "samples": ["LMR_RT"], "edges": ["Co_L"]}},
    }
    before, now = planned(tmp_path, **config), planned(tmp_path, left, **config)
    assert now.keys() - before.keys() == {"LMR_RT-Co_L xas", "fig1 sheet"}
    assert (
        before["heating-Co_L"].add.args[-1] is None
        and now["heating-Co_L"].add.args[-1] == left[1]
    )


@pytest.fixture
def quick(monkeypatch):
    """Figures are made, but not rendered: that takes most of the time, and has its own tests."""

    def save(figure, path):
        assert figure.axes
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"figure")
        return path

    monkeypatch.setattr(drawing, "save", save)
    monkeypatch.setattr(report, "PAGES", 1)


REGIONS = {
    "Co_PFY": {"kind": "pfy", "emission": [762, 800]},
    "Co_XES": {"kind": "xes", "incident": [780, 782]},
}


def test_the_whole_report_of_a_small_beamtime(small, quick):
    """Made once, then fresh, also after a run that stopped before the figures; a figure that is gone is made again."""
    config = {
        "regions": REGIONS,
        "compare": {
            "heating": {"samples": ["LMR_RT", "LMR_100C"], "regions": ["Co_PFY"]}
        },
    }
    summary = small.run(config, until="report")
    assert summary.failed == {}
    figures = {path.name for path in (small.out / "figures").iterdir()}
    assert figures >= {
        "cal0000-summary.png",
        "cal0000-corrections.png",
        "cal0005-pixel001.png",
        "cal0000-cal0005-moved.png",
        "LMR_RT-Co_L-map.png",
        "LMR_100C-Co_L-Co_PFY.png",
        "LMR_RT-Co_L-log_tey.png",
        "LMR_RT-Co_L-overview.png",
        "compare-heating-Co_L-Co_PFY.png",
    }
    assert "compare-heating-Co_L-Co_XES.png" not in figures
    assert {name for name in summary.executed if name.endswith(".png")} == {
        f"figures/{name}" for name in figures
    }
    assert small.run(config, until="report").executed == []
    assert (
        small.run(config, until="extract").executed
        == []
        == small.run(config, until="report").executed
    )
    (small.out / "figures/LMR_RT-Co_L-map.png").unlink()
    assert small.run(config, until="report").executed == ["figures/LMR_RT-Co_L-map.png"]


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
        f"figures/{stem}-{what}.png"
        for stem in stems
        for what in ("map", "Co_PFY", "overview")
    }
    assert not drawn & {
        f"figures/{stem}-{what}.png"
        for stem in stems
        for what in ("Co_XES", "log_tey", "log_tfy")
    }
    assert not any("cal0" in name for name in drawn)


def test_figures_are_the_same_bytes_in_other_processes(small, monkeypatch):
    monkeypatch.setattr(report, "PAGES", 1)  # of this process alone
    small.run(
        {"regions": REGIONS, "execution": {"scheduler": "serial"}}, until="report"
    )
    alone = {path.name: path.read_bytes() for path in (small.out / "figures").iterdir()}
    small.run(
        {"regions": REGIONS, "execution": {"scheduler": "threads", "workers": 2}},
        until="report",
        force=True,
    )
    assert {
        path.name: path.read_bytes() for path in (small.out / "figures").iterdir()
    }.items() >= alone.items()


def test_a_comparison_without_regions_shows_all_that_are_shared(small, quick):
    small.run(
        {"regions": REGIONS, "compare": {"c": {"samples": ["LMR_RT", "LMR_100C"]}}},
        until="report",
    )
    names = {path.name for path in (small.out / "figures").glob("compare-*")}
    assert names == {
        f"compare-c-Co_L-{name}.png" for name in (*REGIONS, "log_tey", "log_tfy")
    }


def test_a_figure_that_cannot_be_drawn_costs_only_itself(small, monkeypatch, quick):
    monkeypatch.setattr(report.maps, "map_figure", lambda *_: 1 / 0)
    summary = small.run({"regions": REGIONS}, until="report")
    assert set(summary.failed) == {"LMR_RT-Co_L figures", "LMR_100C-Co_L figures"}
    assert (small.out / "figures/cal0000-summary.png").is_file()
    assert summary.items["LMR_RT-Co_L"]["status"] == "fresh"


def test_pages_are_for_pixels_that_are_not_ok_every_reason_in_turn():
    status = [
        "ok",
        "dead: no pulses",
        "dead: no pulses",
        "dead: no pulses",
        "noisy: 9 eV",
        "ok",
        "noisy: 8 eV",
        "ok",
    ]
    dataset = xr.Dataset(
        {"status": ("pixel", np.array(status, object))}, {"pixel": np.arange(1, 17, 2)}
    )
    assert report.pages(dataset) == [3, 9, 5, 13, 7, 1]
    assert report.pages(dataset.isel(pixel=[0, 5, 7])) == [1, 11, 15]
