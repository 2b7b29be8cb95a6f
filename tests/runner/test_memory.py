"""Memory that is free goes back to the system."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

FREED = """
import numpy as np
from pathlib import Path
from rixs_pipeline import heap

def used():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

many = [np.ones(4000) for _ in range(6000)]  # of 32 kB each: small enough for the heap
last = np.ones(4000)  # at its end, so that it cannot shrink
del many
before = used()
heap.give_back()
print(before - used())
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is told by Linux's /proc"
)
@pytest.mark.skipif(
    os.name == "posix" and not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="glibc's heaps",
)
def test_what_was_freed_is_given_back():
    freed = subprocess.run(
        [sys.executable, "-c", FREED], capture_output=True, text=True, check=True
    ).stdout
    assert int(freed) > 100_000  # kB
