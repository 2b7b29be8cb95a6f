from pathlib import Path
from typing import Any

import pytest

from rixs_pipeline.config import Config, Region
from rixs_pipeline.config.template import initial_config
from tests.config.helpers import loaded, uncommented


def run(**changes: Any) -> dict[str, Any]:
    scan = {
        "name": "scan0003",
        "kind": "scan",
        "number": 3,
        "sample": "a: #1",
        "edge": "Co_L",
        "readings": ["i0", "tey"],
    }
    return scan | changes


PRESETS = {"Co_L": {"Co_PFY": Region(kind="pfy", edge="Co_L", emission=(762, 800))}}


def test_the_first_config_loads_with_and_without_its_examples(tmp_path: Path) -> None:
    calibration = run(
        name="cal0001", kind="calibration", sample="mix", edge=None, readings=[]
    )
    lost = run(name="scan0004", number=4, sample="b", edge=None)
    description = {
        "runs": [calibration, run(), lost],
        "problems": ["chan7.off: no\nrecords"],
    }
    text = initial_config(description, PRESETS)
    for word in (
        "Co_L",
        "cal0001",
        "mix",
        "scan0004",
        "problem: chan7.off: no records",
        "tey",
    ):
        assert word in text
    config = loaded(tmp_path, text)
    assert config == Config()
    config = loaded(tmp_path, uncommented(text))
    assert config.beamtime.samples == {"a: #1": "a: #1", "b": "b"}
    assert config.beamtime.exclude.scans == (3,)
    assert config.regions == PRESETS["Co_L"]
    assert config.compare["pair"].samples == ("a: #1", "b")


@pytest.mark.parametrize(
    ("readings", "i0"),
    [
        ([], None),
        (["tey"], None),
        (["I0", "i0_mesh"], "I0"),
        (["mono", "nexafs_i0up"], "nexafs_i0up"),
    ],
)
def test_the_first_config_selects_the_flux_channel(
    tmp_path: Path, readings: list[str], i0: str | None
) -> None:
    text = initial_config({"runs": [run(readings=readings)], "problems": []})
    assert loaded(tmp_path, text).normalise.i0 == i0


def test_the_first_config_of_an_empty_beamtime_loads(tmp_path: Path) -> None:
    text = initial_config({"runs": [], "problems": []})
    assert loaded(tmp_path, text) == Config.model_validate({"normalise": {"i0": None}})
    loaded(tmp_path, uncommented(text))


@pytest.mark.real
def test_the_first_config_of_real_data(real_data: Path, tmp_path: Path) -> None:
    from rixs_pipeline.io.beamtime.discovery import discover
    from rixs_pipeline.io.beamtime.inspection import describe

    text = initial_config(describe(discover(real_data)), PRESETS)
    assert loaded(tmp_path, text).normalise.i0 is None
    assert "ad1" in text and "Co_PFY" in text and "mixv4b" in text
