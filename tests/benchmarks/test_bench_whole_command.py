"""The whole command with figures on 64 and 240 pixels, next to np.histogram2d."""

import json
import shutil

import numpy as np
import pytest

from rixs_pipeline.io.formats import off
from rixs_pipeline.simulate import simulate_preset

BINS = 70, 1800  # points of a scan, 0.5 eV bins of its map
REGIONS = """
regions:
  Co_PFY:  {{edge: Co_L, kind: pfy, emission: [{low}, 800]}}
  Co_TFY:  {{edge: Co_L, kind: tfy}}
  Co_XES:  {{edge: Co_L, kind: xes, incident: [779, 782]}}
  O_sPFY:  {{edge: O_K, kind: spfy, emission: [523, 524]}}
"""


@pytest.fixture(scope="module", params=[64, 240])
def pixels(request) -> int:
    return request.param


@pytest.fixture(scope="module")
def beamtime(tmp_path_factory, pixels):
    path = tmp_path_factory.mktemp("whole") / f"pixels{pixels}"
    simulate_preset(path, f"benchmark_{pixels}")
    return path


@pytest.fixture(scope="module")
def pulses(beamtime) -> int:
    return sum(len(off.open_records(path)) for path in beamtime.rglob("*.off"))


@pytest.fixture(scope="module")
def out(tmp_path_factory, pixels):
    return tmp_path_factory.mktemp("whole") / f"out{pixels}"


def executed(out) -> list[str]:
    return json.loads((out / "run.json").read_text(encoding="utf-8"))["executed"]


def test_histogram2d(timed, pixels, pulses):
    generator = np.random.default_rng(0)
    values = generator.random((2, pulses))
    counts, *_ = timed(
        f"command {pixels}",
        "np.histogram2d",
        lambda: np.histogram2d(*values, BINS),
        pulses,
        "values",
        3,
    )
    assert counts.sum() == pulses


@pytest.mark.parametrize("verb", ["extract", "run"])
def test_complete_reduction(timed, command_line, pixels, beamtime, pulses, out, verb):
    def prepare():
        shutil.rmtree(out, ignore_errors=True)

    def run():
        return command_line(verb, beamtime, "-o", out, "-q")

    what = "run: figures too" if verb == "run" else "extract: no figures"
    done = timed(
        f"command {pixels}", what, run, pulses, "pulses", rounds=2, setup=prepare
    )
    assert done.returncode == 0, done.stderr
    assert any(name.endswith(".png") for name in executed(out)) == (verb == "run")


def test_reduction_with_everything_fresh(
    timed, command_line, pixels, beamtime, pulses, out
):
    def run():
        return command_line("run", beamtime, "-o", out, "-q")

    run()
    again = timed(
        f"command {pixels}", "run: all fresh", run, pulses, "pulses", rounds=3
    )
    assert again.returncode == 0, again.stderr
    assert executed(out) == []


def test_reduction_after_changing_one_region(
    timed, command_line, tmp_path, pixels, beamtime, pulses, out
):
    lows = iter(range(762, 780))
    config = tmp_path / "regions.yaml"

    def change():
        config.write_text(REGIONS.format(low=next(lows)), encoding="utf-8")

    def run():
        return command_line("run", beamtime, "-o", out, "-q", "-c", config)

    change()
    run()
    done = timed(
        f"command {pixels}",
        "run: one region changed",
        run,
        pulses,
        "pulses",
        rounds=3,
        setup=change,
    )
    assert done.returncode == 0, done.stderr
    drawn = [name for name in executed(out) if name.endswith(".png")]
    assert any("Co_PFY" in name for name in drawn)
    assert not any("cal0" in name or "O_K" in name or "TFY" in name for name in drawn)
