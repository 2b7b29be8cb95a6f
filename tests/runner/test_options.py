from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.errors import UsageError
from rixs_pipeline.io.runs import Beamtime, Points, RefusedRun, Run
from rixs_pipeline.runner.options import (
    SHOWN_NAMES,
    VERBS,
    Options,
    select_beamtime,
    select_scans,
)


def test_all_stages_run_by_default():
    options = Options()
    assert options.verbs == VERBS
    assert options.is_complete and not options.is_partial


@pytest.mark.parametrize(
    ("until", "verbs"),
    [
        ("calibrate", ("calibrate",)),
        ("combine", ("calibrate", "bin", "combine")),
        ("report", VERBS),
    ],
)
def test_until_is_the_last_stage(until, verbs):
    assert Options(until=until).verbs == verbs


@pytest.mark.parametrize(
    ("options", "is_partial", "is_complete"),
    [
        ({"until": "compare"}, False, False),
        ({"scans": "1"}, True, False),
        ({"scans": "", "until": "bin"}, True, False),
        ({"force": True}, False, True),
        ({"dry_run": True}, False, True),
    ],
)
def test_only_all_scans_and_all_stages_are_complete(options, is_partial, is_complete):
    parsed = Options(**options)
    assert (parsed.is_partial, parsed.is_complete) == (is_partial, is_complete)


@pytest.mark.parametrize("until", ["nosuch", "", "Bin"])
def test_an_unknown_stage_is_refused(until):
    message = f"--until {until}: no such stage; choose from calibrate, bin, combine"
    with pytest.raises(UsageError, match=message):
        Options(until=until)


def named(*names):
    points = Points(np.zeros(1), np.zeros(1, np.int64), np.ones(1, np.int64))
    return [Run("scan", int(n[-4:]), n, "", "s", None, points) for n in names]


def test_scans_are_chosen_by_number_and_name():
    scans = named("d1-scan0001", "d1-scan0002", "d2-scan0001", "scan0010")
    assert [s.name for s in select_scans(scans, None)] == [s.name for s in scans]
    assert [s.name for s in select_scans(scans, "10, 1")] == [
        "d1-scan0001",
        "d2-scan0001",
        "scan0010",
    ]
    assert [s.name for s in select_scans(scans, "2-9,2")] == ["d1-scan0002"]
    assert [s.name for s in select_scans(scans, "d2-scan0001")] == ["d2-scan0001"]
    with pytest.raises(
        UsageError, match=r"'11' matches no scan; available: d1-scan0001, d1-scan0002"
    ):
        select_scans(scans, "11")
    with pytest.raises(UsageError, match="available: none"):
        select_scans([], "1")


def test_ranges_include_both_ends_and_keep_the_order_of_the_scans():
    scans = named("scan0004", "scan0003", "scan0002", "scan0001")
    selected = select_scans(scans, "1,2-3")
    assert [scan.name for scan in selected] == ["scan0003", "scan0002", "scan0001"]


@pytest.mark.parametrize("selection", ["4-3", "-1", "1-", "²", "1 2", ",", ""])
def test_a_selection_without_a_scan_is_refused(selection):
    with pytest.raises(UsageError, match="--scans"):
        select_scans(named("scan0001", "scan0002", "scan0003"), selection)


def test_an_error_lists_a_few_scans_only():
    scans = named(*(f"scan{number:04d}" for number in range(1, 40)))
    with pytest.raises(UsageError) as refusal:
        select_scans(scans, "77")
    text = str(refusal.value)
    assert text.count("scan00") == SHOWN_NAMES
    assert text.endswith("scan0012, ...")


def test_a_refused_scan_may_be_selected():
    refused = [RefusedRun("scan0003", "scan3.json: not JSON")]
    scans = named("scan0001", "scan0002")
    assert [s.name for s in select_scans(scans, "2-3", refused)] == ["scan0002"]
    assert select_scans(scans, "3", refused) == []
    with pytest.raises(UsageError, match="'4' matches no scan"):
        select_scans(scans, "4", refused)


def test_only_the_refused_scans_that_were_selected_are_lost():
    names = ["scan0003", "scan0012", "cal0000"]
    refused = tuple(RefusedRun(name, "not JSON") for name in names)
    beamtime = Beamtime(Path(), tuple(named("scan0001")), refused=refused)
    kept = select_beamtime(beamtime, "1-3")
    assert [run.name for run in kept.refused] == ["scan0003", "cal0000"]
    assert select_beamtime(beamtime, None) is beamtime
