from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.io.formats import experiment_state
from rixs_pipeline.io.formats.experiment_state import ExperimentStates, StateInterval


def written(folder, text):
    path = folder / "20260101_run0000_experiment_state.txt"
    path.write_text(text)
    return path


def test_each_state_lasts_until_the_next(tmp_path):
    path = written(
        tmp_path, "# unixnano, state label\n10, START\n20, CAL0\n30, PAUSE\n40, SCAN1\n"
    )
    assert experiment_state.read(path) == ExperimentStates(
        (
            StateInterval(10, 20, "START"),
            StateInterval(20, 30, "CAL0"),
            StateInterval(30, 40, "PAUSE"),
            StateInterval(40, None, "SCAN1"),
        )
    )


def test_repeated_label_continues_its_state_and_may_return_later(tmp_path):
    path = written(tmp_path, "#\n10, CAL0\n15, CAL0\n20, PAUSE\n30, CAL0\n")
    assert experiment_state.read(path).intervals == (
        StateInterval(10, 20, "CAL0"),
        StateInterval(20, 30, "PAUSE"),
        StateInterval(30, None, "CAL0"),
    )


def test_malformed_lines_are_problems_with_their_number(tmp_path):
    path = written(
        tmp_path, "#\n10, CAL0\n20 PAUSE\n\nx, SCAN1\n30,\n1.5, SCAN2\n40, STOP\n"
    )
    states = experiment_state.read(path)
    assert states.intervals == (
        StateInterval(10, 40, "CAL0"),
        StateInterval(40, None, "STOP"),
    )
    assert len(states.problems) == 4
    for problem, line in zip(states.problems, (3, 5, 6, 7), strict=True):
        assert f"line {line}:" in problem
        assert str(path) in problem


def test_an_empty_file_holds_no_state(tmp_path):
    assert experiment_state.read(written(tmp_path, "")) == ExperimentStates()


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.sampled_from(["CAL0", "SCAN1", "PAUSE"])),
        max_size=12,
    )
)
def test_intervals_tile_the_time_from_the_first_line_on(tmp_path_factory, changes):
    text = "#\n" + "".join(f"{time}, {label}\n" for time, label in changes)
    path = written(tmp_path_factory.mktemp("state"), text)
    states = experiment_state.read(path)
    intervals = states.intervals
    assert states.problems == ()
    assert all(left.end_ns == right.start_ns for left, right in pairwise(intervals))
    if changes:
        assert intervals[0].start_ns == min(time for time, _ in changes)
        assert intervals[-1].end_ns is None


def test_many_malformed_lines_are_counted(tmp_path):
    path = written(tmp_path, "x\n" * 1000 + "10, CAL0\n")
    states = experiment_state.read(path)
    assert [state.label for state in states.intervals] == ["CAL0"]
    assert len(states.problems) == 11
    assert "990 more lines are not" in states.problems[-1]
