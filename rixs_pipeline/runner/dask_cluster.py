"""Work on a cluster: a dask scheduler that is running, or SLURM jobs.

The only module that imports dask.
"""

import functools
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from rixs_pipeline import interrupt
from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.runner.tree_reduction import TreeReduction
from rixs_pipeline.types import Outcome

Task = TypeVar("Task")
Result = TypeVar("Result")

TASKS_AHEAD = 2  # tasks a worker that are handed out, so that none waits for the next
CONNECT_TIMEOUT_S = 10
# of SLURM workers, each on its own node
NODE_SCRATCH = "${TMPDIR:-/tmp}/rixs-pipeline-$USER"


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
        """
        stack.enter_context(_scratch_folder())
        _silence_distributed()
        if config.scheduler == "slurm":
            cluster = _slurm_cluster(stack, config, workers, logs)
            self.client = _connect(stack, cluster)
            self.workers = workers
        else:
            self.client = _connect(stack, config.scheduler)
            threads = sum(self.client.nthreads().values())
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
            The cluster failed.
        """
        stream = _TaskStream(self.client, function, combine)
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
                is_task = stream.wait()
                done += is_task
                if progress and is_task:
                    progress(done)
            while active and _is_done(active[0]):
                yield _collect(active.popleft())


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
            # bound to the function, so that dask never looks inside the task
            bound = functools.partial(self.function, task)
            future = self.client.submit(bound, pure=False)
            self.tasks.add(future.key)
            self.watched.add(future)
            group.put(index, future)
        if len(tasks) > 1:
            self.watched.add(group.outcome.unwrap())
        return group

    def _join(self, nodes: list[Any]) -> Any:
        return self.client.submit(functools.reduce, self.combine, nodes, pure=False)

    def wait(self) -> bool:
        """Wait for a future to end; whether it was a task, not a sum."""
        key = next(self.watched).key
        is_task = key in self.tasks
        self.tasks.discard(key)
        return is_task


def _is_done(group: TreeReduction) -> bool:
    return group.error is not None or group.outcome.unwrap().done()


def _collect(group: TreeReduction) -> Outcome[Any]:
    """Return the outcome of a group that is done.

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

    try:
        client = Client(  # type: ignore[no-untyped-call]
            cluster, timeout=CONNECT_TIMEOUT_S, set_as_default=False
        )
    except OSError as error:
        raise UsageError(
            f"no dask scheduler running at {cluster}; start one with `dask scheduler`"
        ) from error
    return stack.enter_context(client)


def _slurm_cluster(
    stack: ExitStack, config: ExecutionConfig, workers: int, logs: Path | None
) -> Any:
    """Return workers as SLURM jobs of one core each.

    What `cluster` leaves open comes from dask-jobqueue's own config. A job that ends,
    by its time limit or otherwise, is followed by another one.
    """
    import dask.config

    try:
        jobqueue = import_module("dask_jobqueue")  # an optional dependency
    except ImportError as error:
        raise UsageError(
            "--scheduler slurm requires dask-jobqueue: "
            "pip install 'rixs-pipeline[slurm]'"
        ) from error
    if not shutil.which("sbatch"):
        raise UsageError(
            "--scheduler slurm: sbatch not found; run this command on a login node, "
            "or choose another scheduler"
        )
    site = config.cluster
    site_scratch = dask.config.get("jobqueue.slurm.local-directory", None)
    cluster = jobqueue.SLURMCluster(
        cores=1,
        processes=1,
        memory=config.memory,
        queue=site.partition,
        account=site.account,
        walltime=site.walltime,
        job_script_prologue=list(site.setup) or None,
        job_extra_directives=list(site.options) or None,
        log_directory=str(logs) if logs else None,
        scheduler_options={"dashboard_address": ":0"},  # any free port
        local_directory=site_scratch or NODE_SCRATCH,
    )
    stack.enter_context(cluster)
    cluster.adapt(minimum=workers, maximum=workers)
    return cluster
