"""The reduction as SLURM jobs: one array of commands after another."""

import hashlib
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config, ExecutionConfig, memory_in_bytes
from rixs_pipeline.config.execution import LOCAL_SCHEDULERS
from rixs_pipeline.config.load import dump_config
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.io.nexus import atomic_path
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.cluster.queue import run_slurm
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.stages.scan.exposure_scale import leading_scan

STEPS = ("calibrate", "leading", "bin", "run")
MAX_ARRAY_SIZE = 1000  # SLURM's own default limit

Command = tuple[str, ...]  # arguments of `rixs-pipeline`


@dataclass(frozen=True)
class Step:
    """Jobs that may run at the same time, as one array with a command for each."""

    name: str
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class Job:
    """A step that was submitted."""

    step: str
    number: int
    elements: int


def plan_steps(beamtime: Path, config: Config, out: Path) -> list[Step]:
    """Return the steps that make all that is not fresh.

    The calibrations come first; then the leading scans, which set the throughput of the
    others of their sample and edge; then these; at last what needs them all. Each step
    also makes what the steps before it left undone.

    Parameters
    ----------
    beamtime : Path
        The beamtime directory.
    config : Config
        Resolved.
    out : Path
        The folder of the results.

    Returns
    -------
    list of Step
        In order; none where everything is fresh.

    Raises
    ------
    RixsError
        The beamtime as a whole cannot be used.
    """
    summary = run(beamtime, config, out, Options(dry_run=True))
    if not summary.planned:
        return []
    planned = [Path(summary.items[name]["product"]) for name in summary.planned]
    has_calibrations = any(path.parts[0] == "calibration" for path in planned)
    stale = {name.removesuffix(" photons") for name in summary.planned}
    all_scans = summary.beamtime.scans
    scans = [scan for scan in all_scans if scan.name in stale]
    leading = [scan for scan in scans if leading_scan(all_scans, scan) is scan]
    following = [s for s in scans if leading_scan(all_scans, s) is not s]
    where = (
        str(beamtime.resolve()),
        "-c",
        str(_config_path(out)),
        "-o",
        str(out.resolve()),
        *_execution_options(config.execution),
    )
    per_job = config.execution.cluster.scans_per_job
    calibrate = (("calibrate", *where),) if has_calibrations else ()
    steps = [
        Step("calibrate", calibrate),
        Step("leading", _bin_commands(where, leading, per_job)),
        Step("bin", _bin_commands(where, following, per_job)),
        Step("run", (("run", *where),)),
    ]
    return [step for step in steps if step.commands]


def _bin_commands(
    where: Command, scans: Sequence[Run], per_job: int
) -> tuple[Command, ...]:
    """Return a command for each element of the array that bins scans."""
    size = max(per_job, -(-len(scans) // MAX_ARRAY_SIZE))
    commands = []
    for first in range(0, len(scans), size):
        names = ",".join(scan.name for scan in scans[first : first + size])
        commands.append(("bin", *where, "--scans", names))
    return tuple(commands)


def batch_script(step: Step, config: Config, out: Path) -> str:
    """Return the batch script of a step.

    Failed runs (exit code 1) do not stop the steps that follow; only the last step
    reports them.

    Parameters
    ----------
    step : Step
        What to run.
    config : Config
        With the options of the cluster.
    out : Path
        The folder of the results.

    Returns
    -------
    str
        For sbatch.
    """
    cluster = config.execution.cluster
    logs = str(out.resolve() / paths.LOGS).replace("%", "%%")
    options = {
        "job-name": job_name(step.name, out),
        "output": f"{logs}/{step.name}-%A_%a.log",
        "open-mode": "append",
        "array": f"0-{len(step.commands) - 1}",
        "time": cluster.walltime,
        "cpus-per-task": cluster.cpus,
        "mem": f"{-(-memory_in_bytes(cluster.memory) // 2**20)}M",
        "partition": cluster.partition,
        "account": cluster.account,
    }
    directives = [
        shlex.quote(f"--{name}={value}")
        for name, value in options.items()
        if value is not None
    ]
    directives += ["--requeue", *cluster.options]
    program = [sys.executable, "-m", "rixs_pipeline"]
    cases = [
        f"{index}) {shlex.join([*program, *command])} ;;"
        for index, command in enumerate(step.commands)
    ]
    is_last = step.name == STEPS[-1]
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {directive}" for directive in directives),
        *cluster.setup,
        'case "$SLURM_ARRAY_TASK_ID" in',
        *cases,
        "esac",
        "code=$?",
        "exit $code" if is_last else "exit $((code == 1 ? 0 : code))",
    ]
    return "\n".join(lines) + "\n"


def job_name(step: str, out: Path) -> str:
    """Return the name of a step's jobs, by which they are found in the queue.

    Parameters
    ----------
    step : str
        Name of the step.
    out : Path
        The folder of the results.

    Returns
    -------
    str
        Differs between folders.
    """
    digest = hashlib.blake2b(str(out.resolve()).encode(), digest_size=4)
    return f"rixs-{step}-{digest.hexdigest()}"


def submit(steps: Sequence[Step], config: Config, out: Path) -> list[Job]:
    """Submit the steps, each to begin when the one before it has ended well.

    All jobs use the config as it is now: it is written to the folder of the results.

    Parameters
    ----------
    steps : sequence of Step
        In order.
    config : Config
        Resolved.
    out : Path
        The folder of the results.

    Returns
    -------
    list of Job
        One a step.

    Raises
    ------
    UsageError
        There is no sbatch, or jobs for this folder are still in the queue.
    RixsError
        SLURM refuses a job; those before it are cancelled.
    """
    if not shutil.which("sbatch"):
        raise UsageError(
            "submit: sbatch not found; run this command on a login node, or use "
            "`rixs-pipeline run` here"
        )
    _check_queue(out)
    logs = out / paths.LOGS
    logs.mkdir(parents=True, exist_ok=True)
    with atomic_path(_config_path(out)) as temporary:
        text = dump_config(config, with_execution=False)
        temporary.write_text(text, encoding="utf-8")
    jobs: list[Job] = []
    for step in steps:
        path = logs / f"{step.name}.sh"
        path.write_text(batch_script(step, config, out), encoding="utf-8")
        dependency = []
        if jobs:
            after = f"--dependency=afterok:{jobs[-1].number}"
            dependency = [after, "--kill-on-invalid-dep=yes"]
        try:
            answer = run_slurm("sbatch", "--parsable", *dependency, str(path))
        except RixsError:
            if jobs:
                run_slurm("scancel", *(str(job.number) for job in jobs))
            raise
        number = int(answer.split(";")[0])
        jobs.append(Job(step.name, number, len(step.commands)))
    return jobs


def _config_path(out: Path) -> Path:
    """Return the copy of the config that the jobs use.

    A reduction between two of them may write another one to `OUT/config.yaml`.
    """
    return out.resolve() / paths.SUBMITTED_CONFIG


def _execution_options(execution: ExecutionConfig) -> Command:
    """Return how a job carries out its work: with workers of its own."""
    is_local = execution.scheduler in LOCAL_SCHEDULERS
    scheduler = execution.scheduler if is_local else "threads"
    return (
        "--scheduler",
        scheduler,
        "--workers",
        str(execution.cluster.cpus),
        "--memory",
        execution.memory,
    )


def _check_queue(out: Path) -> None:
    names = ",".join(job_name(step, out) for step in STEPS)
    listing = run_slurm("squeue", "--noheader", "--format=%A", f"--name={names}")
    waiting = sorted(set(listing.split()))
    if waiting:
        raise UsageError(
            f"{out}: jobs {' '.join(waiting)} are still in the queue; "
            "wait for them, or cancel them with `scancel`"
        )
