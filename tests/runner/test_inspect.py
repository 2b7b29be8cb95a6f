import json

import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.config.load import load_config
from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.runner.inspect import (
    _describe,
    initial_config,
    inspect_beamtime,
    status,
)
from tests.runner.reductions import made, tree


def test_status_gives_the_state_of_each_product_and_the_reason(small):
    (small.out / "maps/LMR_RT-Co_L.nxs").unlink()
    log = json.loads(small.log(4).read_text())
    log["var_values"][0] += 0.1
    small.log(4).write_text(json.dumps(log))
    run = json.loads((small.out / "run.json").read_text())
    run["failed"] = {"scan0009": "it was bad"}
    run["beamtime"] = str(small.beamtime)
    (small.out / "run.json").write_text(json.dumps(run))
    before = tree(small.out)
    states = status(small.out).states
    assert tree(small.out) == before
    assert states["references"].startswith("fresh")
    assert "arrival phase -3" in states["cal0000"]
    assert states["cal0000"].startswith("fresh")
    # the scans between two reference runs correct each other
    changed = "stale: inputs changed"
    assert states["scan0001"] == f"{changed} (other scans of the interval)"
    assert states["LMR_RT-Co_L"] == "stale: not made yet"
    assert states["scan0004"].startswith(f"{changed} (")
    assert "log" in states["scan0004"]
    assert "scan0004" in states["LMR_100C-Co_L"]
    assert states["scan0009"] == "failed: it was bad"


def test_status_of_a_foreign_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not a folder of results"):
        status(tmp_path)


@pytest.mark.parametrize("text", ["{}", "{", "[]"])
def test_status_says_that_the_summary_is_damaged(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json: damaged; repeat"):
        status(tmp_path)


def test_status_lists_the_pixels_that_are_not_used():
    bad = {"5": "dead: no pulses"}
    reference_run = {"status": "fresh", "pixels_ok": 7, "pixels_bad": bad}
    text = _describe("cal0000", reference_run)
    assert text == "fresh: 1 of 8 pixels not used: 5 (dead: no pulses)"
    bad = {"11": "noisy: 9 eV", "9": "noisy: 9 eV", "5": "dead: no pulses in cal0000"}
    scan = {"status": "fresh", "pixels_used": 5, "pixels_bad": bad}
    assert _describe("scan0001", scan) == (
        "fresh: 3 of 8 pixels not used: 5 (dead: no pulses in cal0000), "
        "9, 11 (noisy: 9 eV)"
    )
    bad = dict.fromkeys(map(str, range(200)), "no calibration")
    text = _describe("scan0001", {"status": "fresh", "pixels_bad": bad})
    assert text.endswith(
        "200 of 200 pixels not used: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, "
        "10, 11, 12, 13, 14, 15, ... (no calibration)"
    )


def test_inspection_checks_the_config(small_beamtime):
    config = Config.model_validate(
        {
            "compare": {"x": {"samples": ["LMR_RT", "other"]}},
            "regions": {"far": {"kind": "pfy", "emission": [3000, 3001]}},
        }
    )
    text = inspect_beamtime(small_beamtime, config, as_json=False)
    assert "problem: config: `compare.x`: no sample 'other'" in text
    assert "problem: region 'far' touches no data" in text


def test_status_says_what_is_new_about_the_data(small, caplog):
    small.run()
    status(small.out)
    assert caplog.text.count("scan0004") == 0
    log = small.log(4)
    log.write_text(log.read_text()[:300])
    status(small.out)
    assert "scan0004" in caplog.text


def test_the_first_config_fits_and_changes_nothing(small, tmp_path):
    path = tmp_path / "config.yaml"
    text = initial_config(small.beamtime)
    path.write_text(text)
    assert "Co_PFY" in text and load_config(path).regions is None
    path.write_text(text.replace("#regions:", "regions:").replace("#  Co_", "  Co_"))
    regions = load_config(path).model_dump(mode="json", include={"regions"})
    assert made(small, regions) == set()


def test_inspection_lists_the_runs_as_text_and_as_values(small_beamtime):
    values = inspect_beamtime(small_beamtime, Config(), as_json=True)
    assert [run["name"] for run in values["runs"]] == [
        "cal0000",
        "scan0001",
        "scan0002",
        "scan0003",
        "scan0004",
        "cal0005",
    ]
    text = inspect_beamtime(small_beamtime, Config(), as_json=False)
    assert all(run["name"] in text for run in values["runs"])


def test_inspection_uses_the_names_of_the_config(small_beamtime):
    config = Config.model_validate({"beamtime": {"samples": {"LMR_RT": "pristine"}}})
    values = inspect_beamtime(small_beamtime, config, as_json=True)
    samples = {run["sample"] for run in values["runs"]}
    assert "pristine" in samples and "LMR_RT" not in samples


def test_a_folder_that_is_no_beamtime_is_refused(tmp_path):
    with pytest.raises(InputError):
        initial_config(tmp_path)


def test_a_config_that_was_edited_is_named(small, caplog):
    small.run()
    status(small.out)
    assert "changed since" not in caplog.text
    config = small.out / "config.yaml"
    config.write_text(config.read_text().replace("step: 0.5", "step: 0.6"))
    assert status(small.out).states["scan0001"].startswith("stale")
    assert "config.yaml: changed since the last reduction" in caplog.text


def test_runs_that_vanished_are_listed(small):
    small.run()
    small.log(4).unlink()
    states = status(small.out).states
    assert states["scan0004"] == "no longer part of the beamtime"
