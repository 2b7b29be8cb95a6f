"""A log that is half written is used as it was when it was last whole."""

import os

import pytest

from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.beamtime.log_copies import LogCopies
from rixs_pipeline.runner.inspect import status
from tests.runner.reductions import made


def half(log):
    content = log.read_bytes()
    log.write_bytes(content[: len(content) // 2])


def empty(log):
    log.write_bytes(b"")


@pytest.mark.parametrize("damage", [half, empty])
def test_a_half_written_log_costs_nothing(small, damage):
    made(small)
    log = small.log(2)
    whole = log.read_bytes()
    damage(log)
    summary = small.run()
    assert summary.executed == [] and summary.exit_code == 0
    (line,) = [line for line in summary.problems if "when it was last whole" in line]
    assert line.startswith("logs/scan0002.json: incomplete")
    assert status(small.out).states["scan0002"].startswith("fresh")
    log.write_bytes(whole)
    summary = small.run()
    assert summary.executed == []
    assert not any("last whole" in line for line in summary.problems)


def test_a_log_that_was_never_whole_is_a_loss(small):
    half(small.log(2))
    summary = small.run()
    assert summary.exit_code == 1
    assert any("scan0002" in line for line in [*summary.losses, *summary.failed])


def test_another_log_in_the_same_file_is_used(small):
    """Numbers that a user corrects are not those of the copy."""
    made(small)
    log = small.log(2)
    log.write_text(log.read_text().replace('"scan_num": 2', '"scan_num": 9'))
    names = [run.name for run in small.run().beamtime.scans]
    assert "scan0009" in names and "scan0002" not in names


def test_copies_are_made_when_they_are_saved(small, tmp_path):
    copies = LogCopies(tmp_path / "copies")
    discover(small.beamtime, copies=copies)
    assert copies.find(small.log(1)) is None and not copies.folder.exists()
    copies.save()
    copy = copies.find(small.log(1))
    assert copy.read_bytes() == small.log(1).read_bytes()
    before = copy.stat()
    LogCopies(copies.folder, [small.log(1)]).save()
    assert copy.stat() == before


def test_without_room_nothing_is_copied_and_nothing_fails(small, tmp_path):
    (tmp_path / "file").write_text("")
    LogCopies(tmp_path / "file", [small.log(1), tmp_path / "none"]).save()


def test_a_link_to_itself_costs_nothing(small):
    made(small)
    (small.beamtime / "logs/loop.json").symlink_to("loop.json")
    (small.beamtime / "loop").symlink_to("loop")
    summary = small.run()
    assert summary.executed == [] and summary.exit_code == 0
    assert any("logs/loop.json: " in line for line in summary.problems)


def test_a_log_without_permission_is_used_as_it_was(small, monkeypatch):
    made(small)
    log, access = small.log(2), os.access
    half(log)  # modes do not bind root
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != log and access(path, mode)
    )
    summary = small.run()
    assert summary.executed == [] and summary.exit_code == 0
    (line,) = [line for line in summary.problems if "when it was last whole" in line]
    assert line.startswith("logs/scan0002.json: cannot be read (check its permissions)")
