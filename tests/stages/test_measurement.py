import json

import numpy as np
import pytest

from rixs_pipeline.config import ExperimentConfig
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Points, Run
from rixs_pipeline.stages.measurement import measurement_attributes

SECOND = 10**9
T0 = 1_767_225_600 * SECOND  # 2026-01-01


def run(number=1, beamtime="", start_s=0):
    start = T0 + start_s * SECOND + np.array([0, 10]) * SECOND
    points = Points(np.array([770.0, 771.0]), start, start + 5 * SECOND)
    name = f"scan{number:04d}"
    return Run("scan", number, name, "", "a", None, points, beamtime=beamtime)


def test_times_are_those_of_the_first_and_last_point():
    attributes = measurement_attributes([run(2, start_s=3600), run(1)])
    assert attributes == {
        "start_time": "2026-01-01T00:00:00+00:00",
        "end_time": "2026-01-01T01:00:15+00:00",
        "experiment": {},
    }


@pytest.mark.parametrize(
    ("of_logs", "of_config", "expected"),
    [
        (["", ""], None, None),
        (["12", "12"], None, "12"),
        (["12", "13"], None, "12, 13"),
        (["12", ""], "14", "14"),
    ],
)
def test_number_of_the_beamtime(of_logs, of_config, expected):
    runs = [run(k, beamtime) for k, beamtime in enumerate(of_logs)]
    experiment = ExperimentConfig(beamtime=of_config)
    known = measurement_attributes(runs, experiment)["experiment"]
    assert known.get("beamtime") == expected


def test_products_know_the_experiment(small):
    before = {path: path.stat().st_mtime_ns for path in small.out.rglob("*.nxs")}
    experiment = {"facility": "SSRL", "users": "A. Person"}
    small.run({"experiment": experiment})
    remade = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert {path.parent.name for path in remade} == {"maps", "spectra"}
    assert len(remade) == 4
    expected = {"facility": "SSRL", "users": ["A. Person"], "beamtime": "simulated"}
    for path in before:
        is_remade = path in remade
        stored = json.loads(nexus.read_attributes(path)["experiment"])
        assert stored == (expected if is_remade else {"beamtime": "simulated"})
    for attributes in (
        nexus.read_attributes(small.out / "scans/scan0001.nxs"),
        nexus.read_attributes(small.out / "maps/LMR_RT-Co_L.nxs"),
    ):
        assert attributes["start_time"] < attributes["end_time"]
