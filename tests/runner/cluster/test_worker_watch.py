"""Workers that are absent, and workers of other versions."""

import pickle
import platform
import subprocess
import sys
from functools import partial

import pytest

from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import RixsError, VersionError
from rixs_pipeline.io.provenance import code_version
from rixs_pipeline.runner.cluster import worker_watch
from rixs_pipeline.runner.cluster.worker_watch import WorkerWatch, call_same_version
from rixs_pipeline.runner.execution.executor import Executor

LIBRARIES = {"python": "3", "dask": "2026.1", "numpy": "2.0"}


class Client:
    """A client of a scheduler with the workers that a test gives it."""

    status = "running"

    def __init__(self, *workers):
        self.workers = list(workers)
        self.python = f"{platform.python_version()}.final.0"
        self.libraries = LIBRARIES
        self.answer = code_version()
        self.asked = []

    def scheduler_info(self):
        return {"workers": dict.fromkeys(self.workers)}

    def get_versions(self):
        worker = {"host": {"python": self.python}, "packages": self.libraries}
        return {
            "client": {"packages": LIBRARIES},
            "workers": dict.fromkeys(self.workers, worker),
        }

    def run(self, function, workers, on_error):
        assert (function, on_error) == (code_version, "return")
        self.asked += workers
        return dict.fromkeys(workers, self.answer)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass from one look to the next."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(worker_watch, "time", clock)
    return clock


def watched(client, wait=100.0):
    return WorkerWatch(client, wait, lambda: "job 7 queued (Priority)")


def look_for(watch, clock, seconds):
    for _ in range(seconds):
        clock.now += 1.0
        watch.look()


# ---- absent


def test_absence_is_reported_once_in_a_while(clock, caplog):
    watch = watched(Client(), wait=1000.0)
    look_for(watch, clock, 9)
    assert caplog.messages == []
    look_for(watch, clock, 150)
    lines = [
        f"waiting for workers since {seconds} s: job 7 queued (Priority)"
        for seconds in (10, 70, 130)
    ]
    assert caplog.messages == lines


def test_a_long_absence_is_given_up(clock):
    watch = watched(Client(), wait=100.0)
    with pytest.raises(RixsError, match=r"no worker for 1\d\d s \(job 7 queued \(Prio"):
        look_for(watch, clock, 110)
    assert clock.now == pytest.approx(1000 + 100, abs=4)


def test_workers_that_come_back_begin_a_new_wait(clock, caplog):
    client = Client()
    watch = watched(client, wait=20.0)
    for _ in range(3):
        client.workers = []
        look_for(watch, clock, 18)
        client.workers = ["a"]
        look_for(watch, clock, 4)
    assert len(caplog.messages) == 3


def test_time_in_which_no_result_was_awaited_does_not_count(clock):
    watch = watched(Client(), wait=20.0)
    look_for(watch, clock, 18)
    clock.now += 3600.0
    watch.start()
    look_for(watch, clock, 18)


def test_a_closed_connection_is_not_asked(clock):
    client = Client()
    client.status = "closed"
    look_for(watched(client, wait=1.0), clock, 20)


# ---- versions


def test_a_worker_is_asked_once(clock):
    client = Client("a")
    watch = watched(client)
    look_for(watch, clock, 10)
    client.workers = ["a", "b"]
    look_for(watch, clock, 10)
    client.workers = ["b"]
    look_for(watch, clock, 10)
    client.workers = ["a", "b"]  # restarted at the same address
    look_for(watch, clock, 10)
    assert client.asked == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("answer", "theirs"),
    [
        ("0.0.9+abc", "0.0.9+abc"),
        (ModuleNotFoundError("No module named 'rixs_pipeline'"), "no rixs-pipeline"),
    ],
)
def test_another_version_of_the_program_is_refused(clock, answer, theirs):
    client = Client("tcp://a:1")
    client.answer = answer
    with pytest.raises(VersionError) as caught:
        look_for(watched(client), clock, 3)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"worker tcp://a:1 has {theirs}") and code_version() in line


def test_another_version_of_python_is_refused_before_anything_is_sent(clock):
    client = Client("a")
    client.python = "3.9.1.final.0"
    here = ".".join(platform.python_version_tuple()[:2])
    with pytest.raises(
        VersionError, match=rf"worker a has Python 3\.9, this command Python {here};"
    ):
        look_for(watched(client), clock, 3)
    assert client.asked == []


def test_a_worker_that_has_gone_is_no_reason(clock):
    client = Client("a")
    client.answer = OSError("connection closed")
    look_for(watched(client), clock, 3)


def test_other_libraries_are_reported_in_one_line(clock, caplog):
    client = Client("a")
    client.libraries = LIBRARIES | {"numpy": "1.26", "dask": None}
    look_for(watched(client), clock, 10)
    assert caplog.messages == [
        "worker a has other libraries: dask None (here 2026.1), numpy 1.26 (here 2.0)"
    ]


def test_a_call_runs_in_the_same_version_alone():
    call = pickle.dumps(partial(max, 3))
    assert call_same_version(code_version(), call, 5) == 5
    with pytest.raises(VersionError, match=r"this command 0\.0\.9;"):
        call_same_version("0.0.9", b"not even loaded")


OTHER_VERSION = """
import rixs_pipeline.io.provenance as provenance
def code_version():
    return "0.0.9+other"
provenance.code_version = code_version
"""


def test_a_real_worker_of_another_version_is_refused(tmp_path):
    from distributed import LocalCluster

    preload = tmp_path / "other.py"
    preload.write_text(OTHER_VERSION)
    scheduler = {"protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": ":0"}
    with LocalCluster(n_workers=0, processes=False, **scheduler) as cluster:
        address = cluster.scheduler_address
        program = [sys.executable, "-m", "distributed.cli.dask_worker", address]
        options = ["--no-nanny", "--no-dashboard", f"--local-directory={tmp_path}"]
        with subprocess.Popen(
            [*program, *options, f"--preload={preload}"], stderr=subprocess.DEVNULL
        ) as worker:
            cluster.wait_for_workers(1, timeout=120)
            with (
                pytest.raises(VersionError, match=r"has 0\.0\.9\+other, this command"),
                Executor(ExecutionConfig(scheduler=address)),
            ):
                pytest.fail("connected")
            worker.terminate()
