"""How the work is done: in a row, in threads, in processes, or on a cluster. Never what comes out."""

import functools
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rixs_pipeline.config.models import ExecutionConfig
from rixs_pipeline.errors import RixsError
from rixs_pipeline.runner.tree_reduction import Group

if TYPE_CHECKING:
    from rixs_pipeline.runner.dask_cluster import Cluster

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[
    [int], None
]  # called in the main thread with the number of items done, at least 1

_AHEAD = 2  # items a worker that are handed out, so that none waits for the next one
_DEATHS = 3  # of workers at one item, after which it is taken as the cause
_SHARING = (
    "forkserver" in multiprocessing.get_all_start_methods()
)  # whether processes can share loaded modules

log = logging.getLogger("rixs_pipeline")


class Executor:
    """Runs functions on items; `with Executor(config) as executor:` opens and closes what it takes.

    Functions and items are pickled where they leave the process: pass module-level functions, paths and plain values,
    and open HDF5 files inside the function. What a function raises comes out with its own type. Ctrl-C starts nothing
    new, lets the running items end (so that no product is half written), and comes out as KeyboardInterrupt. A worker
    that dies is replaced and its items are done again.
    """

    def __init__(
        self,
        config: ExecutionConfig,
        logs: Path | None = None,
        preload: Sequence[str] = (),
    ) -> None:
        """`logs`: folder for what jobs of a cluster write; `preload`: modules that all worker processes share."""
        self.config = config
        self.logs = logs
        self.preload = list(preload)
        self.workers = (
            1 if config.scheduler == "serial" else config.workers or available_cores()
        )
        self._stack = ExitStack()
        self._pool: futures.Executor | None = None
        self._cluster: Cluster | None = None

    def __enter__(self) -> Self:
        """Open the pool or the connection.

        Raises:
            UsageError: no scheduler answers at the address, or what SLURM needs is not installed.
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

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        progress: Progress | None = None,
    ) -> Iterator[Result]:
        """`function` of every item, in the order of the items, each as soon as it and those before it are done."""
        for outcome in self.outcomes(function, items, progress):
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome

    def outcomes(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        progress: Progress | None = None,
    ) -> Iterator[Result | Exception]:
        """As `map`, but what an item raises is its outcome; pools here begin before the first is asked for."""
        return self.map_reduce(function, ((item,) for item in items), _only, progress)

    def warm_up(self) -> None:
        """Have the modules that worker processes share loaded meanwhile, so that none waits for them later."""
        if (
            isinstance(self._pool, futures.ProcessPoolExecutor)
            and self.preload
            and _SHARING
        ):
            from multiprocessing import forkserver

            # a Ctrl-C that comes while they are loaded is for this process alone
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                forkserver.set_forkserver_preload(self.preload)
                forkserver.ensure_running()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def map_reduce(
        self,
        function: Callable[[Item], Result],
        groups: Iterable[Sequence[Item]],
        combine: Callable[[Result, Result], Result],
        progress: Progress | None = None,
        at_once: int | None = None,
    ) -> Iterator[Result | Exception]:
        """For every group, in order: `function` of its items, combined in a tree; or what one of them raised.

        The items of all groups are one stream of work. Groups are taken from the iterable as workers become free, and
        a group's result is handed out, and forgotten, as soon as it and those before it are done: few are held at once.
        How items are combined depends on their number alone. Of a group without items the outcome is a ValueError.
        On this machine at most `at_once` items are handed out and groups begun, where that is given.

        Raises:
            RixsError: workers died again and again.
        """
        if self._cluster:
            return self._cluster.map_reduce(function, groups, combine, progress)
        return self._on_pool(
            function, groups, combine, progress, at_once or _AHEAD * self.workers
        )

    def _open(self, stack: ExitStack) -> None:
        """Set `_pool` or `_cluster`, and leave on the stack what closes it."""
        if self.config.scheduler in ("serial", "threads", "processes"):
            self._pool = self._new_pool()
            _leave_out_dask()
            stack.callback(_let_dask_in)
            stack.callback(
                lambda: self._pool.shutdown(cancel_futures=True) if self._pool else None
            )
        else:
            from rixs_pipeline.runner.dask_cluster import Cluster

            self._cluster = Cluster(self.config, self.workers, self.logs, stack)
            self.workers = self._cluster.workers

    def _new_pool(self) -> futures.Executor:
        if self.config.scheduler == "serial":
            return _Serial()
        if self.config.scheduler == "threads":
            return futures.ThreadPoolExecutor(self.workers)
        # no fork of this process: it would copy HDF5's lock and open files
        context = multiprocessing.get_context(
            "forkserver" if self.preload and _SHARING else "spawn"
        )
        return futures.ProcessPoolExecutor(
            self.workers, context, initializer=_begin_worker
        )

    def _on_pool(
        self,
        function: Callable[[Item], Result],
        groups: Iterable[Sequence[Item]],
        combine: Callable[[Result, Result], Result],
        progress: Progress | None,
        at_once: int,
    ) -> Iterator[Result | Exception]:
        """`map_reduce` in this machine; results are combined in this thread, as they come in."""
        active: deque[Group] = deque()
        running: _Running = {}
        leaves = _leaves(groups, functools.partial(functools.reduce, combine), active)
        room = 1 if self.config.scheduler == "serial" else at_once

        def fill() -> None:
            while (
                len(running) < room
                and len(active) <= room
                and (leaf := next(leaves, None))
            ):
                running[self._submit(function, leaf)] = leaf

        def results() -> Iterator[Result | Exception]:
            done = 0
            try:
                while running or active:
                    if running:
                        finished = self._collect(function, running)
                        done += finished
                        if progress and finished:
                            progress(done)
                    while active and active[0].done:
                        yield active.popleft().outcome
                    fill()
            finally:  # who cleans up after it finds no item at work
                futures.wait([future for future in running if not future.cancel()])

        fill()
        return results()

    def _submit(
        self, function: Callable[[Any], Any], leaf: "_Leaf"
    ) -> "futures.Future[Any]":
        if not self._pool:
            raise RuntimeError(
                "the executor is not open: use it as `with Executor(config) as executor:`"
            )
        try:
            return self._pool.submit(function, leaf.item)
        except (
            futures.BrokenExecutor
        ) as error:  # told by the future, as where the worker dies a moment later
            broken: futures.Future[Any] = futures.Future()
            broken.set_exception(error)
            return broken

    def _collect(self, function: Callable[[Any], Any], running: "_Running") -> int:
        """Wait for at least one item, take what is there out of `running`; how many items were finished."""
        ended, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
        lost = [
            running.pop(one)
            for one in ended
            if isinstance(one.exception(), futures.BrokenExecutor)
        ]
        finished = ended & running.keys()
        for one in finished:
            running.pop(one).take(one)
        if lost:
            lost += (
                running.values()
            )  # a pool that loses one process loses all that it had begun
            running.clear()
            self._replace_pool(lost)
            running |= {self._submit(function, leaf): leaf for leaf in lost}
        return len(finished)

    def _replace_pool(self, lost: "list[_Leaf]") -> None:
        for leaf in lost:
            leaf.deaths += 1
        if max(leaf.deaths for leaf in lost) >= _DEATHS:
            text = f"worker processes died {_DEATHS} times over the same work, most likely for want of memory"
            raise RixsError(f"{text}: use fewer --workers; what was finished is kept")
        log.warning("a worker process died: it is replaced, and its work is done again")
        if self._pool:
            self._pool.shutdown()
        self._pool = self._new_pool()


class _Serial(futures.Executor):
    """A pool without workers: what is submitted is done at once."""

    def submit(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> "futures.Future[Any]":
        future: futures.Future[Any] = futures.Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class _Leaf:
    """An item of a group, and how many workers died over it."""

    group: Group
    index: int
    item: Any
    deaths: int = 0

    def take(self, future: "futures.Future[Any]") -> None:
        """Hand what the item came to to its group."""
        try:
            self.group.put(self.index, future.result())
        except Exception as error:
            self.group.error = self.group.error or error


_Running = dict["futures.Future[Any]", _Leaf]


def available_cores() -> int:
    """The cores that this process may use, which on a shared machine are fewer than there are."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


def _only(first: Any, _: Any) -> Any:
    """How the results of a single item are combined: never called."""
    return first


def _leaves(
    groups: Iterable[Sequence[Any]],
    join: Callable[[list[Any]], Any],
    active: deque[Group],
) -> Iterator[_Leaf]:
    """The items of all groups in order; each group is put into `active` when its turn comes."""
    for items in groups:
        group = Group(len(items), join)
        active.append(group)
        yield from (_Leaf(group, k, item) for k, item in enumerate(items))


def _leave_out_dask() -> None:
    """Spare this process the half second that dask's arrays take to load.

    xarray loads them when it first sees any array, to ask whether it is one of theirs. Here none ever is, unless the
    process uses dask for something else: then it is left alone.
    """
    if "dask" not in sys.modules:
        sys.modules["dask.array"] = None  # type: ignore[assignment] # the import system's word for: not there


def _let_dask_in() -> None:
    if sys.modules.get("dask.array", "loaded") is None:
        del sys.modules["dask.array"]


def _begin_worker() -> None:
    """A worker process leaves Ctrl-C to its parent, and ends when the parent does, even when that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _leave_out_dask()
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
