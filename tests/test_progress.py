"""Progress: a bar on a terminal, now and then a line in a log, nothing when quiet."""

import logging
import sys

import pytest

from rixs_pipeline import progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("rixs_pipeline.progress.time.monotonic", lambda: now[0])
    return now


def work(clock, steps):
    with progress.show_progress("binning", 10, "blocks") as report:
        for done, seconds in steps:
            clock[0] += seconds
            report(done)


def test_on_a_terminal(clock, monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO, "rixs_pipeline")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    work(clock, [(1, 0.1), (4, 3.9), (5, 0.1)])
    assert "binning: 5 of 10 blocks" in capsys.readouterr().err
    assert caplog.messages == []


def test_in_a_log(clock, caplog, capsys):
    caplog.set_level(logging.INFO, "rixs_pipeline")
    work(clock, [(1, 10), (2, 21), (3, 10), (6, 40)])
    assert caplog.messages == [
        "binning: 2 of 10 blocks, 20 %, about 124 s remaining",
        "binning: 6 of 10 blocks, 60 %, about 54 s remaining",
    ]
    assert capsys.readouterr().err == ""


def test_quiet(clock, caplog, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    caplog.set_level(logging.ERROR, "rixs_pipeline")
    work(clock, [(5, 50)])
    assert (caplog.messages, capsys.readouterr().err) == ([], "")


def test_nothing_to_do(caplog, capsys):
    caplog.set_level(logging.INFO, "rixs_pipeline")
    with progress.show_progress("binning", 0, "blocks"):
        pass
    assert (caplog.messages, capsys.readouterr().err) == ([], "")


def activity(text):
    with progress.show_activity(text):
        pass


def test_an_activity_is_shown_on_a_terminal_only(monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO, "rixs_pipeline")
    activity("reading logs")
    assert (caplog.messages, capsys.readouterr().err) == ([], "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    activity("reading logs")
    assert "reading logs ..." in capsys.readouterr().err
    caplog.set_level(logging.ERROR, "rixs_pipeline")
    activity("reading logs")
    assert capsys.readouterr().err == ""


def states(clock, *steps):
    line = progress.StateLine()
    for seconds, state, detail in steps:
        clock[0] += seconds
        line.show(state, detail)
    return line


STEPS = (
    (0, "waiting", ""),
    (1, "waiting", ""),
    (1, "scan0002", ", 1 point"),
    (2, "scan0002", ", 2 points"),
    (40, "scan0002", ", 20 points"),
    (1, "waiting", ""),
)


def test_a_state_in_a_log_is_a_line_when_it_changes(clock, caplog, capsys):
    caplog.set_level(logging.INFO, "rixs_pipeline")
    states(clock, *STEPS)
    assert caplog.messages == [
        "waiting",
        "scan0002, 1 point",
        "scan0002, 20 points",
        "waiting",
    ]
    assert capsys.readouterr().err == ""


def test_a_state_on_a_terminal_is_one_line(clock, caplog, monkeypatch, capsys):
    caplog.set_level(logging.INFO, "rixs_pipeline")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = states(clock, *STEPS)
    line.clear()
    line.clear()
    shown = [text.strip() for text in capsys.readouterr().err.split("\r")]
    assert [text for text in shown if text] == [
        "waiting",
        "scan0002, 1 point",
        "scan0002, 2 points",
        "scan0002, 20 points",
        "waiting",
    ]
    assert caplog.messages == []


def test_a_state_when_quiet(clock, caplog, capsys):
    caplog.set_level(logging.ERROR, "rixs_pipeline")
    states(clock, *STEPS)
    assert (caplog.messages, capsys.readouterr().err) == ([], "")
