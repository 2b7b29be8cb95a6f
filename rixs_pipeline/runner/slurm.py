"""The reduction as SLURM jobs: arrays of the command line over the scans, each step after the one before."""

import hashlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rixs_pipeline import paths
from rixs_pipeline.config.load import dump_config
from rixs_pipeline.config.models import Config, n_bytes
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.io.nexus import atomic_path
from rixs_pipeline.io.runs import Run
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.stages.bin import group_of, leader

STEPS = ("calibrate", "leading", "bin", "run")
MOST_ELEMENTS = 1000  # of one array: SLURM's own default limit


@dataclass(frozen=True)
class Step:
    """Jobs that may run at the same time, as one array."""

    name: str
    commands: tuple[
        tuple[str, ...], ...
    ]  # arguments of the command line, an element each


@dataclass(frozen=True)
class Job:
    """A step as SLURM knows it."""

    step: str
    number: int
    elements: int


def plan(beamtime: Path, config: Config, out: Path) -> list[Step]:
    """The steps that make all that is not fresh, in order; none where everything is.

    First the calibrations, then the leading scans, on whose throughput the others of their sample and edge rest, then
    these, and at last what needs them all. Each step does also what is left of the ones before it.

    Raises:
        RixsError: the beamtime as a whole cannot be used.
    """
    summary = run(beamtime, config, out, Options(dry_run=True))
    if not summary.planned:
        return []
    folders = {
        Path(summary.items[name]["product"]).parts[0] for name in summary.planned
    }
    names = {name.removesuffix(" photons") for name in summary.planned}
    scans = [one for one in summary.beamtime.scans if one.name in names]
    leads = [
        one
        for one in scans
        if leader(summary.beamtime.scans, group_of(one)).name == one.name
    ]
    others = [one for one in scans if one.name not in {lead.name for lead in leads}]
    where = (
        str(beamtime.resolve()),
        "-c",
        str(_config_path(out)),
        "-o",
        str(out.resolve()),
    )
    per_job = config.execution.cluster.scans_per_job
    calibrate = [("calibrate", *where)] if "calibration" in folders else []
    steps = [
        Step("calibrate", tuple(calibrate)),
        Step(
            "leading",
            tuple(("bin", *where, "--scans", part) for part in _parts(leads, per_job)),
        ),
        Step(
            "bin",
            tuple(("bin", *where, "--scans", part) for part in _parts(others, per_job)),
        ),
        Step("run", (("run", *where),)),
    ]
    return [step for step in steps if step.commands]


def _parts(scans: Sequence[Run], per_job: int) -> list[str]:
    """What `--scans` is for each element of an array."""
    size = max(per_job, -(-len(scans) // MOST_ELEMENTS))
    return [
        ",".join(one.name for one in scans[k : k + size])
        for k in range(0, len(scans), size)
    ]


def script(step: Step, config: Config, out: Path) -> str:
    """The batch script of a step.

    That some runs failed (exit code 1) does not keep the steps that follow from being done; only the last one tells it.
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
        "mem": f"{-(-n_bytes(cluster.memory) // 2**20)}M",
        "partition": cluster.partition,
        "account": cluster.account,
    }
    told = [
        shlex.quote(f"--{name}={value}")
        for name, value in options.items()
        if value is not None
    ]
    program = [sys.executable, "-m", "rixs_pipeline"]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in (*told, "--requeue", *cluster.options)),
            *cluster.setup,
            'case "$SLURM_ARRAY_TASK_ID" in',
            *(
                f"{k}) {shlex.join([*program, *arguments])} ;;"
                for k, arguments in enumerate(step.commands)
            ),
            "esac",
            "code=$?",
            "exit $code"
            if step.name == STEPS[-1]
            else "exit $((code == 1 ? 0 : code))",
            "",
        ]
    )


def job_name(step: str, out: Path) -> str:
    """The name of the jobs of a step for one folder of results, by which they are found again in the queue."""
    return f"rixs-{step}-{hashlib.blake2b(str(out.resolve()).encode(), digest_size=4).hexdigest()}"


def submit(steps: Sequence[Step], config: Config, out: Path) -> list[Job]:
    """Hand the steps to SLURM, each to begin when the one before it has ended well.

    What the config says now holds for all jobs: it is written to the folder of results.

    Raises:
        UsageError: there is no sbatch, or jobs for this folder are still in the queue.
        RixsError: SLURM refuses a job; those before it are cancelled.
    """
    if not shutil.which("sbatch"):
        raise UsageError(
            "submit finds no sbatch: run it on a node that submits jobs, or use `rixs-pipeline run` here"
        )
    _check_queue(out)
    logs = out / paths.LOGS
    logs.mkdir(parents=True, exist_ok=True)
    with atomic_path(_config_path(out)) as temporary:
        temporary.write_text(dump_config(_of_jobs(config)), encoding="utf-8")
    jobs: list[Job] = []
    for step in steps:
        path = logs / f"{step.name}.sh"
        path.write_text(script(step, config, out), encoding="utf-8")
        after = (
            [f"--dependency=afterok:{jobs[-1].number}", "--kill-on-invalid-dep=yes"]
            if jobs
            else []
        )
        try:
            number = _slurm("sbatch", "--parsable", *after, str(path)).split(";")[0]
        except RixsError:
            if jobs:
                _slurm("scancel", *(str(job.number) for job in jobs))
            raise
        jobs.append(Job(step.name, int(number), len(step.commands)))
    return jobs


def _config_path(out: Path) -> Path:
    return out.resolve() / paths.RESOLVED_CONFIG


def _of_jobs(config: Config) -> Config:
    """The config of the jobs: workers of their own instead of a cluster's."""
    execution = config.execution
    local = (
        execution.scheduler
        if execution.scheduler in ("serial", "threads", "processes")
        else "threads"
    )
    mine = execution.model_copy(
        update={"scheduler": local, "workers": execution.cluster.cpus}
    )
    return config.model_copy(update={"execution": mine})


def _check_queue(out: Path) -> None:
    names = ",".join(job_name(name, out) for name in STEPS)
    waiting = sorted(
        set(_slurm("squeue", "--noheader", "--format=%A", f"--name={names}").split())
    )
    if waiting:
        raise UsageError(
            f"{out}: jobs {' '.join(waiting)} are still in the queue; wait for them, or scancel them"
        )


def _slurm(*command: str) -> str:
    """What a command of SLURM prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        told = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise RixsError(f"{command[0]}: {told}; see execution.cluster in the config")
    return done.stdout
