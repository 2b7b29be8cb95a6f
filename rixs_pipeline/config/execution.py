"""How the work is carried out: processes, machines and memory."""

import re
from difflib import get_close_matches
from typing import Annotated

from pydantic import Field

from rixs_pipeline.config.base import Model

LOCAL_SCHEDULERS = ("auto", "serial", "threads", "processes")
UNIT_BYTES = {
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
MEMORY = r"^\d+(\.\d+)? ?(kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
SCHEDULER = r"^(auto|serial|threads|processes|slurm|(tcp|tls)://.+:[0-9]{1,5})$"
DURATION = r"^([0-9]{1,4}-)?[0-9]{1,4}(:[0-9][0-9]){1,2}$"
PATTERNS_IN_WORDS = {
    MEMORY: f"must be a number with a unit ({', '.join(UNIT_BYTES)}), such as 1GB",
    SCHEDULER: "must be auto, serial, threads, processes, slurm, tcp://HOST:PORT or "
    "tls://HOST:PORT",
    DURATION: "must be MM:SS, HH:MM:SS, D-HH:MM or D-HH:MM:SS",
}
Memory = Annotated[str, Field(pattern=MEMORY)]
ShellLine = Annotated[str, Field(pattern=r"^[^\n]+$")]
# of SLURM; anything else could add options or commands to the script of a job
SlurmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,:@+/-]*$")]


def suggest(text: str, pattern: str) -> str | None:
    """Return what may have been meant by a text that does not match a pattern.

    Parameters
    ----------
    text
        As it was given.
    pattern
        One of `PATTERNS_IN_WORDS`.

    Returns
    -------
    str or None
        A text that matches it.
    """
    if pattern == SCHEDULER:
        close = get_close_matches(text.lower(), (*LOCAL_SCHEDULERS, "slurm"), n=1)
        return close[0] if close else None
    number = re.match(r"\s*(\d+(?:\.\d+)?)\s*", text) if pattern == MEMORY else None
    if number is None:
        return None
    unit = text[number.end() :].strip().lower()
    names = {name.lower(): name for name in UNIT_BYTES}
    names |= {name[0].lower(): name for name in ("kB", "MB", "GB", "TB")}
    return number[1] + names[unit] if unit in names else None


def memory_in_bytes(memory: str) -> int:
    """Return a `Memory` in bytes: kB is 1000, KiB 1024."""
    number = memory.rstrip("kKMGTiB ")
    unit = memory[len(number) :].strip()
    return int(float(number) * UNIT_BYTES[unit])


Duration = Annotated[str, Field(pattern=DURATION)]


def duration_in_seconds(duration: str) -> int:
    """Return a `Duration` in seconds.

    As for sbatch: MM:SS, HH:MM:SS, D-HH:MM or D-HH:MM:SS.
    """
    days, _, clock = duration.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    first, second, third = [*parts, 0][:3] if days else [0, *parts][-3:]
    return ((int(days or 0) * 24 + first) * 60 + second) * 60 + third


class ClusterConfig(Model):
    """Resources requested from SLURM.

    By `submit` for each job, and by `--scheduler slurm` for each worker.
    """

    partition: SlurmName | None = Field(
        None,
        description="SLURM partition; default: the default partition of the cluster",
    )
    account: SlurmName | None = None
    walltime: Duration = Field("01:00:00", description="time limit of each job")
    longest_wait: Duration = Field(
        "1-00:00:00",
        description="time without any worker after which `--scheduler slurm` or an "
        "address gives up",
    )
    dashboard: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="port of the dashboard of `--scheduler slurm`, on this machine "
        "alone; default: none",
    )
    cpus: int = Field(
        2,
        ge=1,
        description="number of cores and of worker processes of each `submit` job",
    )
    memory: Memory = Field("4GB", description="memory of each `submit` job")
    scans_per_job: int = Field(
        1, ge=1, description="number of scans binned by each `submit` job"
    )
    setup: tuple[ShellLine, ...] = Field(
        (), description="shell commands to run first, such as `module load python`"
    )
    options: tuple[ShellLine, ...] = Field(
        (), description="additional sbatch options, such as `--qos=normal`"
    )

    @property
    def longest_wait_s(self) -> int:
        """`longest_wait` in seconds."""
        return duration_in_seconds(self.longest_wait)


class ExecutionConfig(Model):
    """How the work is carried out: no influence on results, no part of a hash."""

    scheduler: str = Field(
        "auto",
        pattern=SCHEDULER,
        description="auto: processes for many pulse files, else threads",
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="number of threads or processes; default: number of available "
        "cores",
    )
    memory: Memory = Field(
        "1GB",
        description="memory limit for binning; on a cluster, the limit of each worker",
    )
    cluster: ClusterConfig = ClusterConfig()

    @property
    def is_remote(self) -> bool:
        """Whether the scheduler is one of dask, at an address."""
        return "://" in self.scheduler

    @property
    def memory_bytes(self) -> int:
        """`memory` in bytes."""
        return memory_in_bytes(self.memory)
