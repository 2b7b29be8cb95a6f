"""What ends the output of a reduction."""

import pytest

from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.options import Options
from rixs_pipeline.runner.results.last_lines import (
    group_by_kind,
    summarise_kind,
    warning_kind,
)
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.stages.stage import Content


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("scan0001: no beam at 3 points", "scan0002: no beam at 12 points"),
        ("a: at 1.5, 2.5 eV; not used", "b: at 1.5, 2.5, 3e-4, ... eV; not used"),
        ("a: offset -0.3 +- 0.1 eV", "b: offset 0.3 +- 0.11 eV"),
    ],
)
def test_lines_of_one_kind(first, second):
    assert warning_kind(first) == warning_kind(second)


def test_lines_of_two_kinds():
    lines = ["scan0001: no beam", "scan0002: no pulses", "scan0003: no beam"]
    assert list(group_by_kind(lines).values()) == [lines[::2], lines[1:2]]


def test_a_kind_is_its_first_line_and_a_count():
    lines = [f"scan{number}: no beam" for number in range(7)]
    assert summarise_kind(lines[:1]) == "scan0: no beam"
    expected = "scan0: no beam [and 6 more: scan1, scan2, scan3, scan4, ...]"
    assert summarise_kind(lines) == expected


@pytest.fixture
def summary(tmp_path):
    return Summary(tmp_path, Beamtime(tmp_path, ()), Options(until="calibrate"))


def test_the_worst_warnings_are_listed(summary):
    texts = ["a note", "pixel 3 not used", "passes inconsistent (p = 0.001)", "a hint"]
    for text in texts:
        for number in range(3 if text == "a hint" else 1):
            summary.warn(f"scan{number}: {text}")
    lines = summary.text()
    start = lines.index("warnings: 6 of 4 kinds, all of them in run.json; the worst:")
    assert lines[start + 1 : start + 4] == [
        "  scan0: passes inconsistent (p = 0.001)",
        "  scan0: pixel 3 not used",
        "  scan0: a hint [and 2 more: scan1, scan2]",
    ]


def test_what_the_config_names_in_vain_is_the_worst(summary):
    for number in range(5):
        summary.warn(f"scan{number}: passes inconsistent (p = 0.001)")
    summary.warn("config: `compare.heating`: no sample 'A' in this beamtime")
    lines = summary.text()
    start = lines.index("warnings: 6 of 2 kinds, all of them in run.json; the worst:")
    assert lines[start + 1].startswith("  config: `compare.heating`")


def test_losses_are_the_last_lines(summary):
    summary.warn("scan1: passes differ")
    for number in range(2):
        losses = [f"scan{number}: {number + 3} of 5 live pixels lost"]
        path = summary.out / f"{number}.nxs"
        content = Content(lambda *_: None, losses=losses)
        summary.add_product(f"scan{number}", path, content)
    summary.add_failure("map", "no pass")
    assert summary.text()[-2:] == [
        "lost: map: no pass",
        "lost: scan0: 3 of 5 live pixels lost [and 1 more: scan1]",
    ]


def test_many_losses_are_not_all_listed(summary):
    for letter in "abcdefghijklmn":
        summary.add_failure(letter, f"{letter}: problem {letter}")
    assert summary.text()[-1] == "lost: 4 more, in run.json"


def test_samples_and_edges_are_a_table_of_80_columns(summary):
    for number, (photons, pixels) in enumerate([(1200, 6), (1300, 8)], 1):
        facts = {"photons": photons, "pixels_used": pixels, "pixels_live": 8}
        summary.add_fresh(f"scan{number}", facts)
    facts = {"scans": ["scan1", "scan2"], "photons": 2400, "passes": {"p": 0.0123}}
    summary.add_fresh("LMR-Co_L", facts)
    summary.add_fresh("a sample with a very long name indeed-O_K", {"passes": {}})
    lines = summary.text()
    start = next(i for i, line in enumerate(lines) if line.startswith("sample-edge"))
    assert [line.split() for line in lines[start : start + 2]] == [
        ["sample-edge", "scans", "photons", "pixels", "p", "of", "passes"],
        ["LMR-Co_L", "2", "2400", "6", "to", "8", "0.012"],
    ]
    assert lines[start + 2].startswith("a sample with ")
    assert "indeed-O_K " in lines[start + 2]
    assert max(map(len, lines[start : start + 3])) <= 80
