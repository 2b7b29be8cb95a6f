"""The jobs of the last `submit`: kept with the results, and shown by `status`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, TypeAdapter, ValidationError

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError, RixsError
from rixs_pipeline.files.json_text import read_json
from rixs_pipeline.files.opening import FileKind, named_errors, one_line, open_regular
from rixs_pipeline.io.temporaries import atomic_path
from rixs_pipeline.runner.cluster.queue import QueuedJob, has_queue, read_queue


def _check_printable(text: str) -> str:
    """Refuse what a terminal may take for commands."""
    if not text.isprintable():
        raise ValueError("not the name of a product or folder")
    return text


Name = Annotated[str, AfterValidator(_check_printable)]
StepName = Literal["calibrate", "leading", "bin", "run"]
STEPS: tuple[StepName, ...] = get_args(StepName)

_TAIL_BYTES = 4096  # of a log


@dataclass(frozen=True)
class SubmittedArray:
    """The jobs of a step.

    Attributes
    ----------
    step : str
        Name of the step.
    number : int
        Of the array of jobs.
    products : tuple of tuples of str
        For each job of the array, the products that it makes.
    """

    step: StepName
    number: int
    products: tuple[tuple[Name, ...], ...]


@dataclass(frozen=True)
class Submission:
    """What was submitted.

    Attributes
    ----------
    beamtime : str
        The beamtime directory.
    arrays : tuple of SubmittedArray
        In order.
    """

    beamtime: str
    arrays: tuple[SubmittedArray, ...]


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


def queued_jobs(out: Path) -> Mapping[str, QueuedJob]:
    """Return the jobs of a folder of results that are in the queue, by their numbers.

    Raises
    ------
    RixsError
        squeue fails.
    """
    names = ",".join(job_name(step, out) for step in STEPS)
    return read_queue(f"--name={names}")


def write_submission(out: Path, submission: Submission) -> None:
    """Keep a submission in the folder of the results, in place of the one before."""
    with atomic_path(out / paths.SUBMISSION) as temporary:
        temporary.write_text(json.dumps(asdict(submission)), encoding="utf-8")


def read_submission(out: Path) -> Submission | None:
    """Return the last submission; None: there was none.

    Raises
    ------
    InputError
        The file is damaged.
    """
    path = out / paths.SUBMISSION
    if not path.exists():
        return None
    content = read_json(path, FileKind.SUMMARY)
    try:
        return TypeAdapter(Submission).validate_python(content)
    except ValidationError as error:
        problem = one_line(error.errors(include_url=False)[0]["msg"])
        raise InputError(
            f"{path}: not as `submit` wrote it ({problem}); delete it"
        ) from error


def with_jobs(
    out: Path, states: Mapping[str, str], files: Mapping[str, Path]
) -> dict[str, str]:
    """Return the states of products with what became of the jobs that make them.

    Parameters
    ----------
    out : Path
        The folder of the results.
    states : mapping of str to str
        The state of each product, in words.
    files : mapping of str to Path
        The files of products that are not fresh, as far as they are known.

    Returns
    -------
    dict of str to str
        Unchanged where nothing was submitted, and for products that are fresh.

    Raises
    ------
    InputError
        The record of the submission is damaged.
    """
    submission = read_submission(out)
    if submission is None:
        return dict(states)
    queue, problem = _read_queue(out)
    submitted_at = (out / paths.SUBMISSION).stat().st_mtime
    described = dict(states)
    for job in _jobs(submission):
        for name in job.products:
            state = states.get(name, "no longer part of the beamtime")
            if state.startswith("fresh"):
                continue
            if job.number in queue:
                reason = state.removeprefix("stale: ")
                described[name] = f"{queue[job.number]}: {reason}"
            elif problem:
                described[name] = f"{state}; submitted as job {job.number}, {problem}"
            elif not _is_newer(files.get(name), submitted_at):
                described[name] = f"{state}; {_describe_end(out, job)}"
    return described


@dataclass(frozen=True)
class _SubmittedJob:
    step: StepName
    number: str
    products: tuple[str, ...]


def _jobs(submission: Submission) -> Iterator[_SubmittedJob]:
    """Yield the jobs of all arrays."""
    for array in submission.arrays:
        for index, products in enumerate(array.products):
            yield _SubmittedJob(array.step, f"{array.number}_{index}", products)


def _read_queue(out: Path) -> tuple[Mapping[str, QueuedJob], str]:
    """Return the jobs in the queue, or why they are not known."""
    if not has_queue():
        return {}, "whose state is unknown: no squeue on this machine"
    try:
        return queued_jobs(out), ""
    except RixsError as error:
        return {}, f"whose state is unknown: {error}"


def _is_newer(file: Path | None, time: float) -> bool:
    """Whether a product was made after a time; it is stale for another reason then."""
    if file is not None and not file.suffix:  # a set of figures: its sources tell
        return True
    return file is not None and file.is_file() and file.stat().st_mtime >= time


def _describe_end(out: Path, job: _SubmittedJob) -> str:
    """Return what is known of a job that is no longer in the queue."""
    log = out / paths.LOGS / f"{job.step}-{job.number}.log"
    if not log.exists():
        return (
            f"job {job.number} did not start: it was cancelled, or a job before it "
            "stopped; submit again"
        )
    text = f"job {job.number} ended without a product, see {log}"
    line = _why_ended(log)
    return f"{text}: {line}" if line else text


def _why_ended(log: Path) -> str:
    """Return what SLURM wrote last into a log, or else its last line; may be empty."""
    with named_errors(log), open_regular(log, FileKind.JOB_LOG) as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    lines = [one_line(line) for line in text.split("\n") if line.strip()]
    of_slurm = [line for line in lines if line.startswith("slurmstepd")]
    return (of_slurm or lines or [""])[-1]
