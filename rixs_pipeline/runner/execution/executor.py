"""How work is executed: serially, in threads, in processes, or on a cluster.

The results do not depend on it.
"""

import functools
import gc
import logging
import os
import pickle
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rixs_pipeline import interrupt
from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.config.execution import LOCAL_SCHEDULERS
from rixs_pipeline.errors import RixsError
from rixs_pipeline.runner.execution import array_libraries
from rixs_pipeline.runner.execution.freed_memory import release_freed_memory
from rixs_pipeline.runner.execution.tree_reduction import TreeReduction
from rixs_pipeline.types import Outcome

if TYPE_CHECKING:
    from rixs_pipeline.runner.cluster.dask_cluster import Cluster

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[
    [int], None
]  # called in the main thread: number of tasks done, >= 1

TASKS_AHEAD = 2  # tasks a worker that are handed out, so that none waits for the next
MAX_DEATHS = 3  # of workers over one task, after which the task counts as the cause
POLL_S = 0.2  # at most this long between two looks for Ctrl-C
LONGEST_DEATH_S = 2.0  # until a pool has to have noticed that a process died

log = logging.getLogger("rixs_pipeline")


class Executor:
    """Runs functions on tasks; `with Executor(config) as executor:` opens it.

    Functions and tasks are pickled where they leave the process: pass module-level
    functions, paths and plain values, and open HDF5 files inside the function. Ctrl-C
    starts nothing new, lets the running tasks end (so that no product is half written),
    and comes out as KeyboardInterrupt. A worker that dies is replaced, and its tasks
    are done again.
    """

    def __init__(
        self,
        config: ExecutionConfig,
        logs: Path | None = None,
        preload: Sequence[str] = (),
    ) -> None:
        """Configure.

        Parameters
        ----------
        config : ExecutionConfig
            Scheduler and number of workers.
        logs : Path, optional
            Folder for the logs of cluster jobs.
        preload : sequence of str
            Modules that all worker processes share.
        """
        self.config = config
        self.logs = logs
        self.preload = list(preload)
        self.workers = config.workers or available_cores()
        if config.scheduler == "serial":
            self.workers = 1
        self._stack = ExitStack()
        self._pool: futures.Executor | None = None  # of processes: when it is used
        self._is_open = False
        self._opening = threading.Lock()
        self._cluster: Cluster | None = None
        self._is_starting = False
        self._has_worked = False
        self._dead_since: float | None = None  # monotonic s

    def __enter__(self) -> Self:
        """Open the pool or the connection.

        Raises
        ------
        UsageError
            No scheduler answers at the address, or SLURM or dask-jobqueue is missing.
        """
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it, and wait for what still runs."""
        self._stack.close()

    def outcomes(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        progress: Progress | None = None,
    ) -> Iterator[Outcome[Result]]:
        """Apply a function to tasks.

        Parameters
        ----------
        function : callable
            Of a task.
        tasks : iterable
            The work.
        progress : callable, optional
            Called with the number of tasks done.

        Yields
        ------
        Outcome
            Of every task, in order; see `map_reduce`.
        """
        groups = ((task,) for task in tasks)
        return self.map_reduce(function, groups, _never_combined, progress)

    def map_reduce(
        self,
        function: Callable[[Task], Result],
        groups: Iterable[Sequence[Task]],
        combine: Callable[[Result, Result], Result],
        progress: Progress | None = None,
        at_once: int | None = None,
    ) -> Iterator[Outcome[Result]]:
        """Apply a function to all tasks, and combine the results of each group.

        The tasks of all groups are one stream of work, which begins at once on a local
        pool. Groups are taken from the iterable as workers become free. How results are
        combined depends on their number alone.

        Parameters
        ----------
        function : callable
            Of a task.
        groups : iterable of sequences of tasks
            The work.
        combine : callable
            Combines two results.
        progress : callable, optional
            Called with the number of tasks done.
        at_once : int, optional
            How many tasks are handed out and groups begun at most, on this machine.

        Yields
        ------
        Outcome
            Of every group, in order, as soon as it and those before it are done; it is
            forgotten then. A group without tasks ends with a ValueError.

        Raises
        ------
        RixsError
            Workers died again and again.
        """
        if self._cluster:
            return self._cluster.map_reduce(function, groups, combine, progress)
        room = at_once or TASKS_AHEAD * self.workers
        if self.config.scheduler == "serial":
            room = 1
        return self._map_reduce_on_pool(function, groups, combine, progress, room)

    @property
    def has_processes(self) -> bool:
        """Whether the workers are processes on this machine."""
        return self._is_open and self.config.scheduler == "processes"

    @property
    def has_running_processes(self) -> bool:
        """Whether worker processes on this machine run already: they have had work."""
        return self.has_processes and self._has_worked

    @property
    def is_ready(self) -> bool:
        """Whether a task can be handed out without a wait for processes to start."""
        return self._has_worked or not self.has_processes

    def start_processes(self) -> None:
        """Start the worker processes, if there are any; this thread does not wait."""
        if self.has_processes and not self._is_starting:
            self._is_starting = True
            self.start(_do_nothing, range(self.workers))

    def start(self, function: Callable[[Task], Any], tasks: Iterable[Task]) -> None:
        """Apply a function to tasks on a local pool; nobody asks what becomes of it.

        This thread does not wait while processes start.

        Parameters
        ----------
        function : callable
            Of a task.
        tasks : iterable
            The work. What has not begun when the pool is closed is left undone.
        """

        def submit_all() -> None:
            """Hand out the tasks."""
            # the pool has been closed meanwhile, or its processes cannot start
            with suppress(RuntimeError, EOFError, OSError):
                for value in tasks:
                    self._submit(function, value)

        self.warm_up()
        threading.Thread(target=submit_all, daemon=True).start()

    def warm_up(self) -> None:
        """Load the modules that worker processes share, while other work goes on."""
        if self.has_processes and self.preload:
            load_shared(self.preload)

    def _open(self, stack: ExitStack) -> None:
        """Set `_pool` or `_cluster`, and register what closes it."""
        if self.config.scheduler in LOCAL_SCHEDULERS:
            self._is_open = True
            stack.callback(self._close_pool)
        else:
            array_libraries.show()
            from rixs_pipeline.runner.cluster.dask_cluster import Cluster

            self._cluster = Cluster(self.config, self.workers, self.logs, stack)
            self.workers = self._cluster.workers

    def _close_pool(self) -> None:
        self._is_open = False
        self._shut_down()

    def _shut_down(self) -> None:
        if self._pool:
            shut_down = functools.partial(self._pool.shutdown, cancel_futures=True)
            closing = threading.Thread(target=shut_down, daemon=True)
            closing.start()
            while closing.is_alive():
                self._unblock_pool()
                closing.join(POLL_S)
            self._pool = None

    def _new_pool(self) -> futures.Executor:
        if self.config.scheduler == "serial":
            return _SerialPool()
        if self.config.scheduler == "threads":
            return futures.ThreadPoolExecutor(self.workers)
        # never fork this process: it would copy HDF5's lock and open files
        import multiprocessing  # with `ProcessPoolExecutor`, 50 ms

        from rixs_pipeline.runner.execution.process_pool import ProcessPool

        can_share = bool(self.preload) and has_forkserver()
        context = multiprocessing.get_context("forkserver" if can_share else "spawn")
        start_resource_tracker()
        return ProcessPool(
            self.workers,
            context,
            initializer=_initialise_worker,
            initargs=(gc.get_threshold(),),
        )

    def _map_reduce_on_pool(
        self,
        function: Callable[[Task], Result],
        groups: Iterable[Sequence[Task]],
        combine: Callable[[Result, Result], Result],
        progress: Progress | None,
        room: int,
    ) -> Iterator[Outcome[Result]]:
        """`map_reduce` on this machine; this thread combines results as they arrive."""
        active: deque[TreeReduction] = deque()
        running: _Running = {}
        join = functools.partial(functools.reduce, combine)
        tasks = _tasks(groups, join, active)

        def submit_more() -> None:
            """Hand out tasks while there is room."""
            while len(running) < room and len(active) <= room:
                task = next(tasks, None)
                if task is None:
                    return
                running[self._submit(function, task.value)] = task

        def results() -> Iterator[Outcome[Result]]:
            """Yield the groups in order."""
            done = 0
            try:
                while running or active:
                    if running:
                        finished = self._collect(function, running)
                        done += finished
                        if progress and finished:
                            progress(done)
                    while active and active[0].is_done:
                        yield active.popleft().outcome
                    submit_more()
            finally:  # no task is at work any more when others clean up
                left = {future for future in running if not future.cancel()}
                while left:
                    self._unblock_pool()
                    left = futures.wait(left, POLL_S).not_done

        self.warm_up()  # the first task would start processes without their modules
        submit_more()
        return results()

    def _open_pool(self) -> futures.Executor:
        if not self._is_open:
            raise RuntimeError("executor not open: use `with Executor(config) as ...:`")
        with self._opening:  # `start` hands out tasks in another thread
            self._pool = self._pool or self._new_pool()
            return self._pool

    def _submit(
        self, function: Callable[[Any], Any], value: Any
    ) -> "futures.Future[Any]":
        pool = self._open_pool()
        try:
            if self.has_processes:
                return pool.submit(_call_in_process, function, value)
            return pool.submit(function, value)
        except futures.BrokenExecutor as error:  # as if the worker died a moment later
            broken: futures.Future[Any] = futures.Future()
            broken.set_exception(error)
            return broken
        finally:
            self._has_worked = True

    def _collect(self, function: Callable[[Any], Any], running: "_Running") -> int:
        """Wait for a task, remove those that ended from `running`, return how many."""
        ended: set[futures.Future[Any]] = set()
        while not ended:
            interrupt.check()
            self._unblock_pool()
            ended = futures.wait(running, POLL_S, futures.FIRST_COMPLETED).done
        lost = []
        for future in ended:
            if isinstance(future.exception(), futures.BrokenExecutor):
                lost.append(running.pop(future))
        finished = ended & running.keys()
        for future in finished:
            running.pop(future).take_result(future)
        if lost:
            lost += (
                running.values()
            )  # a pool that loses one process loses all its tasks
            running.clear()
            self._replace_pool(lost)
            for task in lost:
                running[self._submit(function, task.value)] = task
        return len(finished)

    def _unblock_pool(self) -> None:
        """End a pool of which a process died while it sent a result.

        It would wait for the rest of the result for ever.
        """
        if self.config.scheduler != "processes":
            return
        from rixs_pipeline.runner.execution.process_pool import ProcessPool

        pool = self._pool
        if not isinstance(pool, ProcessPool):
            return
        if not pool.has_dead_process():
            self._dead_since = None
        elif self._dead_since is None:
            self._dead_since = time.monotonic()
        elif time.monotonic() - self._dead_since > LONGEST_DEATH_S:
            self._dead_since = None
            pool.close_results()

    def _replace_pool(self, lost: "list[_Task]") -> None:
        for task in lost:
            task.deaths += 1
        if max(task.deaths for task in lost) >= MAX_DEATHS:
            raise RixsError(
                f"worker processes died {MAX_DEATHS} times on the same task, probably "
                "out of memory; reduce --workers (finished products are kept); in a "
                'script, the reduction has to be under `if __name__ == "__main__":`'
            )
        log.warning("worker process died; starting a new one and repeating its tasks")
        self._shut_down()


class _SerialPool(futures.Executor):
    """A pool without workers: what is submitted is done at once."""

    def submit(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> "futures.Future[Any]":
        """Call the function; return a future that is done."""
        future: futures.Future[Any] = futures.Future()
        outcome = Outcome.of(functools.partial(function, *args, **kwargs))
        if outcome.error is None:
            future.set_result(outcome.result)
        else:
            future.set_exception(outcome.error)
        return future


@dataclass
class _Task:
    """A task of a group, and how many workers died over it."""

    group: TreeReduction
    index: int
    value: Any
    deaths: int = 0

    def take_result(self, future: "futures.Future[Any]") -> None:
        """Hand the result to the group."""
        outcome = Outcome.of(future.result)
        if outcome.error is None:
            outcome = Outcome.of(self.group.put, self.index, outcome.result)
        self.group.error = self.group.error or outcome.error


_Running = dict["futures.Future[Any]", _Task]


def has_forkserver() -> bool:
    """Whether processes can be forked from one that has loaded what they need."""
    import multiprocessing

    return "forkserver" in multiprocessing.get_all_start_methods()


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_shared(modules: Sequence[str]) -> None:
    """Start the process that loads modules, and of which others are forked then.

    It is there once, with the modules of the first call.

    Parameters
    ----------
    modules : sequence of str
        Names for `import`.
    """
    if not has_forkserver():
        return
    from multiprocessing import forkserver

    start_resource_tracker()  # here: it unblocks signals
    # Ctrl-C while they are loaded is for this process alone
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.set_forkserver_preload(list(modules))
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def start_resource_tracker() -> None:
    """Start the process of Python that removes what others leave behind.

    It ignores Ctrl-C and SIGTERM to the whole group, but not SIGHUP, which the start
    blocks for it.
    """
    if not has_forkserver():
        return
    from multiprocessing import resource_tracker

    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _never_combined(result: Any, _: Any) -> Any:
    """Combine the results of a single task, which needs no call."""
    return result


def _tasks(
    groups: Iterable[Sequence[Any]],
    join: Callable[[list[Any]], Any],
    active: deque[TreeReduction],
) -> Iterator[_Task]:
    """Yield the tasks of all groups; a group joins `active` when its turn comes."""
    for values in groups:
        group = TreeReduction(len(values), join)
        active.append(group)
        for index, value in enumerate(values):
            yield _Task(group, index, value)


def end_with_parent() -> None:
    """End this process when the one that started it has ended, even if killed."""
    import multiprocessing

    parent = multiprocessing.parent_process()

    def follow() -> None:
        """Wait for the parent."""
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _do_nothing(_: Any) -> None:
    """Be the first task of a process."""


def _call_in_process(function: Callable[[Any], Any], value: Any) -> Any:
    """Call a function, then return the memory that it freed to the system."""
    try:
        return function(value)
    except Exception as error:
        if _arrives(error):
            raise
        failure = RuntimeError(f"{type(error).__name__}: {error}")
        failure.add_note(traceback.format_exc())
    finally:
        release_freed_memory()
    raise failure  # not from `error`, which would be sent with it where tblib is loaded


def _arrives(error: Exception) -> bool:
    """Return whether an exception can be sent to another process.

    The pool counts one that cannot be unpickled as the death of all its processes.
    """
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


def _initialise_worker(gc_thresholds: Sequence[int]) -> None:
    """Leave signals to the parent process; end when it ends, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupt.leave_group()
    gc.set_threshold(*gc_thresholds)
    gc.freeze()  # what is loaded stays, and need not be searched for garbage
    end_with_parent()
