"""Temporary files: those of processes that were killed are removed."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rixs_pipeline.io import temporaries
from rixs_pipeline.io.temporaries import (
    atomic_path,
    remove_orphans,
    temporary_folder,
    temporary_path,
)


def age(path, seconds):
    past = time.time() - seconds
    os.utime(path, (past, past))


@pytest.fixture
def dead_process():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_by(monkeypatch, path, process, seconds=3600.0):
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: process)
        left = temporary_path(path)
    left.parent.mkdir(exist_ok=True)
    left.write_text("half")
    age(left, seconds)
    return left


def test_of_a_dead_process_they_are_removed(tmp_path, monkeypatch, dead_process):
    left = left_by(monkeypatch, tmp_path / "scans" / "scan0001.nxs", dead_process)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: dead_process)
        folder = temporary_path(tmp_path / "scans" / "parts")
    folder.mkdir()
    (folder / "part").write_text("half")
    age(folder, 3600.0)
    remove_orphans(tmp_path)
    assert not left.exists() and not folder.exists()


def test_of_a_live_or_young_process_they_stay(tmp_path, monkeypatch, dead_process):
    alive = left_by(monkeypatch, tmp_path / "a", os.getpid())
    young = left_by(monkeypatch, tmp_path / "b", dead_process, seconds=1.0)
    remove_orphans(tmp_path)
    assert alive.exists() and young.exists()


@pytest.mark.parametrize(("hours", "stays"), [(1, True), (48, False)])
def test_of_another_machine_age_decides(
    tmp_path, monkeypatch, dead_process, hours, stays
):
    with monkeypatch.context() as patch:
        patch.setattr(temporaries, "_host", lambda: "node17")
        left = left_by(monkeypatch, tmp_path / "a", dead_process, hours * 3600.0)
    remove_orphans(tmp_path)
    assert left.exists() == stays


def test_one_that_cannot_be_removed_stays(tmp_path, monkeypatch, dead_process):
    def refuse(*_, **__):
        raise PermissionError

    left = left_by(monkeypatch, tmp_path / "a", dead_process)
    monkeypatch.setattr(Path, "unlink", refuse)
    remove_orphans(tmp_path)
    assert left.exists()


@pytest.mark.parametrize("name", [".lock", ".digests.json", ".hidden.nxs", "a.nxs"])
def test_other_files_stay(tmp_path, name):
    (tmp_path / name).write_text("")
    age(tmp_path / name, 1e6)
    remove_orphans(tmp_path)
    assert (tmp_path / name).exists()


def test_nothing_is_left_without_a_kill(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    with temporary_folder(tmp_path / "parts") as folder:
        (folder / "part").write_text("")
    assert list(tmp_path.iterdir()) == []


def test_files_follow_the_umask(tmp_path):
    previous = os.umask(0o007)
    try:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("")
        with temporary_folder(tmp_path / "parts") as folder:
            assert folder.stat().st_mode & 0o777 == 0o770
    finally:
        os.umask(previous)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o660


def write_to(path, error=None):
    """Write a file; `error` of the system is met while its content is written."""
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        if error:
            raise error(temporary)


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (lambda temporary: OSError(errno.ENOSPC, ""), "a/b"),
        (lambda temporary: OSError(errno.EIO, "", str(temporary)), "a/b"),
        (lambda temporary: OSError(errno.EACCES, "", str(temporary)), "a"),
        (lambda temporary: OSError(errno.EROFS, "", str(temporary)), "a"),
        (lambda temporary: OSError(errno.EPERM, "", str(temporary), 0, "b"), "a/b"),
        (lambda temporary: OSError(errno.EACCES, "", "source"), None),
    ],
)
def test_errors_name_the_file_or_the_folder(tmp_path, error, named):
    path = tmp_path / "a" / "b"
    with pytest.raises(OSError) as caught:
        write_to(path, error)
    assert caught.value.filename == (str(tmp_path / named) if named else "source")
    assert list((tmp_path / "a").iterdir()) == []


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_to(tmp_path / "a")
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("below", ["b", "b/c"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, below):
    (tmp_path / "a").write_text("mine")
    path = tmp_path / "a" / below
    with pytest.raises(NotADirectoryError) as caught:
        write_to(path)
    assert caught.value.filename == str(tmp_path / "a")
    with pytest.raises(NotADirectoryError) as caught, temporary_folder(path):
        pass
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"
