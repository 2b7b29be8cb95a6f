"""`run.json`: what it tells, and that it forgets nothing that was not looked at."""

import json
import logging

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.io.runs import Beamtime, Points, Run
from rixs_pipeline.runner import summary as module
from rixs_pipeline.runner.summary import Summary, read

POINTS = Points(np.array([780.0]), np.array([0]), np.array([10**9]))
RUN = Run(
    "scan",
    1,
    "scan0001",
    "",
    "LMR",
    "Co_L",
    POINTS,
    problems=("scan0001.json: aborted",),
)


@pytest.fixture
def summary(tmp_path):
    return Summary(
        tmp_path,
        Beamtime(tmp_path / "beamtime", (RUN,), ("x.dat: not read",)),
        "rixs-pipeline run",
        False,
    )


def again(summary, whole=True):
    """Write it, and begin the next one."""
    summary.whole = whole
    summary.write()
    return Summary(summary.out, summary.beamtime, summary.command, summary.dry_run)


def test_what_run_json_holds(summary):
    summary.made("LMR-Co_L", {"scans": ["scan0001"]}, ["LMR-Co_L: its passes differ"])
    summary.fail("scan0002", "no pulses")
    summary.executed.append("maps/LMR-Co_L.nxs")
    summary.timings["bin"] = 0.25
    again(summary)
    told = json.loads((summary.out / "run.json").read_text())
    assert told["items"] == {
        "LMR-Co_L": {
            "status": "done",
            "scans": ["scan0001"],
            "warnings": ["LMR-Co_L: its passes differ"],
        },
        "scan0002": {"status": "failed", "reason": "no pulses"},
    }
    assert told["failed"] == {"scan0002": "no pulses"} and told["executed"] == [
        "maps/LMR-Co_L.nxs"
    ]
    assert told["problems"] == ["x.dat: not read", "scan0001.json: aborted"]
    assert told["warnings"] == ["LMR-Co_L: its passes differ"]
    assert told["environment"]["numpy"] == np.__version__ and told["timings"] == {
        "bin": 0.25
    }
    assert told["beamtime"] == str(summary.out.resolve() / "beamtime")


def test_the_exit_code_tells_of_failures(summary):
    assert summary.exit_code == 0
    summary.fail("scan0002", "no pulses")
    assert summary.exit_code == 1
    assert "failed: scan0002 (why: above, and in the summary)" in summary.text()


def test_a_failure_is_one_line_that_names_the_run_once(summary, caplog):
    summary.fail("scan0002", "scan0002: no pulses")
    summary.fail("scan0003", "no pulses")
    assert [r.getMessage() for r in caplog.records] == [
        "scan0002: no pulses",
        "scan0003: no pulses",
    ]


def test_a_warning_is_told_once(summary, caplog):
    for _ in range(3):
        summary.warn("beware")
    assert summary.warnings == ["beware"] and len(caplog.records) == 1


def test_what_is_fresh_keeps_its_facts_and_its_warnings(summary, caplog):
    summary.made("scan0001", {"photons": 17}, ["no beam"])
    later = again(summary)
    caplog.clear()
    later.fresh("scan0001")
    assert later.items["scan0001"] == {
        "status": "fresh",
        "photons": 17,
        "warnings": ["no beam"],
    }
    assert later.warnings == ["no beam"] and caplog.messages == ["no beam"]
    later.fresh("scan0009")  # never seen before
    assert later.items["scan0009"] == {"status": "fresh"}


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_whole_run_forgets(summary, whole):
    summary.made("old", {"photons": 17}, [])
    summary.drew("old", "key", {"figures/old.png": "shown"}, ["figures/old.png"])
    later = again(summary)
    later.made("new", {}, [])
    last = again(later, whole)
    assert (
        ("old" in last.previous["items"])
        == ("old" in last.previous["figures"])
        == (not whole)
    )
    assert "new" in last.previous["items"]


def test_figures_are_fresh_while_their_sources_and_files_are(summary):
    path = summary.out / "figures" / "a.png"
    path.parent.mkdir()
    path.touch()
    summary.drew("a", "key", {"figures/a.png": "shown"}, [])
    later = again(summary)
    assert later.figures_fresh("a", "key") and later.shown_before("a") == {
        "figures/a.png": "shown"
    }
    assert not later.figures_fresh("a", "another key") and not later.figures_fresh(
        "b", "key"
    )
    path.unlink()
    assert not later.figures_fresh("a", "key")


def test_figures_whose_drawing_did_not_end_are_not_as_they_were(summary):
    """Some of them may show other sources by then: even where the old ones are asked for again, all are drawn."""
    figure = summary.out / "figures/scan.png"
    figure.parent.mkdir()
    figure.write_text("")
    summary.drew(
        "scan", "old", {"figures/scan.png": "what it shows"}, ["figures/scan.png"]
    )
    broken_off = again(summary)
    broken_off.drawing("scan")
    later = again(broken_off, whole=False)
    assert not later.figures_fresh("scan", "old")
    assert later.shown_before("scan") == {"figures/scan.png": ""}, (
        "known still, so that it goes when it is not drawn"
    )


def test_a_dry_run_plans(summary):
    assert summary.stale("scan0001", summary.out / "scans/scan0001.nxs", "not made yet")
    assert summary.items["scan0001"] == {
        "status": "stale",
        "reason": "not made yet",
        "product": "scans/scan0001.nxs",
    }
    summary.dry_run = True
    assert not summary.stale("scan0002", summary.out / "x", "--force")
    assert summary.planned == ["scan0001", "scan0002"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"items": [], "figures": {}, "failed": {}}',
        "\x00\xff",
    ],
)
def test_a_damaged_summary_is_told_and_left_aside(tmp_path, text, caplog):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    assert read(tmp_path) == {"items": {}, "figures": {}, "failed": {}}
    assert [r.levelno for r in caplog.records] == [
        logging.WARNING
    ] and "run.json: not read" in caplog.text


def test_without_a_summary_nothing_is_known(tmp_path, caplog):
    assert read(tmp_path) == {"items": {}, "figures": {}, "failed": {}}
    assert caplog.messages == []


def test_facts_of_a_calibration(summary):
    dataset = xr.Dataset(
        {
            "pixel": ("pixel", [1, 3, 5]),
            "status": (
                "pixel",
                np.array(["ok", "dead: no pulses", "ok"], dtype=object),
            ),
            "line_name": ("line", np.array(["C_Ka"], dtype=object)),
            "cut": ("cut", np.array(["all", "finite"], dtype=object)),
            "cut_counts": (("pixel", "cut"), [[5, 4], [0, 0], [7, 7]]),
        }
    )
    summary.calibrated("cal0000", dataset)
    facts = summary.items["cal0000"]
    assert (facts["pixels_ok"], facts["pixels_bad"]) == (2, {3: "dead: no pulses"})
    assert facts["lines"] == ["C_Ka"] and facts["cuts"] == {"all": 12, "finite": 11}
    assert summary.warnings == []
    dataset["status"][:] = "noisy"
    summary.calibrated("cal0000", dataset)
    assert summary.warnings == ["cal0000: no pixel could be calibrated"]


def test_it_is_written_whole_or_not_at_all(summary, monkeypatch):
    again(summary)
    before = (summary.out / "run.json").read_text()
    monkeypatch.setattr(module.json, "dumps", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        summary.write()
    assert (summary.out / "run.json").read_text() == before
    assert sorted(p.name for p in summary.out.iterdir()) == [".lock", "run.json"]


def test_runs_at_the_same_time_forget_nothing_of_each_other(summary):
    """As elements of an array do: both begin before one has ended."""
    other = Summary(summary.out, summary.beamtime, "rixs-pipeline bin --scans 2", False)
    summary.made("scan0001", {"photons": 5}, [])
    summary.fail("scan0003", "no pulses")
    other.made("scan0002", {"photons": 7}, [])
    summary.write()
    other.write()
    told = read(summary.out)
    assert {name: item.get("photons") for name, item in told["items"].items()} == {
        "scan0001": 5,
        "scan0002": 7,
        "scan0003": None,
    }
    assert told["failed"] == {"scan0003": "no pulses"}
    again = Summary(summary.out, summary.beamtime, "rixs-pipeline bin --scans 3", False)
    again.made("scan0003", {"photons": 9}, [])
    again.write()
    assert read(summary.out)["failed"] == {}
