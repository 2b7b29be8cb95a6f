import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def slurm_command(tmp_path: Path, monkeypatch) -> Callable[[str, str], None]:
    """Put a shell script into the search path, in place of a command of SLURM."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make
