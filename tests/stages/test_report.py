"""Which figures are drawn, from what, and when again."""

import json

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config import Config
from rixs_pipeline.stages import report

GROUPS = [("LMR_RT", "Co_L"), ("LMR_100C", "Co_L"), ("LMR_RT", "O_K")]


def planned(tmp_path, **config):
    return {one.name: one for one in report.plan(tmp_path, Config.model_validate(config), ["cal0000"], GROUPS)}


def test_every_calibration_and_every_map_has_its_figures(tmp_path):
    found = planned(tmp_path)
    assert list(found) == ["cal0000", "LMR_RT-Co_L", "LMR_100C-Co_L", "LMR_RT-O_K"]
    assert found["LMR_RT-O_K"].sources == (tmp_path / "maps/LMR_RT-O_K.nxs", tmp_path / "spectra/LMR_RT-O_K.nxs")
    assert "O_sPFY" in found["LMR_RT-O_K"].options and json.dumps(found["LMR_RT-O_K"].options)


def test_figures_depend_on_the_regions_that_they_frame(tmp_path):
    one, other = (planned(tmp_path, regions={"P": {"kind": "pfy", "emission": [770, high]}}) for high in (780, 790))
    assert one["LMR_RT-Co_L"].options != other["LMR_RT-Co_L"].options


def test_comparisons_are_drawn_for_edges_that_two_samples_share(tmp_path):
    found = planned(tmp_path, compare={"heating": {"samples": ["LMR_RT", "LMR_100C", "unknown"]}})
    assert [name for name in found if name.startswith("heating")] == ["heating-Co_L"]
    assert found["heating-Co_L"].sources == tuple(tmp_path / f"spectra/{s}-Co_L.nxs" for s in ("LMR_RT", "LMR_100C"))


@pytest.fixture
def quick(monkeypatch):
    """Figures are made, but not rendered: that takes most of the time, and has its own tests."""

    def save(figure, path):
        assert figure.axes
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"figure")
        return path

    monkeypatch.setattr(report, "save", save)
    monkeypatch.setattr(report, "PAGES", 1)


REGIONS = {"Co_PFY": {"kind": "pfy", "emission": [762, 800]}, "Co_XES": {"kind": "xes", "incident": [780, 782]}}


def test_the_whole_report_of_a_small_beamtime(small, quick):
    """Made once, then fresh, also after a run that stopped before the figures; a figure that is gone is made again."""
    config = {"regions": REGIONS, "compare": {"heating": {"samples": ["LMR_RT", "LMR_100C"], "regions": ["Co_PFY"]}}}
    summary = small.run(config, until="report")
    assert summary.failed == {}
    figures = {path.name for path in (small.out / "figures").iterdir()}
    assert figures >= {
        "cal0000-summary.png", "cal0005-pixel001.png", "LMR_RT-Co_L-map.png", "LMR_100C-Co_L-Co_PFY.png",
        "LMR_RT-Co_L-log_tey.png", "LMR_RT-Co_L-overview.png", "compare-heating-Co_L-Co_PFY.png",
    }  # fmt: skip
    assert "compare-heating-Co_L-Co_XES.png" not in figures
    assert {name for name in summary.executed if name.endswith(".png")} == {f"figures/{name}" for name in figures}
    assert small.run(config, until="report").executed == []
    assert small.run(config, until="extract").executed == [] == small.run(config, until="report").executed
    (small.out / "figures/LMR_RT-Co_L-map.png").unlink()
    again = small.run(config, until="report").executed
    assert "figures/LMR_RT-Co_L-map.png" in again and all("LMR_RT-Co_L" in name for name in again)


def test_a_comparison_without_regions_shows_all_that_are_shared(small, quick):
    small.run({"regions": REGIONS, "compare": {"c": {"samples": ["LMR_RT", "LMR_100C"]}}}, until="report")
    names = {path.name for path in (small.out / "figures").glob("compare-*")}
    assert names == {f"compare-c-Co_L-{name}.png" for name in (*REGIONS, "log_tey", "log_tfy")}


def test_a_figure_that_cannot_be_drawn_costs_only_itself(small, monkeypatch, quick):
    monkeypatch.setattr(report.maps, "map_figure", lambda *_: 1 / 0)
    summary = small.run({"regions": REGIONS}, until="report")
    assert set(summary.failed) == {"LMR_RT-Co_L figures", "LMR_100C-Co_L figures"}
    assert (small.out / "figures/cal0000-summary.png").is_file()
    assert summary.items["LMR_RT-Co_L"]["status"] == "fresh"


def test_pages_are_for_pixels_that_are_not_ok_every_reason_in_turn():
    status = ["ok", "dead: no pulses", "dead: no pulses", "dead: no pulses", "noisy: 9 eV", "ok", "noisy: 8 eV", "ok"]
    dataset = xr.Dataset({"status": ("pixel", np.array(status, object))}, {"pixel": np.arange(1, 17, 2)})
    assert report.pages(dataset) == [3, 9, 5, 13, 7, 1]
    assert report.pages(dataset.isel(pixel=[0, 5, 7])) == [1, 11, 15]
