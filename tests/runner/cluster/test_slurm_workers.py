"""Workers as SLURM jobs: the scheduler is real, and the commands of SLURM are played.

`test_submit.py` has tests with a real SLURM.
"""

import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from rixs_pipeline.config import ExecutionConfig
from rixs_pipeline.errors import RixsError, UsageError
from rixs_pipeline.runner.cluster import slurm_workers
from rixs_pipeline.runner.cluster.slurm_workers import SlurmWorkers, _make_certificate

pytest.importorskip("dask_jobqueue", reason="pip install 'rixs-pipeline[slurm]'")
pytest.importorskip("cryptography", reason="pip install 'rixs-pipeline[slurm]'")

ACCEPTED = 'echo "Submitted batch job 7"'
REFUSED = "echo 'sbatch: error: invalid partition\nsbatch: no' >&2; exit 1"


@pytest.fixture
def start(slurm_command, tmp_path):
    """Start a scheduler, whose jobs never begin."""
    slurm_command("scancel", "true")
    slurm_command("squeue", 'echo "7|PENDING|Priority"')
    with ExitStack() as stack:

        def start(sbatch=ACCEPTED, **cluster):
            slurm_command("sbatch", sbatch)
            config = ExecutionConfig.model_validate(
                {"scheduler": "slurm", "memory": "500MB", "cluster": cluster}
            )
            slurm = SlurmWorkers(config, 1, tmp_path / "logs", stack)
            wait_for(slurm, lambda: slurm.cluster.workers)
            return slurm

        yield start


def wait_for(slurm, is_done):
    """Give the scheduler's thread time, at most 10 s."""
    import asyncio

    for _ in range(1000):
        if is_done():
            return
        slurm.cluster.sync(asyncio.sleep, 0.01)
    pytest.fail("no job was submitted")


def connect(address, timeout=60, **options):
    from distributed import Client

    with Client(address, timeout=timeout, set_as_default=False, **options) as client:
        return client.run_on_scheduler(lambda: "reached")


def test_only_who_has_the_certificate_reaches_the_scheduler(start, tmp_path):
    from distributed.security import Security

    slurm = start()
    address = slurm.cluster.scheduler_address
    port = address.rpartition(":")[2]
    assert address.startswith("tls://")
    assert connect(address, security=slurm.cluster.security) == "reached"
    with pytest.raises(OSError, match=port):
        connect(address.replace("tls://", "tcp://"), timeout=2)
    with pytest.raises(OSError, match="TLS certificate does not match"):
        connect(address, security=Security.temporary())


def test_the_key_is_private_and_goes(start, tmp_path):
    with ExitStack() as stack:
        config = ExecutionConfig(scheduler="slurm")
        start()
        folder = SlurmWorkers(config, 1, tmp_path / "other", stack).folder
        assert folder.parent == tmp_path / "other"
        assert folder.stat().st_mode & 0o777 == 0o700
        names = {path.name for path in folder.iterdir()}
        assert names == {"certificate.pem", "key.pem"}
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
        key = (folder / "key.pem").read_text()
        assert key.startswith("-----BEGIN PRIVATE KEY-----")
    assert not folder.exists()


def test_a_key_that_all_can_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(type(tmp_path), "chmod", lambda self, mode: None)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    with pytest.raises(RixsError, match=r"cannot keep the key of the workers private"):
        _make_certificate(folder)
    assert list(folder.iterdir()) == []


def test_jobs_read_the_certificate_from_its_file(start):
    slurm = start(setup=["module load python"], options=["--qos=a"])
    script = slurm.cluster.job_script()
    assert f"--tls-ca-file {slurm.folder}/certificate.pem" in script
    assert f"--tls-key {slurm.folder}/key.pem" in script
    assert "PRIVATE KEY" not in script
    assert f"{sys.executable} -P -m distributed.cli.dask_worker" in script
    assert "#SBATCH --qos=a\n" in script
    assert script.index("module load python") < script.index("mktemp -d")
    assert re.search(r"--local-directory \$scratch .*--no-dashboard", script)


def test_nothing_listens_for_browsers_but_on_this_machine(start):
    scheduler = start().cluster.scheduler
    assert scheduler.http_server.address == "127.0.0.1"
    for page in ("status", "health", "info/main/workers.html", "json/counts.json"):
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"http://127.0.0.1:{scheduler.http_server.port}/{page}")


def test_a_dashboard_needs_bokeh(start, monkeypatch):
    monkeypatch.setattr(slurm_workers, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"bokeh: pip install 'rixs-pipeline\[dash"):
        start(dashboard=8787)


def test_the_dashboard_is_for_this_machine_alone(start):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free_port = server.getsockname()[1]
    pytest.importorskip("bokeh", reason="no bokeh: install the extra `dashboard`")
    scheduler = start(dashboard=free_port).cluster.scheduler
    assert scheduler.http_server.address == "127.0.0.1"
    with urlopen(f"http://127.0.0.1:{free_port}/status", timeout=30) as page:
        assert b"bokeh" in page.read().lower()


INTERRUPT = """
import os, signal
from rixs_pipeline import interrupt
from rixs_pipeline.runner.cluster.slurm_workers import _import_jobqueue
interrupt.install()
_import_jobqueue()
for number in (signal.SIGINT, signal.SIGTERM):
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_an_interrupt_is_one_although_dask_jobqueue_is_there():
    """In a process of its own: the package sets its handlers when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["interrupted"] * 2


def test_why_there_is_no_worker(start, slurm_command):
    slurm = start()
    assert slurm.describe() == "job 7 queued (Priority)"
    slurm_command("squeue", "true")
    assert slurm.describe() == "job 7 ended"
    slurm_command("squeue", "echo down >&2; exit 1")
    assert slurm.describe().startswith("job 7: squeue: down")
    slurm.cluster.workers.update(
        {n: SimpleNamespace(job_id=str(n)) for n in range(8, 20)}
    )
    slurm_command("squeue", 'echo "7|PENDING|Priority"')
    assert slurm.describe() == (
        "job 7 queued (Priority); jobs 8, 9, 10, 11 and 8 more ended"
    )
    slurm.cluster.workers.clear()
    assert slurm.describe() == "no job is submitted yet"


def test_jobs_that_sbatch_refuses_end_the_wait(start):
    slurm = start(REFUSED)
    with pytest.raises(
        RixsError, match=r"^sbatch: error: invalid partition sbatch: no; see `exec"
    ):
        slurm.describe()
