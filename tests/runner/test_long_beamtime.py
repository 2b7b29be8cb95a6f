"""The next scan of an open interval redoes no other one."""

import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.io.compare_products import find_differences
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.stages import earlier_scans
from rixs_pipeline.stages.interval import aligned_energies

CONFIG = Config.model_validate({"execution": {"scheduler": "serial"}})
LAST = "scan0006"


@pytest.fixture
def growing(tmp_path, monkeypatch):
    """A beamtime with one reference run and six scans; the last log is away."""
    monkeypatch.setattr(earlier_scans, "FIRST", 1)
    monkeypatch.setattr(earlier_scans, "LAST", 3)
    settings = SimulationSettings.model_validate(
        {
            "pixels": 4,
            "rate": 40.0,
            "calibration_rate": 40.0,
            "calibration_duration": 30.0,
            "calibrations": 1,
            "points": 12,
            "dwell": 0.5,
            "passes": 3,
            "edges": ("Co_L", "O_K"),
            "samples": ({"name": "A"},),
            "projector_samples": 8,
            "bases": 3,
            "dead_pixels": (),
            "noisy_pixels": (),
            "jumping_pixels": (),
            "truncated_pixels": (),
            "beam_dumps": (),
        }
    )
    beamtime = tmp_path / "beamtime"
    simulate(beamtime, settings)
    log = beamtime / "logs" / f"{LAST}.json"
    log.rename(tmp_path / log.name)
    return beamtime


def reduce(beamtime, out):
    return run(beamtime, CONFIG, out, Options(until="xas"))


def test_the_next_scan_redoes_its_map_and_spectra_alone(growing, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert reduce(growing, out).exit_code == 0
    (tmp_path / f"{LAST}.json").rename(growing / "logs" / f"{LAST}.json")
    read = []
    monkeypatch.setattr(
        aligned_energies,
        "compare_pixels",
        lambda task, original=aligned_energies.compare_pixels: (
            read.append(task.scan.start_ns),
            original(task),
        )[1],
    )
    summary = reduce(growing, out)
    map_name = next(
        name for name, facts in summary.items.items() if LAST in facts.get("scans", [])
    )
    assert summary.executed == [
        f"scans/{LAST}.nxs",
        f"maps/{map_name}.nxs",
        f"spectra/{map_name}.nxs",
        f"xas/{map_name}.nxs",
    ]
    (scan,) = [scan for scan in summary.beamtime.scans if scan.name == LAST]
    assert read and min(read) >= scan.start_ns
    reduce(growing, tmp_path / "at once")
    assert list(find_differences(out, tmp_path / "at once")) == []


def overwrite(files):
    """Damage each file."""
    for file in files:
        file.write_bytes(b"damaged")


def swap(files):
    """Give each file the content of another one of its folder, as if it were stale."""
    contents = {file: file.read_bytes() for file in files}
    for file in files:
        in_folder = [other for other in files if other.parent == file.parent]
        other = in_folder[in_folder.index(file) - 1]
        file.write_bytes(contents[other])


@pytest.mark.parametrize("damage", [overwrite, swap])
def test_what_is_kept_is_only_a_short_cut(growing, tmp_path, damage):
    out = tmp_path / "out"
    reduce(growing, out)
    files = sorted((out / ".cache").rglob("*.*"))
    assert {"clocks", "scans", "spectra"} <= {file.parent.name for file in files}
    damage(files)
    (tmp_path / f"{LAST}.json").rename(growing / "logs" / f"{LAST}.json")
    assert reduce(growing, out).exit_code == 0
    reduce(growing, tmp_path / "at once")
    assert list(find_differences(out, tmp_path / "at once")) == []
