from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.io.beamtime.checks.overlaps import (
    overlap_ns,
    separate,
    settle_overlaps,
)
from rixs_pipeline.io.beamtime.joined_runs import JoinedRun, PulseSet
from rixs_pipeline.io.formats.experiment_state import StateInterval
from rixs_pipeline.io.formats.log import LogRun
from rixs_pipeline.io.runs import Points, Run

SECOND = 10**9


def points(starts, length):
    start = np.array(starts, np.int64) * SECOND
    energy = np.linspace(770.0, 800.0, len(start))
    return Points(energy, start, start + int(length * SECOND))


def pulses(*labels):
    states = tuple(
        StateInterval(int(start * SECOND), int(end * SECOND), label)
        for start, end, label in labels
    )
    return PulseSet(Path("a"), "run", (Path("a/run_chan1.off"),), 0, 10**14, states)


def joined(number, starts, pulse_set, length=2.0, kind="scan"):
    run_points = points(starts, length)
    log = LogRun(
        kind=kind,
        number=number,
        sample="LMR",
        points=run_points,
        position=np.arange(len(run_points)),
        n_logged=len(run_points),
        log=Path(f"scan{number:04d}.json"),
    )
    return JoinedRun(log, pulse_set)


def names(runs):
    return [run.log.name for run in runs]


EARLY, LATE = range(100, 120, 2), range(200, 220, 2)


def test_runs_one_after_the_other_stay_as_they_are():
    pulse_set = pulses()
    runs = [joined(1, EARLY, pulse_set), joined(2, LATE, pulse_set)]
    settled = settle_overlaps(runs[::-1])
    assert list(settled.runs) == runs
    assert settled.refused == ()


def test_a_scan_whose_label_contradicts_its_times_is_placed_by_it():
    pulse_set = pulses((100, 120, "SCAN1"), (200, 220.02, "SCAN2"))
    settled = settle_overlaps(
        [joined(1, EARLY, pulse_set), joined(2, EARLY, pulse_set)]
    )
    assert names(settled.runs) == ["scan0001", "scan0002"]
    assert settled.runs[0].problems == ()
    placed = settled.runs[1]
    assert placed.log.start_ns == 200.01 * SECOND
    assert placed.clock_offset.value == pytest.approx(-100.01)
    assert "contradict its state label SCAN2; scan0002 moved" in placed.problems[0]


def test_a_scan_that_reaches_into_the_next_one_is_placed_by_its_label():
    pulse_set = pulses((100, 120, "SCAN1"), (122, 142, "SCAN2"))
    late = joined(1, range(108, 128, 2), pulse_set)
    settled = settle_overlaps([late, joined(2, range(122, 142, 2), pulse_set)])
    assert names(settled.runs) == ["scan0001", "scan0002"]
    assert settled.runs[0].clock_offset.value == 8
    assert settled.refused == ()


@pytest.mark.parametrize(
    "labels",
    [
        [(99, 120, "SCAN1"), (198, 221, "SCAN2")],  # gives the time to 3 s only
        [(100, 120, "SCAN1"), (200, 206, "SCAN2")],  # too short
        [(100, 120, "SCAN1"), (200, 220, "SCAN2"), (300, 320, "SCAN2")],
    ],
)
def test_a_label_that_gives_the_time_coarsely_leads_to_a_refusal(labels):
    pulse_set = pulses(*labels)
    settled = settle_overlaps(
        [joined(1, EARLY, pulse_set), joined(2, EARLY, pulse_set)]
    )
    assert names(settled.runs) == ["scan0001"]
    (refused,) = settled.refused
    assert refused.name == "scan0002"
    assert "SCAN2 contradicts it" in refused.reason


@pytest.mark.parametrize(
    "labels",
    [
        [],
        [(100, 120, "SCAN3"), (200, 220, "SCAN4")],
        [(100, 110, "SCAN1"), (110, 120, "SCAN2")],
        [(200, 220, "SCAN1"), (300, 320, "SCAN2")],
    ],
)
def test_without_clear_labels_both_are_refused(labels):
    pulse_set = pulses(*labels)
    settled = settle_overlaps(
        [joined(1, EARLY, pulse_set), joined(2, EARLY, pulse_set)]
    )
    assert settled.runs == ()
    assert [run.name for run in settled.refused] == ["scan0001", "scan0002"]
    assert "claims the same time as scan0002" in settled.refused[0].reason


def test_a_scan_that_its_label_confirms_is_kept():
    pulse_set = pulses((100, 120, "SCAN1"))
    runs = [joined(2, EARLY, pulse_set), joined(1, EARLY, pulse_set)]
    settled = settle_overlaps(runs)
    assert names(settled.runs) == ["scan0001"]
    (refused,) = settled.refused
    assert "scan0002 claims the same time as scan0001; no state label" in refused.reason


def test_a_scan_is_not_placed_where_another_one_is():
    pulse_set = pulses((100, 120, "SCAN1"), (200, 220, "SCAN2"))
    runs = [joined(1, EARLY, pulse_set), joined(2, EARLY, pulse_set)]
    settled = settle_overlaps([*runs, joined(3, LATE, pulse_set)])
    assert names(settled.runs) == ["scan0001", "scan0003"]
    assert [run.name for run in settled.refused] == ["scan0002"]


def test_a_scan_within_a_reference_run_is_refused():
    pulse_set = pulses((90, 300, "CAL7"), (400, 430, "SCAN1"))
    calibration = joined(7, [95], pulse_set, 200.0, kind="calibration")
    settled = settle_overlaps([calibration, joined(1, EARLY, pulse_set)])
    assert names(settled.runs) == ["cal0007"]
    assert [run.name for run in settled.refused] == ["scan0001"]


def test_other_detectors_may_measure_at_the_same_time():
    runs = [joined(1, EARLY, pulses()), joined(2, EARLY, pulses())]
    runs[1] = JoinedRun(runs[1].log, PulseSet(Path("b"), "run", (), 0, 10**14))
    assert settle_overlaps(runs).refused == ()


def test_scans_in_the_gaps_of_each_other_do_not_overlap():
    pulse_set = pulses()
    runs = [joined(1, EARLY, pulse_set, 0.5), joined(2, range(101, 121, 2), pulse_set)]
    runs[1] = joined(2, range(101, 121, 2), pulse_set, 0.5)
    assert settle_overlaps(runs).refused == ()


def test_a_last_point_that_reaches_into_the_next_scan_is_shortened():
    pulse_set = pulses()
    first = joined(1, EARLY, pulse_set, 2.0)
    settled = settle_overlaps([first, joined(2, range(119, 139, 2), pulse_set)])
    assert settled.refused == ()
    assert settled.runs[0].log.end_ns == 119 * SECOND
    assert "overlaps the first point of scan0002 by 1 s" in settled.runs[0].problems[0]


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 5)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 5)), min_size=1, max_size=6),
)
def test_the_overlap_is_the_common_time(first, second):
    def disjoint(windows):
        start = np.array(sorted({begin for begin, _ in windows}), np.int64)
        length = min(length for _, length in windows)
        end = np.minimum(start + length, np.append(start[1:], 10**6))
        return Points(np.ones(len(start)), start, end)

    def moments(run):
        limits = zip(run.start_ns, run.end_ns, strict=True)
        return {t for a, b in limits for t in range(a, b)}

    one, other = disjoint(first), disjoint(second)
    assert overlap_ns(one, other) == len(moments(one) & moments(other))


def run(number, starts, length=2.0, files=(Path("a_chan1.off"),)):
    return Run(
        kind="scan",
        number=number,
        name=f"scan{number:04d}",
        directory="a",
        sample="LMR",
        edge=None,
        points=points(starts, length),
        pulse_files=files,
    )


def test_runs_with_corrected_clocks_are_separate():
    first, second, third = run(1, EARLY), run(2, LATE), run(3, LATE)
    assert separate([first, second]).runs == (first, second)
    separated = separate([first, second, third])
    assert separated.runs == (first,)
    assert [lost.name for lost in separated.refused] == ["scan0002", "scan0003"]
    other = run(3, LATE, files=(Path("b_chan1.off"),))
    assert separate([first, second, other]).refused == ()


def test_runs_that_overlap_at_a_seam_by_little_are_shortened():
    first, second = run(1, EARLY, 2.5), run(2, range(120, 140, 2))
    separated = separate([first, second])
    assert separated.refused == ()
    assert separated.runs[0].end_ns == second.start_ns
