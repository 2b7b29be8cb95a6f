"""A cluster without processes; `test_executor.py` runs a real dask scheduler."""

from concurrent.futures import CancelledError
from types import SimpleNamespace

import pytest
from distributed import KilledWorker

from rixs_pipeline.errors import RixsError, VersionError
from rixs_pipeline.runner.cluster import dask_cluster
from rixs_pipeline.runner.cluster.dask_cluster import TASKS_AHEAD, Cluster
from rixs_pipeline.stages.chunks import FAN_IN


class Future:
    """Work that is done when the test client comes to it."""

    def __init__(self, key, function, arguments):
        self.key = key
        self.function = function
        self.arguments = arguments
        self.value = self.failure = None
        self.is_done = False

    def run(self):
        try:
            arguments = [
                [node.result() for node in argument]
                if isinstance(argument, list)
                else argument
                for argument in self.arguments
            ]
            self.value = self.function(*arguments)
        except Exception as error:
            self.failure = error
        self.is_done = True

    def done(self):
        return self.is_done

    def result(self):
        if self.failure:
            raise self.failure
        return self.value


class Client:
    """Does the work that is submitted in order, when it is waited for."""

    loop = None

    def __init__(self):
        self.futures = []
        self.submitted_early = 0

    def submit(self, function, *arguments, pure):
        assert not pure
        future = Future(f"task-{len(self.futures)}", function, arguments)
        self.futures.append(future)
        waiting = sum(not f.is_done for f in self.futures)
        self.submitted_early = max(self.submitted_early, waiting)
        return future


@pytest.fixture
def client(monkeypatch):
    client = Client()

    class Completed:
        def __init__(self, loop):
            self.watched = []

        def add(self, future):
            self.watched.append(future)

        def has_ready(self):
            return True

        def __next__(self):
            future = min(self.watched, key=client.futures.index)
            self.watched.remove(future)
            for earlier in client.futures[: client.futures.index(future) + 1]:
                if not earlier.is_done:
                    earlier.run()
            return future

    monkeypatch.setattr("distributed.as_completed", Completed)
    return client


class Watch:
    """Sees workers of this version, unless one of another version came."""

    def __init__(self, error=None):
        self.error = error

    def start(self):
        pass

    def look(self):
        if self.error:
            raise self.error


def map_reduce(client, function, groups, progress=None, workers=2, watch=None):
    cluster = SimpleNamespace(client=client, workers=workers, watch=watch or Watch())
    return Cluster.map_reduce(cluster, function, groups, add, progress)


def add(first, second):
    return first + second


def square(number):
    return number * number


@pytest.mark.parametrize("sizes", [[1], [3, 1, 20], [FAN_IN] * 3, [100]], ids=str)
def test_groups_are_joined_by_the_workers_in_order(client, sizes):
    groups = [range(size) for size in sizes]
    totals = [outcome.unwrap() for outcome in map_reduce(client, square, groups)]
    assert totals == [sum(k * k for k in group) for group in groups]


def test_tasks_are_handed_out_as_workers_need_them(client):
    groups = ([k] for k in range(200))
    totals = [outcome.unwrap() for outcome in map_reduce(client, square, groups)]
    assert totals == [k * k for k in range(200)]
    assert client.submitted_early <= TASKS_AHEAD * 2 + 1


def test_progress_counts_tasks_not_sums(client):
    reported = []
    list(map_reduce(client, square, [range(20), range(5)], reported.append))
    assert reported == list(range(1, 26))


def test_a_group_without_tasks_and_a_task_that_fails_stop_no_other(client):
    def divide(number):
        return 12 // number

    outcomes = list(map_reduce(client, divide, [[], [0, 1], [3, 4]]))
    assert isinstance(outcomes[0].error, ValueError)
    assert isinstance(outcomes[1].error, ZeroDivisionError)
    assert outcomes[2].unwrap() == 7


@pytest.mark.parametrize("error", [ImportError, AttributeError])
def test_a_worker_that_cannot_load_a_task_is_asked_for_its_version(client, error):
    def fail(number):
        raise error(number)

    (outcome,) = map_reduce(client, fail, [[1]])
    assert isinstance(outcome.error, error)
    watch = Watch(VersionError("worker a has 1, this command 2"))
    with pytest.raises(VersionError, match="worker a has 1"):
        list(map_reduce(client, fail, [[1]], watch=watch))


def test_a_worker_of_another_version_ends_everything(client, monkeypatch):
    monkeypatch.setattr(dask_cluster, "code_version", lambda: "0.1.0+here")
    with pytest.raises(VersionError, match=r"this command 0\.1\.0\+here"):
        list(map_reduce(client, square, [[1]]))


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            KilledWorker("task", SimpleNamespace(address="tcp://node:1"), 3),
            "dask workers died, probably out of memory",
        ),
        (CancelledError(), "connection to the dask scheduler lost"),
    ],
    ids=["killed", "cancelled"],
)
def test_a_failure_of_the_cluster_ends_everything(client, failure, message):
    def fail(number):
        raise failure

    with pytest.raises(RixsError, match=message):
        list(map_reduce(client, fail, [[1]]))


def test_the_scratch_folder_is_private_and_removed():
    import dask.config

    before = dask.config.get("temporary-directory", None)
    with dask_cluster._scratch_folder():
        folder = dask.config.get("temporary-directory")
        assert "rixs-pipeline-" in folder
    assert dask.config.get("temporary-directory", None) == before
