"""The calibration stage of the command line: two reference runs of six lines.

The aim is five seconds for 240 pixels on two cores, imports included (the command adds
its start-up and the digests of the pulse files), and a time proportional to the number
of pixels. The time depends on other load of the machine, so it is not asserted.
"""

import json
import shutil

import pytest

from rixs_pipeline import open_product
from rixs_pipeline.io.formats import off
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.benchmarks.conftest import REFERENCE_RUN

pytestmark = pytest.mark.slow

TWO_RUNS = REFERENCE_RUN | {
    "pixels": 240,
    "calibrations": 2,
    "last_calibration_after": 1800.0,
}


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    """A beamtime of 240 pixels, and of its first so many: links to the same pulses."""
    root = tmp_path_factory.mktemp("arrays")
    simulate(root / "240", SimulationSettings.model_validate(TWO_RUNS))

    def first(pixels):
        folder = root / str(pixels)
        if not folder.exists():
            keep = set(
                sorted(map(off.pixel_number, (root / "240").rglob("*.off")))[:pixels]
            )
            shutil.copytree(
                root / "240",
                folder,
                symlinks=True,
                ignore=shutil.ignore_patterns("*.off"),
            )
            for path in (root / "240").rglob("*.off"):
                if off.pixel_number(path) in keep:
                    (folder / path.relative_to(root / "240")).symlink_to(path)
        return folder

    return first


@pytest.mark.parametrize("pixels", [60, 120, 240])
def test_calibrate(timed, table, command_line, array, tmp_path, pixels):
    beamtime, out = array(pixels), tmp_path / "out"

    def run():
        return command_line("calibrate", beamtime, "-o", out, "-q", "--workers", 2)

    done = timed(
        "calibrate command",
        f"two reference runs of {pixels} pixels",
        run,
        pixels,
        "pixels",
        rounds=2,
        setup=lambda: shutil.rmtree(out, ignore_errors=True),
    )
    assert done.returncode == 0, done.stderr
    stage = json.loads((out / "run.json").read_text(encoding="utf-8"))["timings"][
        "calibrate"
    ]
    table("calibration stage", {"pixels": pixels, "seconds of the last run": stage})
    calibrations = [
        open_product(path) for path in sorted((out / "calibration").glob("*.nxs"))
    ]
    assert len(calibrations) == 2
    for calibration in calibrations:
        assert len(calibration["line_name"]) == 6
        assert (calibration["status"].values == "ok").mean() >= 0.99
