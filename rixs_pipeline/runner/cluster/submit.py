"""The reduction as SLURM jobs: one array of commands after another."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config import Config, ExecutionConfig, memory_in_bytes
from rixs_pipeline.config.execution import LOCAL_SCHEDULERS
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.cluster.queue import run_slurm
from rixs_pipeline.runner.cluster.submission import (
    STEPS,
    StepName,
    Submission,
    SubmittedArray,
    job_name,
    queued_jobs,
    write_submission,
)
from rixs_pipeline.runner.results.output_folder import held, make_folder, write_config
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.stages.scan.exposure_scale import leading_scan

MAX_ARRAY_SIZE = 1000  # SLURM's own default limit
# exit codes: all but 0, that of an interrupt, and those of signals
REPORTED_CODES = "1|2|3|70"

Command = tuple[str, ...]  # arguments of `rixs-pipeline`


@dataclass(frozen=True)
class Step:
    """Jobs that may run at the same time, as one array with a command for each.

    Attributes
    ----------
    name : str
        Of the step.
    commands : tuple of Command
        One for each job.
    products : tuple of tuples of str
        For each job, the products that it makes.
    """

    name: StepName
    commands: tuple[Command, ...]
    products: tuple[tuple[str, ...], ...] = ()


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
    calibrations = tuple(
        name
        for name in summary.planned
        if Path(summary.items[name]["product"]).parts[0] == "calibration"
    )
    all_scans = summary.beamtime.scans
    scan_names = {name for scan in all_scans for name in _scan_products(scan)}
    stale = scan_names.intersection(summary.planned)
    scans = [scan for scan in all_scans if stale.intersection(_scan_products(scan))]
    leading = [scan for scan in scans if leading_scan(all_scans, scan) is scan]
    following = [s for s in scans if leading_scan(all_scans, s) is not s]
    others = [n for n in summary.planned if n not in {*calibrations, *stale}]
    where = (
        str(beamtime.resolve()),
        "-c",
        str(_config_path(out)),
        "-o",
        str(out.resolve()),
        *_execution_options(config.execution),
    )
    per_job = config.execution.cluster.scans_per_job
    calibrate = (("calibrate", *where),) if calibrations else ()
    steps = [
        Step("calibrate", calibrate, (calibrations,)),
        _bin_step("leading", where, leading, per_job),
        _bin_step("bin", where, following, per_job),
        Step("run", (("run", *where),), (tuple(others),)),
    ]
    return [step for step in steps if step.commands]


def _scan_products(scan: Run) -> tuple[str, str]:
    """Return the names of what is made of a scan alone."""
    return scan.name, f"{scan.name} photons"


def _bin_step(
    name: StepName, where: Command, scans: Sequence[Run], per_job: int
) -> Step:
    """Return the step whose jobs bin some scans each."""
    size = max(per_job, -(-len(scans) // MAX_ARRAY_SIZE))
    commands, products = [], []
    for first in range(0, len(scans), size):
        names = [scan.name for scan in scans[first : first + size]]
        commands.append(("bin", *where, "--scans", ",".join(names)))
        products.append(tuple(names))
    return Step(name, tuple(commands), tuple(products))


def batch_script(step: Step, config: Config, out: Path) -> str:
    """Return the batch script of a step.

    A command that reports what is wrong by itself does not stop the steps that follow:
    the last one looks at everything again, and reports what is lost.

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
    # -P: no modules from the current folder, which may be that of the beamtime
    program = [sys.executable, "-P", "-m", "rixs_pipeline"]
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
        *([] if is_last else [f"case $code in {REPORTED_CODES}) code=0 ;; esac"]),
        "exit $code",
    ]
    return "\n".join(lines) + "\n"


def submit(
    beamtime: Path, steps: Sequence[Step], config: Config, out: Path
) -> list[Job]:
    """Submit the steps, each to begin when the one before it has ended well.

    All jobs use the config as it is now: it is written to the folder of the results,
    and so are the numbers of the jobs.

    Parameters
    ----------
    beamtime : Path
        The beamtime directory.
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
        There is no sbatch, jobs for this folder are still in the queue, or a reduction
        with another config uses it.
    RixsError
        SLURM refuses a job; those before it are cancelled.
    """
    if not shutil.which("sbatch"):
        raise UsageError(
            "submit: sbatch not found; run this command on a login node, or use "
            "`rixs-pipeline run` here"
        )
    _check_queue(out)
    make_folder(out, beamtime)
    with held(out, config, beamtime):
        write_config(config, out)
        _config_path(out).parent.mkdir(exist_ok=True)
        shutil.copyfile(out / paths.RESOLVED_CONFIG, _config_path(out))
    jobs: list[Job] = []
    arrays: list[SubmittedArray] = []
    for step in steps:
        script = batch_script(step, config, out)
        record = out / paths.LOGS / f"{step.name}.sh"
        record.write_text(script, encoding="utf-8")
        dependency = []
        if jobs:
            after = f"--dependency=afterok:{jobs[-1].number}"
            dependency = [after, "--kill-on-invalid-dep=yes"]
        try:
            # not from the file, which others may be able to change
            answer = run_slurm("sbatch", "--parsable", *dependency, text=script)
        except RixsError:
            if jobs:
                run_slurm("scancel", *(str(job.number) for job in jobs))
            raise
        number = int(answer.split(";")[0])
        jobs.append(Job(step.name, number, len(step.commands)))
        arrays.append(SubmittedArray(step.name, number, step.products))
        write_submission(out, Submission(str(beamtime.resolve()), tuple(arrays)))
    return jobs


def _config_path(out: Path) -> Path:
    """Return the copy of the config that the jobs use.

    A reduction between two of them may write another one to `OUT/config.yaml`.
    """
    return out.resolve() / paths.SUBMITTED_CONFIG


def _execution_options(execution: ExecutionConfig) -> Command:
    """Return how a job carries out its work: with workers of its own."""
    is_local = execution.scheduler in LOCAL_SCHEDULERS
    scheduler = execution.scheduler if is_local else "auto"
    return (
        "--scheduler",
        scheduler,
        "--workers",
        str(execution.cluster.cpus),
        "--memory",
        execution.memory,
    )


def _check_queue(out: Path) -> None:
    waiting = sorted({number.partition("_")[0] for number in queued_jobs(out)}, key=int)
    if waiting:
        raise UsageError(
            f"{out}: jobs {' '.join(waiting)} are still in the queue; "
            "wait for them, or cancel them with `scancel`"
        )
