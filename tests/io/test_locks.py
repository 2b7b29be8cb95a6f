"""Processes that change the same files of one folder wait for each other."""

import fcntl
import subprocess
import sys

from rixs_pipeline.io.locks import locked

COUNT = """
import sys
from pathlib import Path
from rixs_pipeline.io.locks import locked
out = Path(sys.argv[1])
for _ in range(200):
    with locked(out):
        number = int((out / "number").read_text())
        (out / "number").write_text(str(number + 1))
"""


def test_lock_is_exclusive(tmp_path):
    (tmp_path / "number").write_text("0")
    counting = [
        subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)]) for _ in range(3)
    ]
    assert [one.wait(60) for one in counting] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "600"


def test_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with locked(tmp_path / "new"):
        (tmp_path / "new" / "file").touch()
    assert (tmp_path / "new" / "file").exists()
