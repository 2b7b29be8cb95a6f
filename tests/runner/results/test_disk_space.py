"""Little room on the disk is reported before a reduction begins."""

import shutil
from types import SimpleNamespace

import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.runner.results import disk_space
from rixs_pipeline.runner.results.disk_space import expected_bytes

KEEP_PHOTONS = {"map": {"keep_photons": True}}


def estimate(beamtime, out, config=None):
    found = discover(beamtime)
    resolved = Config.model_validate(config or {})
    return expected_bytes(found, found.scans, resolved, out)


def test_the_estimate_covers_what_is_written(small, tmp_path):
    expected = estimate(small.beamtime, tmp_path / "none")
    written = sum(f.stat().st_size for f in small.out.rglob("*") if f.is_file())
    assert written <= expected <= 30 * written


def test_products_that_are_there_need_no_room(small, tmp_path):
    assert estimate(small.beamtime, small.out) == 0
    (small.out / "scans/scan0001.nxs").unlink()
    one_scan = estimate(small.beamtime, small.out)
    assert 0 < one_scan < estimate(small.beamtime, tmp_path / "none") / 4


def test_photons_need_room_in_proportion_to_the_pulses(small, tmp_path):
    none = tmp_path / "none"
    maps = estimate(small.beamtime, none)
    photons = estimate(small.beamtime, none, KEEP_PHOTONS) - maps
    for off in small.pulses.glob("*.off"):
        off.write_bytes(off.read_bytes() + bytes(off.stat().st_size))
    grown = estimate(small.beamtime, none, KEEP_PHOTONS)
    assert grown - estimate(small.beamtime, none) == pytest.approx(2 * photons, 0.01)


@pytest.mark.parametrize(("free", "n_lines"), [(10**12, 0), (10**5, 1)])
def test_little_room_is_reported(small, monkeypatch, free, n_lines):
    usage = SimpleNamespace(total=10**12, used=0, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    for product in small.out.rglob("*.nxs"):
        product.unlink()
    summary = small.run(until="calibrate")
    lines = [line for line in summary.warnings if "little room on the disk" in line]
    assert len(lines) == n_lines and summary.exit_code == 0
    assert all("0 MB free" in line for line in lines)


def test_an_unknown_size_is_no_warning(small, monkeypatch):
    def fail(path):
        raise OSError(5, "no statistics")

    monkeypatch.setattr(disk_space.shutil, "disk_usage", fail)
    assert small.run(until="calibrate").exit_code == 0
