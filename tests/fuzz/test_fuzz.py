"""A small part of the series that `python -m tests.fuzz` runs, and its own checks."""

import time
from pathlib import Path

import pytest

from rixs_pipeline.errors import InputError
from tests.fuzz.targets import STATES, TARGETS, make_beamtime, read_beamtime
from tests.fuzz.worker import Target, fuzz

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

INPUTS = 60


@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_are_read_or_refused_with_one_line(name, tmp_path):
    report = fuzz(TARGETS[name], INPUTS, seed=1, folder=tmp_path)
    assert [problem for problem, _ in report.failures] == []
    assert report.inputs == INPUTS
    assert report.lines > 20


def test_the_beamtime_of_the_series_is_sound(tmp_path):
    beamtime = read_beamtime(make_beamtime(tmp_path))
    assert [run.name for run in beamtime.runs] == ["cal0000", "scan0001", "scan0002"]
    assert beamtime.problems == ()


def raise_value_error(_data: bytes, _folder: Path) -> None:
    raise ValueError("boom")


def take_long(_data: bytes, _folder: Path) -> None:
    end = time.process_time() + 60
    while time.process_time() < end:
        pass


def take_memory(_data: bytes, _folder: Path) -> None:
    try:
        bytearray(1 << 31)
    except MemoryError as error:
        raise InputError("x: does not fit into the memory") from error


def end_process(_data: bytes, _folder: Path) -> None:
    import os

    os.abort()


def refuse(_data: bytes, _folder: Path) -> None:
    raise InputError("x: damaged")


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (raise_value_error, "ValueError: boom"),
        (take_long, "more than 2.0 s"),
        (take_memory, "more memory than the limit"),
        (end_process, "exit code -6"),
        (refuse, None),
    ],
)
def test_a_reader_that_fails_is_found(read, problem, tmp_path):
    target = Target("x", lambda: [STATES.encode()], lambda *_: b"", read)
    report = fuzz(target, 1, seed=0, folder=tmp_path)
    problems = [text for text, _ in report.failures]
    if problem is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert problem in problems[0]
        assert report.failures[0][1] == STATES.encode()
