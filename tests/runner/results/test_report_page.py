"""The report follows the products."""

import json
import re

import pytest

from rixs_pipeline import paths
from rixs_pipeline.report.page import is_current
from rixs_pipeline.runner.results import report_page
from rixs_pipeline.stages.html_report import parts
from tests.without_figures import leave_out_figures


@pytest.fixture
def no_figures(monkeypatch):
    leave_out_figures(monkeypatch)


@pytest.fixture
def content(small, no_figures):
    """Return what the report of the small beamtime holds."""

    def reduce(**options):
        small.run(until="report", **options)
        text = paths.report(small.out).read_text()
        found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
        return json.loads(found[1])

    return reduce


def test_the_report_has_a_row_for_each_sample_and_edge(small, content):
    report = content()
    maps = sorted(path.stem for path in (small.out / "maps").glob("*.nxs"))
    rows = sorted(f"{row['sample']}-{row['edge']}" for row in report["rows"])
    assert rows == maps
    assert len(report["maps"]) == len(maps)
    assert all(row["photons"] > 0 and row["pixels"] > 0 for row in report["rows"])
    names = {path.stem for path in (small.out / "calibration").glob("*.nxs")}
    assert {run["name"] for run in report["references"]} == names
    scans = {path.stem for path in (small.out / "scans").glob("*.nxs")}
    assert {scan["scan"] for scan in report["flux"]} == scans
    assert {run["name"] for run in report["pixels"]} == names | scans
    assert report["corrections"] and report["cuts"] and report["config"]


def test_it_is_written_again_only_if_it_would_say_something_else(small, content):
    content()
    path = paths.report(small.out)
    before = path.stat().st_mtime_ns
    content()
    assert path.stat().st_mtime_ns == before
    content(config={"regions": {"P": {"kind": "pfy", "emission": [770, 790]}}})
    assert path.stat().st_mtime_ns != before


def test_a_part_is_read_again_only_if_its_product_changed(small, content, monkeypatch):
    first = content()
    packed = []
    pack = parts.packed_map

    def counting(rixs_map, config):
        packed.append(rixs_map.attrs["sample"])
        return pack(rixs_map, config)

    monkeypatch.setattr(parts, "packed_map", counting)
    paths.report(small.out).unlink()
    assert content() | {"made": ""} == first | {"made": ""} and not packed
    (small.out / paths.REPORT_PARTS).write_text("{")
    paths.report(small.out).unlink()
    again = content()
    assert again["maps"] == first["maps"] and len(packed) == len(first["maps"])


def test_it_is_marked_when_products_change_without_it(small, content):
    content()
    path = paths.report(small.out)
    small.run(config={"map": {"step": 0.6}})
    assert not is_current(path)
    content(config={"map": {"step": 0.6}})
    assert is_current(path)


def test_a_run_that_is_lost_is_the_first_line(small, content):
    for pixel in small.pulses.glob("*.off"):
        pixel.unlink()
    report = content()
    assert {line["level"] for line in report["quality"]} == {"lost", "warning"}
    assert report["quality"][0]["level"] == "lost"
    assert report["maps"] == report["rows"] == []


def test_a_report_that_cannot_be_written_is_a_line(small, content, monkeypatch, caplog):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report_page, "page", full)
    small.run(until="report")
    assert f"report not written: {small.out}/report.html: No space" in caplog.text
