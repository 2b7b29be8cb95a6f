"""Ctrl-C ends a program wherever it arrives."""

import os
import pty
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_raise_at_once(number):
    code = (
        "import os, sys; from rixs_pipeline import interrupt; interrupt.install()\n"
        f"try:\n    os.kill(os.getpid(), {int(number)})\n"
        "except KeyboardInterrupt:\n    sys.exit(4)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ))
    assert done.returncode == 4


def test_a_hang_up_that_is_ignored_stays_so():
    """As under `nohup`."""
    code = (
        "import os, signal; from rixs_pipeline import interrupt\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "interrupt.install()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(interrupt.is_requested())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n")


HUNG_UP = """
import os, signal, sys, time
from rixs_pipeline import interrupt

interrupt.install()
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGHUP)  # the shell sends it too
    print("cleaning up", flush=True)
    print("interrupted", file=sys.stderr, flush=True)
    sys.exit(4)
"""


def test_a_terminal_that_is_gone_does_not_disturb_the_cleaning_up():
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, [sys.executable, "-c", HUNG_UP])
    assert os.read(terminal, 1) == b"r"
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 4


COMPILED = """
import ctypes, signal, sys
from typing import NamedTuple
import numpy as np
from numba import njit
from rixs_pipeline import interrupt

class Counts(NamedTuple):
    counts: np.ndarray

send = ctypes.CDLL(None)["raise"]
send.argtypes, send.restype = [ctypes.c_int], ctypes.c_int

@njit
def count(number):
    if number:
        send(number)
    return Counts(np.zeros(3))

count(0)
interrupt.install()
count(int(signal.SIGINT))
print("went on")
try:
    interrupt.check()
except KeyboardInterrupt:
    sys.exit(4)
"""


def test_an_interrupt_while_compiled_code_runs_waits_for_its_end():
    """Compiled code makes a named tuple with Python, and expects no exception there."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (4, "went on\n")
