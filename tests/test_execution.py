"""The scheduler changes how the work is done, never what comes out."""

import operator
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dask.config
import numpy as np
import pytest

from rixs_pipeline import execution
from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import InputError, RixsError, UsageError
from rixs_pipeline.execution import Executor, available_cores

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


@pytest.fixture(scope="module")
def cluster_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from distributed import LocalCluster  # not above: every spawned process imports this module

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
    with Executor(ExecutionConfig(scheduler=scheduler, workers=int(workers) if workers else None)) as opened:
        yield opened


def test_all_schedulers_give_the_same_and_raise_the_same(executor: Executor) -> None:
    # one test, so that the processes start once
    assert executor.map(tenths, NUMBERS) == [tenths(n) for n in NUMBERS]
    assert executor.map(tenths, []) == []
    # the tree depends on the number of items alone: equal to the last bit, on every scheduler
    groups = [sum((tenths(n) for n in NUMBERS[k + 1 : k + 8]), tenths(NUMBERS[k])) for k in (0, 8, 16)]
    assert executor.map_reduce(tenths, NUMBERS, operator.add) == sum(groups[1:], groups[0])
    assert executor.map_reduce(tenths, [7], operator.add) == tenths(7)
    total = executor.map_reduce(spectrum, NUMBERS, operator.add)
    np.testing.assert_array_equal(total, np.sum([spectrum(n) for n in NUMBERS], axis=0))

    with pytest.raises(InputError) as caught:
        executor.map(refuse, NUMBERS)
    assert type(caught.value) is InputError
    assert str(caught.value) == "file 3: broken header, copy it again"
    with pytest.raises(InputError, match="broken header"):
        executor.map_reduce(refuse, NUMBERS, operator.add, lambda done, number: None)
    assert executor.map(refuse, [1, 2]) == [1, 2], "an executor must work on after an error"

    seen: list[tuple[int, int]] = []
    executor.map(tenths, NUMBERS, lambda done, number: seen.append((done, number)))
    executor.map_reduce(tenths, NUMBERS, operator.add, lambda done, number: seen.append((done, number)))
    assert seen == 2 * [(done, 20) for done in range(1, 21)]


def test_items_are_opaque_to_dask() -> None:
    with Executor(ExecutionConfig(scheduler="serial")) as executor:
        awkward = [(print, "x"), "item-0", {"a": [1]}, None]
        assert executor.map(str, awkward) == [str(item) for item in awkward]


def test_many_items_reduce_in_order_through_several_levels() -> None:
    items = [f"{k}," for k in range(100)]
    with Executor(ExecutionConfig(scheduler="threads", workers=3)) as executor:
        assert executor.map_reduce(str, items, operator.add) == "".join(items)


def test_nothing_to_reduce() -> None:
    with Executor(ExecutionConfig(scheduler="serial")) as executor, pytest.raises(ValueError, match="no items"):
        executor.map_reduce(tenths, [], operator.add)


def test_not_opened() -> None:
    with pytest.raises(RuntimeError, match="with Executor"):
        Executor(ExecutionConfig(scheduler="serial")).map(tenths, NUMBERS)


def test_workers_default_to_the_cores() -> None:
    assert Executor(ExecutionConfig()).workers == available_cores() >= 1
    assert Executor(ExecutionConfig(workers=3)).workers == 3


def test_scratch_folder_is_private_and_goes() -> None:
    before = dask.config.get("temporary-directory", None)
    with Executor(ExecutionConfig(scheduler="serial")):
        scratch = Path(dask.config.get("temporary-directory"))
        assert scratch.is_dir()
        assert scratch.name.startswith("rixs-pipeline-")
        assert scratch.stat().st_mode & 0o077 == 0
    assert not scratch.exists()
    assert dask.config.get("temporary-directory", None) == before


def test_dead_worker_is_one_line() -> None:
    with (
        Executor(ExecutionConfig(scheduler="processes", workers=1)) as executor,
        pytest.raises(RixsError, match="worker process died"),
    ):
        executor.map(die, [1])


def test_no_scheduler_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_CONNECT_TIMEOUT_S", 0.3)
    with (
        pytest.raises(UsageError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:1:"),
        Executor(ExecutionConfig(scheduler="tcp://127.0.0.1:1")),
    ):
        pass


def test_slurm_without_sbatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=None))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="finds no sbatch"), Executor(ExecutionConfig(scheduler="slurm")):
        pass


def test_slurm_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    folder = dask.config.PATH
    with pytest.raises(UsageError, match="pip install dask-jobqueue"), Executor(ExecutionConfig(scheduler="slurm")):
        pass
    assert folder == dask.config.PATH


INTERRUPTED = """
import sys, time
from pathlib import Path
from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.execution import Executor

def work(folder):
    (Path(folder) / "started").touch()
    time.sleep(0.5)
    (Path(folder) / "ended").touch()

if __name__ == "__main__":
    try:
        with Executor(ExecutionConfig(scheduler=sys.argv[1], workers=1)) as executor:
            executor.map(work, [sys.argv[2]] * 100)
    except KeyboardInterrupt:
        sys.exit(4)
"""


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_interrupt_ends_cleanly(scheduler: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    process = subprocess.Popen(
        [sys.executable, str(script), scheduler, str(tmp_path)], stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        while not (tmp_path / "started").exists():
            assert process.poll() is None, process.communicate()[1].decode()
        os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to the whole group
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, errors.decode()) == (4, "")
    assert (tmp_path / "ended").exists(), "what runs ends, so that no product is half written"
