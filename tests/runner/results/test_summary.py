"""`run.json`: its content, and that a partial run keeps what it did not look at."""

import errno
import json
import logging
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.io.runs import Beamtime, Points, RefusedRun, Run
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.results import summary as module
from rixs_pipeline.runner.results.summary import Summary, read
from rixs_pipeline.stages.stage import Content, FigureFiles
from rixs_pipeline.types import Correction

OPTIONS = Options(until="calibrate")
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
        tmp_path, Beamtime(tmp_path / "beamtime", (RUN,), ("x.dat: not read",)), OPTIONS
    )


def begin_again(summary, is_complete=True):
    """Write it, and begin the next one."""
    summary.is_complete = is_complete
    summary.write()
    return Summary(summary.out, summary.beamtime, summary.options)


def add_product(summary, name, facts=None, warnings=()):
    """A product that was made."""
    path = summary.out / f"scans/{name}.nxs"
    summary.add_product(name, path, Content(lambda *_: None, facts or {}, warnings))


def add_figures(summary, shown=None, key="key"):
    """A set of figures, named `scan`, that was drawn."""
    shown = shown or {"figures/scan.png": "digest"}
    summary.add_figures("scan figures", key, FigureFiles(shown, tuple(shown)))


def test_content_of_run_json(summary):
    add_product(summary, "scan0001", {"photons": 17}, ["scan0001: no beam"])
    summary.add_failure("scan0002", "no pulses")
    summary.add_time("bin", 0.25)
    summary.add_time("bin", 0.5)
    begin_again(summary)
    content = json.loads((summary.out / "run.json").read_text())
    assert content["items"] == {
        "scan0001": {
            "status": "done",
            "photons": 17,
            "warnings": ["scan0001: no beam"],
            "product": "scans/scan0001.nxs",
        },
        "scan0002": {"status": "failed", "reason": "no pulses"},
    }
    assert content["failed"] == {"scan0002": "no pulses"}
    assert content["executed"] == ["scans/scan0001.nxs"]
    assert content["problems"] == ["x.dat: not read", "scan0001.json: aborted"]
    assert content["warnings"] == ["scan0001: no beam"]
    assert content["environment"]["numpy"] == np.__version__
    assert content["timings"] == {"bin": 0.75}
    assert content["beamtime"] == str(summary.out.resolve() / "beamtime")


def test_exit_code_of_failures(summary):
    assert summary.exit_code == 0
    summary.add_failure("scan0002", "no pulses")
    assert summary.exit_code == 1
    assert summary.text()[-1] == "lost: scan0002: no pulses"


def test_exit_code_where_no_scan_is_usable(tmp_path):
    beamtime = Beamtime(tmp_path, (RUN,))
    summary = Summary(tmp_path, beamtime, Options(), [RUN])
    assert summary.exit_code == 0
    summary.add_failure(RUN.name, "no pulses")
    assert summary.exit_code == 3
    assert Summary(tmp_path, beamtime, Options()).exit_code == 3


def test_a_loss_in_a_product_that_is_made(summary, caplog):
    lost = "scan0001: 3 of 4 live pixels lost"
    content = Content(lambda *_: None, losses=[lost])
    summary.add_product("scan0001", summary.out / "scans/scan0001.nxs", content)
    assert summary.exit_code == 1
    assert summary.text()[-1] == f"lost: {lost}" and caplog.messages == [lost]
    later = begin_again(summary)
    later.add_fresh("scan0001", content.as_json())
    assert later.exit_code == 1 and later.losses == [lost]


def test_runs_that_discovery_lost(tmp_path):
    beamtime = Beamtime(
        tmp_path, (RUN,), refused=(RefusedRun("scan0002", "scan2.json: not JSON"),)
    )
    summary = Summary(tmp_path, beamtime, OPTIONS)
    assert summary.exit_code == 1
    assert summary.text()[-1] == "lost: scan2.json: not JSON"


def test_corrections_are_in_run_json(summary):
    correction = Correction("clock offset", "scan0001", 1.0, 0.1, "s", "a.b")
    content = Content(lambda *_: None, corrections=[correction])
    summary.add_product("scan0001", summary.out / "scans/scan0001.nxs", content)
    summary.write()
    facts = read(summary.out)["items"]["scan0001"]["corrections"]
    assert [Correction(**values) for values in facts] == [correction]
    assert str(correction) == "scan0001: clock offset 1 +- 0.1 s (`a.b`)"


def test_failures_of_one_kind_are_one_line_that_names_the_run_once(summary, caplog):
    summary.add_failure("scan0002", "scan0002: no pulses")
    summary.add_failure("scan0003", "no pulses")
    summary.add_failure("scan0004", "scan0004: no usable pixel (dead)")
    first_of_each_kind = ["scan0002: no pulses", "scan0004: no usable pixel (dead)"]
    assert caplog.messages == first_of_each_kind
    assert "lost: scan0002: no pulses [and 1 more: scan0003]" in summary.text()


def test_a_warning_is_reported_once(summary, caplog):
    for _ in range(3):
        summary.warn("beware")
        summary.report_warnings()
    assert summary.warnings == ["beware"]
    assert caplog.messages == [*summary.problems, "beware"]


def test_warnings_of_one_kind_are_one_line_with_a_count(summary, caplog):
    for number in (1, 2, 3):
        summary.warn(f"scan000{number}: no beam at {number} of 60 points")
    summary.add_time("bin", 1.0)
    first = "scan0001: no beam at 1 of 60 points"
    assert caplog.messages[-1] == f"{first} [and 2 more: scan0002, scan0003]"
    assert len(summary.warnings) == 3


def test_a_fresh_product_keeps_its_facts_and_warnings(summary, caplog):
    add_product(summary, "scan0001", {"photons": 17}, ["no beam"])
    later = begin_again(summary)
    caplog.clear()
    later.add_fresh("scan0001", {"photons": 17, "warnings": ["no beam"]})
    expected = {"status": "fresh", "photons": 17, "warnings": ["no beam"]}
    assert later.items["scan0001"] == expected
    assert later.warnings == ["no beam"]
    later.report_warnings()
    assert caplog.messages == [*later.problems, "no beam"]


@pytest.mark.parametrize("is_complete", [True, False])
def test_only_a_complete_run_forgets(summary, is_complete):
    add_product(summary, "old", {"photons": 17})
    add_figures(summary)
    later = begin_again(summary)
    add_product(later, "new")
    last = begin_again(later, is_complete)
    assert ("old" in last.previous["items"]) == (not is_complete)
    assert ("scan" in last.previous["figures"]) == (not is_complete)
    assert "new" in last.previous["items"]


def test_figures_are_fresh_while_their_key_and_files_are_there(summary):
    path = summary.out / "figures" / "scan.png"
    path.parent.mkdir()
    path.touch()
    add_figures(summary)
    later = begin_again(summary)
    assert later.has_fresh_figures("scan figures", "key")
    assert later.shown_figures("scan figures") == {"figures/scan.png": "digest"}
    assert not later.has_fresh_figures("scan figures", "another key")
    assert not later.has_fresh_figures("other figures", "key")
    path.unlink()
    assert not later.has_fresh_figures("scan figures", "key")


def test_figures_that_are_no_longer_part_of_a_set_are_deleted(summary):
    folder = summary.out / "figures"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.png").touch()
    add_figures(summary, {"figures/a.png": "1", "figures/b.png": "2"})
    add_figures(begin_again(summary), {"figures/b.png": "2"})
    assert [path.name for path in folder.iterdir()] == ["b.png"]


def test_a_figure_that_cannot_be_deleted_is_reported(summary, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    figure = summary.out / "figures" / "a.png"
    figure.parent.mkdir()
    figure.touch()
    add_figures(summary, {"figures/a.png": "1"})
    later = begin_again(summary)
    monkeypatch.setattr(Path, "unlink", refuse)
    later.delete_unused_figures()
    line = f"{figure}: outdated, not deleted (Permission denied); delete it"
    assert later.warnings == [line]


def test_a_figure_that_belongs_to_another_set_now_is_not_deleted(summary):
    moved = summary.out / "figures/a.png"
    moved.parent.mkdir(exist_ok=True)
    moved.write_bytes(b"")
    add_figures(summary, {"figures/a.png": "1"})
    later = begin_again(summary)
    later.add_figures("map figures", "key", FigureFiles({"figures/a.png": "1"}, ()))
    add_figures(later, {"figures/b.png": "2"})
    assert moved.is_file()


def test_figures_of_sets_that_are_no_longer_made_are_deleted(summary):
    for name in ("a", "b"):
        path = summary.out / "figures/maps" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shown = {"figures/maps/a.png": "1", "figures/maps/b.png": "2"}
    summary.add_figures("old figures", "key", FigureFiles(shown, ()))
    later = begin_again(summary)
    add_figures(later, {"figures/maps/b.png": "2"})
    later.delete_unused_figures()
    assert [path.name for path in (later.out / "figures/maps").iterdir()] == ["b.png"]


@pytest.mark.parametrize("linked", ["figures", "figures/maps"])
def test_figures_are_not_deleted_through_links(summary, tmp_path, linked):
    """Whoever may write to the folder could name a file of somebody else."""
    elsewhere = tmp_path / "elsewhere"
    for folder in (elsewhere, elsewhere / "maps"):
        folder.mkdir()
        (folder / "a.png").touch()
    link = summary.out / linked
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    add_figures(summary, {"figures/maps/a.png": "1"})
    add_figures(begin_again(summary), {"figures/maps/b.png": "1"})
    assert (elsewhere / "a.png").exists()
    assert (elsewhere / "maps/a.png").exists()


def test_interrupted_drawing_leaves_no_fresh_figures(summary):
    """Some of them may show other sources by then, so all are drawn again."""
    figure = summary.out / "figures/scan.png"
    figure.parent.mkdir()
    figure.touch()
    add_figures(summary, key="old")
    interrupted = begin_again(summary)
    interrupted.add_stale("scan figures", figure.parent / "scan", "not drawn yet")
    later = begin_again(interrupted, is_complete=False)
    assert not later.has_fresh_figures("scan figures", "old")
    # still listed, so that the file is deleted when it is not drawn again
    assert later.shown_figures("scan figures") == {"figures/scan.png": ""}


def test_stale_products_are_planned(summary):
    path = summary.out / "scans/scan0001.nxs"
    summary.add_stale("scan0001", path, "not made yet")
    assert summary.items["scan0001"] == {
        "status": "stale",
        "reason": "not made yet",
        "product": "scans/scan0001.nxs",
    }
    assert summary.planned == ["scan0001"]


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
def test_a_damaged_summary_is_reported_and_ignored(tmp_path, text, caplog):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    assert read(tmp_path) == {"items": {}, "figures": {}, "failed": {}}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{tmp_path}/run.json: ")
    assert record.getMessage().count("run.json") == 1


def test_a_folder_without_a_summary(tmp_path, caplog):
    assert read(tmp_path) == {"items": {}, "figures": {}, "failed": {}}
    assert caplog.messages == []


def test_it_is_written_whole_or_not_at_all(summary, monkeypatch):
    begin_again(summary)
    before = (summary.out / "run.json").read_text()
    monkeypatch.setattr(module, "format_json", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        summary.write()
    assert (summary.out / "run.json").read_text() == before
    assert sorted(p.name for p in summary.out.iterdir()) == [".lock", "run.json"]


def test_runs_at_the_same_time_keep_each_others_items(summary):
    """As elements of a job array do: both begin before one has ended."""
    other = Summary(summary.out, summary.beamtime, OPTIONS)
    add_product(summary, "scan0001", {"photons": 5})
    summary.add_failure("scan0003", "no pulses")
    add_product(other, "scan0002", {"photons": 7})
    summary.write()
    other.write()
    content = read(summary.out)
    photons = {name: item.get("photons") for name, item in content["items"].items()}
    assert photons == {"scan0001": 5, "scan0002": 7, "scan0003": None}
    assert content["failed"] == {"scan0003": "no pulses"}
    last = Summary(summary.out, summary.beamtime, OPTIONS)
    add_product(last, "scan0003", {"photons": 9})
    last.write()
    assert read(summary.out)["failed"] == {}


def test_a_failure_of_an_earlier_run_is_not_one_of_this_run(summary):
    summary.add_failure("scan0002", "no pulses")
    later = begin_again(summary)
    add_product(later, "scan0001")
    later.write()
    assert later.failed == {} and "scan0002" in read(later.out)["failed"]
