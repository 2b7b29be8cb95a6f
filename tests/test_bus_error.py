"""A mapped file that is truncated ends the program with a line, not silently."""

import shutil
import subprocess
import sys

import pytest

PULSES = """
import os, sys, threading
from pathlib import Path
from rixs_pipeline import bus_error
from rixs_pipeline.io.formats import off

bus_error.install()
path = Path(sys.argv[1])
records = off.open_records(path)
os.truncate(path, 4096)
if sys.argv[2] == "thread":
    threading.Thread(target=records.tobytes).start()
    threading.Event().wait(60)
records.tobytes()
"""

OTHER_FILE = """
import mmap, os, sys
from rixs_pipeline import cli

def read(**_):
    with open(sys.argv[1], "w+b") as file:
        file.write(bytes(10000))
        file.flush()
        content = mmap.mmap(file.fileno(), 0)
        os.truncate(file.fileno(), 0)
        content[5000]

cli.app = read
cli.main()
"""


def run(*arguments):
    command = [sys.executable, "-c", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_truncated_pulse_file_is_named_with_what_to_do(
    sample_beamtime, tmp_path, where
):
    first = min(sample_beamtime.rglob("*_chan1.off"))
    path = shutil.copy(first, tmp_path / first.name)
    done = run(PULSES, path, where)
    assert done.returncode == 3
    assert done.stderr == (
        f"rixs-pipeline: {path}: truncated while being read; copy again; repeat the "
        "command: finished products are kept\n"
    )


def test_the_command_line_reports_other_files_without_a_name(tmp_path):
    """Such as a product on a disk that fails."""
    done = run(OTHER_FILE, tmp_path / "file")
    assert done.returncode == 3
    assert done.stderr == (
        "rixs-pipeline: an input file cannot be read any more; check its disk; "
        "repeat the command: finished products are kept\n"
    )
