"""The workers of a dask scheduler: whether there are any, and of which version."""

import logging
import pickle
import platform
import socket
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rixs_pipeline.errors import RixsError, VersionError
from rixs_pipeline.files.opening import one_line
from rixs_pipeline.io.provenance import code_version

LOOK_INTERVAL_S = 2.0
FIRST_REPORT_S = 10.0  # without workers; SLURM starts jobs of an idle node in some s
REPORT_INTERVAL_S = 60.0

log = logging.getLogger("rixs_pipeline")


def call_same_version(version: str, function: bytes, *arguments: Any) -> Any:
    """Call a function in a worker.

    Parameters
    ----------
    version : str
        Of the program that sends the work.
    function : bytes
        Pickled, so that another version does not even load it.
    *arguments
        Of the function.

    Returns
    -------
    Any
        Its result.

    Raises
    ------
    VersionError
        This process has another version.
    """
    if code_version() != version:
        raise VersionError(_mismatch(socket.gethostname(), code_version(), version))
    return pickle.loads(function)(*arguments)


def _mismatch(worker: str, theirs: str, ours: str) -> str:
    return (
        f"worker {worker} has {theirs}, this command {ours}; "
        "install the same versions for both, and repeat the command"
    )


class WorkerWatch:
    """Looks for workers while their results are awaited.

    Without any it reports what is known of them, and gives up in the end. Workers that
    join are asked for their version.
    """

    def __init__(
        self, client: Any, longest_wait_s: float, describe: Callable[[], str]
    ) -> None:
        """Begin to look.

        Parameters
        ----------
        client : distributed.Client
            Connected.
        longest_wait_s : float
            After this time without any worker it gives up.
        describe : callable
            Returns in words why there may be no worker.
        """
        self.client = client
        self.longest_wait_s = longest_wait_s
        self.describe = describe
        self._checked: set[str] = set()
        self._next_look = 0.0
        self._next_report = 0.0
        self._absent_since: float | None = None

    def start(self) -> None:
        """Begin to wait for results; workers that were absent before do not matter."""
        self._absent_since = None
        self._next_look = 0.0

    def look(self) -> None:
        """Look for workers, once in a while.

        Raises
        ------
        VersionError
            A worker has another version of the program or of Python.
        RixsError
            There were no workers for too long.
        """
        now = time.monotonic()
        if now < self._next_look or self.client.status != "running":
            return
        self._next_look = now + LOOK_INTERVAL_S
        workers = set(self.client.scheduler_info()["workers"])
        if workers:
            self.check_versions(workers - self._checked)
            self._absent_since = None
        else:
            self._report_absence(now)
        self._checked = workers

    def _report_absence(self, now: float) -> None:
        if self._absent_since is None:
            self._absent_since, self._next_report = now, now + FIRST_REPORT_S
        waited = now - self._absent_since
        if waited > self.longest_wait_s:
            raise RixsError(
                f"no worker for {waited:.0f} s ({self.describe()}); finished products "
                "are kept; wait longer with `execution.cluster.longest_wait`"
            )
        if now >= self._next_report:
            self._next_report = now + REPORT_INTERVAL_S
            log.warning("waiting for workers since %.0f s: %s", waited, self.describe())

    def check_versions(self, workers: Collection[str]) -> None:
        """Check that workers have this version of the program and of Python.

        Parameters
        ----------
        workers : collection of str
            Their addresses; those that have gone meanwhile do not matter.

        Raises
        ------
        VersionError
            One has another version.
        """
        if not workers:
            return
        python = _minor_version(platform.python_version())
        installed = self.client.get_versions()
        for address, versions in installed["workers"].items():
            if address not in workers:
                continue
            theirs = _minor_version(versions["host"]["python"])
            if theirs != python:
                raise VersionError(
                    _mismatch(address, f"Python {theirs}", f"Python {python}")
                )
            _compare_libraries(
                address, versions["packages"], installed["client"]["packages"]
            )
        # not a call that may fail to load in another version of Python
        answers = self.client.run(
            code_version, workers=list(workers), on_error="return"
        )
        for address, answer in answers.items():
            if isinstance(answer, OSError):  # gone meanwhile
                continue
            if answer != code_version():
                is_missing = isinstance(answer, Exception)
                reason = one_line(str(answer))
                theirs = f"no rixs-pipeline ({reason})" if is_missing else reason
                raise VersionError(_mismatch(address, theirs, code_version()))


def _minor_version(version: str) -> str:
    """Return such as `3.11` of `3.11.2.final.0`."""
    return ".".join(version.split(".")[:2])


def _compare_libraries(
    worker: str, theirs: Mapping[str, str | None], ours: Mapping[str, str | None]
) -> None:
    """Log one line where a worker has other versions of libraries."""
    different = [
        f"{name} {theirs.get(name)} (here {version})"
        for name, version in ours.items()
        if name != "python" and theirs.get(name) != version
    ]
    if different:
        log.warning("worker %s has other libraries: %s", worker, ", ".join(different))
