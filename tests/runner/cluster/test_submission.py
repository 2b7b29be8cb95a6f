"""What `status` says of jobs; the commands of SLURM are played."""

import json
import os
import shutil

import pytest

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError
from rixs_pipeline.runner.cluster.submission import (
    Submission,
    SubmittedArray,
    read_submission,
    with_jobs,
    write_submission,
)
from rixs_pipeline.runner.inspect import status as read_status

SUBMISSION = Submission(
    "/data",
    (
        SubmittedArray("bin", 12, (("scan1",), ("scan2", "scan3"))),
        SubmittedArray("run", 13, (("a map", "a figures"),)),
    ),
)
STATES = {
    "cal0": "fresh",
    "scan1": "stale: not made yet",
    "scan2": "fresh: C_Ka 277 eV",
    "scan3": "failed: it was bad",
    "a map": "stale: inputs changed",
    "a figures": "stale: not drawn yet",
}


@pytest.fixture
def out(tmp_path):
    """A folder of results with a submission, and the files of its products."""
    folder = tmp_path / "out"
    (folder / paths.LOGS).mkdir(parents=True)
    write_submission(folder, SUBMISSION)
    return folder


def described(out):
    files = {
        "scan1": out / "scan1.nxs",
        "scan3": out / "scan3.nxs",
        "a map": out / "a.nxs",
        "a figures": out / "figures" / "a",
    }
    return with_jobs(out, STATES, files)


def test_a_submission_is_read_as_it_was_written(out):
    assert read_submission(out) == SUBMISSION
    shutil.rmtree(out / paths.LOGS)
    assert read_submission(out) is None
    assert with_jobs(out, STATES, {}) == STATES


@pytest.mark.parametrize(
    "change",
    [
        {"beamtime": 7},
        {"arrays": 7},
        {"arrays": [{"step": "../x", "number": 1, "products": []}]},
        {"arrays": [{"step": "bin", "number": "../x", "products": []}]},
        {"arrays": [{"step": "bin", "number": 1, "products": [[7]]}]},
        {"arrays": [{"step": "bin", "number": 1, "products": [["\033[2J"]]}]},
    ],
)
def test_a_damaged_submission_is_one_line(out, change):
    path = out / paths.SUBMISSION
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError) as caught:
        read_submission(out)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")


def test_jobs_in_the_queue(out, slurm_command):
    slurm_command(
        "squeue",
        'echo "12_0|PENDING|Resources"; echo "12_1|RUNNING|None"; '
        'echo "13_0|PENDING|Dependency"',
    )
    assert described(out) == STATES | {
        "scan1": "queued (job 12_0, Resources): not made yet",
        "scan3": "running (job 12_1): failed: it was bad",
        "a map": "queued (job 13_0, Dependency): inputs changed",
        "a figures": "queued (job 13_0, Dependency): not drawn yet",
    }


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("", ""),
        ("started\nModuleNotFoundError: x\n\n", ": ModuleNotFoundError: x"),
        (
            "slurmstepd: error: *** JOB 14 CANCELLED DUE TO TIME LIMIT ***\n"
            "rixs-pipeline: interrupted\n",
            ": slurmstepd: error: *** JOB 14 CANCELLED DUE TO TIME LIMIT ***",
        ),
        ("x" * 9000 + "\nthe last\n", ": the last"),
    ],
    ids=["empty", "program", "slurm", "long"],
)
def test_jobs_that_ended_without_a_product(out, slurm_command, log, shown):
    slurm_command("squeue", "true")
    path = out / "logs" / "bin-12_0.log"
    path.write_text(log)
    states = described(out)
    assert states["scan1"] == (
        f"stale: not made yet; job 12_0 ended without a product, see {path}{shown}"
    )
    assert "job 12_1 did not start" in states["scan3"]
    assert "job 13_0 did not start" in states["a map"]
    assert states["a figures"] == STATES["a figures"]
    assert states["scan2"] == STATES["scan2"]


def test_a_product_that_was_made_and_is_stale_again_is_not_the_fault_of_its_job(
    out, slurm_command
):
    slurm_command("squeue", "true")
    (out / "a.nxs").touch()
    assert described(out)["a map"] == STATES["a map"]
    os.utime(out / "a.nxs", (1, 1))
    assert "did not start" in described(out)["a map"]


def test_a_scan_that_is_no_longer_there(out, slurm_command):
    slurm_command("squeue", "true")
    states = with_jobs(out, {"cal0": "fresh"}, {})
    assert states["scan1"].startswith("no longer part of the beamtime; job 12_0 did")


@pytest.mark.parametrize(
    ("script", "reason"),
    [(None, "no squeue on this machine"), ("echo down >&2; exit 1", "squeue: down")],
)
def test_without_the_queue_nothing_is_claimed(
    out, slurm_command, monkeypatch, script, reason
):
    if script is None:
        monkeypatch.setenv("PATH", "")
    else:
        slurm_command("squeue", script)
    state = described(out)["scan1"]
    expected = "stale: not made yet; submitted as job 12_0, whose state is unknown: "
    assert state.startswith(f"{expected}{reason}")


def test_status_right_after_submit(cli, slurm_command, small_beamtime, tmp_path):
    slurm_command("squeue", "true")
    slurm_command(
        "sbatch", f"cat > /dev/null; echo x >> {tmp_path}/n; wc -l < {tmp_path}/n"
    )
    out = tmp_path / "out"
    assert cli("submit", small_beamtime, "-o", out).code == 0
    slurm_command("squeue", 'for n in 1 2 3 4; do echo "${n}_0|PENDING|Priority"; done')
    states = read_status(out).states
    assert states["cal0000"] == "queued (job 1_0, Priority): not made yet"
    assert states["scan0001"] == "queued (job 2_0, Priority): not made yet"
    assert states["scan0002"] == "queued (job 3_0, Priority): not made yet"
    assert states["LMR_RT-Co_L"] == "queued (job 4_0, Priority): not made yet"
    assert "job 2_1 did not start" in states["scan0003"]
    assert "cal0000                        queued (job 1_0" in cli("status", out).out
