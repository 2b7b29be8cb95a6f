"""Work on a cluster: a dask scheduler that is running, or SLURM jobs."""

import functools
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rixs_pipeline import interrupt
from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import RixsError, UsageError, VersionError
from rixs_pipeline.files.opening import one_line
from rixs_pipeline.io.provenance import code_version
from rixs_pipeline.runner.cluster.slurm_workers import SlurmWorkers
from rixs_pipeline.runner.cluster.worker_watch import WorkerWatch, call_same_version
from rixs_pipeline.runner.execution.tree_reduction import TreeReduction
from rixs_pipeline.types import Outcome

Task = TypeVar("Task")
Result = TypeVar("Result")

TASKS_AHEAD = 2  # tasks a worker that are handed out, so that none waits for the next
CONNECT_TIMEOUT_S = 10
POLL_S = 0.1  # at most this long between two looks for Ctrl-C


class Cluster:
    """A connection to the workers of a cluster, open until the stack closes."""

    def __init__(
        self, config: ExecutionConfig, workers: int, logs: Path | None, stack: ExitStack
    ) -> None:
        """Connect.

        Parameters
        ----------
        config : ExecutionConfig
            With the scheduler `slurm` or an address.
        workers : int
            How many workers to ask SLURM for.
        logs : Path or None
            Folder for the logs of SLURM jobs; None: the current one.
        stack : ExitStack
            Closes the connection.

        Raises
        ------
        UsageError
            No scheduler answers at the address, or SLURM or dask-jobqueue is missing.
        VersionError
            A worker has another version of the program or of Python.
        """
        stack.enter_context(_scratch_folder())
        _silence_distributed()
        wait = config.cluster.longest_wait_s
        if config.scheduler == "slurm":
            slurm = SlurmWorkers(config, workers, logs or Path.cwd(), stack)
            self.client = _connect(stack, slurm.cluster)
            self.watch = WorkerWatch(self.client, wait, slurm.describe)
            self.workers = workers
        else:
            address = config.scheduler
            self.client = _connect(stack, address)
            threads = sum(self.client.nthreads().values())
            self.watch = WorkerWatch(
                self.client, wait, lambda: f"start some with `dask worker {address}`"
            )
            self.watch.look()
            self.workers = config.workers or threads or workers

    def map_reduce(
        self,
        function: Callable[[Task], Result],
        groups: Iterable[Sequence[Task]],
        combine: Callable[[Result, Result], Result],
        progress: Callable[[int], None] | None,
    ) -> Iterator[Outcome[Result]]:
        """Apply a function to all tasks; the workers combine, only totals come here.

        A worker that dies is left to the scheduler of the cluster, which repeats its
        tasks elsewhere.

        Parameters
        ----------
        function, groups, combine, progress
            As of `Executor.map_reduce`.

        Yields
        ------
        Outcome
            Of every group, in order.

        Raises
        ------
        RixsError
            The cluster failed, or has no workers for too long.
        """
        stream = _TaskStream(self.client, function, combine)
        self.watch.start()
        source = iter(groups)
        active: deque[TreeReduction] = deque()
        room, done, is_exhausted = TASKS_AHEAD * self.workers, 0, False
        while active or not is_exhausted:
            interrupt.check()
            while not is_exhausted and len(stream.tasks) < room and len(active) <= room:
                tasks = next(source, None)
                if tasks is None:
                    is_exhausted = True
                else:
                    active.append(stream.submit(tasks))
            if len(stream.tasks) >= room or (active and not _is_done(active[0])):
                is_task = stream.wait(self.watch)
                done += is_task
                if progress and is_task:
                    progress(done)
            while active and _is_done(active[0]):
                yield _collect(active.popleft(), self.watch)


class _TaskStream:
    """Tasks that were handed to the cluster and have not ended.

    Attributes
    ----------
    tasks : set of str
        Their keys.
    """

    def __init__(
        self,
        client: Any,
        function: Callable[[Any], Any],
        combine: Callable[[Any, Any], Any],
    ) -> None:
        from distributed import as_completed

        self.client = client
        self.function = function
        self.combine = combine
        self.tasks: set[str] = set()
        ended: Any = as_completed(loop=client.loop)  # type: ignore[no-untyped-call]
        self.watched = ended

    def submit(self, tasks: Sequence[Any]) -> TreeReduction:
        """Submit the tasks of a group; its nodes are futures."""
        group = TreeReduction(len(tasks), self._join)
        for index, task in enumerate(tasks):
            future = self._submit(functools.partial(self.function, task))
            self.tasks.add(future.key)
            self.watched.add(future)
            group.put(index, future)
        if len(tasks) > 1:
            self.watched.add(group.outcome.unwrap())
        return group

    def _join(self, nodes: list[Any]) -> Any:
        return self._submit(functools.partial(functools.reduce, self.combine), nodes)

    def _submit(self, function: Callable[..., Any], *nodes: list[Any]) -> Any:
        """Submit a call; dask looks for futures in its arguments alone."""
        from distributed.protocol.pickle import dumps

        pickled = dumps(function)  # type: ignore[no-untyped-call]
        return self.client.submit(
            call_same_version, code_version(), pickled, *nodes, pure=False
        )

    def wait(self, watch: WorkerWatch) -> bool:
        """Wait for a future to end; whether it was a task, not a sum."""
        while not self.watched.has_ready():
            interrupt.check()
            watch.look()
            with self.watched.thread_condition:
                self.watched.thread_condition.wait(POLL_S)
        key = next(self.watched).key
        is_task = key in self.tasks
        self.tasks.discard(key)
        return is_task


def _is_done(group: TreeReduction) -> bool:
    return group.error is not None or group.outcome.unwrap().done()


def _collect(group: TreeReduction, watch: WorkerWatch) -> Outcome[Any]:
    """Return the outcome of a group that is done.

    Parameters
    ----------
    group : TreeReduction
        Its nodes are futures.
    watch : WorkerWatch
        Checks the workers where a task failed in an unexpected way.

    Returns
    -------
    Outcome
        The result, or the exception of a task.

    Raises
    ------
    RixsError
        The cluster failed, not a task.
    """
    from distributed import KilledWorker

    outcome = group.outcome.then(lambda future: future.result())
    if isinstance(outcome.error, KilledWorker):
        raise RixsError(
            f"dask workers died, probably out of memory ({outcome.error}); "
            "increase the memory of the workers"
        ) from outcome.error
    if isinstance(outcome.error, futures.CancelledError):
        raise RixsError(
            "connection to the dask scheduler lost; finished products are kept; "
            "run the same command again to continue"
        ) from outcome.error
    if isinstance(outcome.error, VersionError):
        raise outcome.error
    if isinstance(outcome.error, ImportError | AttributeError):
        watch.start()  # a version that lacks what the task needs
        watch.look()
    return outcome


@contextmanager
def _scratch_folder() -> Iterator[None]:
    """Provide a private folder for dask's files, instead of /tmp/dask-scratch-space."""
    import dask.config

    with (
        tempfile.TemporaryDirectory(
            prefix="rixs-pipeline-", ignore_cleanup_errors=True
        ) as scratch,
        dask.config.set(temporary_directory=scratch),
    ):
        yield


def _silence_distributed() -> None:
    """Log errors of distributed alone; it reads this when it is imported."""
    import dask.config

    dask.config.set({"logging.distributed": "error"})


def _connect(stack: ExitStack, cluster: Any) -> Any:
    """Return a client of the scheduler at an address, or of a cluster object."""
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    # a table of many lines; WorkerWatch compares versions, too
    warnings.simplefilter("ignore", VersionMismatchWarning)
    try:
        client = Client(  # type: ignore[no-untyped-call]
            cluster, timeout=CONNECT_TIMEOUT_S, set_as_default=False
        )
    except TypeError as error:  # of distributed, without a certificate
        raise UsageError(
            f"no certificate for {cluster}; set `distributed.comm.tls` in the "
            "configuration of dask"
        ) from error
    except (OSError, OverflowError, ValueError) as error:
        reason = one_line(str(error))
        raise UsageError(
            f"no dask scheduler accepts a connection at {cluster} ({reason}); "
            "start one with `dask scheduler`"
        ) from error
    return stack.enter_context(client)
