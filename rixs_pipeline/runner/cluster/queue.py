"""Commands of SLURM, and the state of jobs in its queue."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from rixs_pipeline.errors import RixsError

_FIELDS = "%i|%T|%r"  # number, state, and why a job does not run
# In what the commands print if no controller of SLURM is known, or answers.
NO_CONTROLLER = ("configuration source", "contact slurm controller")
_WORDS = {"PENDING": "queued", "COMPLETING": "running"}


@dataclass(frozen=True)
class QueuedJob:
    """A job, or an element of an array of jobs, that has not ended.

    Attributes
    ----------
    number : str
        Such as `12`, or `12_3` of an array.
    state : str
        `queued`, `running`, or as SLURM calls it.
    reason : str
        Why it does not run, such as `Priority`; may be empty.
    """

    number: str
    state: str
    reason: str

    def __str__(self) -> str:
        """Return such as `queued (job 12_3, Priority)`."""
        details = f"job {self.number}, {self.reason}".removesuffix(", ")
        return f"{self.state} ({details})"

    @property
    def in_words(self) -> str:
        """The state with its reason, such as `queued (Priority)`."""
        return f"{self.state} ({self.reason})" if self.reason else self.state


def has_queue() -> bool:
    """Whether this machine can ask SLURM for its queue."""
    return shutil.which("squeue") is not None


def read_queue(selection: str) -> Mapping[str, QueuedJob]:
    """Return the jobs in the queue by their numbers; elements of arrays are apart.

    Parameters
    ----------
    selection : str
        Option of squeue.

    Returns
    -------
    mapping of str to QueuedJob
        Jobs that have ended are missing.

    Raises
    ------
    RixsError
        squeue fails.
    """
    listing = run_slurm(
        "squeue", "--noheader", "--array", f"--format={_FIELDS}", selection
    )
    jobs = {}
    for line in listing.splitlines():
        number, state, reason = [part.strip() for part in line.split("|", 2)]
        is_plain = reason in ("", "None", "(null)")
        word = _WORDS.get(state, state.lower())
        jobs[number] = QueuedJob(number, word, "" if is_plain else reason)
    return jobs


def run_slurm(*command: str, text: str | None = None) -> str:
    """Return what a command of SLURM prints.

    Parameters
    ----------
    *command : str
        Program and arguments.
    text : str, optional
        Its input.

    Returns
    -------
    str
        Its output.

    Raises
    ------
    RixsError
        It fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, input=text)
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        advice = "see `execution.cluster` in the config"
        if any(text in reason for text in NO_CONTROLLER):
            advice = "SLURM does not answer here; use a login node of the cluster"
        raise RixsError(f"{command[0]}: {reason}; {advice}")
    return done.stdout
