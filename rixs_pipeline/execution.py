"""How the work is done: in a row, in threads, in processes, or on a dask cluster. Never what comes out.

The only module that imports dask or distributed, and only when an executor opens.
"""

import functools
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Self, TypeVar

from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import RixsError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # called in the main thread with the items done and their number
Graph = dict[str, tuple[Any, ...]]

_FAN_IN = 8  # results that one task combines
_CONNECT_TIMEOUT_S = 10
_NODE_SCRATCH = "${TMPDIR:-/tmp}/rixs-pipeline-$USER"  # of SLURM workers, each on its own node


class Executor:
    """Runs functions on items as one dask graph; `with Executor(config) as executor:` opens and closes what it takes.

    Functions and items are pickled where they leave the process: pass module-level functions, paths and plain values,
    and open HDF5 files inside the function. What a function raises is raised here, with its own type. Ctrl-C starts
    nothing new, lets the running items end (so that no product is half written), and comes out as KeyboardInterrupt.
    """

    def __init__(self, config: ExecutionConfig) -> None:
        self.config = config
        self.workers = config.workers or available_cores()
        self._stack = ExitStack()
        self._client: Any = None  # a distributed.Client
        self._get: Callable[[Graph, list[str]], Sequence[Any]] | None = None

    def __enter__(self) -> Self:
        """Open the pool or the connection.

        Raises:
            UsageError: no scheduler answers at the address, or what SLURM needs is not installed.
        """
        with ExitStack() as stack:
            stack.enter_context(_scratch_folder())
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it, and wait for what still runs."""
        self._stack.close()

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], progress: Progress | None = None
    ) -> list[Result]:
        """`function` of every item, in the order of the items."""
        graph, leaves = _leaves(function, items)
        return list(self._run(graph, leaves, leaves, progress))

    def map_reduce(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        combine: Callable[[Result, Result], Result],
        progress: Progress | None = None,
    ) -> Result:
        """`function` of every item, combined in a tree; how the items are grouped depends on their number alone.

        Raises:
            ValueError: there are no items.
        """
        if not items:
            raise ValueError("map_reduce of no items has no result")
        graph, leaves = _leaves(function, items)
        nodes = leaves
        while len(nodes) > 1:
            groups = [nodes[k : k + _FAN_IN] for k in range(0, len(nodes), _FAN_IN)]
            nodes = [f"combine-{uuid.uuid4().hex}" for _ in groups]
            reduce = functools.partial(functools.reduce, combine)
            graph |= {node: (reduce, group) for node, group in zip(nodes, groups, strict=True)}
        result: Result = self._run(graph, nodes, leaves, progress)[0]
        return result

    def _open(self, stack: ExitStack) -> None:
        """Set `_get`, or `_client`, and leave on the stack what closes it."""
        import dask.local
        import dask.multiprocessing
        import dask.threaded

        if self.config.scheduler == "serial":
            self._get = dask.local.get_sync
        elif self.config.scheduler == "threads":
            threads = stack.enter_context(ThreadPoolExecutor(self.workers))
            self._get = functools.partial(dask.threaded.get, pool=threads)
        elif self.config.scheduler == "processes":
            # spawn: a fork would copy HDF5's lock and open files. Ctrl-C is the parent's business alone
            ignore = functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
            pool = ProcessPoolExecutor(self.workers, get_context("spawn"), initializer=ignore)
            stack.enter_context(pool)
            self._get = functools.partial(dask.multiprocessing.get, pool=pool, chunksize=1, optimize_graph=False)
        elif self.config.scheduler == "slurm":
            self._client = _connect(stack, _slurm_cluster(stack, self.config, self.workers))
        else:
            self._client = _connect(stack, self.config.scheduler)

    def _run(self, graph: Graph, keys: list[str], leaves: list[str], progress: Progress | None) -> Any:
        """The results of `keys`; `progress` counts the `leaves`."""
        if not keys:
            return []
        try:
            if self._client:
                return _cluster_get(self._client, graph, keys, leaves, progress)
            if not self._get:
                raise RuntimeError("the executor is not open: use it as `with Executor(config) as executor:`")
            with _counting(leaves, progress):
                return self._get(graph, keys)
        except BrokenExecutor as error:
            raise RixsError("a worker process died, most likely for want of memory: use fewer --workers") from error


def available_cores() -> int:
    """The cores that this process may use, which on a shared machine are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _leaves(function: Callable[[Item], Result], items: Sequence[Item]) -> tuple[Graph, list[str]]:
    """A graph with a task an item. The item is bound to the function, so that dask never looks inside it."""
    run = uuid.uuid4().hex
    graph: Graph = {f"item-{run}-{k}": (functools.partial(function, item),) for k, item in enumerate(items)}
    return graph, list(graph)


@contextmanager
def _scratch_folder() -> Iterator[None]:
    """A private folder for what dask writes on the side, instead of /tmp/dask-scratch-space."""
    import dask.config

    with (
        tempfile.TemporaryDirectory(prefix="rixs-pipeline-", ignore_cleanup_errors=True) as scratch,
        dask.config.set(temporary_directory=scratch),
    ):
        yield


@contextmanager
def _counting(leaves: list[str], progress: Progress | None) -> Iterator[None]:
    """Tell `progress` of every leaf that a local scheduler finishes."""
    from dask.callbacks import Callback

    left = set(leaves)

    def finished(key: str, *_: object) -> None:
        if key in left and progress:
            left.discard(key)
            progress(len(leaves) - len(left), len(leaves))

    with Callback(posttask=finished):  # type: ignore[no-untyped-call]
        yield


def _connect(stack: ExitStack, address: Any) -> Any:
    """A client of the scheduler at an address, or of a cluster object."""
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise UsageError(f"no dask scheduler answers at {address}: start one with `dask scheduler`") from error
    return stack.enter_context(client)


def _slurm_cluster(stack: ExitStack, config: ExecutionConfig, workers: int) -> Any:
    """Workers as SLURM jobs of one core each; queue, account and walltime come from dask-jobqueue's own config."""
    import dask.config

    config_folder = dask.config.PATH
    try:
        with tempfile.TemporaryDirectory() as dask.config.PATH:  # where the import writes a template of its config
            from dask_jobqueue import SLURMCluster  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise UsageError("--scheduler slurm needs dask-jobqueue: pip install dask-jobqueue") from error
    finally:
        dask.config.PATH = config_folder
    if not shutil.which("sbatch"):
        raise UsageError(
            "--scheduler slurm finds no sbatch: run on a node that submits jobs, or choose another scheduler"
        )
    scratch = dask.config.get("jobqueue.slurm.local-directory", None) or _NODE_SCRATCH
    cluster = stack.enter_context(SLURMCluster(cores=1, processes=1, memory=config.memory, local_directory=scratch))
    cluster.scale(workers)
    return cluster


def _cluster_get(client: Any, graph: Graph, keys: list[str], leaves: list[str], progress: Progress | None) -> Any:
    """The results of `keys` from a cluster; waits no longer than to the first error."""
    from distributed import KilledWorker, as_completed

    counted = set(leaves) if progress else set()
    futures = client.get(graph, list(dict.fromkeys([*keys, *counted])), sync=False)
    results, watched = futures[: len(keys)], as_completed(futures, loop=client.loop)  # type: ignore[no-untyped-call]
    del futures  # a leaf's result may leave the cluster's memory as soon as it is combined
    for future in watched:
        if future.status != "finished":
            break
        if progress and future.key in counted:
            counted.discard(future.key)
            progress(len(leaves) - len(counted), len(leaves))
    try:
        return client.gather(results)
    except KilledWorker as error:
        raise RixsError(f"the cluster's workers died, most likely for want of memory: {error}") from error
