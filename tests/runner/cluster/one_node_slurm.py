"""A private SLURM on one node, with its own munge, ports and folders.

It uses no system service and does not interfere with another SLURM.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CONFIG = """
ClusterName=rixs
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=60 State=UP
"""


def why_not() -> str:
    """Why no SLURM can be started here; empty: it can."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        packages = "slurmctld slurmd slurm-client munge"
        return f"no {', '.join(missing)}: apt-get install {packages}"
    return "" if os.geteuid() == 0 else "slurmd must be started by root"


@contextmanager
def running(folder: Path) -> Iterator[Path]:
    """A SLURM that is up; its config file, which SLURM_CONF has to name."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    config = folder / "slurm.conf"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    host = socket.gethostname().partition(".")[0]
    text = CONFIG.format(
        host=host,
        folder=folder,
        ports=_free_ports(2),
        cores=os.cpu_count(),
        memory=memory // 2,
    )
    config.write_text(text)
    environment = os.environ | {"SLURM_CONF": str(config)}
    munge = [
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        f"--socket={folder}/munge.socket",
    ]
    munge += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    with ExitStack() as stack:
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D"]):
            stack.enter_context(_service(command, environment, folder))
            time.sleep(0.3)
        _wait_for_node(environment, folder)
        yield config


@contextmanager
def _service(
    command: list[str], environment: dict[str, str], folder: Path
) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_node(environment: dict[str, str], folder: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%t"], env=environment, capture_output=True, text=True
        )
        if done.stdout.strip() == "idle":
            return
        if time.monotonic() > deadline:
            told = [
                line
                for name in ("slurmctld", "slurmd")
                for line in _last_lines(folder / f"{name}.log")
            ]
            raise RuntimeError(
                "SLURM does not come up: " + "; ".join([done.stderr.strip(), *told])
            )
        time.sleep(0.2)


def _last_lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[-2:] if path.exists() else [f"no {path.name}"]


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
