"""Ctrl-C ends a program wherever it arrives."""

import os
import signal
import subprocess
import sys

import pytest

LOST = """
import gc, os, signal
from rixs_pipeline import interrupt

interrupt.install()

def callback(phase, info):
    gc.callbacks.remove(callback)
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass

gc.callbacks.append(callback)
gc.collect()
print("went on")
interrupt.check()
print("lost")
"""


def test_interrupt_during_garbage_collection_is_not_lost():
    """Python drops the exception there; `check` raises it again."""
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True)
    assert done.stdout == "went on\n"
    assert done.stderr.count("Traceback") == 1  # of `check`, which nobody catches here
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_raise_at_once(number):
    code = (
        "import os, sys; from rixs_pipeline import interrupt; interrupt.install()\n"
        f"try:\n    os.kill(os.getpid(), {int(number)})\n"
        "except KeyboardInterrupt:\n    sys.exit(4)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ))
    assert done.returncode == 4
