"""Workers of dask as SLURM jobs, which nobody else can reach."""

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.io.temporaries import temporary_folder
from rixs_pipeline.runner.cluster.queue import read_queue

# of a worker on its node: a name that nobody else can take before
NODE_SCRATCH = "$scratch"
MAKE_SCRATCH = "scratch=$(mktemp -d) && trap 'rm -rf \"$scratch\"' EXIT"
LOOPBACK = "127.0.0.1"
SHOWN_JOBS = 4


class SlurmWorkers:
    """Workers as SLURM jobs of one core each, until the stack closes.

    What `execution.cluster` leaves open comes from dask-jobqueue's own config. A job
    that ends, by its time limit or otherwise, is followed by another one.

    Attributes
    ----------
    cluster : dask_jobqueue.SLURMCluster
        Its scheduler accepts only who has the certificate of this reduction.
    refusals : list of str
        What sbatch said of jobs that it did not accept.
    """

    def __init__(
        self, config: ExecutionConfig, workers: int, logs: Path, stack: ExitStack
    ) -> None:
        """Start a scheduler in this process, and submit jobs.

        Parameters
        ----------
        config : ExecutionConfig
            With the resources of a worker.
        workers : int
            How many.
        logs : Path
            Folder that all nodes can read; for logs and the certificate.
        stack : ExitStack
            Ends the jobs.

        Raises
        ------
        UsageError
            SLURM or an optional dependency is missing.
        RixsError
            The certificate cannot be kept private.
        """
        import dask.config

        jobqueue = _import_jobqueue()
        if not shutil.which("sbatch"):
            raise UsageError(
                "--scheduler slurm: sbatch not found; run this command on a login "
                "node, or choose another scheduler"
            )
        self.refusals: list[str] = []
        site = config.cluster
        site_scratch = dask.config.get("jobqueue.slurm.local-directory", None)
        logs.mkdir(parents=True, exist_ok=True)
        self.folder = stack.enter_context(temporary_folder(logs / "certificate"))
        self.cluster = jobqueue.SLURMCluster(
            job_cls=_job_class(jobqueue, self.refusals),
            cores=1,
            processes=1,
            memory=config.memory,
            queue=site.partition,
            account=site.account,
            walltime=site.walltime,
            # no modules from the current folder, which may be that of the beamtime
            python=f"{shlex.quote(sys.executable)} -P",
            job_script_prologue=[*site.setup, MAKE_SCRATCH],
            job_extra_directives=list(site.options) or None,
            log_directory=str(logs),
            security=_make_certificate(self.folder),
            scheduler_options=_dashboard_options(stack, site.dashboard),
            worker_extra_args=["--no-dashboard", f"--dashboard-address={LOOPBACK}:0"],
            local_directory=site_scratch or NODE_SCRATCH,
        )
        stack.enter_context(self.cluster)
        self.cluster.adapt(minimum=workers, maximum=workers)

    def describe(self) -> str:
        """Return the states of the jobs, to explain why there is no worker.

        Raises
        ------
        RixsError
            sbatch accepted none of the jobs.
        """
        os.utime(self.folder)  # so that no other reduction takes it for abandoned
        jobs = list(self.cluster.workers.values())
        numbers = sorted({str(job.job_id) for job in jobs if job.job_id}, key=int)
        if self.refusals and not numbers:
            raise RixsError(
                f"{self.refusals[0]}; see `execution.cluster` in the config"
            )
        if not numbers:
            return "no job is submitted yet"
        try:
            queue = read_queue(f"--user={os.getuid()}")
        except RixsError as error:
            return f"{_list_jobs(numbers)}: {error}"
        groups: dict[str, list[str]] = {}
        for number in numbers:
            job = queue.get(number)
            groups.setdefault(job.in_words if job else "ended", []).append(number)
        return "; ".join(
            f"{_list_jobs(group)} {state}" for state, group in groups.items()
        )


def _list_jobs(numbers: Sequence[str]) -> str:
    """Return such as `jobs 7, 8, 9, 10 and 28 more`."""
    shown = ", ".join(numbers[:SHOWN_JOBS])
    more = len(numbers) - SHOWN_JOBS
    text = f"job {shown}" if len(numbers) == 1 else f"jobs {shown}"
    return f"{text} and {more} more" if more > 0 else text


def _import_jobqueue() -> Any:
    """Import the optional dependencies.

    dask-jobqueue 0.9 sets a handler of Ctrl-C that ends the process in silence, with
    exit code 0.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        import_module("cryptography")
        return import_module("dask_jobqueue")
    except ImportError as error:
        raise UsageError(
            f"--scheduler slurm requires {error.name}: "
            "pip install 'rixs-pipeline[slurm]'"
        ) from error
    finally:
        signal.signal(signal.SIGINT, handler)


def _job_class(jobqueue: Any, refusals: list[str]) -> Any:
    """Return a class of jobs that keeps what sbatch says when it refuses one.

    dask-jobqueue prints a traceback instead, and waits for the job forever.
    """

    from distributed.core import Status

    class Job(jobqueue.slurm.SLURMJob):  # type: ignore[misc]
        async def _submit_job(self, script_filename: str) -> Any:
            try:
                return await super()._submit_job(script_filename)
            except RuntimeError as error:
                text = str(error).partition("stderr:\n")[2] or str(error)
                refusals.append(" ".join(text.split()))
                return ""

        def _job_id_from_submit_output(self, out: str) -> Any:
            return super()._job_id_from_submit_output(out) if out else None

        async def close(self) -> None:
            await super().close()
            self.status = Status.closed

    return Job


def _make_certificate(folder: Path) -> Any:
    """Make a certificate for a scheduler, its workers and its client.

    Parameters
    ----------
    folder : Path
        For the certificate and its key, which the workers read.

    Returns
    -------
    distributed.Security
        Connections without the certificate are refused.

    Raises
    ------
    RixsError
        The file system does not keep the folder private.
    """
    from distributed.security import Security

    folder.chmod(0o700)
    if folder.stat().st_mode & 0o077:
        raise RixsError(
            f"{folder}: the file system cannot keep the key of the workers private; "
            "choose an output folder on another one"
        )
    temporary = Security.temporary()  # type: ignore[no-untyped-call]
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    for path, text in (
        (certificate, temporary.tls_scheduler_cert),
        (key, temporary.tls_scheduler_key),
    ):
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="ascii")
    files = {"tls_ca_file": str(certificate)}
    for role in ("scheduler", "worker", "client"):
        files[f"tls_{role}_cert"] = str(certificate)
        files[f"tls_{role}_key"] = str(key)
    return Security(require_encryption=True, **files)  # type: ignore[no-untyped-call]


def _dashboard_options(stack: ExitStack, port: int | None) -> Mapping[str, Any]:
    """Return options of the scheduler: no pages, or a dashboard for this machine."""
    import dask.config

    if port is None:
        stack.enter_context(dask.config.set({"distributed.scheduler.http.routes": []}))
        return {"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    if not find_spec("bokeh"):
        raise UsageError(
            "execution.cluster.dashboard requires bokeh: "
            "pip install 'rixs-pipeline[dashboard]'"
        )
    return {"dashboard": True, "dashboard_address": f"{LOOPBACK}:{port}"}
