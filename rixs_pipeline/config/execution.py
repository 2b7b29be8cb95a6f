"""How the work is carried out: processes, machines and memory."""

from typing import Annotated

from pydantic import Field

from rixs_pipeline.config.base import Model

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
Memory = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?(kB|MB|GB|TB|KiB|MiB|GiB|TiB)$")]
ShellLine = Annotated[str, Field(pattern=r"^[^\n]+$")]


def memory_in_bytes(memory: str) -> int:
    """Return a `Memory` in bytes: kB is 1000, KiB 1024."""
    number = memory.rstrip("kKMGTiB ")
    unit = memory[len(number) :].strip()
    return int(float(number) * UNIT_BYTES[unit])


class ClusterConfig(Model):
    """Resources requested from SLURM.

    By `submit` for each job, and by `--scheduler slurm` for each worker.
    """

    partition: str | None = Field(
        None, description="partition; default: that of the cluster"
    )
    account: str | None = None
    walltime: str = Field(
        "01:00:00",
        pattern=r"^(\d+-)?\d+(:\d\d){1,2}$",
        description="time limit of a job",
    )
    cpus: int = Field(
        2, ge=1, description="cores, and worker processes, of a job of `submit`"
    )
    memory: Memory = Field("4GB", description="memory of a job of `submit`")
    scans_per_job: int = Field(
        1, ge=1, description="number of scans that a job of `submit` bins"
    )
    setup: tuple[ShellLine, ...] = Field(
        (), description="shell lines before the command, such as `module load python`"
    )
    options: tuple[ShellLine, ...] = Field(
        (), description="further options of sbatch, such as `--qos=normal`"
    )


class ExecutionConfig(Model):
    """How the work is carried out: no influence on results, no part of a hash."""

    scheduler: str = Field(
        "threads", pattern=r"^(serial|threads|processes|slurm|tcp://.+)$"
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="number of threads or processes; default: the available cores",
    )
    memory: Memory = Field(
        "1GB", description="memory limit for binning; on a cluster, of each worker"
    )
    cluster: ClusterConfig = ClusterConfig()

    @property
    def memory_bytes(self) -> int:
        """`memory` in bytes."""
        return memory_in_bytes(self.memory)
