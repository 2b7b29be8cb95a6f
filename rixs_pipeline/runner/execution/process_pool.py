"""A pool of processes that notices the death of one also while it sends a result."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path


class ProcessPool(ProcessPoolExecutor):
    """A pool that can be ended where it waits for the rest of a result.

    `ProcessPoolExecutor` looks for dead processes only between two results, and keeps
    the pipe of the results open itself. It has no public attributes for either.
    """

    def has_dead_process(self) -> bool:
        """Whether a process has ended."""
        processes = list((self._processes or {}).values())
        return bool(wait([process.sentinel for process in processes], 0))

    def close_results(self) -> None:
        """End all processes, and the pipe of their results: the pool breaks."""
        for process in list((self._processes or {}).values()):
            process.kill()
        # not `close`: the pool may be about to close it in another thread
        writer = self._result_queue._writer  # type: ignore[attr-defined]  # no stub
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), writer.fileno())
