"""The scheduler changes how the work is done, never what comes out."""

import operator
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.config
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import InputError, RixsError, UsageError
from rixs_pipeline.runner.cluster import dask_cluster
from rixs_pipeline.runner.execution.executor import Executor, available_cores
from rixs_pipeline.types import Outcome

NUMBERS = list(range(20))


def tenths(number: int) -> float:
    return number * 0.1


def spectrum(number: int) -> np.ndarray:
    return np.random.default_rng(number).poisson(3.0, (4, 5))


def refuse(number: int) -> int:
    if number == 3:
        raise InputError(f"file {number}: broken header, copy it again")
    return number


def die(number: int) -> None:
    os._exit(1)


def die_once(item: tuple[Path, int]) -> int:
    marker, number = item
    if number == 2 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def cluster_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from distributed import (
        LocalCluster,  # not above: every spawned process imports this module
    )

    scratch = str(tmp_path_factory.mktemp("dask"))
    with (
        dask.config.set(temporary_directory=scratch),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address=":0",
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture(params=["serial", "threads-1", "threads-3", "processes-2", "cluster"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    scheduler, _, workers = request.param.partition("-")
    if scheduler == "cluster":
        scheduler = request.getfixturevalue("cluster_address")
    with Executor(
        ExecutionConfig(scheduler=scheduler, workers=int(workers) if workers else None)
    ) as opened:
        yield opened


def results(outcomes: Iterator[Outcome[Any]]) -> list[Any]:
    """The result of every outcome; the first error is raised."""
    return [outcome.unwrap() for outcome in outcomes]


def mapped(executor: Executor, function, tasks, progress=None) -> list[Any]:
    return results(executor.outcomes(function, tasks, progress))


def reduced(executor: Executor, function, groups, combine, progress=None) -> list[Any]:
    return results(executor.map_reduce(function, groups, combine, progress))


def test_all_schedulers_give_the_same_and_raise_the_same(executor: Executor) -> None:
    # one test, so that the processes start once
    assert mapped(executor, tenths, NUMBERS) == [tenths(n) for n in NUMBERS]
    assert mapped(executor, tenths, []) == []
    # the tree depends only on the number of items: equal bits on every scheduler
    eights = [
        sum((tenths(n) for n in NUMBERS[k + 1 : k + 8]), tenths(NUMBERS[k]))
        for k in (0, 8, 16)
    ]
    expected = [sum(eights[1:], eights[0]), tenths(7), tenths(1) + tenths(2)]
    assert reduced(executor, tenths, [NUMBERS, [7], [1, 2]], operator.add) == expected
    (total,) = reduced(executor, spectrum, [NUMBERS], operator.add)
    np.testing.assert_array_equal(total, np.sum([spectrum(n) for n in NUMBERS], axis=0))

    with pytest.raises(InputError) as caught:
        mapped(executor, refuse, NUMBERS)
    assert type(caught.value) is InputError
    assert str(caught.value) == "file 3: broken header, copy it again"
    groups = [[1, 2], NUMBERS, [], [4, 5, 6]]
    good, bad, empty, last = executor.map_reduce(refuse, groups, operator.add)
    assert (good.unwrap(), last.unwrap()) == (3, 15), (
        "what goes wrong in one group costs the others nothing"
    )
    assert type(bad.error) is InputError and isinstance(empty.error, ValueError)
    assert mapped(executor, refuse, [1, 2]) == [1, 2], (
        "an executor must work on after an error"
    )

    seen: list[int] = []
    mapped(executor, tenths, NUMBERS, seen.append)
    reduced(executor, tenths, [NUMBERS[:7], NUMBERS[7:]], operator.add, seen.append)
    assert (
        sorted(set(seen)) == list(range(1, 21)) if len(seen) == 40 else seen[-1] == 20
    )


def test_results_that_are_no_longer_wanted_leave_no_item_at_work() -> None:
    """Parts of a photon list are then removed, so nobody may still be writing them."""
    at_work: list[int] = []

    def work(number: int) -> int:
        at_work.append(number)
        time.sleep(0.02 if number == 0 else 0.2)
        at_work.remove(number)
        return number

    with Executor(ExecutionConfig(scheduler="threads", workers=3)) as executor:
        outcomes = executor.outcomes(work, range(20))
        assert next(outcomes).unwrap() == 0
        outcomes.close()  # type: ignore[attr-defined]
        assert at_work == []


def test_items_are_opaque() -> None:
    with Executor(ExecutionConfig(scheduler="serial")) as executor:
        awkward = [(print, "x"), "item-0", {"a": [1]}, None]
        assert mapped(executor, str, awkward) == [str(item) for item in awkward]


@given(st.lists(st.integers(0, 70), max_size=12), st.integers(1, 4))
def test_groups_reduce_in_order_through_several_levels(
    sizes: list[int], workers: int
) -> None:
    groups = [[f"{g}.{k}," for k in range(size)] for g, size in enumerate(sizes)]
    with Executor(ExecutionConfig(scheduler="threads", workers=workers)) as executor:
        outcomes = list(executor.map_reduce(str, groups, operator.add))
    assert len(outcomes) == len(groups)
    for outcome, group in zip(outcomes, groups, strict=True):
        if group:
            assert outcome.unwrap() == "".join(group)
        else:
            assert isinstance(outcome.error, ValueError)


@pytest.mark.parametrize("scheduler", ["serial", "threads"])
def test_few_groups_are_held_at_once(scheduler: str) -> None:
    """A group is taken when there is room, and handed out before all are taken."""
    taken: list[int] = []

    def groups() -> Iterator[list[int]]:
        for number in range(50):
            taken.append(number)
            yield [number] * 3

    with Executor(ExecutionConfig(scheduler=scheduler, workers=2)) as executor:
        ahead = [
            len(taken) - k
            for k, _ in enumerate(executor.map_reduce(tenths, groups(), operator.add))
        ]
    assert len(ahead) == 50 and max(ahead) <= 7


def test_not_opened() -> None:
    with pytest.raises(RuntimeError, match="with Executor"):
        mapped(Executor(ExecutionConfig(scheduler="serial")), tenths, NUMBERS)


def test_workers_default_to_the_cores() -> None:
    assert Executor(ExecutionConfig()).workers == available_cores() >= 1
    assert Executor(ExecutionConfig(workers=3)).workers == 3


def test_scratch_folder_is_private_and_goes(cluster_address: str) -> None:
    before = dask.config.get("temporary-directory", None)
    with Executor(ExecutionConfig(scheduler=cluster_address)):
        scratch = Path(dask.config.get("temporary-directory"))
        assert scratch.is_dir()
        assert scratch.name.startswith("rixs-pipeline-")
        assert scratch.stat().st_mode & 0o077 == 0
    assert not scratch.exists()
    assert dask.config.get("temporary-directory", None) == before


def test_a_dead_worker_is_replaced_and_its_work_done_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    groups = [[(tmp_path / "died", k) for k in range(5)] for _ in range(4)]
    seen: list[int] = []
    with Executor(ExecutionConfig(scheduler="processes", workers=2)) as executor:
        assert reduced(executor, die_once, groups, operator.add, seen.append) == [
            10,
            10,
            10,
            10,
        ]
    assert min(seen) > 0, "of nothing done no time left can be told"
    assert (tmp_path / "died").exists()
    assert (
        "worker process died; starting a new one and repeating its tasks"
        in caplog.messages
    )


class UnpicklableError(Exception):
    """One of a library whose arguments are not those of its constructor."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(f"{text} {number}")


def fail(number: int) -> int:
    if number == 1:
        raise UnpicklableError("broken", number)
    return number


def test_an_exception_that_cannot_be_unpickled_is_that_of_its_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Executor(ExecutionConfig(scheduler="processes", workers=2)) as executor:
        first, bad, last = executor.outcomes(fail, [0, 1, 2])
    assert (first.unwrap(), last.unwrap()) == (0, 2)
    assert str(bad.error) == "UnpicklableError: broken 1"
    assert "in fail" in "".join(traceback.format_exception(bad.error))
    assert not caplog.messages


def test_work_that_kills_its_workers_is_given_up_in_one_line() -> None:
    with (
        Executor(ExecutionConfig(scheduler="processes", workers=1)) as executor,
        pytest.raises(
            RixsError, match="worker processes died 3 times on the same task"
        ),
    ):
        mapped(executor, die, [1])


def test_no_scheduler_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_TIMEOUT_S", 0.3)
    with (
        pytest.raises(
            UsageError, match=r"no dask scheduler .* at tcp://127\.0\.0\.1:1 \("
        ),
        Executor(ExecutionConfig(scheduler="tcp://127.0.0.1:1")),
    ):
        pass


def test_slurm_without_sbatch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dask_jobqueue", "cryptography"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(UsageError, match="sbatch not found"),
        Executor(ExecutionConfig(scheduler="slurm")),
    ):
        pass


def test_missing_slurm_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with (
        pytest.raises(UsageError, match=r"pip install 'rixs-pipeline\[slurm\]'"),
        Executor(ExecutionConfig(scheduler="slurm")),
    ):
        pass


INTERRUPTED = """
import sys, time
from pathlib import Path
from rixs_pipeline import interrupt
from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.runner.execution.executor import Executor

def work(folder):
    (Path(folder) / "started").touch()
    time.sleep(0.5)
    (Path(folder) / "ended").touch()

if __name__ == "__main__":
    interrupt.install()
    try:
        with Executor(ExecutionConfig(scheduler=sys.argv[1], workers=1)) as executor:
            [o.unwrap() for o in executor.outcomes(work, [sys.argv[2]] * 100)]
    except KeyboardInterrupt:
        sys.exit(4)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_interrupt_ends_cleanly(scheduler: str, number: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    process = subprocess.Popen(
        [sys.executable, str(script), scheduler, str(tmp_path)],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        while not (tmp_path / "started").exists():
            assert process.poll() is None, process.communicate()[1].decode()
        os.killpg(process.pid, number)  # to the whole group, as a terminal does
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, errors.decode()) == (4, "")
    assert (tmp_path / "ended").exists(), (
        "what runs ends, so that no product is half written"
    )


ABANDONED = """
import os, sys, time
from pathlib import Path
from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.runner.execution.executor import Executor

def work(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    with Executor(ExecutionConfig(scheduler="processes", workers=2)) as executor:
        list(executor.outcomes(work, [sys.argv[1]] * 4))
"""


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "workers"
    script.write_text(ABANDONED)
    folder.mkdir()
    process = subprocess.Popen([sys.executable, str(script), str(folder)])
    try:
        while len(list(folder.iterdir())) < 2:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while any(is_running(int(one.name)) for one in folder.iterdir()):
        assert time.monotonic() < deadline, "a worker went on without its parent"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def signalled(event: threading.Event) -> bool:
    event.set()
    return True


def test_pool_starts_before_results_are_requested() -> None:
    begun = threading.Event()
    with Executor(ExecutionConfig(scheduler="threads", workers=2)) as executor:
        outcomes = executor.outcomes(signalled, [begun])
        assert begun.wait(30)
        assert results(outcomes) == [True]


def test_processes_that_share_what_they_load_do_the_same_work() -> None:
    with Executor(
        ExecutionConfig(scheduler="processes", workers=2), preload=["json"]
    ) as executor:
        executor.warm_up()
        executor.warm_up()
        assert mapped(executor, int, ["3", "5"]) == [3, 5]
        good, bad = executor.outcomes(int, ["7", "seven"])
    assert good.unwrap() == 7 and isinstance(bad.error, ValueError)


def is_loaded(module: str) -> bool:
    return module in sys.modules


def test_processes_have_loaded_their_modules_also_without_a_warm_up() -> None:
    """In a process of its own, as the server of processes is started once."""
    code = """
    from rixs_pipeline.config import ExecutionConfig
    from rixs_pipeline.runner.execution.executor import Executor
    from tests.runner.execution.test_executor import is_loaded

    two = ExecutionConfig(scheduler="processes", workers=2)
    with Executor(two, preload=["wave"]) as executor:
        print([loaded.unwrap() for loaded in executor.outcomes(is_loaded, ["wave"])])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "[True]\n", done.stderr


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_work_may_be_started_that_nobody_waits_for(tmp_path, scheduler):
    files = [tmp_path / str(number) for number in range(3)]
    with Executor(ExecutionConfig(scheduler=scheduler, workers=2)) as executor:
        executor.start(Path.touch, [tmp_path / "missing" / "0", *files])
        deadline = time.monotonic() + 60
        while not all(map(Path.exists, files)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert results(executor.outcomes(tenths, [3])) == [tenths(3)]
    assert all(map(Path.exists, files))


def test_work_is_not_started_on_a_closed_pool():
    with Executor(ExecutionConfig(scheduler="threads", workers=1)) as executor:
        pass
    executor.start(tenths, [1])


def test_processes_start_while_this_thread_goes_on():
    with Executor(ExecutionConfig(scheduler="processes", workers=2)) as executor:
        assert not executor.is_ready
        executor.start_processes()
        executor.start_processes()
        deadline = time.monotonic() + 60
        while not executor.is_ready and time.monotonic() < deadline:
            time.sleep(0.01)
        assert executor.is_ready and executor.has_running_processes
        assert results(executor.outcomes(tenths, [3])) == [tenths(3)]


@pytest.mark.parametrize("scheduler", ["serial", "threads"])
def test_without_processes_none_are_waited_for(scheduler):
    with Executor(ExecutionConfig(scheduler=scheduler, workers=2)) as executor:
        executor.start_processes()
        assert executor.is_ready and not executor.has_running_processes


def die_while_sending(folder: Path) -> str:
    """Send the beginning of a result, the first time, and die."""
    if (folder / "died").exists():
        return "done"
    (folder / "died").touch()
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    writer = frame.f_locals["result_queue"]._writer
    os.write(writer.fileno(), struct.pack("!i", 1000) + b"begun")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_while_it_sends_a_result_is_replaced(tmp_path):
    with Executor(ExecutionConfig(scheduler="processes", workers=2)) as executor:
        assert results(executor.outcomes(die_while_sending, [tmp_path])) == ["done"]


def test_a_worker_that_dies_while_it_sends_a_result_does_not_block_the_end(tmp_path):
    with Executor(ExecutionConfig(scheduler="processes", workers=2)) as executor:
        executor.start(die_while_sending, [tmp_path])
        while not (tmp_path / "died").exists():
            time.sleep(0.01)
