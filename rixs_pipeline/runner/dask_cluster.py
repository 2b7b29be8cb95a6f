"""Work on a cluster: a dask scheduler that is running, or SLURM jobs. The only module that imports dask."""

import functools
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rixs_pipeline.config.models import ExecutionConfig
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.runner.tree_reduction import Group

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items a worker that are handed out, so that none waits for the next one
_CONNECT_TIMEOUT_S = 10
_NODE_SCRATCH = (
    "${TMPDIR:-/tmp}/rixs-pipeline-$USER"  # of SLURM workers, each on its own node
)


class Cluster:
    """A connection to the workers of a cluster, open until the stack closes."""

    def __init__(
        self, config: ExecutionConfig, workers: int, logs: Path | None, stack: ExitStack
    ) -> None:
        """Connect.

        Args:
            config: its scheduler is `slurm` or an address.
            workers: how many SLURM is asked for.
            logs: folder for what SLURM jobs write; None: the current one.
            stack: closes it.

        Raises:
            UsageError: no scheduler answers at the address, or what SLURM needs is not installed.
        """
        stack.enter_context(_scratch_folder())
        _quiet()
        slurm = config.scheduler == "slurm"
        self.client = _connect(
            stack,
            _slurm_cluster(stack, config, workers, logs) if slurm else config.scheduler,
        )
        found = 0 if slurm or config.workers else sum(self.client.nthreads().values())
        self.workers = found or workers

    def map_reduce(
        self,
        function: Callable[[Item], Result],
        groups: Iterable[Sequence[Item]],
        combine: Callable[[Result, Result], Result],
        progress: Callable[[int], None] | None,
    ) -> Iterator[Result | Exception]:
        """`Executor.map_reduce`: results are combined by the workers, and only a group's whole result comes here.

        A worker that dies is left to the scheduler of the cluster, which does its work again elsewhere.
        """
        from distributed import as_completed

        source, watched = iter(groups), as_completed(loop=self.client.loop)  # type: ignore[no-untyped-call]
        active: deque[Any] = deque()
        left: set[str] = set()  # keys of items
        room, done, exhausted = _AHEAD * self.workers, 0, False
        while active or not exhausted:
            while not exhausted and len(left) < room and len(active) <= room:
                items = next(source, None)
                exhausted = items is None
                if items is not None:
                    active.append(
                        _submit_group(
                            self.client, function, items, combine, watched, left
                        )
                    )
            if len(left) >= room or (active and not _is_done(active[0])):
                key = next(watched).key
                counted = key in left
                done += counted
                left.discard(key)
                if progress and counted:
                    progress(done)
            while active and _is_done(active[0]):
                yield _outcome(active.popleft())


def _submit_group(
    client: Any,
    function: Callable[[Any], Any],
    items: Sequence[Any],
    combine: Callable[[Any, Any], Any],
    watched: Any,
    left: set[str],
) -> Any:
    """The future of a group's result, or the error of an empty one. Its futures are watched until they are done."""
    group = Group(
        len(items),
        lambda nodes: client.submit(functools.reduce, combine, nodes, pure=False),
    )
    for k, item in enumerate(items):
        # bound to the function, so that dask never looks inside the item
        future = client.submit(functools.partial(function, item), pure=False)
        left.add(future.key)
        watched.add(future)
        group.put(k, future)
    if len(items) > 1:
        watched.add(group.outcome)
    return group.outcome


def _is_done(future: Any) -> bool:
    return isinstance(future, Exception) or future.done()


def _outcome(future: Any) -> Any:
    """What a group came to.

    Raises:
        RixsError: not for what its items did, but for the cluster.
    """
    from distributed import KilledWorker

    try:
        return future if isinstance(future, Exception) else future.result()
    except KilledWorker as error:
        raise RixsError(
            f"the cluster's workers died, most likely for want of memory: {error}"
        ) from error
    except futures.CancelledError as error:
        raise RixsError(
            "the connection to the dask scheduler was lost; what was finished is kept"
        ) from error
    except Exception as error:
        return error


@contextmanager
def _scratch_folder() -> Iterator[None]:
    """A private folder for what dask writes on the side, instead of /tmp/dask-scratch-space."""
    import dask.config

    with (
        tempfile.TemporaryDirectory(
            prefix="rixs-pipeline-", ignore_cleanup_errors=True
        ) as scratch,
        dask.config.set(temporary_directory=scratch),
    ):
        yield


def _quiet() -> None:
    """What distributed tells of its own work is no concern of the user's; it reads this when it is imported."""
    import dask.config

    dask.config.set({"logging.distributed": "error"})


def _connect(stack: ExitStack, address: Any) -> Any:
    """A client of the scheduler at an address, or of a cluster object."""
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise UsageError(
            f"no dask scheduler answers at {address}: start one with `dask scheduler`"
        ) from error
    return stack.enter_context(client)


def _slurm_cluster(
    stack: ExitStack, config: ExecutionConfig, workers: int, logs: Path | None
) -> Any:
    """Workers as SLURM jobs of one core each; what `cluster` leaves open comes from dask-jobqueue's own config.

    A job that ends, by its time limit or otherwise, is followed by another one.
    """
    import dask.config

    config_folder = dask.config.PATH
    try:
        with (
            tempfile.TemporaryDirectory() as dask.config.PATH
        ):  # where the import writes a template of its config
            from dask_jobqueue import SLURMCluster  # type: ignore[attr-defined,import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise UsageError(
            "--scheduler slurm needs dask-jobqueue: pip install 'rixs-pipeline[slurm]'"
        ) from error
    finally:
        dask.config.PATH = config_folder
    if not shutil.which("sbatch"):
        raise UsageError(
            "--scheduler slurm finds no sbatch: run on a node that submits jobs, or choose another scheduler"
        )
    site = config.cluster
    cluster = SLURMCluster(
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
        local_directory=dask.config.get("jobqueue.slurm.local-directory", None)
        or _NODE_SCRATCH,
    )
    stack.enter_context(cluster)
    cluster.adapt(minimum=workers, maximum=workers)
    return cluster
